"""Exports through both doors: what is in them, how they are chosen, what is refused, and what a kill leaves."""

import asyncio
import csv
import io
import zipfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import fastexcel
import orjson
import polars
import pytest

from deploy import topology
from services.catalog.repository import exports as repository
from services.catalog.use_cases import exporting
from shared import blobs, clock, parts
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.exports import Export, GetExport, GetExportFile, ListExports
from shared.contracts.catalog.messages import (
    ArchiveProduct,
    AssignCategory,
    CreateCategory,
    CreateProduct,
    SetPrices,
    UpdateProduct,
)
from shared.contracts.catalog.pricing import PriceDraft
from shared.contracts.catalog.shapes import ProductChange, ProductDraft, VariantDraft
from shared.contracts.platform.messages import CancelJob
from shared.errors import CrossdockError
from shared.impex import json_array
from shared.impex.profiles.crossdock import HEADER
from shared.measures import Weight
from shared.money import Money
from tests.doors import Client, caller_of, eventually
from tests.factories.catalog import SHOPIFY, Catalog, csv_file, shopify_row
from tests.factories.exports import content, exported, run, start, table

pytestmark = pytest.mark.feature("CAT-10")

PRODUCTS = 60


def rows_of(file: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))


async def some_products(catalog: Catalog, number: int = PRODUCTS) -> None:
    rows = [shopify_row(f"p-{n:03}", price=f"{n}.50", brand=f"Brand {n % 3}", collection="All") for n in range(number)]
    assert (await catalog.bring_in(csv_file(rows), shop="main")).state == "succeeded"


async def a_product(catalog: Catalog, title: str, **fields: Any) -> Any:
    return await catalog.ask(CreateProduct(draft=ProductDraft(title=title, **fields)))


# --- formats


async def test_every_format_has_the_same_cells(shop_catalog: Catalog) -> None:
    awkward = "=cmd|' /C calc'!A0\r\n\"x\" \u2028 _x000D_ مرحبا 👩‍👧"
    variants = [VariantDraft(sku="-007", mpn="'=1")]
    await a_product(shop_catalog, awkward, description_html="@sum", tags=["1E+12"], variants=variants)
    expected = {"handle", "title", "description", "tags", "status", "sku", "mpn", "requires shipping", "taxable"}
    expected |= {"featured", "price on request"}
    [row] = await table(shop_catalog)
    assert {name for name, cell in row.items() if cell is not None} == expected
    assert (row["title"], row["sku"], row["mpn"], row["description"]) == (awkward, "-007", "''=1", "@sum")
    [line] = (await exported(shop_catalog, format="ndjson")).splitlines()
    assert orjson.loads(line) == row
    assert orjson.loads(await exported(shop_catalog, format="json")) == [row]
    [guarded] = rows_of(await exported(shop_catalog, format="csv"))
    assert {name: cell or None for name, cell in guarded.items()} == {
        **row,
        "title": f"'{awkward}",
        "sku": "'-007",
        "description": "'@sum",
    }
    sheet = fastexcel.read_excel(await exported(shop_catalog, format="xlsx")).load_sheet(0, dtypes="string")
    [cells] = sheet.to_polars().to_dicts()
    assert {**cells, "title": row["title"]} == row


