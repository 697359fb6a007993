"""What is read in columns is what would have been read row by row: to the value, and to the last remark."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.catalog.repository.staging import Stored
from services.catalog.use_cases.product_sheets import NewProducts
from services.catalog.use_cases.resolution import resolve
from shared.contracts.catalog.attributes import AttributeDraft, DefineAttribute
from shared.contracts.platform.imports import Import
from shared.identifiers import new_id
from shared.impex.errors import UnreadableFile
from shared.impex.products import Chunk, ProductFile
from shared.impex.profiles import crossdock
from shared.impex.sheets import SheetProduct, SheetReader
from shared.impex.source import CsvSource, spooled
from tests.factories.catalog import SHOPIFY, Catalog, csv_file, shopify_row

_WORDS = ("", "", "", "Red", "red", "S", " M ", "ß", "ss", "\u3000wide\u0085", "two\nlines", 'q"uote', "back\\slash")
_NUMBERS = ("", "0", "1", "1.50", "1,50", "19.9", "1,234", "-3", "007", "12.0", "2.5", "1e3", "99999999999999", "x")
_FLAGS = ("", "true", "FALSE", "yes", "0", "ja", "perhaps", " ")
_URLS = ("", "https://a.example/1.jpg", "https://a.example/2.jpg", " https://a.example/1.jpg ", "ftp://no", "https://")
_BARCODES = ("", "4006381333931", "'4006381333931", "0-12345-67890-5", "4006381333932", "12")
_TITLES = ("", "", "Scarf", " Scarf ", "Other", "  ")
_CELLS = {
    "Handle": ("scarf", "scarf", "kettle", "lamp", "", "Big Lamp"),
    "Title": _TITLES,
    "Option1 Name": ("", "Size", "Title", "Size"),
    "Option1 Value": ("", "S", "M", "L", "s", "Default Title"),
    "Option2 Name": ("", "", "Colour"),
    "Option2 Value": ("", "", "Red", "Blue"),
    "Variant SKU": ("", *(f"SKU-{n}" for n in range(12)), " SKU-1 "),
    "Status": ("", "active", "Draft", "archived", "unlisted", "gone"),
    "Published": _FLAGS,
    "Tags": ("", "a, b, A", "one"),
    "Product Category": ("", "Home > Living", "1234", "Home >"),
    "Collection": ("", "Winter"),
    "Variant Inventory Policy": ("", "deny", "CONTINUE", "never"),
    "Image Position": ("", "1", "3", "0", "x"),
    "Variant Barcode": _BARCODES,
    "Image Src": _URLS,
    "Variant Image": _URLS,
    "Gift Card": _FLAGS,
    "Variant Taxable": _FLAGS,
    "Variant Requires Shipping": _FLAGS,
    **dict.fromkeys(("Variant Price", "Variant Compare At Price", "Cost per item", "Variant Grams"), _NUMBERS),
    "Variant Inventory Qty": _NUMBERS,
    "Variant Weight Unit": ("", "", "kg", "LB", "oz", "stone", " "),
    **dict.fromkeys(
        ("Body (HTML)", "Vendor", "Type", "SEO Title", "Image Alt Text", "Fabric (product.metafields.a.b)"), _WORDS
    ),
}
_OF_CROSSDOCK = {
    "handle": _CELLS["Handle"],
    "title": _TITLES,
    "tags": ("", "a | b | A", "x\\|y", "one"),
    "status": ("", "active", "Draft", "gone"),
    "categories": ("", "Home > Living | Gifts", "A\\>B", " > "),
    "attributes": ("", "fibre=wool | care=hand wash", "broken", "a=b\\=c", "=x"),
    "images": ("", "https://a.example/1.jpg | https://a.example/2.jpg", "https://a.example/1.jpg||", "no"),
    "image texts": ("", "one | two", " | second"),
    "option 1 name": ("", "Size", "Size"),
    "option 1 value": ("", "S", "M", "s"),
    "option 2 name": ("", "", "Colour"),
    "option 2 value": ("", "", "Red"),
    "sku": _CELLS["Variant SKU"],
    "barcode": _BARCODES,
    "stock policy": ("", "standard", "Backorder", "no"),
    "requires shipping": _FLAGS,
    "taxable": _FLAGS,
    "variant image": _URLS,
    **dict.fromkeys(("price", "list price", "cost", "weight grams", "quantity"), _NUMBERS),
    **dict.fromkeys(("description", "brand", "type", "seo title", "seo description", "mpn", "tax code"), _WORDS),
}
_PROFILES = {"shopify": _CELLS, "crossdock": _OF_CROSSDOCK}


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of one of the profiles: some columns, mostly plain cells, and now and then any other."""
    profile = draw(st.sampled_from(sorted(_PROFILES)))
    cells = _PROFILES[profile]
    needed = [name for name in cells if name.casefold() in ("handle", "title", "variant sku", "sku", "variant price")]
    chosen = draw(st.lists(st.sampled_from(sorted(cells)), unique=True, max_size=14))
    header = list(dict.fromkeys([*needed, *chosen]))
    plain = {name: st.sampled_from([cell for cell in cells[name] if cell == cell.strip()][:4]) for name in header}
    rows = draw(
        st.lists(
            st.fixed_dictionaries({name: st.one_of(plain[name], st.sampled_from(cells[name])) for name in header}),
            min_size=1,
            max_size=8,
        )
    )
    numbers = iter(range(100))
    if draw(st.booleans()):
        sku = "Variant SKU" if profile == "shopify" else "sku"
        rows = [{**row, sku: f"OWN-{next(numbers)}"} for row in rows]
    return profile, csv_file(rows, header)


