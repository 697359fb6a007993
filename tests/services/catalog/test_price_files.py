"""Files of prices: lists of groups, quantities, dates, centres, on request; replace (CAT-3, CAT-6)."""

from typing import Any

import pytest

from shared.contracts.catalog.messages import CreatePriceList, ListPriceLists, ListPrices
from shared.contracts.catalog.pricing import PriceListDraft
from shared.contracts.platform.imports import Import, ListImportRemarks, UndoImport
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.factories.exports import content, exported, run, start

pytestmark = pytest.mark.feature("CAT-3", "CAT-5", "CAT-6")


@pytest.fixture
async def priced(shop_catalog: Catalog) -> Catalog:
    """Three products with prices of one piece."""
    await shop_catalog.bring_in(csv_file([shopify_row(handle) for handle in ("a", "b", "c")]))
    return shop_catalog


async def lists(catalog: Catalog) -> dict[tuple[str, str | None], Any]:
    return {(each.name, each.customer_group): each for each in (await catalog.ask(ListPriceLists(shop="main"))).items}


async def prices(catalog: Catalog, name: str = "Standard", group: str | None = None) -> set[tuple[Any, ...]]:
    price_list = (await lists(catalog))[name, group]
    return {
        (price.sku, price.minimum_quantity, price.price.amount if price.price else None, price.centre)
        for price in (await catalog.ask(ListPrices(price_list_id=price_list.id, first=200))).items
    }


async def errors(catalog: Catalog, imported: Import) -> list[tuple[int, str | None, str]]:
    page = await catalog.ask(ListImportRemarks(import_id=imported.id, first=200))
    return sorted((remark.row, remark.column, remark.code) for remark in page.items)


async def test_a_file_has_prices_of_every_kind(priced: Catalog) -> None:
    await priced.open_centre("north")
    file = (
        b"sku,price,list_price,minimum_quantity,on_request,centre,starts_at,ends_at,price_list,customer_group\n"
        b"A,9.00,,10,,,,,,\n"
        b"A,,,50,true,,,,,\n"
        b"A,8.00,,,,north,,,,\n"
        b"A,7.00,,,,,2030-01-01,2030-02-01T00:00:00+01:00,,\n"
        b"A,6.00,,,,,,,,trade\n"
        b"B,5.00,12.00,,,,,,Standard,\n"
    )
    imported = await priced.bring_in(file, group="prices")
    assert (imported.state, await errors(priced, imported)) == ("succeeded", [])
    assert (imported.counters["prices_inserted"], imported.counters["prices_updated"]) == (5, 1)
    assert await prices(priced) == {
        *(("A", 1, 1000, None), ("A", 10, 900, None), ("A", 50, None, None), ("A", 1, 800, "north")),
        *(("A", 1, 700, None), ("B", 1, 500, None), ("C", 1, 1000, None)),
    }
    assert await prices(priced, "trade", "trade") == {("A", 1, 600, None)}
    again = await priced.bring_in(file, group="prices")
    assert (again.counters["prices_unchanged"], again.counters["prices_updated"]) == (6, 0)


async def test_what_a_row_of_prices_gets_wrong(priced: Catalog) -> None:
    for group in ("trade", "club"):
        await priced.ask(CreatePriceList(draft=PriceListDraft(shop="main", name="Sale", customer_group=group)))
    file = (
        b"sku,price,minimum_quantity,on_request,centre,starts_at,ends_at,price_list,customer_group\n"
        b"A,1,,,nowhere,,,,\nA,1,,yes,,,,,\nA,,,,,,,,\nA,1,0,,,,,,\nA,1,2000000,,,,,,\n"
        b"A,1,,,,yesterday,,,\nA,1,,,,2030-01-01T09:00:00,,,\nA,1,,,,2030-01-02,2030-01-01,,\n"
        b"A,1,,,,,,No such,\nA,1,,,,,,Sale,\nA,1,,,,,,Sale,nobody\nA,-1,,,,,,,\nA,1e400,,,,,,,\nA,NaN,,,,,,,\n"
        b"A,1.00 XYZ,,,,,,,\nA,2,,,,,,Sale,club\nA,2,,,,,,,club\n"
    )
    imported = await priced.bring_in(file, group="prices")
    assert await errors(priced, imported) == [
        (2, "centre", "centre_not_found"),
        (3, "on_request", "contradictory_price"),
        (4, "price", "missing_price"),
        (5, "minimum_quantity", "invalid_integer"),
        (6, "minimum_quantity", "invalid_integer"),
        (7, "starts_at", "invalid_moment"),
        (8, "starts_at", "invalid_moment"),
        (9, "ends_at", "ends_before_it_starts"),
        (10, "price_list", "unknown_price_list"),
        (11, "price_list", "ambiguous_price_list"),
        (12, "price_list", "unknown_price_list"),
        (13, "price", "negative_price"),
        (14, "price", "invalid_price"),
        (15, "price", "invalid_price"),
        (16, "price", "invalid_price"),
        # The list called so and the standing one of the group are the same.
        (18, "sku", "duplicate_sku"),
    ]
    assert await prices(priced, "Sale", "club") == {("A", 1, 200, None)}


