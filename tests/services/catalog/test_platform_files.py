"""What files of platforms say beside the everyday: sales with dates, languages, and what their imports have to say."""

from typing import Any

import pytest

from shared.contracts.catalog.messages import CreateProduct, SetPrices
from shared.contracts.catalog.pricing import PriceDraft
from shared.contracts.catalog.shapes import ProductDraft, VariantDraft
from shared.contracts.platform.imports import Import, ListImportRemarks
from shared.money import Money
from tests.factories.catalog import Catalog, csv_file
from tests.factories.exports import exported, table
from tests.services.catalog.test_import_doors import Shopkeeper, brought, keeper  # noqa: F401

pytestmark = pytest.mark.feature("CAT-5")

WOO = ("Type", "SKU", "Name", "Published", "Regular price", "Sale price", "Date sale price starts")
SUPPLIER = ("vendorSku", "name", "brand", "msrp", "defaultCost", "language", "description")


def woo(sku: str, regular: str, sale: str = "", starts: str = "") -> dict[str, str]:
    own = {"Type": "simple", "SKU": sku, "Name": sku, "Published": "1"}
    return {**own, "Regular price": regular, "Sale price": sale, "Date sale price starts": starts}


def counted(done: Import, what: str) -> dict[str, int]:
    prefix = f"{what}_"
    return {name.removeprefix(prefix): n for name, n in done.counters.items() if name.startswith(prefix) and n}


async def prices(catalog: Catalog) -> list[tuple[Any, ...]]:
    rows = await catalog.rows(
        "SELECT v.sku, p.price, p.list_price, nullif(p.starts_at, '-infinity')::date::text FROM prices p"
        " JOIN variants v ON v.id = p.variant_id ORDER BY 1, p.starts_at"
    )
    return [tuple(row) for row in rows]


@pytest.mark.feature("CAT-3", "CAT-8")
async def test_a_sale_with_dates_comes_moves_and_goes_with_its_file(shop_catalog: Catalog) -> None:
    file = csv_file([woo("A", "9", "5", "2030-03-01"), woo("B", "7", "6")], WOO)
    first = await shop_catalog.bring_in(file, profile="woocommerce")
    assert counted(first, "prices") == {"inserted": 3}
    assert await prices(shop_catalog) == [("A", 900, None, None), ("A", 500, 900, "2030-03-01"), ("B", 600, 700, None)]
    turns = await shop_catalog.rows("SELECT due_at::date::text FROM tasks WHERE kind = 'price_list_turns'")
    assert [row[0] for row in turns] == ["2030-03-01"]
    again = await shop_catalog.bring_in(file, profile="woocommerce")
    assert counted(again, "prices") == {"unchanged": 3}
    assert {row["price"] for row in await table(shop_catalog, group="prices")} == {"9.00", "5.00", "6.00"}

    # What the merchant himself has set is left, whatever the file says.
    [list_id] = await shop_catalog.rows("SELECT id FROM price_lists")
    by_hand = PriceDraft(sku="A", price=Money(amount=400, currency="USD"), starts_at="2030-12-01T00:00:00Z")  # type: ignore[arg-type]
    await shop_catalog.ask(SetPrices(price_list_id=list_id[0], prices=[by_hand]))
    moved = csv_file([woo("A", "9", "5", "2030-03-05"), woo("B", "7", "6")], WOO)
    done = await shop_catalog.bring_in(moved, profile="woocommerce")
    assert counted(done, "prices") == {"inserted": 1, "deleted": 1, "unchanged": 2}
    assert [row[3] for row in await prices(shop_catalog)] == [None, "2030-03-05", "2030-12-01", None]

    over = await shop_catalog.bring_in(csv_file([woo("A", "9")], WOO), profile="woocommerce")
    assert counted(over, "prices") == {"deleted": 1, "unchanged": 1}
    assert [row[3] for row in await prices(shop_catalog)] == [None, "2030-12-01", None]


def supplied(language: str, name: str, description: str = "", sku: str = "M-1") -> bytes:
    row = {"vendorSku": sku, "name": name, "msrp": "3", "language": language, "description": description}
    return csv_file([row], SUPPLIER)


async def texts(catalog: Catalog) -> tuple[Any, ...]:
    [own] = await catalog.rows("SELECT title, description_html FROM products")
    said = await catalog.rows("SELECT locale, title, description_html FROM product_texts ORDER BY 1")
    return (*own, [tuple(row) for row in said])


