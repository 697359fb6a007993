"""A product file becomes products, prices and stock figures; and what is wrong with it is said."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy import topology
from shared import blobs
from shared.contracts.catalog.messages import ListProducts
from shared.contracts.platform.imports import GetImportErrorFile, Import, ImportRemark, ListImportRemarks
from shared.errors import CrossdockError
from shared.imports import rows as import_rows
from shared.imports import running
from shared.money import Money
from tests.factories.catalog import Catalog, csv_file, shopify_row

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data" / "products"


def counted(imported: Import, *names: str) -> dict[str, int]:
    return {name: imported.counters.get(name, 0) for name in names}


def content_of(path: Path) -> bytes:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    return path.read_bytes()


async def errors_of(catalog: Catalog, imported: Import) -> list[ImportRemark]:
    return (await catalog.ask(ListImportRemarks(import_id=imported.id))).items


async def error_file(catalog: Catalog, imported: Import) -> str:
    file = await catalog.ask(GetImportErrorFile(import_id=imported.id))
    return (await blobs.get(catalog.organization_id, file.key)).decode("utf-8-sig")


async def product(catalog: Catalog, slug: str) -> Any:
    return (await catalog.ask(ListProducts(slug=slug))).items[0]


@pytest.mark.feature("CAT-5", "CAT-8")
@pytest.mark.parametrize(
    ("path", "products", "variants"),
    [
        (REAL / "shopify-apparel.csv", 20, 22),
        (REAL / "shopify-home-and-garden.csv", 20, 21),
        (ROOT / "deploy" / "sample" / "products.csv", None, None),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
async def test_a_real_file_comes_in_whole_and_again_changes_nothing(
    shop_catalog: Catalog, path: Path, products: int | None, variants: int | None
) -> None:
    content = content_of(path)
    first = await shop_catalog.bring_in(content, profile="shopify")
    assert (first.state, first.error, first.counters["errors"]) == ("succeeded", None, 0)
    if products is not None:
        assert counted(first, "products_inserted", "variants_inserted") == {
            "products_inserted": products,
            "variants_inserted": variants,
        }
        assert first.counters["skus_generated"] == variants
        notices = (await shop_catalog.ask(ListImportRemarks(import_id=first.id, kind="notice", first=200))).items
        assert sum(notice.code == "sku_generated" for notice in notices) == variants
    announced = len(await shop_catalog.events("products_changed")), len(await shop_catalog.events("prices_changed"))
    before = await shop_catalog.rows("SELECT id, version, updated_at FROM products ORDER BY id")

    second = await shop_catalog.bring_in(content, profile="shopify")

    assert second.state == "succeeded"
    assert counted(second, "products_unchanged", "variants_unchanged", "prices_unchanged") == {
        "products_unchanged": first.counters["products_inserted"],
        "variants_unchanged": first.counters["variants_inserted"],
        "prices_unchanged": first.counters["prices_inserted"],
    }
    assert await shop_catalog.rows("SELECT id, version, updated_at FROM products ORDER BY id") == before
    again = len(await shop_catalog.events("products_changed")), len(await shop_catalog.events("prices_changed"))
    assert again == announced


@pytest.mark.feature("CAT-1", "CAT-2", "CAT-3", "CAT-5")
async def test_what_a_file_says_of_a_product_is_there_afterwards(shop_catalog: Catalog) -> None:
    rows = [
        shopify_row(
            "wool-scarf",
            title="Wool scarf",
            brand="Northwind",
            type="Scarf",
            tags="wool, winter",
            body="<p>Warm.</p>",
            option="Colour",
            value="Red",
            sku="SC-RED",
            price="29.90",
            list_price="39.90",
            barcode="4006381333931",
            grams="180",
            quantity="7",
            image="https://images.example/scarf-1.jpg",
            collection="Accessories",
        ),
        shopify_row("wool-scarf", title="", published="", value="Blue", sku="SC-BLUE", price="31.00", quantity="0"),
        {"Handle": "wool-scarf", "Image Src": "https://images.example/scarf-2.jpg", "Image Alt Text": "From behind"},
    ]
    imported = await shop_catalog.bring_in(csv_file(rows), profile="shopify")
    assert imported.state == "succeeded"
    found = await product(shop_catalog, "wool-scarf")
    assert (found.title, found.brand, found.product_type, found.status) == (
        *("Wool scarf", "Northwind", "Scarf", "active"),
    )
    assert (found.tags, found.options, found.description_html) == (["wool", "winter"], ["Colour"], "<p>Warm.</p>")
    assert [(v.sku, v.options, v.barcode, v.weight_grams) for v in found.variants] == [
        ("SC-RED", {"Colour": "Red"}, "4006381333931", 180),
        ("SC-BLUE", {"Colour": "Blue"}, None, None),
    ]
    assert [(image.url[-11:], image.alt) for image in found.images] == [
        ("scarf-1.jpg", None),
        ("scarf-2.jpg", "From behind"),
    ]
    prices = await shop_catalog.rows(
        "SELECT v.sku, p.price, p.list_price, l.currency FROM prices p JOIN variants v ON v.id = p.variant_id"
        " JOIN price_lists l ON l.id = p.price_list_id ORDER BY v.sku DESC"
    )
    assert [tuple(row) for row in prices] == [("SC-RED", 2990, 3990, "USD"), ("SC-BLUE", 3100, None, "USD")]
    categories = await shop_catalog.rows("SELECT name FROM categories WHERE id = ANY($1)", found.category_ids)
    assert [row["name"] for row in categories] == ["Accessories"]
    assert len(await shop_catalog.rows("SELECT FROM shop_categories")) == 1
    stock = await shop_catalog.events("stock_file_imported")
    content = await blobs.get(shop_catalog.organization_id, stock[0]["key"])
    assert (len(stock), stock[0]["rows"]) == (1, 2)
    assert [orjson.loads(line) for line in content.splitlines()] == [
        {"sku": "SC-RED", "on_hand": 7},
        {"sku": "SC-BLUE", "on_hand": 0},
    ]


@pytest.mark.feature("CAT-8")
async def test_only_what_differs_is_written_and_announced(shop_catalog: Catalog) -> None:
    rows = [shopify_row(f"thing-{n}", brand="Old") for n in range(5)]
    await shop_catalog.bring_in(csv_file(rows))
    rows[1]["Vendor"] = "New"
    rows[2]["Variant Price"] = "12.50"
    rows[3]["Vendor"] = ""
    second = await shop_catalog.bring_in(csv_file(rows))
    assert counted(second, "products_updated", "products_unchanged", "prices_updated", "prices_unchanged") == {
        "products_updated": 1,
        "products_unchanged": 4,
        "prices_updated": 1,
        "prices_unchanged": 4,
    }
    ids = {row["slug"]: str(row["id"]) for row in await shop_catalog.rows("SELECT slug, id FROM products")}
    assert (await shop_catalog.events("products_changed"))[-1]["product_ids"] == [ids["thing-1"]]
    priced = (await shop_catalog.events("prices_changed"))[-1]
    assert priced["product_ids"] == [ids["thing-2"]]
    assert priced["shop_id"] is not None
    versions = {row["slug"]: row["version"] for row in await shop_catalog.rows("SELECT slug, version FROM products")}
    assert versions == {"thing-0": 1, "thing-1": 2, "thing-2": 1, "thing-3": 1, "thing-4": 1}
    assert (await product(shop_catalog, "thing-3")).brand == "Old"


@pytest.mark.feature("CAT-3")
async def test_an_empty_list_price_ends_a_reduction_and_a_missing_column_does_not(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a", price="8.00", list_price="10.00")]))
    without_column = b"Handle,Title,Variant SKU,Variant Price\na,A,A,8.00\n"
    kept = await shop_catalog.bring_in(without_column, profile="shopify")
    assert kept.counters["prices_unchanged"] == 1
    ended = await shop_catalog.bring_in(csv_file([shopify_row("a", price="8.00", list_price="")]))
    assert ended.counters["prices_updated"] == 1
    assert [tuple(row) for row in await shop_catalog.rows("SELECT price, list_price FROM prices")] == [(800, None)]


@pytest.mark.feature("CAT-7")
async def test_rows_that_cannot_be_taken_are_refused_and_the_rest_comes_in(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("owner", sku="TAKEN")]))
    rows = [
        shopify_row("good", sku="GOOD"),
        shopify_row("thief", sku="TAKEN"),
        shopify_row("dear", sku="DEAR", price="1.2.3"),
        shopify_row("twin-a", sku="TWIN"),
        shopify_row("twin-b", sku="TWIN"),
    ]
    imported = await shop_catalog.bring_in(csv_file(rows))
    assert imported.state == "succeeded"
    assert counted(imported, "products_inserted", "errors") == {"products_inserted": 1, "errors": 4}
    refused = await errors_of(shop_catalog, imported)
    assert [(error.row, error.code, error.column) for error in refused] == [
        (3, "sku_taken", "Variant SKU"),
        (4, "invalid_price", "Variant Price"),
        (5, "duplicate_sku", "Variant SKU"),
        (6, "duplicate_sku", "Variant SKU"),
    ]
    assert "'owner'" in refused[0].message
    assert {row["slug"] for row in await shop_catalog.rows("SELECT slug FROM products")} == {"owner", "good"}
    lines = (await error_file(shop_catalog, imported)).splitlines()
    assert lines[0].startswith("error_code,error_message,Handle,Title")
    assert [line.split(",")[0] for line in lines[1:]] == [error.code for error in refused]


@pytest.mark.feature("CAT-7")
async def test_errors_are_gathered_in_pages(shop_catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million wrong rows take no more memory than ten."""
    monkeypatch.setattr(running, "_ERRORS_AT_ONCE", 7)
    pages, list_remarks = [], import_rows.list_remarks

    async def counted(*arguments: Any, **options: Any) -> Any:
        found = await list_remarks(*arguments, **options)
        pages.append(len(found))
        return found

    monkeypatch.setattr(import_rows, "list_remarks", counted)
    first = await shop_catalog.bring_in(csv_file([shopify_row(f"a-{n}", price="oops") for n in range(30)]))
    assert first.counters["errors"] == 30
    assert pages == [7, 7, 7, 7, 2, 0]
    assert len((await error_file(shop_catalog, first)).splitlines()) == 31


