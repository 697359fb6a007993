"""Faults are said with the heading and the cell of the uploader's own file, also where a profile makes one value of
several columns, or several of one."""

from pathlib import Path

import pytest

from shared.impex.rows import RowError
from shared.impex.terms import FileTerms
from tests.shared.impex.test_platforms import (
    CAP,
    HOODIE,
    MAGENTO,
    PULLOVER,
    SUPPLIER,
    WOO,
    Read,
    child,
    item,
    table,
    variation,
    woo,
)

pytestmark = pytest.mark.feature("CAT-7")


def said(read: Read) -> list[tuple[str, str | None, str | None]]:
    return [(fault.code, fault.column, fault.value) for fault in read.reasons]


def the_fault(read: Read) -> tuple[str, str | None, str | None]:
    (fault,) = said(read)
    return fault


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"Regular price": "1e400", "Sale price": ""}, ("invalid_price", "Regular price", "1e400")),
        ({"Sale price": "−1"}, ("negative_price", "Sale price", "−1")),
        ({"Regular price": "NaN"}, ("invalid_price", "Regular price", "NaN")),
        ({"Stock": "two"}, ("invalid_integer", "Stock", "two")),
        ({"Weight (kg)": "heavy"}, ("invalid_weight", "Weight (kg)", "heavy")),
        ({"Length (cm)": "long"}, ("invalid_number", "Length (cm)", "long")),
        ({"Images": "https://shop.example/a.jpg, nowhere"}, ("invalid_url", "Images", "nowhere")),
        ({"GTIN, UPC, EAN, or ISBN": "123"}, ("invalid_gtin", "GTIN, UPC, EAN, or ISBN", "123")),
        ({"Type": "bundle"}, ("unsupported_type", "Type", "bundle")),
        ({"Name": ""}, ("missing_handle", "Name", None)),
        (
            {"Date sale price starts": "2026-02-01", "Date sale price ends": "2026-01-01"},
            ("invalid_sale_dates", "Date sale price ends", "2026-01-01"),
        ),
        ({"Date sale price starts": "soon"}, ("invalid_moment", "Date sale price starts", "soon")),
    ],
)
def test_faults_of_woocommerce_files_name_its_own_columns(
    tmp_path: Path, cells: dict[str, str], expected: tuple[str, str | None, str | None]
) -> None:
    assert the_fault(Read(tmp_path / "a.csv", table(WOO, CAP | cells))) == expected


def test_faults_of_woocommerce_variations_name_the_attribute_s_column(tmp_path: Path) -> None:
    sizes = {"Attribute 2 name": "Size", "Attribute 2 value(s)": "S"}
    rows = [
        PULLOVER,
        variation("a", "pull", "Blue") | sizes,
        variation("b", "pull", "Green") | {"Attribute 2 name": "Size"},
        variation("c", "pull", "Blue") | sizes,
        variation("d", "nobody", "Blue"),
        variation("e", "", "Blue"),
        variation("f", "pull", "Red", images="nowhere") | sizes,
        woo("simple", "a", "Other"),
    ]
    assert said(Read(tmp_path / "a.csv", table(WOO, *rows))) == [
        ("product_refused", None, None),
        ("duplicate_variant", "Attribute 1 value(s)", "Blue"),
        ("duplicate_sku", "SKU", "a"),
        ("missing_option_value", "Attribute 2 value(s)", None),
        ("duplicate_variant", "Attribute 1 value(s)", "Blue"),
        ("unknown_parent", "Parent", "nobody"),
        ("missing_parent", "Parent", None),
        ("invalid_url", "Images", "nowhere"),
        ("duplicate_sku", "SKU", "a"),
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"additional_attributes": "care=cold,gtin=123"}, ("invalid_gtin", "additional_attributes", "123")),
        ({"base_image": "https://x.example/1.jpg", "price": "free"}, ("invalid_price", "price", "free")),
        ({"special_price": "−1.0000"}, ("negative_price", "special_price", "−1.00")),
        ({"product_online": "perhaps", "visibility": ""}, ("invalid_status", "product_online", "perhaps")),
        (
            {"allow_backorders": "maybe", "use_config_backorders": "0"},
            ("invalid_stock_policy", "allow_backorders", "maybe"),
        ),
        ({"qty": "1.5"}, ("invalid_integer", "qty", "1.5")),
        ({"weight": "heavy"}, ("invalid_number", "weight", "heavy")),
        (
            {"base_image": "https://x.example/1.jpg", "additional_images": "https://x.example/2.jpg,https://?"},
            ("invalid_url", "additional_images", "https://?"),
        ),
        ({"product_type": "bundle"}, ("unsupported_type", "product_type", "bundle")),
        ({"store_view_code": "outlet-nowhere"}, ("store_view_row", "store_view_code", "outlet-nowhere")),
        ({"name": ""}, ("missing_handle", "name", None)),
        (
            {"special_price": "1", "special_price_from_date": "1/2/26", "special_price_to_date": "1/1/26"},
            ("invalid_sale_dates", "special_price_to_date", "1/1/26"),
        ),
    ],
)
def test_faults_of_magento_files_name_its_own_columns(
    tmp_path: Path, cells: dict[str, str], expected: tuple[str, str | None, str | None]
) -> None:
    row = child("A", price="5.0000", qty="1") | cells
    assert the_fault(Read(tmp_path / "a.csv", table(MAGENTO, row), terms=FileTerms(weight_unit="kg"))) == expected