async def test_no_cell_of_a_text_file_or_workbook_is_executed(shop_catalog: Catalog) -> None:
    formulas = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", " =1"]
    attributes = {formula: formula for formula in formulas if formula.strip() == formula}
    await a_product(shop_catalog, "-1", brand="=1+1", seo_description="+1", attributes=attributes, tags=["@x"])
    file = await exported(shop_catalog)
    for row in csv.reader(io.StringIO(file.decode("utf-8-sig"), newline="")):
        assert not [cell for cell in row if cell.lstrip()[:1] in tuple("=+-@＝＋－＠")]
    workbook = zipfile.ZipFile(io.BytesIO(await exported(shop_catalog, format="xlsx")))
    sheet = workbook.read("xl/worksheets/sheet1.xml")
    assert b"=1+1" in sheet
    assert b"<f>" not in sheet
    assert b"<hyperlink" not in sheet


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet", "xlsx"])
async def test_a_zip_holds_the_same_file(shop_catalog: Catalog, form: str) -> None:
    await some_products(shop_catalog, 3)
    done = await run(shop_catalog, await start(shop_catalog, format=form, zipped=True))
    assert done.file_name == f"products.{form}.zip"
    file = await content(shop_catalog, done)
    assert done.size == len(file)
    archive = zipfile.ZipFile(io.BytesIO(file))
    assert archive.namelist() == [f"products.{form}"]
    plain = await exported(shop_catalog, format=form)
    if form != "xlsx":  # which says when it was made
        assert archive.read(f"products.{form}") == plain


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet", "xlsx"])
@pytest.mark.parametrize("group", ["products", "variants", "prices", "categories"])
async def test_nothing_is_a_file_of_headings_and_says_zero(shop_catalog: Catalog, group: str, form: str) -> None:
    done = await run(shop_catalog, await start(shop_catalog, group=group, format=form))
    assert (done.state, done.counters["rows"], done.progress.done, done.progress.total) == ("succeeded", 0, 0, 0)
    file = await content(shop_catalog, done)
    if form == "csv":
        assert len(file.splitlines()) == 1
    elif form == "ndjson":
        assert file == b""
    elif form == "json":
        assert orjson.loads(file) == []
    elif form == "parquet":
        frame = polars.read_parquet(io.BytesIO(file))
        assert frame.height == 0
        assert frame.columns
    else:
        assert fastexcel.read_excel(file).load_sheet(0).available_columns()


async def test_a_text_too_long_for_a_workbook_is_said_and_not_cut(shop_catalog: Catalog) -> None:
    await a_product(shop_catalog, "Long", description_html="x" * 32_768)
    done = await run(shop_catalog, await start(shop_catalog, format="xlsx"))
    assert (done.state, done.error["code"] if done.error else None) == ("failed", "cell_too_long")
    assert "'description' of 'long'" in done.error["detail"]  # type: ignore[index]
    assert rows_of(await exported(shop_catalog))[0]["description"] == "x" * 32_768


