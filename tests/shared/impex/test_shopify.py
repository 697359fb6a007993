"""Shopify's product files, with old headings and new, rough as they come."""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest

from shared.impex import errors
from shared.impex.products import ProductFile, read_products
from shared.impex.rows import Notice, ProductRecord, ProductStatus, RowError, StockPolicy
from shared.impex.source import CsvSource
from shared.measures import Weight
from shared.money import Money, UnknownCurrency

pytestmark = pytest.mark.feature("CAT-5")

REAL = Path(__file__).parents[4] / "shared" / "data" / "products"


def product_file(tmp_path: Path, rows: list[dict[str, str]], profile: str | None = "shopify") -> ProductFile:
    header = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header)
    writer.writeheader()
    writer.writerows(rows)
    path = tmp_path / "products.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return ProductFile(CsvSource.open(path), profile, "USD")


def outcomes(file: ProductFile) -> tuple[list[ProductRecord], list[tuple[int, str]], list[tuple[int, str]]]:
    everything = list(file.read())
    return (
        [outcome for outcome in everything if isinstance(outcome, ProductRecord)],
        [(outcome.row, outcome.code) for outcome in everything if isinstance(outcome, RowError)],
        [(outcome.row, outcome.code) for outcome in everything if isinstance(outcome, Notice)],
    )


CLASSIC = {
    "Handle": "linen-shirt",
    "Title": "Linen Shirt",
    "Body (HTML)": "<p>Cool.</p>",
    "Vendor": "Gull & Reed",
    "Product Category": "Clothing > Shirts",
    "Type": "Shirt",
    "Tags": "linen, summer, Linen",
    "Published": "true",
    "Option1 Name": "Size",
    "Option1 Value": "S",
    "Variant SKU": "LS-S",
    "Variant Grams": "180",
    "Variant Inventory Qty": "7.0",
    "Variant Inventory Policy": "continue",
    "Variant Price": "49.50",
    "Variant Compare At Price": "60",
    "Variant Requires Shipping": "TRUE",
    "Variant Taxable": "false",
    "Variant Barcode": "4006381333931",
    "Image Src": "https://images.example/1.jpg",
    "Image Position": "2",
    "Image Alt Text": "From the front",
    "SEO Title": "Linen shirt for summer",
    "SEO Description": "Cool linen",
    "Google Shopping / Gender": "unisex",
    "Google Shopping / MPN": "GR-1",
    "Variant Weight Unit": "kg",
    "Variant Tax Code": "P0000",
    "Cost per item": "20",
    "Status": "active",
}
RENAMED = {
    "Handle": "URL handle",
    "Body (HTML)": "Description",
    "Product Category": "Product category",
    "Published": "Published on online store",
    "Option1 Name": "Option1 name",
    "Option1 Value": "Option1 value",
    "Variant SKU": "SKU",
    "Variant Grams": "Weight value (grams)",
    "Variant Inventory Qty": "Inventory quantity",
    "Variant Inventory Policy": "Continue selling when out of stock",
    "Variant Price": "Price",
    "Variant Compare At Price": "Compare-at price",
    "Variant Requires Shipping": "Requires shipping",
    "Variant Taxable": "Charge tax",
    "Variant Barcode": "Barcode",
    "Image Src": "Product image URL",
    "Image Position": "Image position",
    "Image Alt Text": "Image alt text",
    "SEO Title": "SEO title",
    "SEO Description": "SEO description",
    "Google Shopping / MPN": "Google Shopping / Manufacturer part number (MPN)",
    "Variant Tax Code": "Tax code",
    "Variant Weight Unit": "Weight unit for display",
}


def variant_row(**cells: str) -> dict[str, str]:
    """A later row of the classic product."""
    return {"Handle": "linen-shirt", **cells}


