"""WooCommerce, Magento and supplier files: rows that belong together wherever they stand, columns as their systems mean
them. The files have the structure of those systems' own exports."""

import csv
import io
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.errors import CrossdockError
from shared.impex import errors
from shared.impex.error_file import write_error_file
from shared.impex.opening import ReadingOptions, open_source
from shared.impex.products import ProductFile
from shared.impex.refusals import Refusals
from shared.impex.rows import Notice, ProductRecord, RowError, SaleRecord, TextRecord, VariantRecord
from shared.impex.terms import UNSAID, FileTerms
from shared.measures import Dimensions, Weight
from shared.money import Money

pytestmark = pytest.mark.feature("CAT-5")

WOO = """ID Type SKU |GTIN, UPC, EAN, or ISBN| Name Published |Is featured?| |Visibility in catalog| |Short description|
Description |Date sale price starts| |Date sale price ends| |Tax status| |Tax class| |In stock?| Stock
|Low stock amount|
|Backorders allowed?| |Sold individually?| |Weight (kg)| |Length (cm)| |Width (cm)| |Height (cm)|
|Allow customer reviews?| |Purchase note| |Sale price| |Regular price| Categories Tags |Shipping class| Images
|Download limit| |Download expiry days| Parent |Grouped products| Upsells Cross-sells |External URL| |Button text|
Position Brands |Attribute 1 name| |Attribute 1 value(s)| |Attribute 1 visible| |Attribute 1 global|
|Attribute 1 default| |Attribute 2 name| |Attribute 2 value(s)| |Attribute 2 visible| |Attribute 2 global|
|Meta: _plugin_thing|"""
MAGENTO = """sku store_view_code attribute_set_code product_type categories product_websites name description
short_description weight product_online tax_class_name visibility price special_price special_price_from_date
special_price_to_date url_key meta_title meta_keywords meta_description base_image base_image_label small_image
additional_images additional_image_labels created_at additional_attributes qty is_in_stock manage_stock allow_backorders
use_config_backorders website_id configurable_variations configurable_variation_labels"""
SUPPLIER = """vendorSku name brand msrp defaultCost language isVisible images UPC EAN ISBN ITF-14 groupId colour size
attributes weight height width categories"""


def headings(text: str) -> list[str]:
    return next(csv.reader([text.replace("\n", " ")], delimiter=" ", quotechar="|"))


def table(columns: str, *rows: dict[str, str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, headings(columns), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class Read:
    """What a file says."""

    def __init__(self, path: Path, content: bytes, profile: str | None = None, terms: FileTerms = UNSAID) -> None:
        path.write_bytes(content)
        self.source = open_source(path, ReadingOptions(profile=profile, terms=terms))
        self.file = ProductFile(self.source, profile, "USD")
        said = list(self.file.read())
        self.products = {one.handle: one for one in said if isinstance(one, ProductRecord)}
        self.errors = [(one.row, one.code) for one in said if isinstance(one, RowError)]
        self.notices = {one.code: one.message for one in said if isinstance(one, Notice)}
        self.reasons = sorted((one for one in said if isinstance(one, RowError)), key=lambda one: one.row)

    def variant(self, sku: str) -> VariantRecord:
        return next(v for product in self.products.values() for v in product.variants if v.sku == sku)

    def error_file(self) -> list[dict[str, str]]:
        file = io.BytesIO()
        write_error_file(self.source, self.file.layout, Refusals(self.reasons), file)
        return list(csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline="")))


def sale(cents: int, starts_at: datetime, ends_at: datetime | None = None) -> SaleRecord:
    return SaleRecord(Money(amount=cents, currency="USD"), starts_at, ends_at)


def woo(kind: str, sku: str, name: str, **cells: str) -> dict[str, str]:
    own = {key.replace("_", " ").capitalize(): cell for key, cell in cells.items()}
    return {"Type": kind, "SKU": sku, "Name": name, "Published": "1", "Tax status": "taxable", **own}


def variation(sku: str, parent: str, value: str, **cells: str) -> dict[str, str]:
    return {
        **woo("variation", sku, f"Pullover - {value}", parent=parent, **cells),
        "Attribute 1 name": "Colour",
        "Attribute 1 value(s)": value,
    }