@pytest.mark.feature("CAT-7")
async def test_a_corrected_error_file_comes_in(shop_catalog: Catalog) -> None:
    first = await shop_catalog.bring_in(csv_file([shopify_row("a"), shopify_row("b", price="oops")]))
    corrected = (await error_file(shop_catalog, first)).replace("oops", "5.00")
    second = await shop_catalog.bring_in(corrected.encode())
    assert (second.state, second.counters["products_inserted"], second.counters["errors"]) == ("succeeded", 1, 0)


@pytest.mark.feature("CAT-7")
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"Handle,Title,Variant SKU\n", "no_rows"),
        (b"this,is,not\na,product,file\n", "unknown_headers"),
        (b"PK\x03\x04rest of a workbook", "invalid_archive"),
        (csv_file([shopify_row("a", price="oops")]), "nothing_imported"),
        (
            b"Handle,Title,Variant SKU\na,A,\xff\xfe\n" + b"b,\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9,B\n" * 9,
            "invalid_encoding",
        ),
    ],
)
async def test_a_file_of_which_nothing_can_be_taken_fails_by_name(
    shop_catalog: Catalog, content: bytes, code: str
) -> None:
    imported = await shop_catalog.bring_in(content)
    assert (imported.state, imported.error and imported.error["code"]) == ("failed", code)
    assert await shop_catalog.rows("SELECT FROM products") == []
    assert await shop_catalog.events("products_changed") == []