def _read(content: bytes, profile: str, *, in_columns: bool) -> tuple[list[SheetProduct], Chunk]:
    with spooled([content]) as path:
        file = ProductFile(CsvSource.open(path), profile, "USD")
        (chunk,) = file.chunks(1000)
        sheet, left = file.read_sheet(chunk.groups) if in_columns else ([], chunk.groups)
        file.assemble(chunk, left)
    return sheet, chunk


@pytest.mark.feature("CAT-5", "CAT-7")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files())
def test_columns_and_rows_say_the_same_of_a_file(made: tuple[str, bytes]) -> None:
    profile, content = made
    try:
        sheet, rest = _read(content, profile, in_columns=True)
    except UnreadableFile:
        return
    _, whole = _read(content, profile, in_columns=False)
    assert (rest.errors, rest.notices) == (whole.errors, whole.notices)
    taken = {product.group.handle for product in sheet}
    assert rest.products == [record for record in whole.products if record.handle not in taken]
    resolved = resolve(
        [record for record in whole.products if record.handle in taken], Stored({}, {}), "merge"
    ).products
    assert [product.record.handle for product in resolved] == [product.group.handle for product in sheet]
    new = NewProducts([new_id() for _ in sheet], sheet)
    assert list(map(_comparable, new.product_rows())) == [_comparable(product.row()) for product in resolved]
    staged = [variant.row(product.id) for product in resolved for variant in product.variants]
    assert [_without_ids(row) for row in new.variant_rows()] == [_without_ids(row) for row in staged]
    assert [product.categories for product in sheet] == [product.record.categories for product in resolved]
    stock = [(v.quantity, v.stock_policy) for product in sheet for v in product.variants]
    assert stock == [(v.record.quantity, v.record.stock_policy) for product in resolved for v in product.variants]


def _comparable(row: Sequence[Any]) -> Any:
    *fields, attributes, images = row[2:]
    return (*fields, orjson.loads(attributes), orjson.loads(images or "null"))


def _without_ids(row: Sequence[Any]) -> Any:
    return (row[1], *row[3:])


def test_a_plain_file_is_read_in_columns() -> None:
    """The property above would hold of a reader that reads nothing."""
    for profile, content in (("shopify", _shopify_file()), ("crossdock", _crossdock_file())):
        sheet, rest = _read(content, profile, in_columns=True)
        assert [product.group.handle for product in sheet] == ["scarf", "kettle"]
        assert (rest.products, rest.errors) == ([], [])
        assert [len(product.variants) for product in sheet] == [2, 1]


def _shopify_file() -> bytes:
    size = {"option": "Size", "quantity": "3", "barcode": "4006381333931", "image": "https://a.example/1.jpg"}
    rows = [
        shopify_row("scarf", sku="S", value="S", list_price="12.00", collection="Winter", **size),
        shopify_row("scarf", sku="M", title="", published="", value="M", **{**size, "option": ""}),
        shopify_row("kettle", grams="900", tags="steel, new"),
    ]
    return csv_file(rows, SHOPIFY)


def _crossdock_file(header: Sequence[str] = tuple(_OF_CROSSDOCK)) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, restval="")
    writer.writeheader()
    plain = {"handle": "scarf", "option 1 name": "Size", "price": "12.00", "quantity": "4"}
    writer.writerow({**plain, "title": "Scarf", "option 1 value": "S", "sku": "S", "attributes": "fibre=wool"})
    writer.writerow({**plain, "option 1 value": "M", "sku": "M"})
    writer.writerow({"handle": "kettle", "title": "Kettle", "sku": "K", "images": "https://a.example/1.jpg"})
    return text.getvalue().encode()