PULLOVER = {
    **woo("variable", "pull", "Pullover", description="<p>Warm</p>", categories="Clothing > Knits, Sale"),
    "ID": "11",
    "Published": "0",
    "Attribute 1 name": "Colour",
    "Attribute 1 value(s)": "Blue, Green",
    "Attribute 2 name": "Fabric",
    "Attribute 2 value(s)": "Wool",
    "Images": "https://shop.example/p.jpg",
}
CAP = {
    **woo("simple, virtual", "cap", "Cap, striped", short_description="Soft.", categories="Clothing > Hats\\, Caps"),
    "Sale price": "16",
    "Regular price": "18",
    "Stock": "12",
    "Backorders allowed?": "notify",
    "Weight (kg)": "0,25",
    "Length (cm)": "28,5",
    "Height (cm)": "12",
    "Tags": "sun, head",
    "Images": "https://shop.example/a.jpg, https://shop.example/b.jpg",
    "Brands": "Sunco, Two",
    "GTIN, UPC, EAN, or ISBN": "4006381333931",
    "Attribute 1 name": "Colour",
    "Attribute 1 value(s)": "Red, White",
    "Meta: _plugin_thing": "x",
}


def test_a_woocommerce_file_is_read_as_its_system_means_it(tmp_path: Path) -> None:
    blue = variation("pull-blue", "pull", "Blue", sale_price="42", regular_price="45", images="https://x.example/b.jpg")
    green = {**variation("pull-green", "id:11", "Green", regular_price="45"), "In stock?": "0", "Published": "-1"}
    dated = {
        **woo("simple", "s", "Sun hat"),
        "Regular price": "9",
        "Sale price": "5",
        "Date sale price ends": "2026-12-01",
    }
    read = Read(tmp_path / "a.csv", table(WOO, blue, CAP, PULLOVER, dated, green))
    assert (read.file.profile.name, read.errors) == ("woocommerce", [])

    cap = read.products["cap-striped"]
    assert (cap.title, cap.description_html, cap.brand, cap.tags, cap.status) == (
        *("Cap, striped", "Soft.", "Sunco", ("sun", "head"), "active"),
    )
    assert (cap.categories, cap.attributes) == ((("Clothing", "Hats, Caps"),), (("Colour", "Red, White"),))
    assert [image.url[-5:] for image in cap.images] == ["a.jpg", "b.jpg"]
    [variant] = cap.variants
    assert (variant.price.amount, variant.list_price.amount, variant.quantity) == (1600, 1800, 12)  # type: ignore[union-attr]
    assert (variant.stock_policy, variant.weight_grams, variant.requires_shipping) == ("backorder", 250, False)
    assert variant.dimensions == Dimensions(length=Decimal("28.5"), height=Decimal(12), unit="cm")
    assert read.variant("s").dimensions is None
    assert (variant.barcode, variant.taxable) == ("4006381333931", True)

    pullover = read.products["pullover"]
    assert (pullover.rows, pullover.status, pullover.option_names) == ((4, 2, 6), "paused", ("Colour",))
    assert (pullover.title, pullover.attributes) == ("Pullover", (("Fabric", "Wool"),))
    assert pullover.categories == (("Clothing", "Knits"), ("Sale",))
    assert [(v.sku, v.option_values, v.quantity) for v in pullover.variants] == [
        ("pull-blue", ("Blue",), None),
        ("pull-green", ("Green",), 0),
    ]
    assert read.variant("pull-blue").image_url == "https://x.example/b.jpg"
    assert (read.variant("s").price.amount, read.variant("s").list_price) == (900, None)  # type: ignore[union-attr]
    assert read.variant("s").sale == sale(500, datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC))
    assert read.variant("cap").sale is None
    assert "Upsells" in read.notices["columns_not_kept"]
    assert "unknown_column" in read.notices


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        # A day is one of the uploader's time zone; clocks went back on 25 October. The last day counts.
        ("2026-10-20", "2026-10-25", ((2026, 10, 19, 23), (2026, 10, 26, 0))),
        # As WooCommerce's exporter writes a time.
        ("2026-10-20 0:00:00", "2026-11-25 23:59:59", ((2026, 10, 19, 23), (2026, 11, 25, 23, 59, 59))),
        ("2026-11-01T10:00:00+01:00", "", ((2026, 11, 1, 9), None)),
        ("11/1/2026", "11/2/26", ((2026, 11, 1), (2026, 11, 3))),
    ],
)
def test_a_sale_with_dates_is_a_price_of_its_own(
    tmp_path: Path, starts: str, ends: str, expected: tuple[tuple[int, ...], tuple[int, ...] | None]
) -> None:
    row = {**woo("simple", "s", "Hat", regular_price="9", sale_price="5")}
    row |= {"Date sale price starts": starts, "Date sale price ends": ends}
    read = Read(tmp_path / "a.csv", table(WOO, row), terms=FileTerms(time_zone="Europe/Lisbon"))
    begin, end = (None if parts is None else datetime(*parts, tzinfo=UTC) for parts in expected)  # type: ignore[misc, arg-type]
    assert read.errors == []
    assert begin is not None
    assert read.variant("s").sale == sale(500, begin, end)