@pytest.mark.feature("CAT-6")
async def test_a_dry_run_counts_the_same_and_changes_nothing(shop_catalog: Catalog) -> None:
    rows = [shopify_row(f"p-{n}", collection="Things", quantity="3") for n in range(3)] + [shopify_row("x", price="?")]
    tables = ("products", "variants", "prices", "price_lists", "categories", "shop_categories", "variants")
    tried = await shop_catalog.bring_in(csv_file(rows), dry_run=True)
    assert tried.state == "succeeded"
    assert {table: await shop_catalog.rows(f"SELECT FROM {table}") for table in tables} == {t: [] for t in tables}
    for name in ("products_changed", "prices_changed", "categories_changed", "stock_file_imported"):
        assert await shop_catalog.events(name) == []
    done = await shop_catalog.bring_in(csv_file(rows))
    assert tried.counters == done.counters
    assert [e.code for e in await errors_of(shop_catalog, tried)] == ["invalid_price"]


@pytest.mark.feature("CAT-6")
async def test_insert_only_leaves_what_is_there_and_update_only_adds_nothing(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("old", brand="A", price="1.00")]))
    rows = [shopify_row("old", brand="B", price="2.00"), shopify_row("new", brand="B")]
    inserted = await shop_catalog.bring_in(csv_file(rows), mode="insert-only")
    assert counted(inserted, "products_inserted", "products_skipped", "variants_skipped", "prices_inserted") == {
        "products_inserted": 1,
        "products_skipped": 1,
        "variants_skipped": 1,
        "prices_inserted": 1,
    }
    assert (await product(shop_catalog, "old")).brand == "A"
    rows.append(shopify_row("newer"))
    updated = await shop_catalog.bring_in(csv_file(rows), mode="update-only")
    assert counted(updated, "products_updated", "products_unchanged", "products_skipped", "prices_updated") == {
        "products_updated": 1,
        "products_unchanged": 1,
        "products_skipped": 1,
        "prices_updated": 1,
    }
    assert (await product(shop_catalog, "old")).brand == "B"
    assert (await shop_catalog.ask(ListProducts(slug="newer"))).items == []


