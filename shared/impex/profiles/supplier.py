"""A supplier's product CSV: one row per item, recognised by the supplier's own SKU.

| column | what it is here |
|---|---|
| `vendorSku` | the SKU |
| `name` | the title of the product |
| `brand` | the brand |
| `msrp` | the price, until the merchant has one of their own |
| `defaultCost` | what the item costs the merchant; kept with the supplier's link, not with the product |
| `language` | of the texts: not kept; they are taken as the product's own, in the language of its shop |
| `isVisible` | true is active, false paused; nothing leaves a product as it is, and makes a new one active |
| `images` | web addresses, separated by spaces |
| `UPC`, `EAN`, `ISBN`, `ITF-14` | the barcode: the first that is there |
| `groupId` | items with the same one are variants of one product; they may stand anywhere in the file |
| `colour`, `size` | what tells the variants of a group apart |
| `description` | the description |
| `attributes` | `material=wool; care=hand wash` |
| `weight` | grams, or with a unit: `1.5 kg`, `3 oz`, `2 lb` |
| `height`, `width`, `length` | dimensions, with their unit: `30 cm`; without one attributes, as they stand |
| `categories` | paths: `Home > Kitchen; Gifts` |

Nothing is ever the last to win silently: a vendorSku that comes twice is an error on both rows.
"""

import re
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

from shared.impex import cells
from shared.impex.arranging import Arrangement, Misplaced
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.keys import KeyIndex, slug
from shared.impex.profiles import composing
from shared.impex.profiles.base import (
    ATTRIBUTE,
    IGNORED,
    NOT_KEPT,
    Convert,
    ProductProfile,
    common_variant_converters,
    folded,
)
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import ImageRecord, ProductStatus

_READ = {
    "vendorSku": "sku",
    "name": IGNORED,
    "brand": "brand",
    "msrp": "price",
    "defaultCost": "cost",
    "language": NOT_KEPT,
    "isVisible": "is_visible",
    "image": "images",
    "images": "images",
    **dict.fromkeys(("UPC", "EAN", "ISBN", "ITF-14", "ITF14"), IGNORED),
    **dict.fromkeys(("groupId", "colour", "color", "size"), IGNORED),
    "description": "description_html",
    "attributes": "pairs",
    "weight": "weight_grams",
    **dict.fromkeys(composing.SIDES, IGNORED),
    "categories": "categories",
}
_HANDLE = "handle (of groupId, else name and vendorSku)"
_TITLE = "name (of the product)"
_BARCODE = "barcode (UPC, EAN, ISBN or ITF-14)"
_NAMES = ("option 1 name", "option 2 name")
_VALUES = ("option 1 value", "option 2 value")
_ADDED = {
    _HANDLE: "handle",
    _TITLE: "title",
    _BARCODE: "barcode",
    **{heading: f"option_{n}_name" for n, heading in enumerate(_NAMES, 1)},
    **{heading: f"option_{n}_value" for n, heading in enumerate(_VALUES, 1)},
}
# Added where the file has such a column: what is said with a unit, and without.
_UNIT = "unit (of height, width and length)"
_SIDES = {side: f"{side} (with a unit)" for side in composing.SIDES}
_BARE = {side: f"{side} (without a unit)" for side in composing.SIDES}
_MEASURES = {
    **{heading: side for side, heading in _SIDES.items()},
    **{heading: f"{ATTRIBUTE}{side}" for side, heading in _BARE.items()},
    _UNIT: "dimension_unit",
}
_MEASURE = re.compile(r"([0-9]+(?:[.,][0-9]+)?) *(mm|cm|m|in|ft|g|kg|oz|lb)s?", re.IGNORECASE)
_WEIGHTS = ("g", "kg", "oz", "lb")
_CODES = ("upc", "ean", "isbn", "itf-14", "itf14")


class SupplierProfile(ProductProfile):
    name = "supplier"
    headings = MappingProxyType({**_READ, **_ADDED, **_MEASURES})
    keys = ("handle",)
    variant_marks = ("sku",)
    needed = (("vendorSku",), ("name",))
    first_row_is_variant = True
    anchors = ("vendorSku",)
    composed = composing.MEASURED
    separators = MappingProxyType({"images": " ", "categories": "; ", "pairs": "; "})

    def arrangement(self, header: Sequence[str]) -> Arrangement | None:
        self.require_needed(header)
        return _Groups(header)

    def product_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **dict.fromkeys(("title", "description_html", "brand"), cells.text),
            "is_visible": Remembered(cells.boolean).__getitem__,
            "images": _images,
            "categories": Remembered(_paths).__getitem__,
            "pairs": _pairs,
        }

    def variant_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **common_variant_converters(currency),
            "weight_grams": Remembered(_grams).__getitem__,
            **dict.fromkeys(composing.SIDES, Remembered(cells.decimal).__getitem__),
            "dimension_unit": str,
        }

    def finish_variant(self, values: dict[str, Any]) -> None:
        composing.measure(values)

    def finish(self, values: dict[str, Any]) -> None:
        is_visible = values.pop("is_visible", None)
        if is_visible is not None:
            values["status"] = ProductStatus.ACTIVE if is_visible else ProductStatus.PAUSED
        for name, value in values.pop("pairs", ()):
            values.setdefault(f"{ATTRIBUTE}{name}", value)