async def test_an_array_is_not_larger_than_what_is_read(shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    await some_products(shop_catalog, 2)
    whole = await exported(shop_catalog, format="json")
    for most, state in ((len(whole), "succeeded"), (len(whole) - 1, "failed")):
        monkeypatch.setattr(json_array, "MOST_BYTES", most)
        done = await run(shop_catalog, await start(shop_catalog, format="json"))
        assert (most, done.state) == (most, state)
    assert done.error["code"] == "array_too_large"  # type: ignore[index]


# --- content


async def test_columns_are_those_an_import_keeps(shop_catalog: Catalog) -> None:
    """Without a price list there are no price columns: an import of them would make one."""
    await a_product(shop_catalog, "Plain")
    without = set(rows_of(await exported(shop_catalog))[0])
    assert set(HEADER) - without == {"price", "list price", "cost", "quantity", "stock policy"}
    assert not await shop_catalog.rows("SELECT FROM price_lists")
    await some_products(shop_catalog, 1)
    assert set(HEADER) - set(rows_of(await exported(shop_catalog))[0]) == {"cost", "quantity", "stock policy"}


async def test_prices_are_the_shops_own(shop_catalog: Catalog) -> None:
    await some_products(shop_catalog, 2)
    main = (await shop_catalog.rows("SELECT id FROM shops WHERE code = 'main'"))[0]["id"]
    await shop_catalog.open_shop(code="sub", parent_id=main)
    assert [row["price"] for row in await table(shop_catalog, shop="main")] == ["0.50", "1.50"]
    assert "price" not in (await table(shop_catalog, shop="sub"))[0]
    [row, _] = await table(shop_catalog, group="prices", shop="main")
    said = {name: cell for name, cell in row.items() if cell}
    assert said == {"sku": "P-000", "price": "0.50", "minimum_quantity": "1"}
    assert await table(shop_catalog, group="prices", shop="sub") == []


async def test_quantities_have_rows_of_their_own(shop_catalog: Catalog) -> None:
    await some_products(shop_catalog, 1)
    price_list = (await shop_catalog.rows("SELECT id FROM price_lists"))[0]["id"]
    tier = PriceDraft(sku="P-000", minimum_quantity=10, price=Money(amount=5, currency="USD"))
    await shop_catalog.ask(SetPrices(price_list_id=price_list, prices=[tier]))
    found = await table(shop_catalog, group="prices")
    assert [(row["minimum_quantity"], row["price"]) for row in found] == [("1", "0.50"), ("10", "0.05")]
    assert len(await table(shop_catalog)) == 1


async def test_categories_say_where_they_stand(shop_catalog: Catalog) -> None:
    top = await shop_catalog.ask(CreateCategory(draft=CategoryDraft(name="A > B", shops=["main"])))
    draft = CategoryDraft(name="Mugs", slug="cups", parent_id=top.id, names={"de": "Becher"}, enabled=False)
    below = await shop_catalog.ask(CreateCategory(draft=draft))
    found = await table(shop_catalog, group="categories")
    assert [(row["path"], row["slug"], row["names"], row["enabled"], row["shops"]) for row in found] == [
        ("A \\> B", "a-b", None, "true", "main"),
        ("A \\> B > cups", "cups", "de=Becher", "false", None),
    ]
    within = await table(shop_catalog, group="categories", filter={"category_id": below.id})
    assert [row["slug"] for row in within] == ["cups"]


async def test_shopifys_file_is_read_as_one(shop_catalog: Catalog) -> None:
    row = shopify_row("mug", image="https://x/1.jpg", option="Size", value="S", sku="S", tags="a, b", collection="Cups")
    row |= {"Variant Grams": "454", "Variant Weight Unit": "lb"}
    more = {"Handle": "mug", "Image Src": "https://x/2.jpg", "Image Alt Text": "Two"}
    await shop_catalog.bring_in(csv_file([row, more], (*SHOPIFY, "Variant Weight Unit")), profile="shopify")
    # Grams alone do not say it: such a unit is better left out.
    weight = Weight(value=Decimal("0.1834"), unit="kg")
    await a_product(shop_catalog, "Bare", status="paused", variants=[VariantDraft(sku="BARE", weight=weight)])
    file = await exported(shop_catalog, profile="shopify")
    rows = rows_of(file)
    assert [row["Handle"] for row in rows] == ["mug", "mug", "bare"]
    assert [row["Image Src"] for row in rows] == ["https://x/1.jpg", "https://x/2.jpg", ""]
    assert [(row["Variant Grams"], row["Variant Weight Unit"]) for row in rows[::2]] == [("454", "lb"), ("183", "")]
    assert (rows[0]["Product Category"], rows[0]["Variant Price"], rows[2]["Option1 Name"]) == (
        "Cups",
        "10.00",
        "Title",
    )
    before = await shop_catalog.rows("SELECT t::text FROM products t ORDER BY 1")
    imported = await shop_catalog.bring_in(file, profile="shopify")
    assert imported.counters["errors"] == 0
    assert (imported.counters["products_unchanged"], imported.counters["variants_unchanged"]) == (2, 2)
    assert await shop_catalog.rows("SELECT t::text FROM products t ORDER BY 1") == before


# --- filters


async def slugs(catalog: Catalog, **wanted: Any) -> set[str | None]:
    return {row["handle"] for row in await table(catalog, filter=wanted)}


async def test_filters_choose(shop_catalog: Catalog) -> None:
    top = await shop_catalog.ask(CreateCategory(draft=CategoryDraft(name="Top", shops=["main"])))
    below = await shop_catalog.ask(CreateCategory(draft=CategoryDraft(name="Below", parent_id=top.id)))
    off = await shop_catalog.ask(CreateCategory(draft=CategoryDraft(name="Off", parent_id=top.id, enabled=False)))
    one = await a_product(shop_catalog, "One", brand="Oak", category_ids=[below.id], variants=[VariantDraft(sku="1")])
    two = await a_product(shop_catalog, "Two", brand="Elm", category_ids=[off.id], status="paused")
    await a_product(shop_catalog, "Three", brand="Oak", variants=[VariantDraft(sku="3")])
    since = clock.now()
    await shop_catalog.ask(UpdateProduct(product_id=two.id, change=ProductChange(title="Two!")))
    await shop_catalog.ask(ArchiveProduct(product_id=one.id))
    assert await slugs(shop_catalog) == {"one", "two", "three"}
    assert await slugs(shop_catalog, status=["draft", "archived"]) == {"one", "three"}
    assert await slugs(shop_catalog, brand="Oak") == {"one", "three"}
    assert await slugs(shop_catalog, brand="oak") == set()
    assert await slugs(shop_catalog, category_id=top.id) == {"one", "two"}
    assert await slugs(shop_catalog, category_id=off.id) == {"two"}
    assert await slugs(shop_catalog, assigned_to="main") == {"one"}
    assert await slugs(shop_catalog, changed_since=since) == {"one", "two"}
    assert await slugs(shop_catalog, product_ids=[two.id, uuid4()]) == {"two"}
    assert await slugs(shop_catalog, skus=["3", "none"]) == {"three"}
    assert await slugs(shop_catalog, skus=["3"], product_ids=[one.id]) == set()
    assert await slugs(shop_catalog, skus=[]) == set()
    assert await slugs(shop_catalog, brand="Oak", status=["archived"]) == {"one"}
    assert len(await table(shop_catalog, group="variants", filter={"brand": "Oak"})) == 2
    await shop_catalog.open_shop(code="other")
    assert await slugs(shop_catalog, assigned_to="other") == set()
    await shop_catalog.ask(AssignCategory(category_id=off.id, shops=["other"]))
    assert await slugs(shop_catalog, assigned_to="other") == set(), "it is not enabled"


async def test_ten_thousand_skus_are_one_filter(shop_catalog: Catalog) -> None:
    await some_products(shop_catalog, 3)
    assert await slugs(shop_catalog, skus=[*(f"none-{n}" for n in range(9_998)), "P-001", "P-002"]) == {
        "p-001",
        "p-002",
    }


# --- refusals


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        ({"group": "quotes"}, "unsupported_group"),
        ({"format": "pdf"}, "unsupported_format"),
        ({"profile": "magento"}, "unsupported_profile"),
        ({"group": "prices", "profile": "shopify"}, "unsupported_profile"),
        ({"shop": "nowhere"}, "shop_not_found"),
        ({"filter": {"assigned_to": "nowhere"}}, "shop_not_found"),
        ({"filter": {"category_id": str(uuid4())}}, "category_not_found"),
        ({"group": "categories", "filter": {"brand": "Oak"}}, "unsupported_filter"),
    ],
)
async def test_what_cannot_be_exported_is_refused(shop_catalog: Catalog, draft: dict[str, Any], code: str) -> None:
    with pytest.raises(CrossdockError) as refused:
        await start(shop_catalog, **draft)
    assert refused.value.code == code
    assert not await shop_catalog.rows("SELECT FROM exports")


