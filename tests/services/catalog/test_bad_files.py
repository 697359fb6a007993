"""What is wrong with merchants' files: each ends in a clear state with a clear report, and takes only what it says."""

import io
import zipfile
from typing import Any

import pytest

from deploy import topology
from tests.conftest import scale
from tests.doors import Client
from tests.services.catalog.test_doors import Shopkeeper, shopkeeper

pytestmark = pytest.mark.feature("CAT-5", "CAT-6")
HEADINGS = b"Handle,Title,Variant SKU,Variant Price"


def rows(*lines: bytes, headings: bytes = HEADINGS) -> bytes:
    return b"\n".join((headings, *lines, b""))


def zipped(*files: tuple[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return written.getvalue()


# By handle, which is also the SKU of what comes in: the file; why it failed as a whole; which rows were refused, why.
Case = tuple[bytes, str | None, list[tuple[int, str]]]
CASES: dict[str, Case] = {
    "blank": (b" \n\n", "empty_file", []),
    "headings-alone": (rows(), "no_rows", []),
    "no-known-heading": (b"colour of the sky,smell\nblue,none\n", "unknown_headers", []),
    "doubled-heading": (
        rows(b"doubled-heading,A,B,doubled-heading,1", headings=b"Handle,Title,Title,Variant SKU,Variant Price"),
        "duplicate_headers",
        [],
    ),
    "reordered": (
        rows(b"9.90,reordered,A,reordered", headings=b"Variant Price,Variant SKU,Title,Handle"),
        None,
        [],
    ),
    "other-case": (rows(b"other-case,A,other-case,1", headings=HEADINGS.upper()), None, []),
    "byte-order-mark": (b"\xef\xbb\xbf" + rows(b"byte-order-mark,A,byte-order-mark,1"), None, []),
    "utf-16": (rows(b"utf-16,A,utf-16,1").decode().encode("utf-16"), None, []),
    "latin-1": (rows("latin-1,Käse,latin-1,1".encode("latin-1")), None, []),
    "unbalanced-quotes": (
        rows(b'open,"A,open,1', b"unbalanced-quotes,B,unbalanced-quotes,1"),
        None,
        [(2, "unterminated_quote")],
    ),
    "too-many-cells": (
        rows(b"many,A,many,1,2,3,4", b"too-many-cells,A,too-many-cells,1"),
        None,
        [(2, "too_many_fields")],
    ),
    "half-a-row": (rows(b"half-a-row,A,half-a-row,1", b"half,")[:-1], None, [(3, "too_few_fields")]),
    "5-mb-in-a-cell": (
        rows(b"long," + b"x" * 5_000_000 + b",long,1", b"5-mb-in-a-cell,A,5-mb-in-a-cell,1"),
        None,
        [(2, "row_too_long")],
    ),
    "formula": (rows(b"formula,=1+1,formula,1"), None, []),
    "nul": (rows(b"nul,A\0B,nul,1"), "not_a_text", []),
    "zip-in-a-zip": (zipped(("a.zip", zipped(("b.csv", rows(b"z,A,z,1"))))), "nested_archive", []),
    "zip-bomb": (zipped(("a.csv", b"\0" * 50_000_000)), "unpacked_too_large", []),
    "path-out-of-a-zip": (zipped(("../../a.csv", rows(b"z,A,z,1"))), "unsafe_archive", []),
    "two-in-a-zip": (zipped(("a.csv", rows(b"z,A,z,1")), ("b.csv", rows(b"y,A,y,1"))), "invalid_archive", []),
    "cut-zip": (zipped(("a.csv", rows(b"z,A,z,1")))[:60], "invalid_archive", []),
    "page-as-workbook": (b"<!DOCTYPE html><html><table><tr><td>Handle</td></tr></table></html>", "not_a_table", []),
    "negative-price": (rows(b"n,A,n,-1"), "nothing_imported", [(2, "negative_price")]),
    "endless-price": (rows(b"e,A,e,1e400"), "nothing_imported", [(2, "invalid_price")]),
    "price-of-nan": (rows(b"n,A,n,NaN"), "nothing_imported", [(2, "invalid_price")]),
}


@pytest.fixture(scope="module")
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    made = await shopkeeper(client, process)
    await made.catalog.open_shop()
    return made


@pytest.fixture(scope="module")
async def ended(keeper: Shopkeeper) -> dict[str, Any]:
    """Every case as an import that has ended. They are all uploaded before the first is looked at."""
    started = {
        name: await keeper.ask("POST", "imports?shop=main", 202, content=content)
        for name, (content, *_) in CASES.items()
    }
    return {name: await keeper.finished(each["id"]) for name, each in started.items()}


@pytest.mark.parametrize("name", CASES)
async def test_a_bad_file_ends_in_a_clear_report(keeper: Shopkeeper, ended: dict[str, Any], name: str) -> None:
    _, code, refused = CASES[name]
    done = ended[name]
    assert (done["state"], (done["error"] or {}).get("code")) == ("failed" if code else "succeeded", code)
    if code:
        assert done["error"]["detail"].endswith(".")
    remarks = (await keeper.ask("GET", f"imports/{done['id']}/remarks", 200))["items"]
    assert [(remark["row"], remark["code"]) for remark in remarks] == refused
    assert all(remark["message"].endswith(".") for remark in remarks)
    assert done["counters"].get("errors", 0) == len(refused)
    found = await keeper.catalog.rows("SELECT sku FROM variants WHERE sku = $1", name)
    assert len(found) == (code is None)


async def test_nothing_came_in_but_what_was_said(keeper: Shopkeeper, ended: dict[str, Any]) -> None:
    good = {name for name, (_, code, _) in CASES.items() if code is None}
    products = await keeper.catalog.rows("SELECT p.slug, v.sku FROM products p JOIN variants v ON v.product_id = p.id")
    assert {row["slug"] for row in products} == {row["sku"] for row in products} == good
    assert sum(done["counters"].get("products_inserted", 0) for done in ended.values()) == len(good)


async def test_a_currency_that_does_not_exist_is_refused(keeper: Shopkeeper, ended: dict[str, Any]) -> None:
    price_list = {"shop": "main", "name": "Sale", "currency": "XXQ"}
    assert await keeper.code("POST", "price-lists", 422, json=price_list) == "unknown_currency"
    made = await keeper.ask("POST", "price-lists", 201, json={"shop": "main", "name": "Sale"})
    price = {"sku": "formula", "price": {"amount": 100, "currency": "XXQ"}}
    refused = await keeper.ask("PUT", "prices", 422, json={"price_list_id": made["id"], "prices": [price]})
    assert [error["pointer"] for error in refused["errors"]] == ["/body/prices/0/price/currency"]
    assert await keeper.catalog.rows("SELECT FROM prices WHERE price_list_id = $1", made["id"]) == []


async def test_a_category_is_never_its_own_parent(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "categories", 201, json={"name": "Loop"})
    below = {"parent_id": made["id"]}
    assert await keeper.code("POST", f"categories/{made['id']}/move", 422, json=below) == "category_below_itself"


async def test_a_million_rows_of_one_key_end_in_a_clear_report(keeper: Shopkeeper) -> None:
    count = int(1_000_000 * scale())
    content = rows(*[b"one,A,SAME,1"] * count)
    started = await keeper.ask("POST", "imports?shop=main", 202, content=content)
    done = await keeper.finished(started["id"], seconds=60 + count / 1_000)
    assert done["counters"]["rows"] == count
    assert (done["state"], done["counters"]["errors"] >= count) == ("failed", True)
    remarks = await keeper.catalog.rows(
        "SELECT code, count(*) FROM import_remarks WHERE import_id = $1 GROUP BY code", done["id"]
    )
    # Of one product 5,000 rows are kept and compared; whatever comes behind them is refused as it passes.
    assert dict(tuple(row) for row in remarks) == {
        "duplicate_variant": 5_000,
        "duplicate_sku": 5_000,
        "too_many_rows": count - 5_000,
    }
    assert await keeper.catalog.rows("SELECT FROM variants WHERE sku = 'SAME'") == []