class _Groups(Arrangement):
    def __init__(self, header: Sequence[str]) -> None:
        self._columns = {folded(heading): column for column, heading in reversed(list(enumerate(header)))}
        self._sides = [side for side in composing.SIDES if side in self._columns]
        measured = [heading for side in self._sides for heading in (_SIDES[side], _BARE[side])]
        self.added = (*_ADDED, *measured, *([_UNIT] if measured else []))
        self._groups = KeyIndex()
        self._handles = KeyIndex()

    def _cell(self, fields: Sequence[str], *names: str) -> str:
        """The first of these columns that has something."""
        found = (fields[self._columns[name]].strip() for name in names if name in self._columns)
        return next(filter(None, found), "")

    def learn(self, row: int, fields: Sequence[str]) -> None:
        group = self._cell(fields, "groupid")
        if not group or self._groups.add(group, row) is None:
            self._handles.add(self._slug(fields), row)

    def place(self, row: int, fields: Sequence[str]) -> tuple[int, int]:
        if not self._cell(fields, "vendorsku"):
            raise Misplaced("missing_sku", "The row has no vendorSku.")
        if not self._cell(fields, "name"):
            raise Misplaced("missing_name", "The row has no name.")
        group = self._cell(fields, "groupid")
        return ((self._groups.add(group, row) or row) if group else row), 0

    def complete(self, group: Sequence[Record]) -> Iterator[tuple[int, dict[str, str]] | BrokenRecord]:
        names = self._options(group) if len(group) > 1 else []
        handle = self._handle(*group[0])
        for number, (row, fields) in enumerate(group):
            values = [self._cell(fields, *_SPELLINGS[name]) for name in names]
            yield (
                row,
                {
                    _HANDLE: handle,
                    _TITLE: "" if number else self._cell(fields, "name"),
                    _BARCODE: self._cell(fields, *_CODES),
                    **dict(zip(_NAMES, names, strict=False)),
                    **dict(zip(_VALUES, values, strict=False)),
                    **self._sizes(fields),
                },
            )

    def _sizes(self, fields: Sequence[str]) -> dict[str, str]:
        """Sizes with their unit; what has none is left as it stands. Of several units none is right."""
        found: dict[str, str] = {}
        units: dict[str, None] = {}
        for side in self._sides:
            cell = self._cell(fields, side)
            match = _MEASURE.fullmatch(cell)
            if match is None or match[2].lower() in _WEIGHTS:
                found[_BARE[side]] = cell
            else:
                found[_SIDES[side]] = match[1]
                units[match[2].lower()] = None
        return {**found, _UNIT: " and ".join(units)}

    def _options(self, group: Sequence[Record]) -> list[str]:
        """Colour and size, where any of the group has it."""
        return [name for name, spelt in _SPELLINGS.items() if any(self._cell(fields, *spelt) for _, fields in group)]

    def _handle(self, row: int, fields: Sequence[str]) -> str:
        handle = self._slug(fields)
        if self._handles.add(handle, row) in (None, row):
            return handle
        return f"{handle}-{slug(self._cell(fields, 'vendorsku'))}"

    def _slug(self, fields: Sequence[str]) -> str:
        """The same for the same item in every file: names of a supplier's items are often alike."""
        group = self._cell(fields, "groupid")
        own = self._cell(fields, "vendorsku")
        return slug(f"{self._cell(fields, 'name')} {group or own}") or slug(own)


def _grams(cell: str) -> int:
    """Grams, or a weight with its unit. Raises InvalidCell."""
    match = _MEASURE.fullmatch(cell)
    if match is None or match[2].lower() not in _WEIGHTS:
        return cells.grams(cell)
    weight: dict[str, Any] = {"weight_value": cells.decimal(match[1]), "weight_unit": match[2].lower()}
    composing.weigh(weight)
    grams: int = weight["weight_grams"]
    return grams


_SPELLINGS = {"Colour": ("colour", "color"), "Size": ("size",)}


def _images(cell: str) -> tuple[ImageRecord, ...]:
    urls = dict.fromkeys(map(cells.url, cell.split()))
    return tuple(ImageRecord(url, position) for position, url in enumerate(urls, start=1))


def _paths(cell: str) -> tuple[tuple[str, ...], ...]:
    paths = (tuple(filter(None, map(str.strip, path.split(">")))) for path in cell.split(";"))
    return tuple(dict.fromkeys(path for path in paths if path))


def _pairs(cell: str) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    for part in filter(str.strip, cell.split(";")):
        name, mark, value = part.partition("=")
        if not mark or not name.strip():
            raise InvalidCell("invalid_attribute", f"{part.strip()!r} is not of the form name=value.")
        pairs[name.strip()] = value.strip()
    return tuple(pairs.items())
