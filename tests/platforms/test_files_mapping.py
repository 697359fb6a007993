"""Products into files and back: what was written is read again, and nothing else stands in the file (SYN-1)."""

import csv
import io
import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import ProductWrite, Record, VariantWrite
from services.sync.platforms.files import mapping
from services.sync.platforms.files.places import Seen
from services.sync.platforms.files.reading import digest_of, read
from services.sync.platforms.files.settings import FilesSettings
from tests.conftest import examples

pytestmark = pytest.mark.feature("SYN-1")

SETTINGS = FilesSettings.model_validate(
    {"folder": "x", "products": {"pattern": "products*.csv", "profile": "crossdock"}, "currency": "EUR"}
)
# What a cell can say: spaces around it are not kept.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12)
LINE = TEXT.map(str.strip).filter(bool)
MAYBE = st.none() | LINE
# A word and the same in capitals are one tag.
WORDS = st.lists(LINE, max_size=4, unique_by=str.casefold)
HANDLES = st.text("abcdefghij0123456789", min_size=1, max_size=8)
MONEY = st.integers(0, 10**9).map(lambda amount: {"amount": amount, "currency": "EUR"})
URLS = st.text("abc/", min_size=1, max_size=8).map(lambda path: f"https://a.example/{path}")
IMAGES = st.lists(st.fixed_dictionaries({"url": URLS, "alt": MAYBE}), max_size=3, unique_by=lambda image: image["url"])
FIELDS = st.fixed_dictionaries(
    {"title": LINE},
    optional={
        "description_html": MAYBE,
        "brand": MAYBE,
        "product_type": MAYBE,
        "status": st.sampled_from(["draft", "active", "paused", "archived"]),
        "seo_title": MAYBE,
        "seo_description": MAYBE,
        "tags": WORDS.map(sorted),
        "categories": st.lists(st.lists(LINE, min_size=1, max_size=2), max_size=2, unique_by=tuple),
        "images": IMAGES,
        "attributes": st.dictionaries(LINE, LINE, max_size=2),
    },
)
# As the variants of a product that is to be made: told apart by an option.
SIZES = ("S", "M", "L")
VARIANT_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "price": MONEY,
        "list_price": st.none() | MONEY,
        "weight_grams": st.none() | st.integers(0, 10**6),
        "requires_shipping": st.booleans(),
        "taxable": st.booleans(),
    },
)
WRITES = st.lists(
    st.tuples(HANDLES, FIELDS, st.lists(VARIANT_FIELDS, max_size=2)),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each[0],
)


def read_back(content: bytes) -> dict[str, Record]:
    """The products of a file, as a scan would give them."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        reading = read(file, Seen("products.csv", len(content), 0), digest_of(file), "product", SETTINGS)  # type: ignore[arg-type]
        items, has_more = reading.take(1000, 0)
    assert not has_more
    assert all(isinstance(item, Record) for item in items), items
    return {item.external_id: item for item in items if isinstance(item, Record)}


@settings(max_examples=examples(200), deadline=None)
@given(WRITES)
def test_products_that_were_written_are_read_again_with_these_fields_alone(
    given_writes: list[tuple[str, dict[str, Any], list[dict[str, Any]]]],
) -> None:
    writes = [
        ProductWrite(
            f"k-{handle}",
            handle,
            fields,
            variants=[VariantWrite(None, f"{handle}-{n}", each) for n, each in enumerate(variants)],
        )
        for handle, fields, variants in given_writes
    ]
    said: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, Any]] = {}
    for written, content in mapping.product_files(writes, SETTINGS):
        found = read_back(content)
        assert set(found) == {write.external_id for write in written}
        for handle, record in found.items():
            said.setdefault(handle, {}).update(record.fields)
            for part in record.parts:
                parts.setdefault(part.external_id, {}).update(part.fields)
    for handle, fields, variants in given_writes:
        assert {name: said[handle][name] for name in fields} == fields
        for n, each in enumerate(variants):
            part = parts[f"{handle}-{n}"]
            assert {name: part[name] for name in each} == each


@settings(max_examples=examples(100), deadline=None)
@given(WRITES)
def test_product_that_is_made_is_one_product_of_one_file(
    given_writes: list[tuple[str, dict[str, Any], list[dict[str, Any]]]],
) -> None:
    for handle, fields, variants in given_writes:
        made = [
            VariantWrite(None, f"{handle}-{size}", {**each, "sku": f"{handle}-{size}", "options": {"Size": size}})
            for each, size in zip(variants, SIZES, strict=False)
        ]
        own = {**fields, "handle": handle, **({"options": ["Size"]} if made else {})}
        ((_, content),) = mapping.product_files([ProductWrite("k", None, own, variants=made)], SETTINGS)
        (record,) = read_back(content).values()
        assert {name: record.fields[name] for name in own} == own
        for part, variant in zip(record.parts, made, strict=True):
            assert part.external_id == variant.sku
            assert {name: part.fields[name] for name in variant.fields} == variant.fields


@settings(max_examples=examples(100), deadline=None)
@given(WRITES, st.sampled_from(["crossdock", "shopify"]))
def test_a_file_has_the_columns_of_its_writes_and_cells_for_each(
    given_writes: list[tuple[str, dict[str, Any], list[dict[str, Any]]]], product_format: Any
) -> None:
    known = {
        name: (fields, variants)
        for name, fields, variants in given_writes
        if product_format == "crossdock" or "attributes" not in fields
    }
    writes = [
        ProductWrite("k", name, fields, variants=[VariantWrite("s", "s", each) for each in variants])
        for name, (fields, variants) in known.items()
    ]
    formatted = SETTINGS.model_copy(update={"product_format": product_format})
    assert all(mapping.refusal(write, formatted) is None for write in writes)
    headings = mapping._HEADINGS[product_format]
    for written, content in mapping.product_files(writes, formatted):
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        named = {name for write in written for name in write.fields}
        named |= {f"variant.{name}" for write in written for each in write.variants for name in each.fields}
        columns = {heading for name in named for heading in headings[name]}
        assert set(rows[0]) - set(mapping._KEYS[product_format]) == columns
        assert {len(row) for row in rows} == {len(rows[0])}
        assert {row[0] for row in rows[1:]} == {write.external_id for write in written}


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_refused_in_words(content: bytes) -> None:
    said = "read"
    try:
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            file.write(content)
            reading = read(file, Seen("products.csv", len(content), 0), digest_of(file), "product", SETTINGS)  # type: ignore[arg-type]
            reading.take(1000, 0)
    except PlatformRefused as error:
        said = error.detail
    assert said