def test_a_sale_that_cannot_be_is_an_error_of_its_row(tmp_path: Path) -> None:
    def row(sku: str, starts: str, ends: str) -> dict[str, str]:
        dates = {"Date sale price starts": starts, "Date sale price ends": ends}
        return {**woo("simple", sku, sku, regular_price="9", sale_price="5"), **dates}

    rows = [row("a", "2026-12-02", "2026-12-01"), row("b", "soon", ""), row("c", "31/12/2026", ""), row("d", "", "")]
    read = Read(tmp_path / "a.csv", table(WOO, *rows))
    assert sorted(read.errors) == [(2, "invalid_sale_dates"), (3, "invalid_moment"), (4, "invalid_moment")]
    assert (read.variant("d").price, read.variant("d").sale) == (Money(amount=500, currency="USD"), None)
    assert [line["SKU"] for line in read.error_file()] == ["a", "b", "c"]


@pytest.mark.feature("CAT-7")
def test_a_refused_variation_comes_back_with_its_product(tmp_path: Path) -> None:
    rows = [
        variation("pull-blue", "pull", "Blue", regular_price="x"),
        CAP,
        variation("pull-green", "pull", "Green", regular_price="45"),
        PULLOVER,
        variation("lost", "nowhere", "Red"),
        variation("orphan", "", "Red"),
        woo("grouped", "set", "Set"),
        woo("simple", "none", ""),
        {**woo("simple", "heavy", "Heavy"), "Weight (kg)": "much"},
    ]
    read = Read(tmp_path / "a.csv", table(WOO, *rows))
    assert sorted(read.errors) == [
        *((2, "invalid_price"), (6, "unknown_parent"), (7, "missing_parent"), (8, "unsupported_type")),
        *((9, "missing_handle"), (10, "invalid_weight")),
    ]
    assert [v.sku for v in read.products["pullover"].variants] == ["pull-green"]
    back = read.error_file()
    assert set(back[0]) == {"error_code", "error_message", *headings(WOO)}
    assert {(row["SKU"], row["error_code"]) for row in back} >= {("pull", ""), ("pull-blue", "invalid_price")}
    corrected = [{k: v for k, v in row.items() if k not in ("error_code", "error_message")} for row in back[:2]]
    corrected[1]["Regular price"] = "45"
    again = Read(tmp_path / "b.csv", table(WOO, *corrected))
    assert (again.errors, again.variant("pull-blue").option_values) == ([], ("Blue",))


def test_products_of_the_same_name_have_handles_of_their_own(tmp_path: Path) -> None:
    read = Read(tmp_path / "a.csv", table(WOO, woo("simple", "A", "Mug"), woo("simple", "B", "Mug")))
    assert {handle: product.variants[0].sku for handle, product in read.products.items()} == {"mug": "A", "mug-b": "B"}


@pytest.mark.feature("CAT-7")
def test_more_options_than_three_are_refused_with_the_whole_product(tmp_path: Path) -> None:
    columns = WOO + " |Attribute 3 name| |Attribute 3 value(s)| |Attribute 4 name| |Attribute 4 value(s)|"
    options = {f"Attribute {n} name": f"o{n}" for n in range(1, 5)}
    values = {f"Attribute {n} value(s)": "x" for n in range(1, 5)}
    rows = [{**PULLOVER, **options}, {**woo("variation", "v", "V", parent="pull"), **options, **values}]
    assert Read(tmp_path / "a.csv", table(columns, *rows)).errors == [(2, "too_many_options"), (3, "too_many_options")]