@pytest.mark.feature("CAT-6", "CAT-7")
async def test_a_mode_that_lets_nothing_through_is_an_error(shop_catalog: Catalog) -> None:
    imported = await shop_catalog.bring_in(csv_file([shopify_row("a")]), mode="update-only")
    assert (imported.state, imported.error and imported.error["code"]) == ("failed", "nothing_imported")


@pytest.mark.feature("CAT-5")
@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"group": "invoices"}, "unsupported_group"),
        ({"mode": "nonsense"}, "unsupported_mode"),
        ({"mode": "insert-only", "group": "variants"}, "unsupported_mode"),
        ({"missing": "archive"}, "unsupported_mode"),
        ({"profile": "nonsense"}, "unknown_profile"),
        ({"group": "prices", "profile": "shopify"}, "unsupported_profile"),
        ({"shop": "nowhere"}, "shop_not_found"),
    ],
)
async def test_what_cannot_be_imported_is_refused_before_it_begins(
    shop_catalog: Catalog, parameters: dict[str, str], code: str
) -> None:
    with pytest.raises(CrossdockError) as refusal:
        await shop_catalog.upload(b"Handle\n", **parameters)
    assert refusal.value.code == code
    assert await shop_catalog.rows("SELECT FROM imports") == []
    assert await shop_catalog.rows("SELECT FROM jobs") == []


@pytest.mark.feature("CAT-3")
async def test_with_several_shops_the_one_for_the_prices_has_to_be_named(shop_catalog: Catalog) -> None:
    await shop_catalog.open_shop(code="other", currency="EUR")
    with pytest.raises(CrossdockError) as refusal:
        await shop_catalog.upload(b"Handle\n")
    assert refusal.value.code == "shop_not_named"
    imported = await shop_catalog.bring_in(csv_file([shopify_row("a", price="3.00")]), shop="other")
    assert imported.shop == "other"
    assert [row["currency"] for row in await shop_catalog.rows("SELECT currency FROM price_lists")] == ["EUR"]


@pytest.mark.feature("CAT-5")
async def test_an_organization_without_shops_keeps_products_and_says_that_it_keeps_no_prices(catalog: Catalog) -> None:
    imported = await catalog.bring_in(csv_file([shopify_row("a")]))
    assert (imported.state, imported.counters["products_inserted"]) == ("succeeded", 1)
    notices = (await catalog.ask(ListImportRemarks(import_id=imported.id, kind="notice"))).items
    assert "column_not_kept" in [notice.code for notice in notices]
    assert await catalog.rows("SELECT FROM prices") == []


