"""Each format through the import itself: products come in, refused rows go back in it, corrected they come in too."""

import io
from typing import Any

import orjson
import polars as pl
import pytest

from shared import blobs
from shared.contracts.catalog.messages import ListProducts
from shared.contracts.platform.imports import GetImportErrorFile, Import, ListImportRemarks
from shared.impex.workbook_file import write_workbook
from tests.factories.catalog import Catalog
from tests.factories.workbooks import zipped

ROWS: list[dict[str, Any]] = [
    {
        "Handle": "mug",
        "Title": "Mug",
        "Option1 Name": "Size",
        "Option1 Value": "S",
        "Variant SKU": "007",
        "Variant Price": 5,
    },
    {"Handle": "mug", "Option1 Value": "M", "Variant SKU": "008", "Variant Price": "five"},
    {"Handle": "cup", "Title": "Cup", "Variant SKU": "009", "Variant Price": 6.5, "Variant Inventory Qty": 3},
]
HEADINGS = [*ROWS[0], "Variant Inventory Qty"]


def texts(rows: list[dict[str, Any]], headings: list[str]) -> list[list[str]]:
    return [[str(row.get(heading, "") or "") for heading in headings] for row in rows]


def written(name: str, rows: list[dict[str, Any]], headings: list[str]) -> bytes:
    file = io.BytesIO()
    if name == "xlsx":
        write_workbook([headings, *texts(rows, headings)], file)
    elif name == "parquet":
        schema = dict.fromkeys(headings, pl.String())
        pl.DataFrame(texts(rows, headings), schema=schema, orient="row").write_parquet(file)
    elif name == "json":
        file.write(orjson.dumps(rows))
    else:
        file.write(b"\n".join(map(orjson.dumps, rows)))
    return file.getvalue()


def read_back(name: str, content: bytes) -> list[dict[str, Any]]:
    if name == "xlsx":
        return pl.read_excel(io.BytesIO(content), infer_schema_length=0).fill_null("").to_dicts()
    if name == "parquet":
        return pl.read_parquet(io.BytesIO(content)).fill_null("").to_dicts()
    rows: list[dict[str, Any]] = (
        orjson.loads(content) if name == "json" else [orjson.loads(x) for x in content.split(b"\n") if x]
    )
    return rows


async def error_file(catalog: Catalog, imported: Import) -> tuple[str, bytes]:
    file = await catalog.ask(GetImportErrorFile(import_id=imported.id))
    return file.name, await blobs.get(catalog.organization_id, file.key)


@pytest.mark.feature("CAT-5", "CAT-7", "CAT-8")
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zipped"])
@pytest.mark.parametrize("name", ["ndjson", "json", "parquet", "xlsx"])
async def test_every_format_comes_in_and_its_refused_rows_go_back(
    shop_catalog: Catalog, name: str, packed: bool
) -> None:
    content = written(name, ROWS, HEADINGS)
    content = zipped({"products": content}) if packed else content
    first = await shop_catalog.bring_in(content)
    assert (first.state, first.counters["variants_inserted"], first.counters["errors"]) == ("succeeded", 2, 1)
    products = (await shop_catalog.ask(ListProducts())).items
    assert {variant.sku for product in products for variant in product.variants} == {"007", "009"}

    file_name, refused = await error_file(shop_catalog, first)
    assert file_name.endswith(f"errors.{name}")
    rows = read_back(name, refused)
    assert [row.get("error_code") or "" for row in rows] == ["", "invalid_price"]
    rows[1]["Variant Price"] = "5.50"
    second = await shop_catalog.bring_in(written(name, rows, list(rows[1])))
    assert (second.state, second.counters["variants_inserted"], second.counters["errors"]) == ("succeeded", 1, 0)
    assert second.counters["variants_unchanged"] == 1

    ROWS_AGAIN = [ROWS[0], {**ROWS[1], "Variant Price": "5.50"}, ROWS[2]]
    third = await shop_catalog.bring_in(written(name, ROWS_AGAIN, HEADINGS))
    fourth = await shop_catalog.bring_in(written(name, ROWS_AGAIN, HEADINGS))
    for again in (third, fourth):
        assert (again.counters["variants_unchanged"], again.counters.get("variants_updated", 0)) == (3, 0)


