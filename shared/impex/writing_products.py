"""Products as rows of a file: Crossdock's own, which is read back without loss, and Shopify's.

Stock figures and costs are in neither: they belong to inventory and to supplier links, and have files of their own.
Prices are those of one price list, and their columns are there only if there is one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from shared.impex.profiles.base import OPTIONS
from shared.impex.profiles.crossdock import HEADER, LOCALIZED
from shared.impex.writing_words import escaped_word, joined_words, path_text

# Price and list price in minor units.
PricePair = tuple[int, int | None]
_NO_PRICE: tuple[None, None] = (None, None)
# A heading and the language in which it is meant.
Localized = tuple[str, str]
_NOT_WRITTEN = frozenset(("cost", "quantity", "stock policy"))
_OF_PRICES = ("price", "list price")


@dataclass(frozen=True, slots=True)
class ProductToWrite:
    """A product as it is stored.

    `own`, `variants` and `texts` (by language) are rows with the columns of their tables, JSON already read: `images`
    a list of `url` and `alt`. `paths` are its categories, `prices` those of its variants, by id.
    """

    own: Mapping[str, Any]
    variants: Sequence[Mapping[str, Any]] = ()
    paths: Sequence[Sequence[str]] = ()
    prices: Mapping[UUID, PricePair] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class ProductWriter(ABC):
    """One format of product files. `digits` are those of the prices' currency after the point; None: no prices."""

    name: ClassVar[str]
    headings: tuple[str, ...]

    @abstractmethod
    def __init__(self, digits: int | None) -> None: ...

    @abstractmethod
    def rows(self, product: ProductToWrite) -> Iterator[list[str]]:
        """The rows of a product, each as wide as the headings."""


class CrossdockWriter(ProductWriter):
    """One row per variant; what describes the product is in its first.

    `localized` are the languages in which something is said, and what: the columns for them.
    """

    name = "crossdock"

    def __init__(self, digits: int | None, localized: Sequence[Localized] = ()) -> None:
        self._digits = digits
        self._localized = localized
        absent = _NOT_WRITTEN | (frozenset(_OF_PRICES) if digits is None else frozenset())
        written = [heading for heading in HEADER if heading not in absent]
        own = written.index("option 1 value")
        in_languages = (f"{heading}[{locale}]" for heading, locale in localized)
        self.headings = (*written[:own], *in_languages, *written[own:])

    def rows(self, product: ProductToWrite) -> Iterator[list[str]]:
        own = [*_product_cells(product), *(localized_cell(product, *column) for column in self._localized)]
        if not product.variants:
            yield [*own, *[""] * (len(self.headings) - len(own))]
            return
        for variant in product.variants:
            yield [*own, *variant_cells(variant, product.prices, self._digits)]
            own = [own[0], *[""] * (len(own) - 1)]


class VariantWriter(ProductWriter):
    """One row per variant with the columns of variants alone: imported again, they add to products that are there."""

    name = "crossdock"

    def __init__(self, digits: int | None) -> None:
        self._digits = digits
        written = CrossdockWriter(digits).headings
        self.headings = ("handle", *written[written.index("option 1 value") :])

    def rows(self, product: ProductToWrite) -> Iterator[list[str]]:
        for variant in product.variants:
            yield [product.own["slug"], *variant_cells(variant, product.prices, self._digits)]


def _product_cells(product: ProductToWrite) -> list[str]:
    own, images = product.own, product.own["images"]
    return [
        own["slug"],
        own["title"],
        own["description_html"],
        own["brand"] or "",
        own["product_type"] or "",
        joined_words(own["tags"]),
        own["status"],
        " | ".join(map(path_text, product.paths)),
        _pairs(own["attributes"].items()),
        own["seo_title"] or "",
        own["seo_description"] or "",
        joined_words([image["url"] for image in images]),
        _words_of(image["alt"] for image in images),
        *three(own["options"]),
        own["content_html"] or "",
        _flag(own["featured"]),
        *_media_cells(own["media"]),
    ]


def _media_cells(media: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        _pairs((medium["kind"], medium["url"]) for medium in media),
        _words_of(medium.get("alt") for medium in media),
        _words_of(medium.get("preview_url") for medium in media),
        " | ".join(str(medium["position"] + 1) for medium in media),
    ]


def _words_of(words: Iterable[str | None]) -> str:
    """Words that go with other things by their order; nothing where none of them says any."""
    said = [word or "" for word in words]
    return joined_words(said) if any(said) else ""


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return " | ".join([f"{escaped_word(name)}={escaped_word(value)}" for name, value in pairs])


def localized_cell(product: ProductToWrite, heading: str, locale: str) -> str:
    """What a product says below `heading` in a language."""
    field = LOCALIZED[heading]
    if field in ("image_texts", "media_texts"):
        alts = product.own["alts"]
        shown = product.own["images" if field == "image_texts" else "media"]
        return _words_of(alts.get(each["url"], {}).get(locale) for each in shown)
    said = product.texts.get(locale, {}).get(field) or ""
    if isinstance(said, str):
        return said
    if field == "option_values":
        return " | ".join(
            f"{escaped_word(option)} > {escaped_word(value)}={escaped_word(word)}"
            for option, words in said.items()
            for value, word in words.items()
        )
    return _pairs(said.items())


def variant_cells(variant: Mapping[str, Any], prices: Mapping[UUID, PricePair], digits: int | None) -> list[str]:
    """From `option 1 value` on; with prices where there are `digits`."""
    money = () if digits is None else [major(amount, digits) for amount in prices.get(variant["id"], _NO_PRICE)]
    return [
        *three(variant["option_values"]),
        variant["sku"],
        variant["barcode"] or "",
        variant["mpn"] or "",
        *money,
        _number(variant["weight_grams"]),
        _flag(variant["requires_shipping"]),
        _flag(variant["taxable"]),
        variant["tax_class"] or "",
        variant["image_url"] or "",
        " | ".join(variant["barcodes"]),
        _pairs(variant["attributes"].items()),
        _flag(variant["price_on_request"]),
        _number(variant["weight_value"]),
        variant["weight_unit"] or "",
        *(_number(variant[f"{side}_value"]) for side in ("length", "width", "height")),
        variant["dimension_unit"] or "",
        *(_number(variant[f"order_{name}"]) for name in ("minimum", "maximum", "step")),
    ]


def _number(value: int | Decimal | None) -> str:
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def three(words: Sequence[str]) -> list[str]:
    """The cells of three options."""
    return [*words, *[""] * (OPTIONS - len(words))]


def major(amount: int | None, digits: int) -> str:
    """An amount of minor units in major ones, exactly: `19.90`."""
    if amount is None:
        return ""
    if not digits:
        return str(amount)
    whole, rest = divmod(amount, 10**digits)
    return f"{whole}.{rest:0{digits}d}"