def test_a_file_with_a_column_that_is_not_known_here_goes_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.impex.sheets._VARIANT_FIELDS", ("price", "quantity"))
    sheet, rest = _read(_crossdock_file(), "crossdock", in_columns=True)
    assert sheet == []
    assert [record.handle for record in rest.products] == ["scarf", "kettle"]


def test_a_file_in_full_goes_by_rows() -> None:
    sheet, rest = _read(_crossdock_file(crossdock.HEADER), "crossdock", in_columns=True)
    assert sheet == []
    assert [record.handle for record in rest.products] == ["scarf", "kettle"]


# --- in the database


_COMPARED = {
    "products": "slug, title, description_html, brand, product_type, tags, status, options, images, attributes",
    "variants": "sku, position, option_values, option_key, barcode, mpn, weight_grams, taxable, image_url",
    "prices": "price, list_price, minimum_quantity",
    "categories": "slug, name",
    "import_fingerprints": "variants, prices",
}


async def _outcome(catalog: Catalog, done: Import) -> dict[str, Any]:
    kept = {
        table: [tuple(row) for row in await catalog.rows(f"SELECT {columns} FROM {table} ORDER BY {columns}")]
        for table, columns in _COMPARED.items()
    }
    kept["placed"] = [
        tuple(row)
        for row in await catalog.rows(
            "SELECT p.slug, c.slug FROM product_categories m JOIN products p ON p.id = m.product_id"
            " JOIN categories c ON c.id = m.category_id ORDER BY 1, 2"
        )
    ]
    kept["remarks"] = [
        tuple(row)
        for row in await catalog.rows(
            "SELECT is_error, row_number, column_name, value, code FROM import_remarks WHERE import_id = $1"
            " ORDER BY 1, 2, 5",
            done.id,
        )
    ]
    stock = await catalog.events("stock_file_imported")
    changed = await catalog.events("products_changed")
    kept["announced"] = ([event["rows"] for event in stock], [len(event["product_ids"]) for event in changed])
    kept["counters"] = {name: count for name, count in done.counters.items() if count}
    return kept


@pytest.mark.feature("CAT-5", "CAT-7", "CAT-8")
@pytest.mark.parametrize("mode", ["merge", "insert-only", "update-only", "replace"])
@pytest.mark.parametrize("profile", ["shopify", "crossdock"])
async def test_both_ways_leave_the_same_in_the_catalog(
    process: Any, monkeypatch: pytest.MonkeyPatch, profile: str, mode: str
) -> None:
    files_ = {"shopify": _shopify_file(), "crossdock": _crossdock_file()}
    broken = {
        "shopify": csv_file([shopify_row("lamp", price="oops"), shopify_row("bowl", sku="")], SHOPIFY).split(b"\n", 1)[
            1
        ],
        "crossdock": b"lamp,Lamp" + b"," * 31 + b"\n",
    }
    outcomes = []
    for in_columns in (True, False):
        if not in_columns:
            monkeypatch.setattr(SheetReader, "can_read", False)
        catalog = Catalog(process)
        await catalog.open_shop()
        await catalog.ask(DefineAttribute(draft=AttributeDraft(code="number", label="Number", type="integer")))
        seen = []
        for content in (
            files_[profile],
            files_[profile] + broken[profile],
            files_[profile].replace(b"12.00", b"13.00"),
        ):
            done = await catalog.bring_in(content, shop="main", profile=profile, mode=mode)
            seen.append(await _outcome(catalog, done))
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


@pytest.mark.feature("CAT-1", "CAT-5")
async def test_values_of_defined_attributes_are_checked(shop_catalog: Catalog) -> None:
    await shop_catalog.ask(DefineAttribute(draft=AttributeDraft(code="fibres", label="Fibres", type="integer")))
    header = b"handle,title,sku,attributes\n"
    done = await shop_catalog.bring_in(
        header + b"a,A,A-1,fibres=007\nb,B,B-1,fibres=many\nc,C,C-1,other=many\n", shop="main", profile="crossdock"
    )
    assert (done.counters["products_inserted"], done.counters["errors"]) == (2, 1)
    rows = await shop_catalog.rows("SELECT slug, attributes FROM products ORDER BY slug")
    assert [(row["slug"], orjson.loads(row["attributes"])) for row in rows] == [
        ("a", {"fibres": "7"}),
        ("c", {"other": "many"}),
    ]


def test_rows_torn_from_their_product_are_not_read_in_columns() -> None:
    """A repeated product in one file is torn apart, and never read in columns."""
    content = b"handle,title,sku\na,A,A-1\nb,B,B-1\na,A,A-2\n"
    sheet, rest = _read(content, "crossdock", in_columns=True)
    assert [(product.group.handle, len(product.variants)) for product in sheet] == [("a", 1), ("b", 1)]
    assert [error.code for error in rest.errors] == ["split_product"]