async def test_replace_leaves_the_prices_of_the_file_alone(priced: Catalog) -> None:
    await priced.bring_in(b"sku,price,minimum_quantity\nA,9,10\nB,9,10\nC,9,10\n", group="prices")
    file = b"sku,price,minimum_quantity\nA,11,\nA,8,20\nB,,\nB,x,10\n"
    imported = await priced.bring_in(file, group="prices", mode="replace", guard_percent=100)
    counted = {name: count for name, count in imported.counters.items() if name.startswith("prices")}
    assert counted == {"prices_inserted": 1, "prices_updated": 1, "prices_deleted": 2, "prices_unchanged": 0}
    # A row of B was refused, so that only what the other row says of it is done; C is not named.
    assert await prices(priced) == {
        *(("A", 1, 1100, None), ("A", 20, 800, None), ("B", 10, 900, None), ("C", 1, 1000, None), ("C", 10, 900, None)),
    }
    undone = await priced.ask(UndoImport(import_id=imported.id))
    await priced.run_job(undone.undo.job_id)
    assert await prices(priced) == {
        (sku, quantity, amount, None) for sku in "ABC" for quantity, amount in ((1, 1000), (10, 900))
    }


@pytest.mark.feature("CAT-9")
async def test_a_replace_that_takes_too_much_is_held(priced: Catalog) -> None:
    await priced.bring_in(b"sku,price,minimum_quantity\nA,9,10\nA,8,20\nB,9,10\n", group="prices")
    imported = await priced.bring_in(b"sku,price\nA,11\nB,\n", group="prices", mode="replace")
    assert imported.state == "held"
    assert [(harm.what, harm.count, harm.of) for harm in imported.harms] == [("prices_deleted", 4, 6)]
    assert len(await prices(priced)) == 6


async def test_delete_removes_prices_of_lists_and_centres(priced: Catalog) -> None:
    await priced.open_centre("north")
    await priced.bring_in(b"sku,price,centre,customer_group\nA,9,north,\nA,8,,trade\nB,8,,trade\n", group="prices")
    file = b"sku,centre,customer_group\nA,north,\nA,,trade\nA,,club\n"
    imported = await priced.bring_in(file, group="prices", mode="delete", guard_percent=100)
    assert (imported.counters["prices_deleted"], imported.counters["prices_unchanged"]) == (2, 0)
    assert await prices(priced) == {(sku, 1, 1000, None) for sku in "ABC"}
    assert await prices(priced, "trade", "trade") == {("B", 1, 800, None)}
    assert ("club", "club") not in await lists(priced)


@pytest.mark.feature("CAT-10")
async def test_all_lists_of_a_shop_are_exported_and_make_the_same_elsewhere(priced: Catalog) -> None:
    await priced.bring_in(
        b"sku,price,minimum_quantity,customer_group\nA,8,,trade\nA,7,10,trade\nB,,,\n", group="prices"
    )
    done = await run(priced, await start(priced, group="prices"))
    file = await content(priced, done)
    assert done.counters["rows"] == 5
    other = Catalog(priced.process)
    await other.open_shop()
    await other.bring_in(csv_file([shopify_row(handle, price="") for handle in ("a", "b", "c")]))
    assert (await other.bring_in(file, group="prices")).counters["prices_inserted"] == 5
    assert await exported(other, group="prices") == file


@pytest.mark.feature("CAT-3", "CAT-5")
async def test_a_price_in_another_currency_than_its_list_s_is_not_taken(priced: Catalog) -> None:
    file = b"sku,price,currency\nA,6.00,XYZ\nB,5.00,eur\nC,4.00,usd\n"
    imported = await priced.bring_in(file, group="prices")
    assert await errors(priced, imported) == [(2, "currency", "unknown_currency"), (3, "currency", "wrong_currency")]
    assert ("C", 1, 400, None) in await prices(priced)
    assert ("A", 1, 1000, None) in await prices(priced)