@pytest.mark.feature("CAT-5")
async def test_prices_come_in_every_format(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(written("json", ROWS, HEADINGS))
    rows: list[dict[str, Any]] = [{"sku": "007", "price": 7.25}, {"sku": "009", "price": "x"}]
    imported = await shop_catalog.bring_in(written("ndjson", rows, ["sku", "price"]), group="prices")
    assert (imported.counters["prices_updated"], imported.counters["errors"]) == (1, 1)
    name, content = await error_file(shop_catalog, imported)
    assert name.endswith(".ndjson")
    assert orjson.loads(content)["error_code"] == "invalid_price"


@pytest.mark.feature("CAT-5", "CAT-9")
@pytest.mark.parametrize(
    ("content", "asked", "read_as"),
    [
        ("Handle;Title\na;Größe\n".encode("cp1252"), {}, ("shopify", "csv", "cp1252", ";")),
        (b"Handle|Title\na|A\n", {"delimiter": "pipe"}, ("shopify", "csv", "utf-8", "|")),
        (b'{"Handle": "a", "Title": "A"}\n', {}, ("shopify", "ndjson", "utf-8", None)),
        (written("xlsx", ROWS, HEADINGS), {"mode": "delete", "dry_run": True}, ("shopify", "xlsx", None, None)),
        (b"path\tenabled\nHome\ttrue\n", {"group": "categories"}, (None, "csv", "utf-8", "\t")),
        (b"ID,Type,SKU,Name,Published,Regular price\n1,simple,W,W,1,5\n", {}, ("woocommerce", "csv", "utf-8", ",")),
    ],
)
async def test_an_import_says_how_its_file_was_read(
    shop_catalog: Catalog, content: bytes, asked: dict[str, Any], read_as: tuple[str | None, ...]
) -> None:
    started = await shop_catalog.upload(content, **asked)
    assert started.read_as is None
    imported = await shop_catalog.run(started)
    found = imported.read_as
    assert found is not None
    assert (found.profile, found.format, found.encoding, found.delimiter) == read_as
    assert (imported.profile, imported.format, imported.delimiter) == (None, None, asked.get("delimiter"))


@pytest.mark.feature("CAT-5", "CAT-7")
@pytest.mark.parametrize(
    ("content", "asked", "told"),
    [
        ("Handle,Title\na,Größe\n".encode("cp1252"), {}, ["a,Größe"]),
        ("ハンドル,Handle,Title\nx,a,名前\n".encode("shift_jis"), {}, ["ƒnƒ"]),
        ("Handle,Title\na,Größe\n".encode("cp1252"), {"encoding": "windows-1252"}, []),
        ("Handle,Title\na,Größe\n".encode(), {}, []),
        (b"Handle,Title\na,A\n", {}, []),
    ],
)
async def test_an_encoding_that_is_a_guess_is_told_with_what_it_makes_of_the_text(
    shop_catalog: Catalog, content: bytes, asked: dict[str, Any], told: list[str]
) -> None:
    imported = await shop_catalog.bring_in(content, **asked, dry_run=True)
    remarks = (await shop_catalog.ask(ListImportRemarks(import_id=imported.id, kind="notice"))).items
    guesses = [remark.value or "" for remark in remarks if remark.code == "encoding_guessed"]
    assert len(guesses) == len(told)
    assert all(guess.startswith(word) for guess, word in zip(guesses, told, strict=True))
    assert imported.counters["notices"] == len(remarks)


@pytest.mark.feature("CAT-5", "CAT-7")
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (zipped({"a.zip": zipped({"b.csv": "sku\n1\n"})}), "nested_archive"),
        (zipped({"../a.csv": "sku\n1\n"}), "unsafe_archive"),
        (b'[{"Handle": "a"}, {"Ha', "invalid_json"),
        (b"PAR1 and so on", "invalid_parquet"),
        (b"<html>", "not_a_table"),
    ],
)
async def test_what_cannot_be_read_ends_in_a_clear_state(shop_catalog: Catalog, content: bytes, code: str) -> None:
    imported = await shop_catalog.bring_in(content)
    assert imported.state == "failed"
    assert imported.error is not None
    assert (imported.error["code"], imported.read_as) == (code, None)
    assert (await shop_catalog.ask(ListProducts())).items == []
