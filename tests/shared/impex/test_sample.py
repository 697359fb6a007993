"""The demo business's files: readable without a single error, and true to each other."""

import csv
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.impex import cells
from shared.impex import products as products_module
from shared.impex.keys import slug
from shared.impex.products import ProductFile
from shared.impex.rows import Notice, ProductRecord, ProductStatus, RowError, StockPolicy
from shared.impex.source import CsvSource

pytestmark = pytest.mark.feature("CAT-5")

SAMPLE = Path(products_module.__file__).parents[2] / "deploy" / "sample"


def products(name: str) -> list[ProductRecord]:
    outcomes = list(ProductFile(CsvSource.open(SAMPLE / name), "shopify", "USD").read())
    remarks = [outcome for outcome in outcomes if isinstance(outcome, RowError | Notice)]
    # Shopify's files have columns that we keep nothing of.
    assert {remark.code for remark in remarks} == {"columns_not_kept"}
    return [outcome for outcome in outcomes if isinstance(outcome, ProductRecord)]


def table(name: str) -> list[dict[str, str]]:
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def harbour() -> list[ProductRecord]:
    return products("products.csv")


@pytest.fixture(scope="module")
def skus(harbour: list[ProductRecord]) -> set[str]:
    return {variant.sku for product in harbour for variant in product.variants}


@pytest.fixture(scope="module")
def business() -> dict[str, Any]:
    return json.loads((SAMPLE / "business.json").read_text(encoding="utf-8"))


def test_products_are_complete(harbour: list[ProductRecord]) -> None:
    assert 55 <= len(harbour) <= 70
    assert 180 <= sum(len(product.variants) for product in harbour) <= 220
    for product in harbour:
        assert product.title
        assert product.description_html
        assert product.brand
        assert product.tags
        assert product.categories
        assert product.images or product.status is ProductStatus.DRAFT
        for variant in product.variants:
            assert variant.barcode
            assert variant.price
            assert variant.list_price is None or variant.list_price.amount > variant.price.amount
            assert variant.quantity is not None


def test_products_differ_as_a_shop_does(harbour: list[ProductRecord]) -> None:
    variants = [variant for product in harbour for variant in product.variants]
    assert sum(product.status is ProductStatus.DRAFT for product in harbour) == 3
    assert sum(variant.list_price is not None for variant in variants) > 10
    assert sum(variant.quantity == 0 and variant.stock_policy is StockPolicy.STANDARD for variant in variants) >= 3
    assert sum(variant.stock_policy is StockPolicy.BACKORDER for variant in variants) >= 3
    assert sum(variant.requires_shipping is False for variant in variants) == 1
    descriptions = [product.description_html for product in harbour]
    assert len(set(descriptions)) == len(descriptions)
    barcodes = [variant.barcode for variant in variants]
    assert len(set(barcodes)) == len(barcodes)


def test_stock_is_that_of_the_products(harbour: list[ProductRecord], skus: set[str]) -> None:
    rows = table("stock.csv")
    assert {row["centre"] for row in rows} == {"main", "store"}
    assert {row["sku"] for row in rows} == skus
    assert len({(row["sku"], row["centre"]) for row in rows}) == len(rows)
    main = {row["sku"]: int(row["on_hand"]) for row in rows if row["centre"] == "main"}
    assert main == {variant.sku: variant.quantity for product in harbour for variant in product.variants}
    assert min(int(row["on_hand"]) for row in rows) == 0


def test_euro_prices_cover_everything_on_sale(harbour: list[ProductRecord]) -> None:
    rows = table("prices-eur.csv")
    on_sale = {v.sku for product in harbour if product.status is ProductStatus.ACTIVE for v in product.variants}
    assert [row["sku"] for row in rows if row["sku"] not in on_sale] == []
    assert {row["sku"] for row in rows} == on_sale
    for row in rows:
        assert cells.price(row["price"], "EUR").amount > 0
        assert not row["list_price"] or Decimal(row["list_price"]) > Decimal(row["price"])


def test_categories_are_a_tree_that_holds_every_product(harbour: list[ProductRecord]) -> None:
    rows = {row["path"]: row for row in table("categories.csv")}
    handles = {product.handle for product in harbour}
    for path, row in rows.items():
        parent, _, own = path.rpartition("/")
        assert not parent or parent in rows
        assert own == slug(row["name_en"])
        assert row["name_de"]
        assert {handle.strip() for handle in row["products"].split("|") if handle.strip()} <= handles
    for product in harbour:
        path = "/".join(map(slug, product.categories[0]))
        assert product.handle in rows[path]["products"].split(" | ")


def test_translations_are_of_products_we_have(harbour: list[ProductRecord]) -> None:
    rows = table("translations-de.csv")
    assert len(rows) >= 25
    assert {row["handle"] for row in rows} <= {product.handle for product in harbour}
    titles = {product.handle: product.title for product in harbour}
    assert all(row["title"] and row["title"] != titles[row["handle"]] and row["description"] for row in rows)


def test_supplier_products_are_priced_above_cost() -> None:
    rows = table("supplier-products.csv")
    assert len({row["vendorSku"] for row in rows}) == len(rows) == 15
    for row in rows:
        assert cells.gtin(row["gtin"]) == row["gtin"]
        assert (
            cells.price(row["msrp"], row["currency"]).amount > cells.price(row["defaultCost"], row["currency"]).amount
        )
        assert row["language"] == "en"
        assert int(row["packSize"]) > 0


def test_the_second_merchant_shares_two_skus_and_nothing_else(harbour: list[ProductRecord], skus: set[str]) -> None:
    other = products("second-merchant.csv")
    assert len(other) == 5
    assert {variant.sku for product in other for variant in product.variants} & skus == {
        "HP-PRP-YELLOW",
        "HP-PRP-SLATE",
    }
    assert {product.handle for product in other} & {product.handle for product in harbour} == set()


def test_business_refers_to_what_exists(business: dict[str, Any]) -> None:
    paths = {row["path"] for row in table("categories.csv")}
    named = set(re.findall(r"[\w-]+\.csv", json.dumps(business)))
    assert named == {path.name for path in SAMPLE.glob("*.csv")}
    for organization in business["organizations"]:
        centres = {centre["code"] for centre in organization["fulfilment_centres"]}
        shops = {shop["code"] for shop in organization["shops"]}
        assert sum(centre["default"] for centre in organization["fulfilment_centres"]) == 1
        for shop in organization["shops"]:
            assert set(shop["centres"]) <= centres
            assert set(shop["categories"]) <= paths
            assert shop["parent"] in {None, *shops}
        assert {price_list["shop"] for price_list in organization["price_lists"]} <= shops
        assert {gateway["shop"] for gateway in organization["payment_gateways"]} <= shops


def test_nothing_in_it_points_at_a_real_address() -> None:
    for path in SAMPLE.iterdir():
        text = path.read_text(encoding="utf-8")
        hosts = re.findall(r"https?://([^/\s\"]+)|@([\w.-]+\w)", text)
        assert [host for pair in hosts for host in pair if host and not host.endswith(".example")] == []


def test_every_file_is_explained() -> None:
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in SAMPLE.iterdir() if path.name != "README.md" and f"`{path.name}`" not in readme] == []