BAG = {
    "sku": "BAG1",
    "product_type": "simple",
    "categories": "Default Category/Gear/Bags,Default Category/A\\/B",
    "name": "Duffle",
    "description": "<p>Big</p>",
    "product_online": "1",
    "visibility": "Catalog, Search",
    "price": "34.0000",
    "special_price": "29.000000",
    "url_key": "duffle",
    "qty": "100.0000",
    "is_in_stock": "1",
    "manage_stock": "1",
    "allow_backorders": "0",
    "use_config_backorders": "0",
    "base_image": "/m/b/x.jpg",
    "additional_images": "https://x.example/1.jpg",
    "additional_image_labels": "One",
    "meta_title": "Duffle!",
    "additional_attributes": 'activity=Gym|Travel,features=Wheels, handles,care="wash, ""cold""",'
    "manufacturer=Skerry,ean=4006381333931",
    "tax_class_name": "Taxable Goods",
}


def child(sku: str, **cells: str) -> dict[str, str]:
    hidden = "Not Visible Individually"
    return {"sku": sku, "product_type": "simple", "name": sku, "product_online": "1", "visibility": hidden, **cells}


HOODIE = {
    "sku": "MH",
    "product_type": "configurable",
    "name": "Hoodie",
    "product_online": "1",
    "price": "52",
    "visibility": "Catalog, Search",
    "additional_attributes": "material=Wool",
    "url_key": "hoodie",
    "configurable_variations": "sku=MH-S,size=S,color=Black|sku=mh-m,size=M,color=Black|sku=not-here,size=L,color=Red",
    "configurable_variation_labels": "size=Size,color=Colour",
}


def test_a_magento_file_is_read_as_its_system_means_it(tmp_path: Path) -> None:
    rows = [
        child("MH-S", price="52.00", qty="5", is_in_stock="1", allow_backorders="1", use_config_backorders="0"),
        BAG,
        child("alone", price="1", manage_stock="0", qty="3"),
        HOODIE,
        child("MH-M", price="53.5000", qty="4", is_in_stock="0", product_type="virtual"),
    ]
    read = Read(tmp_path / "a.csv", table(MAGENTO, *rows))
    assert (read.file.profile.name, read.errors) == ("magento", [])
    bag = read.products["duffle"]
    assert (bag.title, bag.brand, bag.status, bag.seo_title) == ("Duffle", "Skerry", "active", "Duffle!")
    assert bag.categories == (("Gear", "Bags"), ("A/B",))
    assert bag.attributes == (("activity", "Gym|Travel"), ("features", "Wheels, handles"), ("care", 'wash, "cold"'))
    assert [(image.url, image.alt) for image in bag.images] == [("https://x.example/1.jpg", "One")]
    [variant] = bag.variants
    assert (variant.price.amount, variant.list_price.amount, variant.quantity) == (2900, 3400, 100)  # type: ignore[union-attr]
    assert (variant.barcode, variant.tax_code, variant.stock_policy) == ("4006381333931", "Taxable Goods", "standard")

    hoodie = read.products["hoodie"]
    assert (hoodie.rows, hoodie.option_names, hoodie.attributes) == (
        (5, 2, 6),
        ("Size", "Colour"),
        (("material", "Wool"),),
    )
    assert [(v.sku, v.option_values, v.quantity, v.stock_policy, v.requires_shipping) for v in hoodie.variants] == [
        ("MH-S", ("S", "Black"), 5, "backorder", None),
        ("MH-M", ("M", "Black"), 0, None, False),
    ]
    assert (read.products["alone"].status, read.variant("alone").quantity) == ("paused", None)
    assert "weights_not_kept" not in read.notices
    assert "Pictures of 1 rows" in read.notices["paths_not_kept"]
    assert "own folder" in read.notices["path_not_kept"]


