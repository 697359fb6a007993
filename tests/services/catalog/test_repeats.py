"""Rows that came before cost little, and are looked at again once anybody has touched their product (CAT-8)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deploy import topology
from services.catalog.repository import staging
from shared.bus.envelope import service_envelope
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.messages import (
    CreateCategory,
    CreatePriceList,
    ListCategories,
    ListPriceLists,
    ListPrices,
    ListProducts,
    SetPrices,
    UpdateProduct,
)
from shared.contracts.catalog.pricing import PriceDraft, PriceListDraft
from shared.contracts.catalog.shapes import Product, ProductChange, VariantDraft
from shared.contracts.platform.imports import Import, ListImportRemarks
from shared.money import Money
from tests.factories.catalog import Catalog, csv_file, shopify_row

ROWS = [
    shopify_row("scarf", price="12.00", list_price="15.00", collection="Winter", quantity="7"),
    shopify_row("kettle", price="30.00", collection="Kitchen", quantity="3"),
]
COUNTED = ("products_updated", "products_unchanged", "variants_updated", "variants_unchanged", "prices_updated")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Handles of the products whose rows an import has read and looked for in what is stored, each once."""
    handles: list[str] = []

    def noting(asked: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def noted(uow: Any, slugs: list[str], skus: Any) -> Any:
            handles.extend(slug for slug in slugs if slug not in handles)
            return await asked(uow, slugs, skus)

        return noted

    monkeypatch.setattr(staging, "stored_of", noting(staging.stored_of))
    monkeypatch.setattr(staging, "places_there", noting(staging.places_there))
    return handles


async def bring_in(catalog: Catalog, rows: list[dict[str, Any]] | None = None, **asked: Any) -> Import:
    done = await catalog.bring_in(csv_file(rows or ROWS), **{"shop": "main", **asked})
    assert done.state == "succeeded", done.error
    return done


async def product(catalog: Catalog, slug: str) -> Product:
    return (await catalog.ask(ListProducts(slug=slug))).items[0]


async def prices_of(catalog: Catalog) -> dict[str, tuple[int, int | None]]:
    price_list = (await catalog.ask(ListPriceLists(shop="main"))).items[0]
    found = (await catalog.ask(ListPrices(price_list_id=price_list.id))).items
    return {p.sku: (p.price.amount, p.list_price.amount if p.list_price else None) for p in found}


@pytest.mark.feature("CAT-8")
async def test_a_repeated_file_is_recognised_and_its_stock_is_still_passed_on(
    shop_catalog: Catalog, read: list[str]
) -> None:
    await bring_in(shop_catalog)
    events, stock = await shop_catalog.events("products_changed"), await shop_catalog.events("stock_file_imported")
    assert sorted(read) == ["kettle", "scarf"]
    read.clear()
    again = await bring_in(shop_catalog)
    assert read == []
    assert [again.counters.get(name, 0) for name in COUNTED] == [0, 2, 0, 2, 0]
    assert (again.counters["prices_unchanged"], again.counters["stock_rows"], again.counters["rows"]) == (2, 2, 2)
    assert await shop_catalog.events("products_changed") == events
    later = (await shop_catalog.events("stock_file_imported"))[len(stock) :]
    assert [event["rows"] for event in later] == [2]


@pytest.mark.feature("CAT-8")
async def test_only_what_differs_in_the_file_is_read(shop_catalog: Catalog, read: list[str]) -> None:
    await bring_in(shop_catalog)
    read.clear()
    third = shopify_row("lamp", price="8.00")
    done = await bring_in(shop_catalog, [third, {**ROWS[1], "Variant Price": "31.00"}, ROWS[0]])
    assert sorted(read) == ["kettle", "lamp"]
    assert (done.counters["prices_updated"], done.counters["prices_unchanged"]) == (1, 1)
    assert (done.counters["products_inserted"], done.counters["products_unchanged"]) == (1, 2)
    assert await prices_of(shop_catalog) == {"SCARF": (1200, 1500), "KETTLE": (3100, None), "LAMP": (800, None)}


Touch = Callable[[Catalog], Awaitable[Any]]


async def _title(catalog: Catalog) -> None:
    scarf = await product(catalog, "scarf")
    await catalog.ask(UpdateProduct(product_id=scarf.id, change=ProductChange(title="Else")))


async def _price(catalog: Catalog) -> None:
    price_list = (await catalog.ask(ListPriceLists(shop="main"))).items[0]
    draft = PriceDraft(sku="SCARF", price=Money(amount=99, currency="USD"))
    await catalog.ask(SetPrices(price_list_id=price_list.id, prices=[draft]))


async def _no_price(catalog: Catalog) -> None:
    price_list = (await catalog.ask(ListPriceLists(shop="main"))).items[0]
    await catalog.ask(SetPrices(price_list_id=price_list.id, prices=[PriceDraft(sku="SCARF", price=None)]))


async def _variant(catalog: Catalog) -> None:
    scarf = await product(catalog, "scarf")
    draft = VariantDraft(sku="SCARF", mpn="M-1", weight_grams=5)
    await catalog.ask(UpdateProduct(product_id=scarf.id, change=ProductChange(variants=[draft])))


async def _no_variant(catalog: Catalog) -> None:
    scarf = await product(catalog, "scarf")
    await catalog.ask(UpdateProduct(product_id=scarf.id, change=ProductChange(remove_skus=["SCARF"])))


async def _no_category(catalog: Catalog) -> None:
    scarf = await product(catalog, "scarf")
    await catalog.ask(UpdateProduct(product_id=scarf.id, change=ProductChange(category_ids=[])))


async def _other_file(catalog: Catalog) -> None:
    await bring_in(catalog, [{"Handle": "scarf", "Title": "Else"}])


async def _prices_file(catalog: Catalog) -> None:
    await catalog.bring_in(b"sku,price\nSCARF,1.00\n", group="prices", shop="main")


@pytest.mark.feature("CAT-8")
@pytest.mark.parametrize(
    "touch", [_title, _price, _no_price, _variant, _no_variant, _no_category, _other_file, _prices_file]
)
async def test_what_anybody_touched_is_looked_at_again(shop_catalog: Catalog, read: list[str], touch: Touch) -> None:
    await bring_in(shop_catalog)
    before = await product(shop_catalog, "scarf")
    await touch(shop_catalog)
    read.clear()
    await bring_in(shop_catalog)
    assert read == ["scarf"]
    after = await product(shop_catalog, "scarf")
    assert (after.title, after.category_ids) == (before.title, before.category_ids)
    assert [variant.sku for variant in after.variants] == ["SCARF"]
    assert await prices_of(shop_catalog) == {"SCARF": (1200, 1500), "KETTLE": (3000, None)}
    read.clear()
    await bring_in(shop_catalog)
    assert read == []


@pytest.mark.feature("CAT-8")
async def test_prices_go_to_the_list_that_applies_now_though_the_rows_are_the_same(
    shop_catalog: Catalog, read: list[str]
) -> None:
    await bring_in(shop_catalog)
    first = (await shop_catalog.ask(ListPriceLists(shop="main"))).items[0]
    uow = shop_catalog.process.surroundings.unit_of_work(
        "catalog", service_envelope("catalog", shop_catalog.organization_id)
    )
    await uow.execute("UPDATE price_lists SET ends_at = now() - interval '1 day' WHERE id = $1", first.id)
    await uow.commit()
    second = await shop_catalog.ask(CreatePriceList(draft=PriceListDraft(shop="main", name="Now")))
    read.clear()
    await bring_in(shop_catalog)
    assert sorted(read) == ["kettle", "scarf"]
    found = await shop_catalog.ask(ListPrices(price_list_id=second.id))
    assert {price.sku for price in found.items} == {"SCARF", "KETTLE"}


@pytest.mark.feature("CAT-8")
async def test_a_path_is_looked_up_again_once_a_category_has_changed(
    shop_catalog: Catalog, process: topology.Surrounded, read: list[str]
) -> None:
    await bring_in(shop_catalog)
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", shop_catalog.organization_id))
    await uow.execute("UPDATE categories SET slug = 'cold-days' WHERE slug = 'winter'")
    await uow.commit()
    read.clear()
    await bring_in(shop_catalog)
    assert sorted(read) == ["kettle", "scarf"]
    names = [category.slug for category in (await shop_catalog.ask(ListCategories())).items]
    assert sorted(names) == ["cold-days", "kitchen", "winter"]
    await shop_catalog.ask(CreateCategory(draft=CategoryDraft(name="New")))
    read.clear()
    await bring_in(shop_catalog)
    assert read == []


@pytest.mark.feature("CAT-8", "CAT-7")
async def test_products_with_a_fault_or_a_made_up_sku_are_told_of_every_time(shop_catalog: Catalog) -> None:
    rows = [shopify_row("scarf"), shopify_row("kettle", sku=""), shopify_row("lamp", price="oops")]
    first, second = [await bring_in(shop_catalog, rows) for _ in range(2)]
    assert (first.counters["errors"], first.counters["notices"]) == (second.counters["errors"], 1)
    told = (await shop_catalog.ask(ListImportRemarks(import_id=second.id, kind="notice"))).items
    # The second time it is also said that the same file came before.
    assert sorted(notice.code for notice in told) == ["imported_before", "sku_generated"]
    assert second.counters["notices"] == len(told)
    assert second.counters["products_unchanged"] == 2


@pytest.mark.feature("CAT-8", "CAT-6")
async def test_a_dry_run_remembers_nothing_and_another_mode_looks_at_all(
    shop_catalog: Catalog, read: list[str]
) -> None:
    await bring_in(shop_catalog, dry_run=True)
    done = await bring_in(shop_catalog)
    assert done.counters["products_inserted"] == 2
    read.clear()
    await bring_in(shop_catalog, mode="update-only")
    assert sorted(read) == ["kettle", "scarf"]


@pytest.mark.feature("CAT-8", "CAT-7")
async def test_rows_torn_from_their_product_are_refused_every_time(shop_catalog: Catalog) -> None:
    sizes = {"option": "Size", "value": "S"}
    torn = {**shopify_row("scarf", sku="SCARF-M", title="", **{**sizes, "value": "M"})}
    rows = [shopify_row("scarf", sku="SCARF-S", **sizes), shopify_row("kettle"), torn]
    counts = [(await bring_in(shop_catalog, rows)).counters["errors"] for _ in range(3)]
    assert counts == [1, 1, 1]