@pytest.mark.feature("CAT-1", "CAT-10")
async def test_a_supplier_s_language_is_kept_and_exported_again(shop_catalog: Catalog) -> None:
    """The shop is English."""
    await shop_catalog.ask(
        CreateProduct(draft=ProductDraft(title="Mug", slug="becher-m-1", variants=[VariantDraft(sku="M-1")]))
    )
    done = await shop_catalog.bring_in(supplied("de", "Becher", "<p>Groß</p>"), profile="supplier")
    assert counted(done, "products") == {"updated": 1}
    assert await texts(shop_catalog) == ("Mug", "", [("de", "Becher", "<p>Groß</p>")])
    # An empty cell says nothing, or empties what its language says and nothing else.
    await shop_catalog.bring_in(supplied("de", "Becher"), profile="supplier")
    assert (await texts(shop_catalog))[2] == [("de", "Becher", "<p>Groß</p>")]
    await shop_catalog.bring_in(supplied("fr", "Becher", "<p>Grand</p>"), profile="supplier", mode="replace")
    assert await texts(shop_catalog) == (
        *("Mug", ""),
        [("de", "Becher", "<p>Groß</p>"), ("fr", "Becher", "<p>Grand</p>")],
    )
    # English of whatever country is the shop's own.
    await shop_catalog.bring_in(supplied("en-GB", "Becher", "<p>Large</p>"), profile="supplier")
    assert (await texts(shop_catalog))[:2] == ("Becher", "<p>Large</p>")
    assert len((await texts(shop_catalog))[2]) == 2

    file = await exported(shop_catalog)
    assert b"title[de]" in file
    imported = await shop_catalog.bring_in(file, profile="crossdock")
    assert counted(imported, "products") == {"unchanged": 1}


@pytest.mark.feature("CAT-1")
async def test_a_new_product_in_another_language_is_called_so_by_itself_too(shop_catalog: Catalog) -> None:
    file = supplied("de", "Becher", "<p>Groß</p>")
    await shop_catalog.bring_in(file, profile="supplier")
    assert await texts(shop_catalog) == ("Becher", "<p>Groß</p>", [("de", "Becher", "<p>Groß</p>")])
    again = await shop_catalog.bring_in(file, profile="supplier")
    assert counted(again, "products") == {"unchanged": 1}


async def test_what_a_file_leaves_open_is_said_through_both_doors(keeper: Shopkeeper) -> None:  # noqa: F811
    file = b"sku,product_type,name,price,weight,base_image\nBAG,simple,Bag,3,2,/b/bag.jpg\n"
    said = "weight_unit=kg&media_base_url=https://shop.example/media&time_zone=Europe/Lisbon"
    done = await brought(keeper, f"profile=magento&{said}", file)
    assert (done["weight_unit"], done["time_zone"], done["counters"]["notices"]) == ("kg", "Europe/Lisbon", 0)
    product = (await keeper.ask("GET", "products", 200))["items"][0]
    assert product["variants"][0]["weight"] == {"value": "2", "unit": "kg"}
    assert product["images"][0]["url"] == "https://shop.example/media/b/bag.jpg"
    again = await keeper.graphql(
        "query($id: UUID!) { import(importId: $id) { ... on Import { weightUnit mediaBaseUrl } } }", id=done["id"]
    )
    assert again["import"] == {"weightUnit": "KG", "mediaBaseUrl": "https://shop.example/media"}
    for query, code in (
        ("group=stock&weight_unit=kg", "unsupported_option"),
        ("weight_unit=stone", "validation_failed"),
        ("media_base_url=ftp://x", "validation_failed"),
        ("time_zone=Mars/Olympus", "validation_failed"),
    ):
        assert await keeper.code("POST", f"imports?{query}", 422, content=file) == code
    refused = await keeper.graphql(
        'mutation { importFromUrl(url: "https://x.example/a.csv", group: "stock", timeZone: "UTC") {'
        " ... on Problem { code } } }"
    )
    assert refused["importFromUrl"] == {"code": "unsupported_option"}
    rule = {"pattern": "*.csv", "group": "prices", "time_zone": "UTC"}
    folder = {"shop": "main", "rules": [rule]}
    assert await keeper.code("PUT", "drop-folders", 422, json=folder) == "unsupported_option"
    await keeper.ask("PUT", "drop-folders", 200, json={"shop": "main", "rules": [{**rule, "group": "products"}]})