@pytest.mark.parametrize("renamed", [{}, RENAMED])
def test_every_field_is_read_under_old_and_new_headings(tmp_path: Path, renamed: dict[str, str]) -> None:
    row = {renamed.get(heading, heading): cell for heading, cell in CLASSIC.items()}
    file = product_file(tmp_path, [row], profile=None)
    assert file.profile.name == "shopify"
    [product], refused, _ = outcomes(file)
    assert refused == []
    assert (product.handle, product.title, product.description_html) == ("linen-shirt", "Linen Shirt", "<p>Cool.</p>")
    assert (product.brand, product.product_type, product.tags) == ("Gull & Reed", "Shirt", ("linen", "summer"))
    assert (product.status, product.categories) == (ProductStatus.ACTIVE, (("Clothing", "Shirts"),))
    assert (product.seo_title, product.seo_description) == ("Linen shirt for summer", "Cool linen")
    assert product.attributes == (("gender", "unisex"),)
    assert product.option_names == ("Size",)
    [image] = product.images
    assert (image.url, image.position, image.alt) == ("https://images.example/1.jpg", 2, "From the front")
    [variant] = product.variants
    assert (variant.sku, variant.sku_generated, variant.option_values) == ("LS-S", False, ("S",))
    assert (variant.price, variant.list_price) == (
        Money(amount=4950, currency="USD"),
        Money(amount=6000, currency="USD"),
    )
    assert (variant.barcode, variant.mpn, variant.cost) == ("4006381333931", "GR-1", Money(amount=2000, currency="USD"))
    assert (variant.weight_grams, variant.quantity, variant.stock_policy) == (180, 7, StockPolicy.BACKORDER)
    assert variant.weight == Weight(value=Decimal("0.18"), unit="kg")
    assert (variant.requires_shipping, variant.taxable, variant.tax_code) == (True, False, "P0000")
    assert {"price", "images", "categories", "option_values", "attributes", "status"} <= file.fields


@pytest.mark.parametrize(
    ("grams", "unit", "expected"),
    [
        ("0", "kg", "0"),
        ("100", "g", "100"),
        ("454", "lb", "1"),
        ("183", "LBS", "0.403"),
        ("28", "oz", "1"),
        ("180", "", None),
        ("", "kg", None),
    ],
)
def test_a_weight_is_told_in_the_unit_that_it_is_shown_in(
    tmp_path: Path, grams: str, unit: str, expected: str | None
) -> None:
    row = {**CLASSIC, "Variant Grams": grams, "Variant Weight Unit": unit}
    [product], refused, _ = outcomes(product_file(tmp_path, [row]))
    weight = product.variants[0].weight
    assert refused == []
    assert (None if weight is None else str(weight.value)) == expected
    assert weight is None or weight.grams == int(grams)


def test_a_unit_that_there_is_not_is_an_error(tmp_path: Path) -> None:
    _, refused, _ = outcomes(product_file(tmp_path, [{**CLASSIC, "Variant Weight Unit": "stone"}]))
    assert [code for _, code in refused] == ["invalid_weight_unit"]


def test_rows_of_a_handle_are_one_product_and_image_rows_add_images_only(tmp_path: Path) -> None:
    file = product_file(
        tmp_path,
        [
            CLASSIC,
            variant_row(**{"Option1 Value": "M", "Variant SKU": "LS-M", "Variant Price": "49.50"}),
            variant_row(**{"Image Src": "https://images.example/0.jpg", "Image Position": "1", "Variant Grams": "0"}),
            variant_row(**{"Image Src": "https://images.example/1.jpg", "Image Position": "9"}),
        ],
    )
    [product], refused, _ = outcomes(file)
    assert refused == []
    assert product.rows == (2, 3, 4, 5)
    assert [variant.sku for variant in product.variants] == ["LS-S", "LS-M"]
    assert [image.url for image in product.images] == ["https://images.example/0.jpg", "https://images.example/1.jpg"]


def test_default_title_means_no_options(tmp_path: Path) -> None:
    row = {
        "Handle": "mug",
        "Title": "Mug",
        "Option1 Name": "Title",
        "Option1 Value": "Default Title",
        "Variant SKU": "",
    }
    [product], refused, notices = outcomes(product_file(tmp_path, [row]))
    assert refused == []
    assert product.option_names == ()
    assert [(variant.sku, variant.option_values) for variant in product.variants] == [("MUG", ())]
    assert notices == [(2, "sku_generated")]


