r"""Crossdock's own product CSV: one row per variant, written by exports and read back without loss.

| heading | what it holds |
|---|---|
| `handle` | the product's key, as in its address; the same in all rows of a product, which stand together |
| `title`, `description` (HTML), `brand`, `type`, `seo title`, `seo description` | texts of the product |
| `tags` | words, separated by a bar: `wool \| winter` |
| `status` | draft, active, paused or archived |
| `categories` | paths, separated by a bar, their steps by `>`: `Home > Kitchen \| Gifts` |
| `attributes` | names and values: `fibre=wool \| care=hand wash` |
| `images`, `image texts` | addresses in order, separated by a bar, and their texts for those who cannot see them |
| `media`, `media texts` | what shows the product besides: `video=https://… \| document=https://…`; and their texts |
| `media previews`, `media positions` | pictures that stand for them; places among all media, from 1, else behind them |
| `content` (HTML), `featured` (true or false) | of the product |
| `option 1 name`, `option 1 value` … `option 3 value` | `Colour`, `Blue` |
| `sku`, `barcode` (GTIN), `mpn`, `tax code`, `variant image` | texts of the variant |
| `barcodes` | further ones, separated by a bar |
| `variant attributes` | as `attributes`, of the variant alone |
| `price`, `list price`, `cost` | major units of the currency named at the import: `19.90` |
| `weight grams`, `quantity` | whole numbers |
| `stock policy` | standard or backorder |
| `requires shipping`, `taxable`, `price on request` | true or false |
| `weight`, `weight unit` | `0.18` and g, kg, oz or lb; `weight grams`, where it is given too, has to agree |
| `length`, `width`, `height`, `dimension unit` | `4.5` and mm, cm, m, in or ft: one given, all are as the row says |
| `order minimum`, `order maximum`, `order step` | whole numbers: one given, all are as the row says |

A heading followed by a language in brackets is the same in that language: `title[de]`, `seo title[pt-BR]`. There are
`title`, `description`, `content`, `seo title`, `seo description`, `attributes`, `image texts` and `media texts`; and
`option names[de]` (`Colour=Farbe`) and `option values[de]` (`Colour > Red=Rot | Colour > Blue=Blau`).

The product's own columns are read from its first row; later rows may repeat or omit them. A bar, `>`, `=` or backslash
that belongs to a word has a backslash before it, and so has a space at its end (writing_words.py). A row without any
variant column is a product without variants.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from shared.impex import cells
from shared.impex.cells import InvalidCell, Remembered
from shared.impex.keys import folded
from shared.impex.profiles import composing
from shared.impex.profiles.base import OPTIONS, Convert, ProductProfile, common_variant_converters
from shared.impex.rows import ImageRecord, ProductStatus, StockPolicy
from shared.impex.writing_words import joined_words
from shared.locales import canonical_locale

_PRODUCT_HEADINGS = {
    "handle": "handle",
    "title": "title",
    "description": "description_html",
    "brand": "brand",
    "type": "product_type",
    "tags": "tags",
    "status": "status",
    "categories": "categories",
    "attributes": "attributes",
    "seo title": "seo_title",
    "seo description": "seo_description",
    "images": "images",
    "image texts": "image_texts",
    **{f"option {n} name": f"option_{n}_name" for n in range(1, OPTIONS + 1)},
    "content": "content_html",
    "featured": "featured",
    "media": "media",
    "media texts": "media_texts",
    "media previews": "media_previews",
    "media positions": "media_positions",
}
_VARIANT_HEADINGS = {
    **{f"option {n} value": f"option_{n}_value" for n in range(1, OPTIONS + 1)},
    "sku": "sku",
    "barcode": "barcode",
    "mpn": "mpn",
    "price": "price",
    "list price": "list_price",
    "cost": "cost",
    "weight grams": "weight_grams",
    "quantity": "quantity",
    "stock policy": "stock_policy",
    "requires shipping": "requires_shipping",
    "taxable": "taxable",
    "tax code": "tax_code",
    "variant image": "image_url",
    "barcodes": "barcodes",
    "variant attributes": "variant_attributes",
    "price on request": "price_on_request",
    "weight": "weight_value",
    "weight unit": "weight_unit",
    "length": "length",
    "width": "width",
    "height": "height",
    "dimension unit": "dimension_unit",
    "order minimum": "order_minimum",
    "order maximum": "order_maximum",
    "order step": "order_step",
}
HEADER = (*_PRODUCT_HEADINGS, *_VARIANT_HEADINGS)
# Columns of variants that files of variants by themselves do not take.
WITH_PRODUCTS = (
    *("handle", "option 1 value", "option 2 value", "option 3 value", "price", "list price", "cost", "quantity"),
    *("stock policy", "variant attributes", "weight", "weight unit", "length", "width", "height", "dimension unit"),
    *("order minimum", "order maximum", "order step"),
)
# What may be said in several languages, by its heading without one.
LOCALIZED = {
    "title": "title",
    "description": "description_html",
    "content": "content_html",
    "seo title": "seo_title",
    "seo description": "seo_description",
    "attributes": "attributes",
    "option names": "option_names",
    "option values": "option_values",
    "image texts": "image_texts",
    "media texts": "media_texts",
}
_IN_LANGUAGE = re.compile(r"(.+?)\s*\[\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*)\s*\]")

_BAR = re.compile(r"((?:[^\\|]|\\.|\\\Z)*)(?:\||\Z)", re.DOTALL)
_STEP = re.compile(r"((?:[^\\>]|\\.|\\\Z)*)(?:>|\Z)", re.DOTALL)
_PAIR = re.compile(r"((?:[^\\=]|\\.)*)=(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class CrossdockProfile(ProductProfile):
    name = "crossdock"
    headings = MappingProxyType({**_PRODUCT_HEADINGS, **_VARIANT_HEADINGS})
    keys = ("handle",)
    variant_marks = tuple(_VARIANT_HEADINGS.values())
    first_row_is_variant = False
    read_together = (("tags",), ("status",), ("categories",), ("attributes",), ("images", "image_texts"))
    finished = frozenset(("images", "image_texts"))
    composed = composing.COMPOSED

    def product_converters(self, currency: str) -> dict[str, Convert]:
        return {
            **dict.fromkeys(("title", "description_html", "seo_title", "seo_description"), cells.text),
            **dict.fromkeys(("brand", "product_type"), cells.text),
            "tags": Remembered(lambda cell: cells.unique(words(cell))).__getitem__,
            "status": Remembered(_status).__getitem__,
            "categories": Remembered(paths).__getitem__,
            "attributes": _pairs,
            "images": addresses,
            "image_texts": words,
            "content_html": cells.text,
            "featured": Remembered(cells.boolean).__getitem__,
            "media": _media,
            "media_texts": words,
            "media_previews": addresses,
            "media_positions": _positions,
        }

    def variant_converters(self, currency: str) -> dict[str, Convert]:
        number = Remembered(cells.decimal).__getitem__
        limit = Remembered(cells.positive).__getitem__
        return {
            **common_variant_converters(currency),
            "stock_policy": Remembered(_policy).__getitem__,
            "barcodes": barcodes,
            "variant_attributes": _pairs,
            "price_on_request": Remembered(cells.boolean).__getitem__,
            **dict.fromkeys(("weight_value", "length", "width", "height"), number),
            **dict.fromkeys(("weight_unit", "dimension_unit"), Remembered(str.casefold).__getitem__),
            **dict.fromkeys(("order_minimum", "order_maximum", "order_step"), limit),
        }

    def field_of(self, heading: str) -> str | None:
        return super().field_of(heading) or _localized(heading)

    def further_converters(self, fields: Iterable[str]) -> dict[str, Convert]:
        """Of columns in a language."""
        return {name: _BY_LANGUAGE[name.partition("[")[0]] for name in fields if name.endswith("]")}

    def finish_variant(self, values: dict[str, Any]) -> None:
        composing.finish_variant(values)

    def joined(self, heading: str, items: Sequence[str]) -> str:
        """Raises InvalidCell."""
        field = (self.field_of(heading) or "").partition("[")[0]
        if field in _OF_WORDS:
            return joined_words(items)
        if field in _OF_PAIRS:
            # Paths and pairs have marks of their own inside.
            return " | ".join(item.replace("|", "\\|") for item in items)
        return super().joined(heading, items)

    def finish(self, values: dict[str, Any]) -> None:
        texts = values.pop("image_texts", ())
        images = zip_longest(values.pop("images", ()), texts)
        values["images"] = tuple(
            ImageRecord(url, position, text or None) for position, (url, text) in enumerate(images, start=1) if url
        )
        if not _FURTHER.isdisjoint(values) or any(name.endswith("]") for name in values):
            composing.finish_product(values)


_OF_WORDS = frozenset(("tags", "images", "image_texts", "media_texts", "media_previews", "media_positions", "barcodes"))
_OF_PAIRS = frozenset(("categories", "attributes", "variant_attributes", "media", "option_names", "option_values"))
_FURTHER = frozenset(("media", "media_texts", "media_previews", "media_positions"))


def _localized(heading: str) -> str | None:
    """The field of a heading with its language: `title[de]`."""
    match = _IN_LANGUAGE.fullmatch(heading.strip())
    field = _LOCALIZED_FIELDS.get(folded(match[1])) if match else None
    if match is None or field is None:
        return None
    try:
        return f"{field}[{canonical_locale(match[2])}]"
    except ValueError:
        return None


_LOCALIZED_FIELDS = {folded(heading): field for heading, field in LOCALIZED.items()}


def _plain(word: str) -> str:
    """A word without the space around it, but for an end that is escaped, and without its backslashes."""
    begun = word.lstrip()
    bare = begun.rstrip()
    if len(bare) < len(begun) and (len(bare) - len(bare.rstrip("\\"))) % 2:
        bare = begun[: len(bare) + 1]
    return _ESCAPED.sub(r"\1", bare)


def _split(pattern: re.Pattern[str], cell: str) -> list[str]:
    """The parts between separators, still escaped; a separator at the end is followed by an empty part."""
    parts, position = [], 0
    while match := pattern.match(cell, position):
        parts.append(match[1])
        position = match.end()
        if position == match.end(1):
            break
    return parts


def words(cell: str) -> list[str]:
    """Words, of which some may be empty."""
    return [_plain(part) for part in _split(_BAR, cell)]


def paths(cell: str) -> tuple[tuple[str, ...], ...]:
    """Paths, each once. Empty steps are none."""
    found = (tuple(filter(None, map(_plain, _split(_STEP, part)))) for part in _split(_BAR, cell))
    return tuple(dict.fromkeys(path for path in found if path))


def path(cell: str) -> tuple[str, ...]:
    """The steps of one path, none of them empty. Raises InvalidCell."""
    steps = tuple(map(_plain, _split(_STEP, cell)))
    if not all(steps):
        raise InvalidCell("invalid_path", f"{cell[:200]!r} has a step without a name; write Home > Kitchen.")
    return steps


def pairs(cell: str) -> dict[str, str]:
    """Names and values: `de=Küche | fr=Cuisine`. Raises InvalidCell."""
    return dict(_listed_pairs(cell))


def _pairs(cell: str) -> tuple[tuple[str, str], ...]:
    return tuple(dict(_listed_pairs(cell)).items())


def _listed_pairs(cell: str, code: str = "invalid_attribute", form: str = "name=value") -> list[tuple[str, str]]:
    pairs = []
    for part in filter(str.strip, _split(_BAR, cell)):
        match = _PAIR.fullmatch(part)
        if match is None:
            raise InvalidCell(code, f"{part.strip()!r} is not of the form {form}.")
        pairs.append((_plain(match[1]), _plain(match[2])))
    return pairs


def addresses(cell: str) -> tuple[str, ...]:
    """Web addresses, and an empty text for an empty word. Raises InvalidCell."""
    return tuple(cells.url(word) if word else "" for word in words(cell))


def _status(cell: str) -> ProductStatus:
    try:
        return ProductStatus(cell.casefold())
    except ValueError:
        raise InvalidCell("invalid_status", f"{cell!r} is not a status: {', '.join(ProductStatus)}.") from None


def _policy(cell: str) -> StockPolicy:
    try:
        return StockPolicy(cell.casefold())
    except ValueError:
        raise InvalidCell("invalid_stock_policy", f"{cell!r} is neither 'standard' nor 'backorder'.") from None


def _media(cell: str) -> tuple[tuple[str, str], ...]:
    """Kind and address of each: `video=https://…`."""
    found = [
        (kind.casefold(), cells.url(address))
        for kind, address in _listed_pairs(cell, "invalid_media", "video=https://…")
    ]
    for kind, _ in found:
        if kind not in composing.MEDIA_KINDS:
            known = ", ".join(composing.MEDIA_KINDS)
            raise InvalidCell("invalid_media", f"{kind!r} is not a kind of media: {known}. Pictures are 'images'.")
    if len({address for _, address in found}) < len(found):
        raise InvalidCell("invalid_media", "An address comes twice.")
    return tuple(found)


def _positions(cell: str) -> tuple[int | None, ...]:
    return tuple(cells.positive(word) if word else None for word in words(cell))


def barcodes(cell: str) -> tuple[str, ...]:
    return tuple(cells.gtin(word) for word in words(cell) if word)


def _option_values(cell: str) -> tuple[tuple[str, str, str], ...]:
    """Option, value, and what it is called: `Colour > Red=Rot`."""
    found = []
    for part in filter(str.strip, _split(_BAR, cell)):
        steps = _split(_STEP, part)
        pair = _PAIR.fullmatch(steps[1]) if len(steps) == 2 else None
        if pair is None:
            raise InvalidCell("invalid_option_value", f"{part.strip()!r} is not of the form Colour > Red=Rot.")
        found.append((_plain(steps[0]), _plain(pair[1]), _plain(pair[2])))
    if len({said[:2] for said in found}) < len(found):
        raise InvalidCell("invalid_option_value", "A value of an option is called two things.")
    return tuple(found)


_BY_LANGUAGE: dict[str, Convert] = {
    **dict.fromkeys(("title", "description_html", "content_html", "seo_title", "seo_description"), cells.text),
    **dict.fromkeys(("attributes", "option_names"), _pairs),
    "option_values": _option_values,
    **dict.fromkeys(("image_texts", "media_texts"), words),
}