async def test_what_makes_no_difference_is_said(shop_catalog: Catalog) -> None:
    file = csv_file([{"Handle": "a", "Title": "A", "Variant SKU": "A"}])
    done = await shop_catalog.bring_in(file, profile="shopify", weight_unit="kg")
    page = await shop_catalog.ask(ListImportRemarks(import_id=done.id, kind="notice"))
    assert [(remark.code, remark.value) for remark in page.items] == [("option_not_used", "kg")]


@pytest.mark.feature("CAT-1", "CAT-8")
async def test_a_supplier_s_item_in_several_languages_is_one_product(shop_catalog: Catalog) -> None:
    def row(language: str, name: str, sku: str = "M-1") -> dict[str, str]:
        own = {"vendorSku": sku, "name": name, "msrp": "3", "language": language}
        return own | {"description": f"<p>{name}</p>"}

    file = csv_file([row("de", "Becher"), row("en", "Mug"), row("fr", "Tasse")], SUPPLIER)
    first = await shop_catalog.bring_in(file, profile="supplier")
    assert (first.counters["products_inserted"], first.counters["variants_inserted"]) == (1, 1)
    assert (first.counters["errors"], first.counters["rows"]) == (0, 3)
    several = [("de", "Becher", "<p>Becher</p>"), ("fr", "Tasse", "<p>Tasse</p>")]
    assert await texts(shop_catalog) == ("Mug", "<p>Mug</p>", several)
    again = await shop_catalog.bring_in(file, profile="supplier")
    assert counted(again, "products") == {"unchanged": 1}

    # Without the shop's own language what the product says by itself stays.
    changed = csv_file([row("fr", "Gobelet"), row("de", "Becher")], SUPPLIER)
    done = await shop_catalog.bring_in(changed, profile="supplier")
    assert counted(done, "products") == {"updated": 1}
    assert await texts(shop_catalog) == ("Mug", "<p>Mug</p>", [several[0], ("fr", "Gobelet", "<p>Gobelet</p>")])
    # The shop's own language first, as well.
    last = csv_file([row("en", "Cup"), row("fr", "Tasse")], SUPPLIER)
    await shop_catalog.bring_in(last, profile="supplier")
    assert await texts(shop_catalog) == ("Cup", "<p>Cup</p>", several)


@pytest.mark.feature("CAT-1", "CAT-8")
async def test_what_a_platform_or_supplier_calls_otherwise_is_the_same_by_its_sku(shop_catalog: Catalog) -> None:
    async def titles() -> dict[str, str]:
        rows = await shop_catalog.rows("SELECT v.sku, p.title FROM variants v JOIN products p ON p.id = v.product_id")
        return {row["sku"]: row["title"] for row in rows}

    await shop_catalog.bring_in(supplied("en", "Mug"), profile="supplier")
    renamed = await shop_catalog.bring_in(supplied("en", "Large mug"), profile="supplier")
    assert (counted(renamed, "products"), renamed.counters["errors"]) == ({"updated": 1}, 0)
    foreign = await shop_catalog.bring_in(supplied("de", "Becher"), profile="supplier")
    assert counted(foreign, "products") == {"updated": 1}
    assert await texts(shop_catalog) == ("Large mug", "", [("de", "Becher", None)])
    again = await shop_catalog.bring_in(supplied("de", "Becher"), profile="supplier")
    assert counted(again, "products") == {"unchanged": 1}

    def called(a: str, b: str) -> bytes:
        own = {"Type": "simple", "Published": "1", "Regular price": "5"}
        return csv_file([{**own, "SKU": "A", "Name": a}, {**own, "SKU": "B", "Name": b}], WOO)

    await shop_catalog.bring_in(called("Scarf", "Hat"), profile="woocommerce")
    swapped = await shop_catalog.bring_in(called("Hat", "Scarf"), profile="woocommerce")
    assert (counted(swapped, "products"), swapped.counters["errors"]) == ({"updated": 2}, 0)
    assert await titles() == {"M-1": "Large mug", "A": "Hat", "B": "Scarf"}
    # A name that became free is taken by something new: it is another product.
    own = {"Type": "simple", "Published": "1", "Regular price": "5"}
    rows = [{**own, "SKU": "A", "Name": "Cap"}, {**own, "SKU": "NEW", "Name": "Scarf"}]
    done = await shop_catalog.bring_in(csv_file(rows, WOO), profile="woocommerce")
    assert (counted(done, "products"), done.counters["errors"]) == ({"inserted": 1, "updated": 1}, 0)
    assert await titles() == {"M-1": "Large mug", "A": "Cap", "B": "Scarf", "NEW": "Scarf"}