@pytest.mark.feature("CAT-5")
def test_an_option_may_well_be_named_title(tmp_path: Path) -> None:
    first = {"Handle": "poster", "Title": "Poster", "Option1 Name": "Title", "Option1 Value": "Red", "Variant SKU": "R"}
    second = {"Handle": "poster", "Option1 Value": "Blue", "Variant SKU": "B"}
    [product], refused, _ = outcomes(product_file(tmp_path, [first, second]))
    assert refused == []
    assert (product.option_names, [v.option_values for v in product.variants]) == (("Title",), [("Red",), ("Blue",)])


@pytest.mark.feature("CAT-7")
def test_generated_skus_are_unique_in_the_file_and_the_same_each_time(tmp_path: Path) -> None:
    columns = {"Option1 Name": "Size", "Variant SKU": ""}
    rows = [
        {"Handle": "mug", "Title": "Mug", "Option1 Value": "Small", **columns},
        {"Handle": "mug", "Title": "", "Option1 Value": "Small!", "Option1 Name": "", "Variant SKU": ""},
        {"Handle": "mug-small", "Title": "Small Mug", "Variant SKU": ""},
        {"Handle": "cup", "Title": "Cup", "Variant SKU": "MUG-SMALL-2"},
    ]
    file = product_file(tmp_path, rows)
    products, refused, notices = outcomes(file)
    assert refused == []
    skus = [variant.sku for product in products for variant in product.variants]
    assert skus == ["MUG-SMALL", "MUG-SMALL-3", "MUG-SMALL-4", "MUG-SMALL-2"]
    assert notices == [(2, "sku_generated"), (3, "sku_generated"), (4, "sku_generated")]
    assert outcomes(file)[0] == products


@pytest.mark.feature("CAT-7")
def test_duplicate_skus_are_errors_on_each_row_naming_the_other(tmp_path: Path) -> None:
    rows = [
        {"Handle": "a", "Title": "A", "Variant SKU": "X"},
        {"Handle": "b", "Title": "B", "Variant SKU": "Y"},
        {"Handle": "c", "Title": "C", "Variant SKU": " X "},
    ]
    everything = list(product_file(tmp_path, rows).read())
    clashes = [outcome for outcome in everything if isinstance(outcome, RowError)]
    assert [(error.row, error.column, error.value, error.code) for error in clashes] == [
        (2, "Variant SKU", "X", "duplicate_sku"),
        (4, "Variant SKU", "X", "duplicate_sku"),
    ]
    assert "Row 4" in clashes[0].message
    assert "Row 2" in clashes[1].message
    assert [outcome.handle for outcome in everything if isinstance(outcome, ProductRecord)] == ["b"]


@pytest.mark.feature("CAT-7")
def test_a_bad_variant_fails_alone_and_every_fault_of_it_is_said(tmp_path: Path) -> None:
    bad = variant_row(
        **{"Option1 Value": "M", "Variant SKU": "LS-M", "Variant Price": "cheap", "Variant Barcode": "123"}
    )
    good = variant_row(**{"Option1 Value": "L", "Variant SKU": "LS-L", "Variant Price": "49"})
    everything = list(product_file(tmp_path, [CLASSIC, bad, good]).read())
    assert [
        (error.row, error.column, error.value, error.code) for error in everything if isinstance(error, RowError)
    ] == [
        (3, "Variant Barcode", "123", "invalid_gtin"),
        (3, "Variant Price", "cheap", "invalid_price"),
    ]
    product = everything[-1]
    assert isinstance(product, ProductRecord)
    assert [variant.sku for variant in product.variants] == ["LS-S", "LS-L"]


def test_a_bad_first_variant_still_describes_its_product(tmp_path: Path) -> None:
    rows = [{**CLASSIC, "Variant Price": "-5"}, variant_row(**{"Option1 Value": "M", "Variant SKU": "LS-M"})]
    [product], refused, _ = outcomes(product_file(tmp_path, rows))
    assert refused == [(2, "negative_price")]
    assert product.title == "Linen Shirt"
    assert [variant.sku for variant in product.variants] == ["LS-M"]