async def test_which_shop_has_to_be_said_where_it_matters(shop_catalog: Catalog) -> None:
    await shop_catalog.open_shop(code="second")
    with pytest.raises(CrossdockError) as refused:
        await start(shop_catalog, group="prices")
    assert refused.value.code == "shop_not_named"
    assert (await start(shop_catalog, group="products")).shop is None


async def test_whoever_is_limited_to_shops_sees_their_exports_alone(shop_catalog: Catalog) -> None:
    second = await shop_catalog.open_shop(code="second")
    theirs = await run(shop_catalog, await start(shop_catalog, shop="main"))
    limited = Catalog(shop_catalog.process, shop_catalog.organization_id)
    limited.caller = caller_of(shop_catalog.organization_id, "catalog:read", shop_ids=[second.id])
    for message in (GetExport(export_id=theirs.id), GetExportFile(export_id=theirs.id)):
        with pytest.raises(CrossdockError) as refused:
            await limited.ask(message)
        assert refused.value.code == "export_not_found"
    with pytest.raises(CrossdockError) as refused:
        await start(limited, shop="main")
    assert refused.value.code == "shop_not_found"
    await shop_catalog.ask(CreateCategory(draft=CategoryDraft(name="Both", shops=["main", "second"])))
    own = await run(limited, await start(limited, group="categories", shop="second"))
    assert [row["shops"] for row in rows_of(await content(limited, own))] == ["second"]
    assert [export.id for export in (await limited.ask(ListExports())).items] == [own.id]


# --- jobs


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PORTION", 10)


async def free_lease(catalog: Catalog) -> None:
    """What happens by itself thirty seconds after a worker was killed."""
    uow = catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", catalog.organization_id))
    await uow.execute("UPDATE jobs SET lease_until = now() - interval '1 second'")
    await uow.commit()