def test_what_a_magento_file_leaves_open_its_import_says(tmp_path: Path) -> None:
    hat = {**BAG, "sku": "HAT", "url_key": "hat", "weight": "0.500000", "base_image": "no_selection"}
    dates = {"special_price_from_date": "11/1/26, 12:00 AM", "special_price_to_date": "2026-11-30 00:00:00"}
    rows = [{**BAG, "base_image": "/m/b/a b.jpg", "weight": "2", **dates}, hat]
    silent = Read(tmp_path / "a.csv", table(MAGENTO, *rows))
    assert "Weights of 2 rows" in silent.notices["weights_not_kept"]
    assert "Pictures of 1 rows" in silent.notices["paths_not_kept"]
    assert silent.variant("HAT").weight_grams is None

    terms = FileTerms("lb", "https://shop.example/media/catalog/product/", "America/New_York")
    read = Read(tmp_path / "b.csv", table(MAGENTO, *rows), terms=terms)
    assert (read.errors, read.notices.keys() & {"weights_not_kept", "paths_not_kept", "path_not_kept"}) == ([], set())
    assert read.variant("HAT").weight == Weight(value=Decimal("0.5"), unit="lb")
    assert (read.variant("HAT").weight_grams, read.variant("HAT").sale) == (227, None)
    addresses = ["https://shop.example/media/catalog/product/m/b/a%20b.jpg", "https://x.example/1.jpg"]
    assert [image.url for image in read.products["duffle"].images] == addresses
    assert [image.url for image in read.products["hat"].images] == addresses[1:]
    bag = read.variant("BAG1")
    assert (bag.price, bag.list_price) == (Money(amount=3400, currency="USD"), None)
    assert bag.sale == sale(2900, datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 12, 1, 5, tzinfo=UTC))


def test_store_views_of_magento_are_texts_in_their_languages(tmp_path: Path) -> None:
    """Wherever their rows stand; variants have no texts."""
    rows = [
        {
            "sku": "MH",
            "store_view_code": "de_DE",
            "name": "Kapuzenpullover",
            "short_description": "Warm.",
            "price": "9",
        },
        child("MH-S", price="52.00"),
        HOODIE,
        {"sku": "bag1", "store_view_code": "pt-br", "name": "Mala", "meta_title": "Mala!"},
        {"sku": "MH-S", "store_view_code": "de_DE", "name": "Kapuzenpullover S"},
        BAG,
        {"sku": "MH", "store_view_code": "de_DE", "name": "Noch einmal"},
        {"sku": "MH", "store_view_code": "outlet", "name": "Cheap"},
        {"sku": "none", "store_view_code": "de_DE", "name": "Keiner"},
        {"sku": "SET", "product_type": "bundle", "name": "Set"},
        {"sku": "SET", "store_view_code": "de_DE", "name": "Satz"},
    ]
    read = Read(tmp_path / "a.csv", table(MAGENTO, *rows))
    assert sorted(read.errors) == [
        *((8, "duplicate_key"), (9, "store_view_row"), (10, "unknown_product"), (11, "unsupported_type")),
        (12, "product_refused"),
    ]
    hoodie, bag = read.products["hoodie"], read.products["duffle"]
    assert hoodie.texts == (TextRecord("de-DE", title="Kapuzenpullover", description_html="Warm."),)
    assert bag.texts == (TextRecord("pt-BR", title="Mala", seo_title="Mala!"),)
    assert (hoodie.title, [v.sku for v in hoodie.variants], bag.title) == ("Hoodie", ["MH-S"], "Duffle")
    assert "'de_DE' in de-DE, 'pt-br' in pt-BR" in read.notices["store_views_taken"]
    assert [row["error_code"] for row in read.error_file() if row["sku"] == "none"] == ["unknown_product"]


@pytest.mark.feature("CAT-7")
def test_what_magento_has_and_we_have_not_is_refused_by_row(tmp_path: Path) -> None:
    rows = [
        HOODIE,
        child("MH-S", price="x"),
        {**HOODIE, "store_view_code": "outlet"},
        {"sku": "SET", "product_type": "bundle", "name": "Set"},
        {**HOODIE, "sku": "OTHER", "url_key": "other"},
        {"sku": "nameless", "product_type": "simple"},
        child("mh-m", price="1"),
    ]
    read = Read(tmp_path / "a.csv", table(MAGENTO, *rows))
    assert sorted(read.errors) == [
        *((3, "invalid_price"), (4, "store_view_row"), (5, "unsupported_type"), (6, "variant_of_two_products")),
        (7, "missing_handle"),
    ]
    assert [(row["sku"], row["error_code"]) for row in read.error_file()][:2] == [("MH", ""), ("MH-S", "invalid_price")]


def test_variants_of_a_refused_product_are_refused_with_it(tmp_path: Path) -> None:
    many = {**HOODIE, "configurable_variations": "sku=MH-S,a=1,b=2,c=3,d=4"}
    read = Read(tmp_path / "a.csv", table(MAGENTO, child("MH-S"), many))
    assert sorted(read.errors) == [(2, "too_many_options"), (3, "too_many_options")]
    orphaned = {**HOODIE, "name": "", "url_key": ""}
    read = Read(tmp_path / "b.csv", table(MAGENTO, child("MH-S"), orphaned))
    assert not read.products
    assert {row for row, _ in read.errors} == {2, 3}