def test_a_product_with_no_variant_left_is_not_a_product(tmp_path: Path) -> None:
    products, refused, _ = outcomes(product_file(tmp_path, [{**CLASSIC, "Variant Inventory Qty": "1.5"}]))
    assert (products, refused) == ([], [(2, "invalid_integer")])


def test_a_row_that_describes_a_product_wrongly_takes_its_product_along(tmp_path: Path) -> None:
    rows = [{**CLASSIC, "Status": "sold"}, variant_row(**{"Option1 Value": "M", "Variant SKU": "LS-M"})]
    products, refused, _ = outcomes(product_file(tmp_path, rows))
    assert (products, refused) == ([], [(2, "invalid_status"), (3, "product_refused")])


def test_a_bad_image_refuses_its_row(tmp_path: Path) -> None:
    rows = [CLASSIC, variant_row(**{"Option1 Value": "M", "Variant SKU": "LS-M", "Image Src": "front.jpg"})]
    [product], refused, _ = outcomes(product_file(tmp_path, rows))
    assert refused == [(3, "invalid_url")]
    assert [variant.sku for variant in product.variants] == ["LS-S"]


def test_a_product_that_comes_again_is_split_and_not_overwritten(tmp_path: Path) -> None:
    again = {**CLASSIC, "Title": "Another", "Variant SKU": "LS-X"}
    products, refused, _ = outcomes(product_file(tmp_path, [CLASSIC, {"Handle": "b", "Title": "B"}, again]))
    assert [product.title for product in products] == ["Linen Shirt", "B"]
    assert refused == [(4, "split_product")]


def test_options_must_fit(tmp_path: Path) -> None:
    rows = [
        CLASSIC,
        variant_row(**{"Option1 Value": "", "Variant SKU": "LS-M"}),
        variant_row(**{"Option1 Value": "s", "Variant SKU": "LS-2"}),
        variant_row(**{"Option1 Value": "L", "Option2 Value": "Red", "Variant SKU": "LS-R"}),
    ]
    products, refused, _ = outcomes(product_file(tmp_path, rows))
    assert products == []
    assert refused == [
        (2, "duplicate_variant"),
        (3, "missing_option_value"),
        (4, "duplicate_variant"),
        (5, "option_without_name"),
    ]


@pytest.mark.parametrize(
    ("published", "status", "expected"),
    [
        ("true", "", ProductStatus.ACTIVE),
        ("false", "", ProductStatus.DRAFT),
        ("false", "active", ProductStatus.PAUSED),
        ("true", "draft", ProductStatus.DRAFT),
        ("false", "Archived", ProductStatus.ARCHIVED),
        ("", "unlisted", ProductStatus.PAUSED),
        ("", "", None),
    ],
)
def test_status(tmp_path: Path, published: str, status: str, expected: ProductStatus | None) -> None:
    [product], _, _ = outcomes(product_file(tmp_path, [{**CLASSIC, "Published": published, "Status": status}]))
    assert product.status is expected


def test_categories_fall_back_to_googles_and_include_the_collection(tmp_path: Path) -> None:
    google = "Google Shopping / Google Product Category"
    row = {**CLASSIC, "Product Category": "", google: "Apparel > Tops", "Collection": "Summer"}
    assert outcomes(product_file(tmp_path, [row]))[0][0].categories == (("Apparel", "Tops"), ("Summer",))
    assert outcomes(product_file(tmp_path, [{**row, google: "212", "Collection": ""}]))[0][0].categories == ()


def test_what_is_changed_or_not_read_is_said(tmp_path: Path) -> None:
    rows = [
        {
            **CLASSIC,
            "Handle": "Linen Shirt",
            "Variant Inventory Qty": "-3",
            "Variant Compare At Price": "0.00",
            "Price / International": "70",
            "Fabric (product.metafields.shopify.fabric)": "linen",
        },
        {"Handle": "Linen Shirt", "Title": "Shirt", "Option1 Value": "M", "Variant SKU": "LS-M"},
    ]
    [product], refused, notices = outcomes(product_file(tmp_path, rows))
    assert refused == []
    assert product.handle == "linen-shirt"
    assert product.attributes == (("gender", "unisex"), ("shopify.fabric", "linen"))
    assert (product.variants[0].quantity, product.variants[0].list_price) == (0, None)
    assert notices == [(1, "columns_not_kept"), (2, "handle_changed"), (3, "other_title"), (2, "negative_quantity")]