def stop_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, *, after: bool) -> asyncio.Event:
    """Make the `call`th call of a coroutine function wait for ever, before or after it did its work."""
    reached = asyncio.Event()
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)
    calls = 0

    async def stopping(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        is_it = calls == call
        if is_it and not after:
            reached.set()
            await asyncio.Event().wait()
        result = await original(*arguments, **named)
        if is_it and after:
            reached.set()
            await asyncio.Event().wait()
        return result

    monkeypatch.setattr(owner, name, stopping)
    return reached


async def kill_when(catalog: Catalog, started: Export, reached: asyncio.Event) -> None:
    running = asyncio.create_task(run(catalog, started))
    waiting = asyncio.create_task(reached.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    assert reached.is_set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def kept_files(catalog: Catalog) -> list[str]:
    found: list[str] = []

    async def look(organization_id: UUID, keys: Any) -> Any:
        found.extend(keys if organization_id == catalog.organization_id else ())
        return keys

    await blobs.sweep("exports", timedelta(seconds=-5), look)
    return sorted(found)


@pytest.mark.feature("OPS-5")
@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("owner", "name", "call", "after"),
    [
        (repository, "extent", 1, False),
        (repository, "list_products", 1, True),
        (parts.blobs, "put", 3, False),
        (parts.blobs, "put", 3, True),
        (parts.blobs, "put_stream", 1, True),
        (parts.blobs, "delete", 1, True),
    ],
    ids=["before-anything", "first-read", "before-a-part", "after-a-part", "file-written", "parts-going"],
)
async def test_killed_anywhere_it_goes_on_and_no_row_comes_twice(
    shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, after: bool, form: str
) -> None:
    await some_products(shop_catalog)
    started = await start(shop_catalog, format=form)
    with monkeypatch.context() as patched:
        await kill_when(shop_catalog, started, stop_at(patched, owner, name, call, after=after))
    assert (await shop_catalog.ask(GetExport(export_id=started.id))).state == "running"
    await a_product(shop_catalog, "Made meanwhile")
    await free_lease(shop_catalog)
    done = await run(shop_catalog, started)
    assert (done.state, done.error) == ("succeeded", None)
    file = await content(shop_catalog, done)
    found = rows_of(file) if form == "csv" else polars.read_parquet(io.BytesIO(file)).to_dicts()
    expected = [f"p-{n:03}" for n in range(PRODUCTS)]
    assert [row["handle"] for row in found][:PRODUCTS] == expected
    assert len(found) - PRODUCTS == (name == "extent"), "what was made after the beginning is not in it"
    assert done.counters["rows"] == done.progress.done == done.progress.total == len(found)
    left = [key for key in await kept_files(shop_catalog) if str(started.id) in key]
    parts = [key for key in left if "part-" in key]
    assert len(parts) <= (after and name == "put"), "only what no step knows of waits for the sweep"
    await remove_old(shop_catalog)
    assert [key for key in await kept_files(shop_catalog) if str(started.id) in key] == [
        f"exports/{started.id}/products.{form}"
    ]


async def remove_old(catalog: Catalog) -> None:
    """What the schedule does, for files of any age."""
    uow = catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", None), across_tenants=True)

    async def needed(organization_id: UUID, keys: Any) -> Any:
        return await exporting.needed_keys(uow, organization_id, keys)

    await blobs.sweep("exports", timedelta(seconds=-5), needed)
    await uow.rollback()


@pytest.mark.usefixtures("small_portions")
async def test_a_cancelled_export_leaves_nothing(shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    await some_products(shop_catalog)
    started = await start(shop_catalog)
    with monkeypatch.context() as patched:
        await kill_when(shop_catalog, started, stop_at(patched, parts.blobs, "put", 3, after=False))
    await shop_catalog.ask(CancelJob(service_name="catalog", job_id=started.job_id), as_service="accounts")
    await free_lease(shop_catalog)
    cancelled = await run(shop_catalog, started)
    assert (cancelled.state, cancelled.file_name) == ("cancelled", None)
    await remove_old(shop_catalog)
    assert not [key for key in await kept_files(shop_catalog) if str(started.id) in key]
    with pytest.raises(CrossdockError) as refused:
        await shop_catalog.ask(GetExportFile(export_id=started.id))
    assert refused.value.code == "export_has_no_file"


@pytest.mark.usefixtures("small_portions")
async def test_two_exports_at_once_are_whole(shop_catalog: Catalog) -> None:
    await some_products(shop_catalog)
    first, second = await start(shop_catalog), await start(shop_catalog, format="ndjson")
    one, two = await asyncio.gather(run(shop_catalog, first), run(shop_catalog, second))
    assert len(rows_of(await content(shop_catalog, one))) == PRODUCTS
    assert len((await content(shop_catalog, two)).splitlines()) == PRODUCTS


async def test_a_file_is_kept_for_a_week(shop_catalog: Catalog) -> None:
    done = await run(shop_catalog, await start(shop_catalog))
    uow = shop_catalog.process.surroundings.unit_of_work(
        "catalog", service_envelope("catalog", shop_catalog.organization_id)
    )
    await uow.execute("UPDATE jobs SET finished_at = now() - interval '8 days' WHERE id = $1", done.job_id)
    await uow.commit()
    with pytest.raises(CrossdockError) as refused:
        await shop_catalog.ask(GetExportFile(export_id=done.id))
    assert refused.value.code == "export_has_no_file"
    await remove_old(shop_catalog)
    assert not [key for key in await kept_files(shop_catalog) if str(done.id) in key]


# --- doors


@pytest.fixture
def reader(merchant: Caller) -> Caller:
    assert merchant.organization_id is not None
    return caller_of(merchant.organization_id, "catalog:read")


async def test_over_rest_it_is_started_followed_and_fetched(
    client: Client, process: topology.Surrounded, reader: Caller
) -> None:
    assert reader.organization_id is not None
    catalog = Catalog(process, reader.organization_id)
    await a_product(catalog, "Over the wire")
    body = {"group": "products", "format": "csv", "filter": {"status": ["draft"]}}
    answer = await client.post("/v1/exports", json=body, headers=client.speaking_as(reader))
    assert answer.status_code == 202, answer.text
    started = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{started['job_id']}"
    assert (started["filter"]["status"], started["state"]) == (["draft"], "queued")

    async def finished() -> Any:
        found = (await client.get(f"/v1/exports/{started['id']}", headers=client.speaking_as(reader))).json()
        return found if found["finished_at"] else None

    done = await eventually(finished)
    assert (done["state"], done["counters"]["rows"], done["progress"]) == ("succeeded", 1, {"done": 1, "total": 1})
    file = await client.get(f"/v1/exports/{started['id']}/file", headers=client.speaking_as(reader))
    assert file.headers["content-type"].startswith("text/csv")
    assert "products.csv" in file.headers["content-disposition"]
    assert int(file.headers["content-length"]) == len(file.content) == done["size"]
    assert rows_of(file.content)[0]["title"] == "Over the wire"
    listed = (await client.get("/v1/exports", headers=client.speaking_as(reader))).json()
    assert started["id"] in [export["id"] for export in listed["items"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"filter": {"status": ["gone"]}}, "/body/filter/status/0"),
        ({"filter": {"changed_since": "2026-03-01T00:00:00"}}, "/body/filter/changed_since"),
        ({"filter": {"product_ids": ["x"]}}, "/body/filter/product_ids/0"),
        ({"filter": {"skus": ["x"] * 10_001}}, "/body/filter/skus"),
        ({"filter": {"colour": "red"}}, "/body/filter/colour"),
        ({"colour": "red"}, "/body/colour"),
    ],
)
async def test_a_malformed_wish_is_refused_where_it_is_wrong(
    client: Client, reader: Caller, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/exports", json=body, headers=client.speaking_as(reader))
    assert answer.status_code == 422, answer.text
    assert pointer in [error.get("pointer") for error in answer.json()["errors"]], answer.text


async def test_who_may_not_read_the_catalog_exports_nothing(client: Client, merchant: Caller) -> None:
    assert merchant.organization_id is not None
    nobody = caller_of(merchant.organization_id, "orders:read")
    answer = await client.post("/v1/exports", json={}, headers=client.speaking_as(nobody))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_over_graphql_it_is_started_and_looked_at(client: Client, reader: Caller) -> None:
    document = """mutation($draft: ExportDraftInput!) { startExport(draft: $draft) {
        __typename ... on Export { id group format zipped filter { brand } } ... on Problem { code } } }"""

    async def ask(query: str, **variables: Any) -> Any:
        answer = await client.post(
            "/graphql", json={"query": query, "variables": variables}, headers=client.speaking_as(reader)
        )
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    draft = {"group": "prices", "format": "ndjson", "zipped": True, "filter": {"brand": "Oak"}}
    refused = (await ask(document, draft={**draft, "format": "pdf"}))["startExport"]
    assert refused == {"__typename": "Problem", "code": "unsupported_format"}
    started = (await ask(document, draft={**draft, "group": "products"}))["startExport"]
    assert (started["format"], started["zipped"], started["filter"]) == ("ndjson", True, {"brand": "Oak"})
    listed = await ask("{ exports(first: 5) { edges { node { id state group } } } }")
    assert started["id"] in [edge["node"]["id"] for edge in listed["exports"]["edges"]]