def item(sku: str, name: str = "Scarf", **cells: str) -> dict[str, str]:
    return {"vendorSku": sku, "name": name, "brand": "Skerry", "msrp": "29.90", "defaultCost": "12", **cells}


def test_a_supplier_file_is_read_as_its_system_means_it(tmp_path: Path) -> None:
    red = item("A-1", groupId="G1", colour="Red", EAN="4006381333931", attributes="fibre=wool; care=hand wash")
    red |= {"images": "https://x.example/1.jpg https://x.example/2.jpg", "categories": "Home > Textile; Gifts"}
    red |= {"weight": "1.5 kg", "height": "20 cm", "width": "7", "language": "en"}
    rows = [red, item("B-1", "Mug", isVisible="false"), item("A-2", groupId="G1", colour="Blue"), item("00C", "Pot")]
    read = Read(tmp_path / "a.csv", table(SUPPLIER, *rows))
    assert (read.file.profile.name, read.errors) == ("supplier", [])
    scarf = read.products["scarf-g1"]
    assert (scarf.rows, scarf.brand, scarf.option_names, scarf.status) == ((2, 4), "Skerry", ("Colour",), None)
    assert scarf.categories == (("Home", "Textile"), ("Gifts",))
    assert scarf.attributes == (("width", "7"), ("fibre", "wool"), ("care", "hand wash"))
    assert (read.variant("A-1").weight_grams, read.variant("B-1").dimensions) == (1500, None)
    assert read.variant("A-1").dimensions == Dimensions(height=Decimal(20), unit="cm")
    assert [(v.sku, v.option_values, v.barcode) for v in scarf.variants] == [
        ("A-1", ("Red",), "4006381333931"),
        ("A-2", ("Blue",), None),
    ]
    assert (read.variant("A-1").price.amount, read.variant("A-1").cost.amount) == (2990, 1200)  # type: ignore[union-attr]
    assert (read.products["mug-b-1"].status, read.variant("00C").sku) == ("paused", "00C")
    assert (scarf.language, scarf.texts) == ("en", (TextRecord("en", title="Scarf"),))
    assert read.products["mug-b-1"].language is None
    assert read.variant("A-1").weight == Weight(value=Decimal("1.5"), unit="kg")


def test_a_supplier_s_weights_without_a_unit_are_in_that_of_the_import(tmp_path: Path) -> None:
    rows = [item("A", weight="2"), item("B", "Mug", weight="3 oz"), item("C", "Pot")]
    read = Read(tmp_path / "a.csv", table(SUPPLIER, *rows), terms=FileTerms(weight_unit="kg"))
    weights = [read.variant(sku).weight for sku in "ABC"]
    assert weights == [Weight(value=Decimal(2), unit="kg"), Weight(value=Decimal(3), unit="oz"), None]
    assert read.errors == []


def test_a_language_that_there_is_not_refuses_its_row(tmp_path: Path) -> None:
    rows = [item("A", language="Klingonish"), item("B", "Mug", language="pt_br")]
    read = Read(tmp_path / "a.csv", table(SUPPLIER, *rows))
    assert read.errors == [(2, "invalid_language")]
    assert read.products["mug-b"].texts == (TextRecord("pt-BR", title="Mug"),)


def test_a_supplier_s_item_may_come_in_several_languages(tmp_path: Path) -> None:
    rows = [
        item("A", language="en", groupId="g", size="S"),
        item("B", language="en", groupId="g", size="M"),
        item("A", "Schal", language="de", groupId="g", msrp="1"),
        item("B", "Schal M", language="de", groupId="g"),
        item("C", "Mug", language="en"),
        item("C", "Becher", language="de"),
        item("C", "Humpen", language="de"),
        item("D", "Cup"),
        item("D", "Tasse", language="de"),
        item("E", "Pot", language="en", msrp="x"),
        item("E", "Topf", language="de"),
    ]
    read = Read(tmp_path / "a.csv", table(SUPPLIER, *rows))
    assert sorted(read.errors) == [
        *((6, "duplicate_sku"), (7, "product_refused"), (8, "duplicate_sku")),
        *((9, "duplicate_sku"), (10, "duplicate_sku")),
        *((11, "invalid_price"), (12, "product_refused")),
    ]
    scarf = read.products["scarf-g"]
    assert [(variant.sku, variant.price) for variant in scarf.variants] == [
        (sku, Money(amount=2990, currency="USD")) for sku in ("A", "B")
    ]
    assert {text.locale: text.title for text in scarf.texts} == {"en": "Scarf", "de": "Schal"}
    assert read.notices == {}