def test_rows_without_handle_go_by_their_title_or_are_refused(tmp_path: Path) -> None:
    rows = [{"Handle": "", "Title": "Tea Pot", "Variant SKU": "T"}, {"Handle": "", "Title": "", "Variant SKU": "U"}]
    [product], refused, _ = outcomes(product_file(tmp_path, rows))
    assert product.handle == "tea-pot"
    assert refused == [(3, "missing_handle")]


def test_rows_without_a_title_are_a_fragment(tmp_path: Path) -> None:
    rows = [
        {"Handle": "mug", "Title": "", "Tags": "x", "Option1 Value": "Blue", "Variant SKU": "M-B", "Variant Price": "5"}
    ]
    [product], refused, _ = outcomes(product_file(tmp_path, rows))
    assert refused == []
    assert (product.title, product.tags, product.option_names) == (None, (), ())
    assert product.variants[0].option_values == ("Blue",)


def test_a_file_of_product_fields_only_says_nothing_of_variants(tmp_path: Path) -> None:
    file = product_file(tmp_path, [{"Handle": "mug", "Tags": "blue, tall"}])
    [product], _, _ = outcomes(file)
    assert (product.tags, product.variants) == (("blue", "tall"), ())
    assert file.fields == {"handle", "tags"}


def test_chunks_never_split_a_product(tmp_path: Path) -> None:
    rows = [
        {
            "Handle": f"p{n}",
            "Title": f"P {n}",
            "Option1 Name": "Size",
            "Option1 Value": size,
            "Variant SKU": f"{n}-{size}",
        }
        for n in range(40)
        for size in ("S", "M", "L")
    ]
    file = product_file(tmp_path, rows)
    chunks = list(file.chunks(rows=10))
    for chunk in chunks:
        file.assemble(chunk, chunk.groups)
    assert [len(chunk.products) for chunk in chunks] == [4] * 10
    assert all(len(product.variants) == 3 for chunk in chunks for product in chunk.products)


@pytest.mark.parametrize(
    ("profile", "row", "error"),
    [
        ("shopify", {"colour": "x", "size": "y"}, errors.UnknownHeaders),
        (None, {"colour": "x", "size": "y"}, errors.UnknownHeaders),
        ("shopify", {"Variant SKU": "x", "Variant Price": "1"}, errors.MissingHeaders),
        ("crossdock", {"sku": "x", "price": "1"}, errors.MissingHeaders),
        ("shopify", {"Handle": "x", "URL handle": "y"}, errors.DuplicateHeaders),
        ("spotify", {"Handle": "x"}, errors.UnknownProfile),
    ],
)
def test_headings_that_do_not_fit(tmp_path: Path, profile: str | None, row: dict[str, str], error: type) -> None:
    with pytest.raises(error):
        product_file(tmp_path, [row], profile)


def test_an_unknown_currency_is_refused(tmp_path: Path) -> None:
    source = product_file(tmp_path, [CLASSIC]).source
    with pytest.raises(UnknownCurrency):
        read_products(source, "shopify", "XYZ")


@pytest.mark.skipif(not REAL.exists(), reason="real files are not part of the project")
@pytest.mark.parametrize(
    ("name", "products", "variants"), [("shopify-apparel.csv", 20, 22), ("shopify-home-and-garden.csv", 20, 21)]
)
def test_real_files_are_read_whole(name: str, products: int, variants: int) -> None:
    file = ProductFile(CsvSource.open(REAL / name), None, "USD")
    read, refused, notices = outcomes(file)
    assert refused == []
    assert len(read) == products
    assert sum(len(product.variants) for product in read) == variants
    assert [code for _, code in notices] == ["columns_not_kept", *["sku_generated"] * variants]
    assert all(variant.price and variant.price.amount for product in read for variant in product.variants)
