"""The custom protocol's JSON and our shapes: whatever comes, nothing is invented and nothing breaks (SYN-1)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import ProductWrite, ShipmentWrite, StockWrite, VariantWrite
from services.sync.platforms.custom import mapping
from tests.conftest import examples
from tests.platforms.conftest import order

pytestmark = pytest.mark.feature("SYN-1")

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
MAYBE_TEXT = st.none() | TEXT
WORDS = st.none() | st.lists(TEXT, max_size=2)
IDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=8)
TABLE = st.none() | st.dictionaries(TEXT, TEXT, max_size=2)
MONEY = st.none() | st.fixed_dictionaries(
    {"amount": st.integers(-(2**53) + 1, 2**53 - 1), "currency": st.sampled_from(["EUR", "JPY"])}
)
# Of all zones there are these two are the furthest apart.
ZONES = (UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)))
FLAG = st.none() | st.booleans()
VARIANT = st.fixed_dictionaries(
    {"id": IDS},
    optional={
        "sku": MAYBE_TEXT,
        "barcode": MAYBE_TEXT,
        "options": TABLE,
        "price": MONEY,
        "list_price": MONEY,
        "weight_grams": st.none() | st.integers(0, 10**6),
        "requires_shipping": FLAG,
        "taxable": FLAG,
    },
)
IMAGE = st.fixed_dictionaries({"url": TEXT.filter(bool)}, optional={"alt": MAYBE_TEXT})
TEXTS = ("handle", "title", "description_html", "brand", "product_type", "seo_title", "seo_description")
PRODUCT = st.fixed_dictionaries(
    {"id": IDS},
    optional={
        **dict.fromkeys(TEXTS, MAYBE_TEXT),
        "status": st.sampled_from(["draft", "active", "paused", "archived"]),
        "tags": WORDS,
        "options": WORDS,
        "categories": st.none() | st.lists(st.lists(TEXT, max_size=2), max_size=2),
        "images": st.none() | st.lists(IMAGE, max_size=2),
        "attributes": TABLE,
        "updated_at": st.builds(
            lambda second, zone: datetime.fromtimestamp(second, zone).isoformat(),
            st.integers(-(10**9), 2 * 10**11),
            st.sampled_from(ZONES),
        ),
        "variants": st.lists(VARIANT, max_size=2),
        "something_else": st.integers(),
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def page_of(*items: Any) -> bytes:
    return json.dumps({"items": items, "next": None}).encode()


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(PRODUCT, max_size=2))
def test_whatever_product_the_protocol_allows_is_read_with_the_fields_it_has(items: list[dict[str, Any]]) -> None:
    page = mapping.page("product", page_of(*items))
    assert not page.unread
    for item, record in zip(items, page.records, strict=True):
        assert record.external_id == item["id"]
        assert set(record.fields) == set(item) - {"id", "updated_at", "variants", "something_else"}
        assert [set(part.fields) for part in record.parts] == [set(each) - {"id"} for each in item.get("variants", [])]
        for name in set(TEXTS) & set(item):
            assert record.fields[name] == (item[name] or None)
        assert (record.updated_at is None) == ("updated_at" not in item)


@settings(max_examples=examples(100), deadline=None)
@given(PRODUCT)
def test_what_was_read_is_read_the_same_again(item: dict[str, Any]) -> None:
    """SYN-7: what is empty is written in one way, so that a server which says it otherwise is no change."""
    record = mapping.page("product", page_of(item)).records[0]
    variants = [{"id": part.external_id, **part.fields} for part in record.parts]
    again = mapping.page("product", page_of({"id": record.external_id, **record.fields, "variants": variants})).records[
        0
    ]
    assert (again.fields, again.parts) == (record.fields, record.parts)


@settings(max_examples=examples(100), deadline=None)
@given(PRODUCT)
def test_empty_is_the_same_however_it_is_said(item: dict[str, Any]) -> None:
    def emptied(value: Any) -> Any:
        return None if value in ("", [], {}) else value

    said_otherwise = {name: emptied(value) if name != "variants" else value for name, value in item.items()}
    one, other = mapping.page("product", page_of(item, said_otherwise)).records
    assert one.fields == other.fields


@settings(deadline=None)
@given(st.lists(JSON, max_size=4), st.sampled_from(["product", "stock", "order", "supplier", "supplier_link"]))
def test_every_item_is_a_record_or_told_of(items: list[Any], entity: Any) -> None:
    """SYN-8: nothing disappears in silence, from which it would seem to have vanished over there."""
    page = mapping.page(
        entity, page_of(*items).replace(b"NaN", b"0").replace(b"-Infinity", b"0").replace(b"Infinity", b"0")
    )
    assert len(page.records) + len(page.unread) == len(items)
    assert all(each.message for each in page.unread)


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"a\uD83Db", r"\\\ud83d", r"\ud83d\ud83d\ude00"])
def test_half_a_character_costs_the_record_alone_that_has_it(half: str) -> None:
    """A lone surrogate is in no text; a whole pair, and a word that only looks like one, are."""
    good = r'{"id": "1", "title": "\ud83d\ude00 \\ud83d"}'
    page = mapping.page("product", f'{{"items": [{good}, {{"id": "2", "title": "{half}"}}]}}'.encode())
    assert [(each.external_id, each.fields) for each in page.records] == [("1", {"title": "\U0001f600 \\ud83d"})]
    (unread,) = page.unread
    assert unread.external_id == "2"
    assert "half of a character" in unread.message


READS: list[Callable[[bytes], object]] = [
    mapping.greeting,
    lambda body: mapping.page("product", body),
    lambda body: mapping.page("order", body),
    lambda body: mapping.stock_written(body, [StockWrite("k", "1", "A", "main", 1)]),
    lambda body: mapping.products_written(body, [ProductWrite("k", "1", {})]),
]


@settings(deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(READS))
def test_any_bytes_are_an_answer_or_not_understood(body: bytes, read: Callable[[bytes], object]) -> None:
    said = "understood"
    try:
        read(body)
    except AnswerNotUnderstood as error:
        said = error.detail
    assert said
    assert "\0" not in said


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>One moment</html>",
        b"null",
        b"[]",
        b"{}",
        b'{"items": null}',
        b'{"items": [{"id": "1"}',
        b'{"results": []}',
        b'{"results": [{"outcome": "ok"}]}',
        b'{"results": [{"outcome": "done", "id": "1"}]}',
        b'{"results": [{"outcome": "ok", "id": "1", "fields": {"quantity": "many", "title": 1}}]}',
        b'{"items":[{"id":"1","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
        b'{"protocol": 2, "name": "x", "can": []}',
        b'{"items": [], "next": ""}',
        b"\xff\xfe",
    ],
    ids=lambda body: str(body[:30]) if isinstance(body, bytes) else None,
)
def test_what_is_not_the_protocol_is_not_understood(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(AnswerNotUnderstood) as raised:
        read(body)
    assert raised.value.detail


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"id": "1", "status": "sold"}, "$.status"),
        ({"id": "1", "title": 5}, "$.title"),
        ({"id": "1", "title": "a\0b"}, "NUL"),
        ({"id": "1", "variants": [{"id": "11", "price": {"amount": 19.99, "currency": "EUR"}}]}, "$.variants[0].price"),
        ({"id": "1", "variants": [{"id": "11", "price": {"amount": 1999, "currency": "euro"}}]}, "currency"),
        ({"id": "1", "variants": [{"sku": "A"}]}, "`id`"),
        ({"id": "1", "updated_at": "2026-11-30T10:00:00"}, "$.updated_at"),
        ({"id": "1", "updated_at": "0001-01-01T00:00:00+14:00"}, "range"),
        ({"id": "1", "images": [{"alt": "a"}]}, "`url`"),
    ],
)
def test_record_that_is_none_is_told_by_its_id_and_the_place(item: dict[str, Any], words: str) -> None:
    page = mapping.page("product", page_of({"id": "0"}, item, {"id": "2"}))
    assert [record.external_id for record in page.records] == ["0", "2"]
    assert [each.external_id for each in page.unread] == ["1"]
    assert words in page.unread[0].message


@pytest.mark.parametrize("external_id", [None, "", 5, "x" * 201, "a\nb"])
def test_record_without_a_good_id_is_told_of(external_id: Any) -> None:
    page = mapping.page("product", page_of({"id": external_id, "title": "A"}))
    assert not page.records
    assert [each.external_id for each in page.unread] == [None]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"customer": {"email": "nobody", "name": "Ada"}}, "customer.email"),
        ({"lines": []}, "lines"),
        ({"placed_at": "2026-11-30T10:00:00"}, "placed_at"),
        ({"total": {"amount": 1.5, "currency": "EUR"}}, "total.amount"),
        ({"is_paid": "yes"}, "is_paid"),
    ],
)
def test_order_that_orders_would_not_take_is_told_of_alone(change: dict[str, Any], words: str) -> None:
    good, bad = _wire_order(1), _wire_order(2) | change
    page = mapping.page("order", page_of(bad, good))
    assert [record.external_id for record in page.records] == ["1"]
    assert [each.external_id for each in page.unread] == ["2"]
    assert words in page.unread[0].message


def test_order_is_given_in_utc_and_with_members_nobody_knows_left_out() -> None:
    item = _wire_order(1) | {"placed_at": "2026-11-30T12:00:00+02:00", "colour_of_the_sky": "grey"}
    record = mapping.page("order", page_of(item)).records[0]
    assert record.fields["placed_at"] == "2026-11-30T10:00:00Z"
    assert "colour_of_the_sky" not in record.fields


def test_one_result_too_few_is_not_understood_as_all_being_well() -> None:
    writes = [StockWrite(f"k{n}", str(n), "A", "main", 1) for n in range(2)]
    with pytest.raises(AnswerNotUnderstood, match="1 results for 2 items"):
        mapping.stock_written(b'{"results": [{"outcome": "ok", "id": "0"}]}', writes)


def test_variants_of_a_result_must_be_as_many_as_were_written() -> None:
    write = ProductWrite("k", None, {}, variants=[VariantWrite(None, "A", {})])
    with pytest.raises(AnswerNotUnderstood, match="0 variants where 1"):
        mapping.products_written(b'{"results": [{"outcome": "ok", "id": "1"}]}', [write])


def test_writes_name_what_is_to_be_different_and_nothing_else() -> None:
    variant = VariantWrite("11", "A", {"barcode": "4006"}, {"barcode": None})
    item = mapping.product_item(ProductWrite("k", "1", {"title": "New"}, {"title": "Old"}, [variant]))
    assert item == {
        "operation_key": "k",
        "id": "1",
        "set": {"title": "New"},
        "expected": {"title": "Old"},
        "variants": [{"id": "11", "sku": "A", "set": {"barcode": "4006"}, "expected": {"barcode": None}}],
    }
    assert mapping.shipment_item(ShipmentWrite("k", "5", [("A", 2)], None, (), None))["lines"] == [
        {"sku": "A", "quantity": 2}
    ]


def _wire_order(number: int) -> dict[str, Any]:
    fields = order(number)
    return {"id": fields.pop("external_id"), **fields}