def test_faults_of_magento_variants_name_where_their_options_are_said(tmp_path: Path) -> None:
    twins = HOODIE | {"configurable_variations": "sku=MH-S,size=S|sku=MH-M,size=S|sku=MH-L"}
    read = Read(tmp_path / "a.csv", table(MAGENTO, twins, child("MH-S"), child("MH-M"), child("MH-L")))
    assert said(read) == [
        ("product_refused", None, None),
        ("duplicate_variant", "configurable_variations", "S"),
        ("duplicate_variant", "configurable_variations", "S"),
        ("missing_option_value", "configurable_variations", None),
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"language": "klingonish-long"}, ("invalid_language", "language", "klingonish-long")),
        ({"ISBN": "123"}, ("invalid_gtin", "ISBN", "123")),
        ({"weight": "3 stones"}, ("invalid_weight", "weight", "3 stones")),
        ({"weight": "heavy"}, ("invalid_weight", "weight", "heavy")),
        ({"height": "3 cm", "width": "4 in"}, ("invalid_dimensions", "width", "4 in")),
        ({"images": "https://x.example/1.jpg nowhere"}, ("invalid_url", "images", "nowhere")),
        ({"attributes": "material=wool; soft"}, ("invalid_attribute", "attributes", "soft")),
        ({"msrp": "NaN"}, ("invalid_price", "msrp", "NaN")),
        ({"name": ""}, ("missing_name", "name", None)),
        ({"vendorSku": ""}, ("missing_sku", "vendorSku", None)),
    ],
)
def test_faults_of_supplier_files_name_its_own_columns(
    tmp_path: Path, cells: dict[str, str], expected: tuple[str, str | None, str | None]
) -> None:
    assert the_fault(Read(tmp_path / "a.csv", table(SUPPLIER, item("A") | cells))) == expected


def test_faults_of_a_supplier_s_groups_name_colour_and_size(tmp_path: Path) -> None:
    rows = [
        item("A", groupId="g", colour="red", size="S"),
        item("B", groupId="g", colour="red", size="S"),
        item("C", groupId="g", colour="blue"),
    ]
    assert said(Read(tmp_path / "a.csv", table(SUPPLIER, *rows))) == [
        ("duplicate_variant", "colour", "red"),
        ("duplicate_variant", "colour", "red"),
        ("missing_option_value", "size", None),
    ]


CROSSDOCK = "handle title sku weight |weight unit| |weight grams| length |length unit| |order minimum| |order maximum|"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"weight": "2"}, ("missing_unit", "weight", "2")),
        ({"weight": "2", "weight unit": "kg", "weight grams": "3"}, ("contradictory_weight", "weight", "2")),
        ({"order minimum": "5", "order maximum": "2"}, ("invalid_order_limits", "order maximum", "2")),
    ],
)
def test_values_of_several_columns_name_one_of_them(
    tmp_path: Path, cells: dict[str, str], expected: tuple[str, str | None, str | None]
) -> None:
    row = {"handle": "a", "title": "A", "sku": "A"} | cells
    assert the_fault(Read(tmp_path / "a.csv", table(CROSSDOCK, row), profile="crossdock")) == expected


def test_no_fault_names_a_column_that_the_file_has_not(tmp_path: Path) -> None:
    for columns, rows in ((WOO, [CAP | {"Stock": "x"}]), (MAGENTO, [child("A", qty="x")])):
        read = Read(tmp_path / "a.csv", table(columns, *rows))
        own = set(read.source.original.header)  # type: ignore[attr-defined]
        faults: list[RowError] = read.reasons
        assert faults
        assert {fault.column for fault in faults} <= own


def test_all_that_is_wrong_with_a_product_and_its_variants_is_said_at_once(tmp_path: Path) -> None:
    rows = [
        PULLOVER | {"Images": "nowhere"},
        variation("a", "pull", "Blue") | {"Regular price": "x", "Stock": "y"},
        variation("b", "pull", "Green"),
    ]
    assert said(Read(tmp_path / "a.csv", table(WOO, *rows))) == [
        ("invalid_url", "Images", "nowhere"),
        ("product_refused", None, None),
        ("invalid_price", "Regular price", "x"),
        ("invalid_integer", "Stock", "y"),
        ("product_refused", None, None),
    ]
