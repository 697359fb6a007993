"""WooCommerce's product CSV, as its own exporter writes it and its importer reads it.

One row per product, and one per variation, which names its product in `Parent` by SKU or as `id:123` and may stand
anywhere in the file. Source: https://woocommerce.com/document/product-csv-importer-exporter/.

| column | what it is here |
|---|---|
| `Type` | simple, variable, variation, also virtual (not shipped), downloadable; grouped and external are refused |
| `Name` | the title; the product's handle is made of it, with the SKU where two products of a file have the same name |
| `Description`, else `Short description` | the description |
| `Published` | 1 is active, 0 (private) paused, -1 draft |
| `Sale price`, `Regular price` | price and list price |
| `Date sale price starts`, `Date sale price ends` | when the sale price is a price of its own; the last day counts |
| `Stock`, `In stock?` | the quantity; without a figure nothing is said of it, unless it is out of stock |
| `Backorders allowed?` | 1 and notify: backorder |
| `Tax status`, `Tax class` | taxable or not; the tax code |
| `Weight (kg)`, also in g, lbs and oz | grams |
| `Length (cm)`, `Width (cm)`, `Height (cm)`, also in mm, m, in | dimensions, those in the first one's unit |
| `GTIN, UPC, EAN, or ISBN` | the barcode |
| `Categories` | paths: `A > B, C` |
| `Tags`, `Images`, `Brands` | the first brand; the first image of a variation is its own |
| `Attribute N name`, `value(s)` | options where the variations of a product have values for them, else attributes |

Dates are those of the time zone that the import names (`time_zone`), else universal time. A sale that the file says no
more, or with another beginning, goes, if a file of this profile brought it.

Shipping class, linked products, downloads, reviews, notes and the order in lists are known and not kept;
columns of plugins (`Meta: …`) are not known.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import Any

from shared.impex import cells, sales
from shared.impex.arranging import Arrangement, Misplaced
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.keys import KeyIndex, folded, slug
from shared.impex.profiles import composing
from shared.impex.profiles.base import (
    IGNORED,
    NOT_KEPT,
    OPTIONS,
    Convert,
    ProductProfile,
    common_variant_converters,
)
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import ImageRecord, ProductStatus, StockPolicy
from shared.impex.terms import UNSAID, FileTerms

_READ = {
    "SKU": IGNORED,
    "ID": IGNORED,
    "Type": IGNORED,
    "Name": IGNORED,
    "Parent": IGNORED,
    "Published": "status",
    "Short description": IGNORED,
    "Description": IGNORED,
    "Date sale price starts": IGNORED,
    "Date sale price ends": IGNORED,
    "Tax status": "taxable",
    "Tax class": "tax_code",
    "In stock?": IGNORED,
    "Stock": IGNORED,
    "Backorders allowed?": "stock_policy",
    "Sale price": IGNORED,
    "Regular price": IGNORED,
    "Categories": "categories",
    "Tags": "tags",
    "Images": "images",
    "Brands": "brand",
    "GTIN, UPC, EAN, or ISBN": "barcode",
}
_UNKEPT = (
    *("Is featured?", "Visibility in catalog", "Low stock amount", "Sold individually?", "Allow customer reviews?"),
    *("Purchase note", "Shipping class", "Download limit", "Download expiry days", "Grouped products", "Upsells"),
    *("Cross-sells", "External URL", "Button text", "Position", "Tags (space separated)", "Cost of goods"),
)
_HANDLE = "Handle (of Name)"
_TITLE = "Name (of the product)"
_DESCRIPTION = "Description (or Short description)"
_SKU = "SKU (of the variant)"
_MARK = "Is a variant"
_PRICE = "Price (Sale price, else Regular price)"
_LIST_PRICE = "List price (Regular price, during a sale)"
_QUANTITY = "Stock (or In stock?)"
_GRAMS = "Weight (in grams)"
_SHIPS = "Is shipped (by Type)"
_PICTURE = "Image (of the variation)"
_ATTRIBUTES = "Attributes (that are no options)"
_NAMES = tuple(f"Option {n} name" for n in range(1, OPTIONS + 1))
_VALUES = tuple(f"Option {n} value" for n in range(1, OPTIONS + 1))
_ADDED = {
    _HANDLE: "handle",
    _TITLE: "title",
    _DESCRIPTION: "description_html",
    _SKU: "sku",
    _MARK: "mark",
    _PRICE: "price",
    _LIST_PRICE: "list_price",
    _QUANTITY: "quantity",
    _GRAMS: "weight_grams",
    _SHIPS: "requires_shipping",
    _PICTURE: "image_url",
    _ATTRIBUTES: "attributes",
    **{heading: f"option_{n}_name" for n, heading in enumerate(_NAMES, 1)},
    **{heading: f"option_{n}_value" for n, heading in enumerate(_VALUES, 1)},
}
# Added where the file has such columns.
_SIDES = {side: f"{side.capitalize()} (of the variant)" for side in composing.SIDES}
_UNIT = "Dimension unit (of the headings)"
_MEASURES = {**{heading: side for side, heading in _SIDES.items()}, _UNIT: "dimension_unit"}
_SALE_DATES = frozenset(("date sale price starts", "date sale price ends"))
_ATTRIBUTE = re.compile(r"attribute (\d{1,3}) (name|value\(s\)|visible|global|default)")
_WEIGHT = re.compile(r"weight \((kg|g|lbs|oz)\)")
_SIDE = re.compile(r"(length|width|height) \((mm|cm|m|in)\)")
_UNKEPT_PATTERN = re.compile(r"(?:length|width|height) \(\w+\)|download \d+ (?:id|name|url)")
_GRAMS_OF = {"kg": Decimal(1000), "g": Decimal(1), "lbs": Decimal("453.59237"), "oz": Decimal("28.349523125")}
_KINDS = frozenset(("simple", "variable", "variation", "virtual", "downloadable"))
_SEPARATED = re.compile(r"(?:[^,\\]|\\.)+", re.DOTALL)
_STATUSES = {
    **dict.fromkeys(("1", "true", "yes"), ProductStatus.ACTIVE),
    **dict.fromkeys(("0", "false", "no"), ProductStatus.PAUSED),
    "-1": ProductStatus.DRAFT,
}
_POLICIES = {
    **dict.fromkeys(("1", "yes", "true", "notify"), StockPolicy.BACKORDER),
    **dict.fromkeys(("0", "no", "false"), StockPolicy.STANDARD),
}


class WooCommerceProfile(ProductProfile):
    name = "woocommerce"
    headings = MappingProxyType({**_READ, **dict.fromkeys(_UNKEPT, NOT_KEPT), **_ADDED, **_MEASURES, **sales.ADDED})
    keys = ("handle",)
    makes_handles = True
    variant_marks = ("mark",)
    needed = (("Name",),)
    first_row_is_variant = False
    anchors = (
        *("Regular price", "Published", "In stock?", "Attribute 1 name", "Attribute 1 value(s)"),
        *("Visibility in catalog", "Short description", "Is featured?"),
    )
    composed = composing.MEASURED | sales.FIELDS
    terms = frozenset(("time_zone",))
    separators = MappingProxyType(dict.fromkeys(("categories", "tags", "images", "brand"), ", "))

    def field_of(self, heading: str) -> str | None:
        """As the table says; those of attributes and measures by their pattern."""
        plain = folded(heading)
        if _ATTRIBUTE.fullmatch(plain) or _WEIGHT.fullmatch(plain) or _SIDE.fullmatch(plain):
            return IGNORED
        return NOT_KEPT if _UNKEPT_PATTERN.fullmatch(plain) else super().field_of(heading)

    def arrangement(self, header: Sequence[str], terms: FileTerms = UNSAID) -> Arrangement | None:
        self.require_needed(header)
        return _Woo(header, terms)

    def product_converters(self, currency: str) -> dict[str, Convert]:
        return {
            "title": cells.text,
            "description_html": cells.text,
            "brand": _first,
            "status": Remembered(partial(_one_of, choices=_STATUSES, code="invalid_status")).__getitem__,
            "categories": Remembered(_paths).__getitem__,
            "tags": Remembered(lambda cell: cells.unique(_words(cell))).__getitem__,
            "images": _images,
            "attributes": _pairs,
        }

    def variant_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **common_variant_converters(currency),
            **sales.converters(currency),
            **dict.fromkeys(composing.SIDES, Remembered(cells.decimal).__getitem__),
            "dimension_unit": str,
            "taxable": Remembered(_taxable).__getitem__,
            "stock_policy": Remembered(partial(_one_of, choices=_POLICIES, code="invalid_stock_policy")).__getitem__,
        }

    def finish_variant(self, values: dict[str, Any]) -> None:
        composing.measure(values)
        sales.finish_variant(values)

    def finish(self, values: dict[str, Any]) -> None:
        """Nothing: every value is a field of ProductRecord already."""


# What the cells of added columns are made of.
_ORIGINS = {
    _HANDLE: ("name",),
    _TITLE: ("name",),
    _DESCRIPTION: ("description", "short description"),
    _SKU: ("sku",),
    _PRICE: ("sale price", "regular price"),
    _LIST_PRICE: ("regular price",),
    _QUANTITY: ("stock", "in stock?"),
    _SHIPS: ("type",),
    _PICTURE: ("images",),
    sales.PRICE: ("sale price",),
    sales.STARTS: ("date sale price starts",),
    sales.ENDS: ("date sale price ends", "date sale price starts"),
}


class _Woo(Arrangement):
    def __init__(self, header: Sequence[str], terms: FileTerms) -> None:
        plain = [folded(heading) for heading in header]
        self._columns = {heading: column for column, heading in reversed(list(enumerate(plain)))}
        self._attributes = self._attribute_columns(plain)
        self._weight = next(((n, match[1]) for n, h in enumerate(plain) if (match := _WEIGHT.fullmatch(h))), None)
        sides = [(n, match) for n, h in enumerate(plain) if (match := _SIDE.fullmatch(h))]
        self._unit = sides[0][1][2] if sides else ""
        self._sides = {_SIDES[match[1]]: column for column, match in sides if match[2] == self._unit}
        self._zone = terms.time_zone
        own_sides = {_SIDES[match[1]]: (plain[column],) for column, match in sides if match[2] == self._unit}
        weights = () if self._weight is None else (plain[self._weight[0]],)
        units = tuple(chain.from_iterable(own_sides.values()))
        self.origins = {**_ORIGINS, **own_sides, _UNIT: units, _GRAMS: weights}
        self._plain = plain
        has_sales = "sale price" in self._columns and not _SALE_DATES.isdisjoint(self._columns)
        self.added = (*_ADDED, *self._sides, *([_UNIT] if sides else []), *(sales.ADDED if has_sales else ()))
        self._products = KeyIndex()
        self._handles = KeyIndex()

    def origins_of(self, heading: str, fields: Sequence[str]) -> Sequence[str]:
        """Those of options and attributes stand where the row names them."""
        if heading in self.origins:
            return super().origins_of(heading, fields)
        return [self._plain[values] for name, values in self._attributes if fields[name].strip()]

    def _attribute_columns(self, plain: Sequence[str]) -> list[tuple[int, int]]:
        """The columns of name and values, attribute by attribute."""
        found: dict[int, dict[str, int]] = {}
        for column, heading in enumerate(plain):
            if match := _ATTRIBUTE.fullmatch(heading):
                found.setdefault(int(match[1]), {})[match[2]] = column
        return [(at["name"], at["value(s)"]) for _, at in sorted(found.items()) if {"name", "value(s)"} <= at.keys()]

    def _cell(self, fields: Sequence[str], heading: str) -> str:
        column = self._columns.get(heading)
        return "" if column is None else fields[column].strip()

    def _kinds(self, fields: Sequence[str]) -> set[str]:
        kinds = {kind.strip().casefold() for kind in self._cell(fields, "type").split(",")} - {""}
        return kinds or {"simple"}

    def learn(self, row: int, fields: Sequence[str]) -> None:
        if "variation" in self._kinds(fields):
            return
        for key in (self._cell(fields, "sku"), f"id:{self._cell(fields, 'id')}"):
            if key not in ("", "id:"):
                self._products.add(key.casefold(), row)
        self._handles.add(slug(self._cell(fields, "name")), row)

    def place(self, row: int, fields: Sequence[str]) -> tuple[int, int]:
        kinds = self._kinds(fields)
        if kinds - _KINDS:
            message = f"Products of the type '{self._cell(fields, 'type')[:50]}' are not taken."
            raise Misplaced("unsupported_type", message, "Type")
        if "variation" not in kinds:
            if not self._cell(fields, "name"):
                raise Misplaced("missing_handle", "The row has no name.", "Name")
            return row, 0
        parent = self._cell(fields, "parent")
        if not parent:
            raise Misplaced("missing_parent", "The variation does not say in 'Parent' whose it is.", "Parent")
        found = self._products.add(parent.casefold(), 0)
        if not found:
            message = f"The variation is of '{parent[:100]}', which is no product of this file."
            raise Misplaced("unknown_parent", message, "Parent")
        return found, 1

    def complete(self, group: Sequence[Record]) -> Iterator[tuple[int, dict[str, str]] | BrokenRecord]:
        head_row, head = group[0]
        if "variation" in self._kinds(head):
            message = "The product of this variation was refused."
            yield from (BrokenRecord(row, list(fields), "product_refused", message) for row, fields in group)
            return
        members = group[1:]
        names = self._options(head, members) if members else ()
        if len(names) > OPTIONS:
            message = f"The product has {len(names)} attributes that tell its variations apart; {OPTIONS} is the limit."
            yield from (BrokenRecord(row, list(fields), "too_many_options", message) for row, fields in group)
            return
        handle = self._handle(head_row, head)
        yield head_row, self._head(handle, head, names)
        for row, fields in members:
            yield row, self._variation(handle, fields, names)

    def _options(self, head: Sequence[str], members: Sequence[Record]) -> tuple[str, ...]:
        """The attributes for which variations have a value, in the product's order."""
        used = {name.casefold() for _, fields in members for name, value in self._values(fields) if value}
        own = [name for name, _ in self._values(head)]
        others = [name for _, fields in members for name, value in self._values(fields) if value]
        named: dict[str, str] = {}
        for name in (*own, *others):
            if name.casefold() in used:
                named.setdefault(name.casefold(), name)
        return tuple(named.values())

    def _values(self, fields: Sequence[str]) -> list[tuple[str, str]]:
        return [
            (fields[name].strip(), fields[values].strip()) for name, values in self._attributes if fields[name].strip()
        ]

    def _handle(self, row: int, fields: Sequence[str]) -> str:
        handle = slug(self._cell(fields, "name"))
        if self._handles.add(handle, row) in (None, row):
            return handle
        return f"{handle}-{slug(self._cell(fields, 'sku')) or row}"

    def _head(self, handle: str, fields: Sequence[str], names: tuple[str, ...]) -> dict[str, str]:
        options = {name.casefold() for name in names}
        others = [(name, value) for name, value in self._values(fields) if name.casefold() not in options]
        own = {
            _HANDLE: handle,
            _TITLE: self._cell(fields, "name"),
            _DESCRIPTION: self._cell(fields, "description") or self._cell(fields, "short description"),
            _ATTRIBUTES: "\n".join(f"{_safe(name)}={_safe(value)}" for name, value in others),
            **dict(zip(_NAMES, names, strict=False)),
        }
        return own if "variable" in self._kinds(fields) else own | self._variant(fields)

    def _variation(self, handle: str, fields: Sequence[str], names: tuple[str, ...]) -> dict[str, str]:
        given = {name.casefold(): value for name, value in self._values(fields)}
        values = [given.get(name.casefold(), "") for name in names]
        picture = next(iter(_words(self._cell(fields, "images"))), "")
        return self._variant(fields) | {_HANDLE: handle, _PICTURE: picture} | dict(zip(_VALUES, values, strict=False))

    def _variant(self, fields: Sequence[str]) -> dict[str, str]:
        return {
            _MARK: "1",
            _SKU: self._cell(fields, "sku"),
            **self._prices(fields),
            _QUANTITY: self._quantity(fields),
            _GRAMS: self._grams(fields),
            _SHIPS: "false" if self._kinds(fields) & {"virtual"} else "",
            **self._sizes(fields),
        }

    def _sizes(self, fields: Sequence[str]) -> dict[str, str]:
        said = {heading: cell for heading, column in self._sides.items() if (cell := fields[column].strip())}
        return {**said, _UNIT: self._unit} if said else {}

    def _prices(self, fields: Sequence[str]) -> dict[str, str]:
        regular, sale = self._cell(fields, "regular price"), self._cell(fields, "sale price")
        dates = self._cell(fields, "date sale price starts"), self._cell(fields, "date sale price ends")
        if not sale:
            return {_PRICE: regular}
        if not any(dates):
            return {_PRICE: sale, _LIST_PRICE: regular}
        return {_PRICE: regular, **sales.cells_of(sale, *dates, self._zone)}

    def _quantity(self, fields: Sequence[str]) -> str:
        stock = self._cell(fields, "stock")
        if stock and stock.casefold() != "parent":
            return stock
        return "0" if self._cell(fields, "in stock?").casefold() in ("0", "no", "false", "outofstock") else ""

    def _grams(self, fields: Sequence[str]) -> str:
        """The weight in grams; what is no number is left to be refused as it stands."""
        if self._weight is None:
            return ""
        column, unit = self._weight
        weight = fields[column].strip()
        try:
            return f"{Decimal(weight.replace(',', '.')) * _GRAMS_OF[unit]:.6f}" if weight else ""
        except (InvalidOperation, ValueError):
            return weight