@pytest.mark.feature("CAT-7")
def test_bad_rows_of_a_supplier_are_refused_by_row(tmp_path: Path) -> None:
    rows = [
        *(
            item("A"),
            item("A"),
            item(""),
            item("B", ""),
            item("C", EAN="4006381333932"),
            item("D", isVisible="perhaps"),
        ),
        *(item("E", groupId="g", size="S"), item("F", groupId="g", size="s"), item("G", attributes="wool")),
        *(item("W", weight="2 stone"), item("X", height="2 cm", width="1 in"), item("Y", height="99999 m")),
        *(item("H", msrp="-1"), item("I", images="file:///etc/passwd"), item("J")),
    ]
    read = Read(tmp_path / "a.csv", table(SUPPLIER, *rows))
    assert {(2, "duplicate_sku"), (3, "duplicate_sku")} < set(read.errors)
    assert sorted(error for error in read.errors if error[0] > 3) == [
        *((4, "missing_sku"), (5, "missing_name"), (6, "invalid_gtin")),
        *((7, "invalid_boolean"), (8, "duplicate_variant"), (9, "duplicate_variant"), (10, "invalid_attribute")),
        *((11, "invalid_weight"), (12, "invalid_dimensions"), (13, "invalid_dimensions")),
        *((14, "negative_price"), (15, "invalid_url")),
    ]
    assert list(read.products) == ["scarf-j"]


@pytest.mark.parametrize(
    ("columns", "profile"),
    [
        (WOO, "woocommerce"),
        ("SKU Name |Regular price|", "woocommerce"),
        (MAGENTO, "magento"),
        ("sku name price url_key", "magento"),
        (SUPPLIER, "supplier"),
        ("vendorSku name", "supplier"),
        ("handle title sku price", "crossdock"),
        ("sku name price handle", "crossdock"),
        ("Handle Title |Variant SKU|", "shopify"),
    ],
)
def test_the_profile_is_seen_in_the_headings(tmp_path: Path, columns: str, profile: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(table(columns, dict.fromkeys(headings(columns), "1")))
    assert ProductFile(open_source(path), None, "USD").profile.name == profile


def test_a_prices_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"vendorSku,sku,price\n1,2,3\n")
    assert open_source(path, ReadingOptions(group="prices")).header == ("vendorSku", "sku", "price")


def test_parents_and_variations_far_apart_take_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    columns = [
        "Type",
        "SKU",
        "Name",
        "Parent",
        "Regular price",
        "Attribute 1 name",
        "Attribute 1 value(s)",
        "Description",
    ]
    count = 25_000
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for n in range(count):
            writer.writerow(["variation", f"v{n}", "", f"p{count - n}", "1", "Size", "S", "x" * 300])
        for n in range(1, count + 1):
            writer.writerow(["variable", f"p{n}", f"Product {n}", "", "", "Size", "S, M", "y" * 300])
    tracemalloc.start()
    try:
        source = open_source(path)
        total = sum(1 for _ in source.records())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 2 * count
    assert peak < 60_000_000, f"{peak >> 20} MB of {path.stat().st_size >> 20} MB"
    del source
    assert [left.name for left in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("columns", [WOO, MAGENTO, SUPPLIER])
def test_a_file_of_headings_alone_is_an_error(tmp_path: Path, columns: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(table(columns))
    with pytest.raises(errors.NoRows):
        open_source(path)


def test_a_named_profile_that_the_headings_are_not_of_is_said(tmp_path: Path) -> None:
    def opened(profile: str) -> Any:
        path = tmp_path / "a.csv"
        path.write_bytes(b"colour,shape\nred,round\n")
        return ProductFile(open_source(path, ReadingOptions(profile=profile)), profile, "USD")

    for profile in ("woocommerce", "magento", "supplier"):
        with pytest.raises(CrossdockError) as raised:
            opened(profile)
        assert raised.value.status == 422