@pytest.mark.feature("ACC-1", "CAT-5")
async def test_two_organizations_may_have_the_same_skus(shop_catalog: Catalog, process: topology.Surrounded) -> None:
    other = Catalog(process)
    await other.open_shop()
    content = csv_file([shopify_row("a", sku="SAME"), shopify_row("b", sku="")])
    first, second = await shop_catalog.bring_in(content), await other.bring_in(content)
    assert (first.counters["products_inserted"], second.counters["products_inserted"]) == (2, 2)
    with pytest.raises(CrossdockError) as refusal:
        await other.ask(ListImportRemarks(import_id=first.id))
    assert refusal.value.code == "import_not_found"
    assert {p.slug for p in (await other.ask(ListProducts())).items} == {"a", "b"}


@pytest.mark.feature("CAT-1", "CAT-5")
async def test_a_made_up_sku_that_another_product_has_becomes_another_and_stays_it(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("owner", sku="SCARF")]))
    content = csv_file([shopify_row("scarf", sku="")])
    first = await shop_catalog.bring_in(content)
    assert (first.counters["errors"], first.counters["skus_generated"]) == (0, 1)
    sku = (await product(shop_catalog, "scarf")).variants[0].sku
    assert sku.startswith("SCARF-")
    second = await shop_catalog.bring_in(content)
    assert (second.counters["variants_unchanged"], second.counters["skus_generated"]) == (1, 0)
    assert [v.sku for v in (await product(shop_catalog, "scarf")).variants] == [sku]


@pytest.mark.feature("CAT-1")
async def test_variants_may_exchange_their_options(shop_catalog: Catalog) -> None:
    rows = [
        shopify_row("a", sku="ONE", option="Size", value="S"),
        shopify_row("a", title="", published="", sku="TWO", value="M"),
    ]
    await shop_catalog.bring_in(csv_file(rows))
    rows[0]["Option1 Value"], rows[1]["Option1 Value"] = "M", "S"
    exchanged = await shop_catalog.bring_in(csv_file(rows))
    assert (exchanged.state, exchanged.counters["variants_updated"]) == ("succeeded", 2)
    found = await product(shop_catalog, "a")
    assert {v.sku: v.options["Size"] for v in found.variants} == {"ONE": "M", "TWO": "S"}


@pytest.mark.feature("CAT-3", "CAT-5", "CAT-7")
async def test_a_prices_file_sets_prices_and_touches_nothing_else(shop_catalog: Catalog) -> None:
    await shop_catalog.bring_in(csv_file([shopify_row("a"), shopify_row("b")]))
    products = await shop_catalog.rows("SELECT * FROM products ORDER BY id")
    file = b"SKU;Price;List price;Minimum quantity\nA;9,00;12,00;\nA;8,00;;10\nB;10,00;;\nNONE;1,00;;\nB;x;;\nA;9;;1\n"
    imported = await shop_catalog.bring_in(file, group="prices")
    assert imported.state == "succeeded"
    assert counted(imported, "prices_inserted", "prices_updated", "prices_unchanged", "errors") == {
        "prices_inserted": 1,
        "prices_updated": 1,
        "prices_unchanged": 1,
        "errors": 3,
    }
    assert sorted((e.row, e.code) for e in await errors_of(shop_catalog, imported)) == [
        (5, "unknown_sku"),
        (6, "invalid_price"),
        (7, "duplicate_sku"),
    ]
    assert (await error_file(shop_catalog, imported)).splitlines()[1].endswith(";NONE;1,00;;")
    stored = await shop_catalog.rows(
        "SELECT v.sku, p.minimum_quantity, p.price, p.list_price FROM prices p JOIN variants v ON v.id = p.variant_id"
        " ORDER BY v.sku, p.minimum_quantity"
    )
    assert [tuple(row) for row in stored] == [("A", 1, 900, 1200), ("A", 10, 800, None), ("B", 1, 1000, None)]
    assert await shop_catalog.rows("SELECT * FROM products ORDER BY id") == products
    assert Money(amount=900, currency="USD").major == 9