def _words(cell: str) -> list[str]:
    """What stands between commas; one that belongs to a word has a backslash before it."""
    return [word.replace("\\,", ",").strip() for word in _SEPARATED.findall(cell) if word.strip()]


def _first(cell: str) -> str | None:
    return next(iter(_words(cell)), None)


def _paths(cell: str) -> tuple[tuple[str, ...], ...]:
    paths = (tuple(filter(None, map(str.strip, word.split(">")))) for word in _words(cell))
    return tuple(dict.fromkeys(path for path in paths if path))


def _images(cell: str) -> tuple[ImageRecord, ...]:
    urls = dict.fromkeys(map(cells.url, _words(cell)))
    return tuple(ImageRecord(url, position) for position, url in enumerate(urls, start=1))


def _pairs(cell: str) -> tuple[tuple[str, str], ...]:
    pairs = (line.split("=", 1) for line in cell.split("\n") if "=" in line)
    return tuple((name, value) for name, value in pairs if value)


def _safe(text: str) -> str:
    return text.replace("\n", " ")


def _taxable(cell: str) -> bool:
    return bool(_one_of(cell, {"taxable": True, "shipping": False, "none": False}, "invalid_tax_status"))


def _one_of(cell: str, choices: dict[str, Any], code: str) -> Any:
    try:
        return choices[cell.casefold()]
    except KeyError:
        raise InvalidCell(code, f"{cell!r} is none of {', '.join(choices)}.") from None
