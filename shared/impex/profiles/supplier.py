"""A supplier's product CSV: one row per item, recognised by the supplier's own SKU.

| column | what it is here |
|---|---|
| `vendorSku` | the SKU |
| `name` | the title of the product |
| `brand` | the brand |
| `msrp` | the price, until the merchant has one of their own |
| `defaultCost` | what the item costs the merchant; known and not kept, as a notice says: costs are of supplier links |
| `language` | of name and description, as `en` or `pt-BR` (below) |
| `isVisible` | true is active, false paused; nothing leaves a product as it is, and makes a new one active |
| `images` | web addresses, separated by spaces |
| `UPC`, `EAN`, `ISBN`, `ITF-14` | the barcode: the first that is there |
| `groupId` | items with the same one are variants of one product; they may stand anywhere in the file |
| `colour`, `size` | what tells the variants of a group apart |
| `description` | the description |
| `attributes` | `material=wool; care=hand wash` |
| `weight` | with a unit: `1.5 kg`, `3 oz`, `2 lb`; without one in that of the import (`weight_unit`), else in grams |
| `height`, `width`, `length` | dimensions, with their unit: `30 cm`; without one attributes, as they stand |
| `categories` | paths: `Home > Kitchen; Gifts` |

In the language of the import's shop, name and description are the product's own. In another they are what it says in
that language, `title[de]` in Crossdock's own files, and what it says by itself stays; a new product takes them as its
own, too. Further rows of an item, each in a language of its own, give its name and description in that; whatever else
they say is not looked at: the item is as its first row has it.

Nothing is ever the last to win silently: a vendorSku that comes twice in one language, or in none, is an error on both
rows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

from shared.impex import cells
from shared.impex.arranging import Arrangement, Misplaced
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.keys import KeyIndex, folded, slug
from shared.impex.profiles import composing
from shared.impex.profiles.base import (
    ATTRIBUTE,
    IGNORED,
    Convert,
    ProductProfile,
    common_variant_converters,
)
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import ImageRecord, ProductStatus
from shared.impex.terms import UNSAID, FileTerms
from shared.locales import canonical_locale

_READ = {
    "vendorSku": IGNORED,
    "name": IGNORED,
    "brand": "brand",
    "msrp": "price",
    "defaultCost": "cost",
    "language": IGNORED,
    "isVisible": "is_visible",
    "image": "images",
    "images": "images",
    **dict.fromkeys(("UPC", "EAN", "ISBN", "ITF-14", "ITF14"), IGNORED),
    **dict.fromkeys(("groupId", "colour", "color", "size"), IGNORED),
    "description": "description_html",
    "attributes": "pairs",
    "weight": IGNORED,
    **dict.fromkeys(composing.SIDES, IGNORED),
    "categories": "categories",
}
_HANDLE = "handle (of groupId, else name and vendorSku)"
_TITLE = "name (of the product)"
_LANGUAGE = "language (of the product)"
_SKU = "vendorSku (of the variant)"
_BARCODE = "barcode (UPC, EAN, ISBN or ITF-14)"
_NAMES = ("option 1 name", "option 2 name")
_VALUES = ("option 1 value", "option 2 value")
_ADDED = {
    _HANDLE: "handle",
    _TITLE: "title",
    _LANGUAGE: "language",
    _SKU: "sku",
    _BARCODE: "barcode",
    **{heading: f"option_{n}_name" for n, heading in enumerate(_NAMES, 1)},
    **{heading: f"option_{n}_value" for n, heading in enumerate(_VALUES, 1)},
}
# Added where the file has such a column: what is said with a unit, and without.
_UNIT = "unit (of height, width and length)"
_SIDES = {side: f"{side} (with a unit)" for side in composing.SIDES}
_BARE = {side: f"{side} (without a unit)" for side in composing.SIDES}
_GRAMS = "weight (in grams)"
_WEIGHT = "weight (with a unit)"
_WEIGHT_UNIT = "unit (of weight)"
_WEIGHED = {_GRAMS: "weight_grams", _WEIGHT: "weight_value", _WEIGHT_UNIT: "weight_unit"}
_MEASURES = {
    **_WEIGHED,
    **{heading: side for side, heading in _SIDES.items()},
    **{heading: f"{ATTRIBUTE}{side}" for side, heading in _BARE.items()},
    _UNIT: "dimension_unit",
}
# What a product is called in a language, added for each that the file has: `name (in de)`.
_TEXTS = {"name": "title", "description": "description_html"}
_IN_LANGUAGE = re.compile(rf"({'|'.join(_TEXTS)}) \(in ([A-Za-z0-9-]+)\)")
_MOST_LANGUAGES = 50
_MEASURE = re.compile(r"([0-9]+(?:[.,][0-9]+)?) *(mm|cm|m|in|ft|g|kg|oz|lb)s?", re.IGNORECASE)
_WEIGHTS = ("g", "kg", "oz", "lb")
_CODES = ("upc", "ean", "isbn", "itf-14", "itf14")


class SupplierProfile(ProductProfile):
    name = "supplier"
    headings = MappingProxyType({**_READ, **_ADDED, **_MEASURES})
    keys = ("handle",)
    makes_handles = True
    variant_marks = ("sku",)
    needed = (("vendorSku",), ("name",))
    first_row_is_variant = True
    anchors = ("vendorSku",)
    composed = composing.MEASURED | {"weight_value", "weight_unit"}
    terms = frozenset(("weight_unit",))
    separators = MappingProxyType({"images": " ", "categories": "; ", "pairs": "; "})

    def arrangement(self, header: Sequence[str], terms: FileTerms = UNSAID) -> Arrangement | None:
        self.require_needed(header)
        return _Groups(header, terms)

    def field_of(self, heading: str) -> str | None:
        """As the table says; of the columns that hold what a language calls a product, the field in it."""
        match = _IN_LANGUAGE.fullmatch(heading)
        return f"{_TEXTS[match[1]]}[{match[2]}]" if match else super().field_of(heading)

    def further_converters(self, fields: Iterable[str]) -> dict[str, Convert]:
        return {name: cells.text for name in fields if name.endswith("]")}

    def product_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **dict.fromkeys(("title", "description_html", "brand"), cells.text),
            "is_visible": Remembered(cells.boolean).__getitem__,
            "language": Remembered(_language).__getitem__,
            "images": _images,
            "categories": Remembered(_paths).__getitem__,
            "pairs": _pairs,
        }

    def variant_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **common_variant_converters(currency),
            **dict.fromkeys(("weight_value", *composing.SIDES), Remembered(cells.decimal).__getitem__),
            **dict.fromkeys(("weight_unit", "dimension_unit"), str),
        }

    def finish_variant(self, values: dict[str, Any]) -> None:
        composing.weigh(values)
        composing.measure(values)

    def finish(self, values: dict[str, Any]) -> None:
        is_visible = values.pop("is_visible", None)
        if is_visible is not None:
            values["status"] = ProductStatus.ACTIVE if is_visible else ProductStatus.PAUSED
        for name, value in values.pop("pairs", ()):
            values.setdefault(f"{ATTRIBUTE}{name}", value)
        composing.finish_texts(values)


# What the cells of added columns are made of.
_ORIGINS = {
    _HANDLE: ("groupid", "name", "vendorsku"),
    _TITLE: ("name",),
    _LANGUAGE: ("language",),
    _SKU: ("vendorsku",),
    _BARCODE: tuple(folded(code) for code in ("UPC", "EAN", "ISBN", "ITF-14", "ITF14")),
    **dict.fromkeys((*_NAMES, *_VALUES), ("colour", "color", "size")),
    **dict.fromkeys(_WEIGHED, ("weight",)),
    **{heading: (side,) for headings in (_SIDES, _BARE) for side, heading in headings.items()},
    _UNIT: composing.SIDES,
}


class _Groups(Arrangement):
    origins = MappingProxyType(_ORIGINS)

    def __init__(self, header: Sequence[str], terms: FileTerms) -> None:
        self._weight_unit = terms.weight_unit
        self._languages: set[str] = set()
        self._columns = {folded(heading): column for column, heading in reversed(list(enumerate(header)))}
        self._sides = [side for side in composing.SIDES if side in self._columns]
        measured = [heading for side in self._sides for heading in (_SIDES[side], _BARE[side])]
        weighed = tuple(_WEIGHED) if "weight" in self._columns else ()
        self.added: Sequence[str] = (*_ADDED, *weighed, *measured, *([_UNIT] if measured else []))
        self._groups = KeyIndex()
        self._handles = KeyIndex()
        # On which row an item is first, first in a language, and where its group begins.
        self._items = KeyIndex()
        self._starts = KeyIndex()
        self._said = KeyIndex()

    def _cell(self, fields: Sequence[str], *names: str) -> str:
        """The first of these columns that has something."""
        found = (fields[self._columns[name]].strip() for name in names if name in self._columns)
        return next(filter(None, found), "")

    def learn(self, row: int, fields: Sequence[str]) -> None:
        group, sku = self._cell(fields, "groupid"), self._cell(fields, "vendorsku")
        locale = _known_language(self._cell(fields, "language"))
        self._items.add(sku, row)
        self._said.add(_in_language(sku, locale), row)
        if not self._is_translation(row, fields):
            start = self._groups.add(group, row) if group else None
            self._starts.add(sku, row if start is None else start)
            if start is None:
                self._handles.add(self._slug(fields), row)
        if locale is not None and locale not in self._languages and len(self._languages) < _MOST_LANGUAGES:
            self._languages.add(locale)
            self.added = (*self.added, *_headings(locale))

    def place(self, row: int, fields: Sequence[str]) -> tuple[int, int]:
        if not self._cell(fields, "vendorsku"):
            raise Misplaced("missing_sku", "The row has no vendorSku.", "vendorSku")
        if not self._cell(fields, "name"):
            raise Misplaced("missing_name", "The row has no name.", "name")
        if self._is_translation(row, fields):
            return self._starts.find(self._cell(fields, "vendorsku")) or row, 1
        group = self._cell(fields, "groupid")
        return ((self._groups.add(group, row) or row) if group else row), 0

    def _is_translation(self, row: int, fields: Sequence[str]) -> bool:
        """Whether a row says of an item that was there before what it is called in another language."""
        sku, locale = self._cell(fields, "vendorsku"), _known_language(self._cell(fields, "language"))
        first = self._items.find(sku)
        if not sku or first in (None, row) or locale is None:
            return False
        return self._said.find(_in_language(sku, locale)) == row and self._said.find(_in_language(sku, None)) is None

    def complete(self, group: Sequence[Record]) -> Iterator[tuple[int, dict[str, str]] | BrokenRecord]:
        translations = [record for record in group if self._is_translation(*record)]
        items = group[: len(group) - len(translations)]
        if not items:
            message = "The item whose name the row gives was refused."
            yield from (BrokenRecord(row, list(fields), "product_refused", message) for row, fields in translations)
            return
        names = self._options(items) if len(items) > 1 else []
        handle = self._handle(*items[0])
        for number, (row, fields) in enumerate(items):
            values = [self._cell(fields, *_SPELLINGS[name]) for name in names]
            texts = {} if number else self._translated(translations) | self._texts(fields)
            yield (
                row,
                {
                    _HANDLE: handle,
                    _SKU: self._cell(fields, "vendorsku"),
                    **texts,
                    _BARCODE: self._cell(fields, *_CODES),
                    **dict(zip(_NAMES, names, strict=False)),
                    **dict(zip(_VALUES, values, strict=False)),
                    **self._weight(fields),
                    **self._sizes(fields),
                },
            )
        yield from ((row, {_HANDLE: handle}) for row, _ in translations)

    def _translated(self, rows: Sequence[Record]) -> dict[str, str]:
        """What these rows call their product, of each language the first."""
        found: dict[str, str] = {}
        for _, fields in reversed(rows):
            locale = _known_language(self._cell(fields, "language"))
            if locale in self._languages:
                found |= {heading: self._cell(fields, name) for heading, name in _headings(locale).items()}
        return found

    def _texts(self, fields: Sequence[str]) -> dict[str, str]:
        """What the row calls its product, by itself and in the language of the row."""
        language = self._cell(fields, "language")
        own = {_TITLE: self._cell(fields, "name"), _LANGUAGE: language}
        locale = _known_language(language)
        if locale is None or locale not in self._languages:
            return own
        return {**own, **{heading: self._cell(fields, name) for heading, name in _headings(locale).items()}}

    def _weight(self, fields: Sequence[str]) -> dict[str, str]:
        """With its unit, or that of the import; else what is taken as grams, or refused as it stands."""
        cell = self._cell(fields, "weight")
        match = _MEASURE.fullmatch(cell)
        if match is not None and match[2].lower() in _WEIGHTS:
            return {_WEIGHT: match[1], _WEIGHT_UNIT: match[2].lower()}
        if cell and self._weight_unit is not None:
            return {_WEIGHT: cell, _WEIGHT_UNIT: self._weight_unit}
        return {_GRAMS: cell}

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


def _known_language(cell: str) -> str | None:
    """The tag of a language: `pt_br` is `pt-BR`. None for nothing, and for what is none."""
    try:
        return canonical_locale(cell.replace("_", "-")) if cell else None
    except ValueError:
        return None


def _language(cell: str) -> str | None:
    """Raises InvalidCell."""
    locale = _known_language(cell.strip())
    if locale is None and cell.strip():
        raise InvalidCell("invalid_language", f"{cell[:50]!r} is not the tag of a language, such as en or pt-BR.")
    return locale


def _in_language(sku: str, locale: str | None) -> str:
    return f"{sku}\x1f{locale or ''}"


def _headings(locale: str) -> dict[str, str]:
    """The columns of a language, each with what it holds."""
    return {f"{name} (in {locale})": name for name in _TEXTS}


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
            message = f"{part.strip()!r} is not of the form name=value."
            raise InvalidCell("invalid_attribute", message, value=part.strip())
        pairs[name.strip()] = value.strip()
    return tuple(pairs.items())
