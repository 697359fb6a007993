"""Files of channel content (CAT-4): what shops and connections have of products for themselves, and who owns what.

| heading | what it holds |
|---|---|
| `shop`, `connection` | whose the row is: a shop's code, or a connection's id or name; neither: the import's own shop |
| `handle` | the product's slug |
| `sku` | the variant that the row is of; empty: it is of the product itself |
| `title`, `description`, `content`, `seo title`, `seo description` | texts of the product |
| `images`, `image texts` | addresses in order, separated by a bar, and their texts |
| `categories` | paths of categories that are there: `Home > Kitchen \\| Gifts` |
| `list price` | the variant's old price, in the shop's currency |
| `weight grams`, `length mm`, `width mm`, `height mm` | whole numbers |
| `backorder` | `allow` or `deny` |
| `order minimum`, `order maximum`, `order step` | how much one order takes; the three are taken together |
| `channel fields`, `master fields`, `parent fields` | whose fields are to be, each by its heading, separated by a bar |

An empty cell says nothing. A field under `channel fields` whose cell is empty is one of which the channel has nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from shared.contracts.catalog.channel_content import ChannelContentChange, VariantContentChange
from shared.contracts.catalog.shapes import Backorder, ContentOwner
from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.impex.keys import folded
from shared.impex.profiles import crossdock
from shared.imports.tables import Column

# Headings and the fields that they are; several headings may be one field.
OF_PRODUCT: Mapping[str, str] = {
    "title": "title",
    "description": "description_html",
    "content": "content_html",
    "seo title": "seo_title",
    "seo description": "seo_description",
    "images": "images",
    "image texts": "images",
    "categories": "category_ids",
}
OF_VARIANT: Mapping[str, str] = {
    "list price": "list_price",
    "weight grams": "weight_grams",
    "length mm": "length_mm",
    "width mm": "width_mm",
    "height mm": "height_mm",
    "backorder": "backorder",
    "order minimum": "order_limits",
    "order maximum": "order_limits",
    "order step": "order_limits",
}
OWNERS: Mapping[str, ContentOwner] = {
    "channel fields": "channel",
    "master fields": "master",
    "parent fields": "parent",
}
# What a file calls a field: its first heading, and limits by what they are.
NAMES: Mapping[str, str] = {
    **{name: heading for heading, name in reversed([*OF_PRODUCT.items(), *OF_VARIANT.items()])},
    "order_limits": "order limits",
}
_FIELDS = {folded(said): name for name, heading in NAMES.items() for said in (heading, name)}
HEADINGS: Sequence[str] = ("shop", "connection", "handle", "sku", *OF_PRODUCT, *OF_VARIANT, *OWNERS)
# What a field is that a channel owns and has nothing of; null, where it is not among these.
_NOTHING: Mapping[str, Any] = {"description_html": "", "images": [], "category_ids": []}


def _fields(cell: str) -> tuple[str, ...]:
    found = []
    for word in filter(None, crossdock.words(cell)):
        if folded(word) not in _FIELDS:
            raise InvalidCell("unknown_field", f"{word[:100]!r} is no field; there are {', '.join(NAMES.values())}.")
        found.append(_FIELDS[folded(word)])
    return tuple(dict.fromkeys(found))


def _backorder(cell: str) -> str:
    if cell.casefold() not in get_args(Backorder):
        raise InvalidCell("invalid_backorder", f"{cell[:100]!r} is neither 'allow' nor 'deny'.")
    return cell.casefold()


_CONVERTERS: Mapping[str, Callable[[str], Any]] = {
    "images": crossdock.addresses,
    "image texts": crossdock.words,
    "categories": crossdock.paths,
    "backorder": _backorder,
    **dict.fromkeys(("weight grams", "length mm", "width mm", "height mm"), cells.integer),
    **dict.fromkeys(("order minimum", "order maximum", "order step"), cells.positive),
    **dict.fromkeys(OWNERS, _fields),
}
COLUMNS = tuple(
    Column(heading, _CONVERTERS.get(heading, cells.text), is_required=heading == "handle") for heading in HEADINGS
)


class Refused(Exception):
    """A row cannot be taken: the column, the code and the sentence."""

    def __init__(self, column: str, code: str, message: str) -> None:
        super().__init__(message)
        self.column, self.code, self.message = column, code, message


def owners_of(values: Mapping[str, Any], headings: Iterable[str]) -> dict[str, ContentOwner]:
    """Whose fields a row says are to be, of those that it can have. Raises Refused for one that two are to have."""
    owners: dict[str, ContentOwner] = {}
    known = set(headings)
    for heading, owner in OWNERS.items():
        for name in values.get(heading) or ():
            if name not in known:
                raise Refused(heading, "not_of_this_row", f"'{NAMES[name]}' is not a field of what the row is of.")
            if name in owners:
                raise Refused(heading, "two_owners", f"'{NAMES[name]}' has one owner.")
            owners[name] = owner
    return owners


def product_change(values: Mapping[str, Any], owned: Iterable[str], alts: Mapping[str, Any]) -> ChannelContentChange:
    """What a row gives of a product; `owned` are fields of which it says that the channel has them, `alts` what is said
    of pictures in languages, by address. Categories are ids already. Raises Refused.
    """
    given: dict[str, Any] = {
        name: values[heading]
        for heading, name in OF_PRODUCT.items()
        if heading != "image texts" and values.get(heading) is not None
    }
    if "images" in given:
        texts = list(values.get("image texts") or ())
        texts += [""] * (len(given["images"]) - len(texts))
        given["images"] = [
            {"url": url, "alt": text or None, "alts": alts.get(url, {})}
            for url, text in zip(given["images"], texts, strict=False)
            if url
        ]
    _refuse_others(values, OF_VARIANT, "A row without a SKU is of the product itself.")
    return _checked(ChannelContentChange, _with_nothing(given, owned, values), OF_PRODUCT)


def variant_change(sku: str, values: Mapping[str, Any], owned: Iterable[str], currency: str) -> VariantContentChange:
    """What a row gives of a variant. Raises Refused."""
    given: dict[str, Any] = {
        name: values[heading]
        for heading, name in OF_VARIANT.items()
        if name not in ("list_price", "order_limits") and values.get(heading) is not None
    }
    if values.get("list price") is not None:
        try:
            given["list_price"] = cells.price(values["list price"], currency)
        except InvalidCell as fault:
            raise Refused("list price", fault.code, fault.message) from None
    limits = {name: values.get(f"order {name}") for name in ("minimum", "maximum", "step")}
    if any(limits.values()):
        given["order_limits"] = limits
    _refuse_others(values, OF_PRODUCT, "A row with a SKU is of that variant.")
    return _checked(VariantContentChange, {"sku": sku, **_with_nothing(given, owned, values)}, OF_VARIANT)


def _with_nothing(given: dict[str, Any], owned: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """With nothing in the fields that the channel is to have and whose cells are there and empty."""
    said = {name for heading, name in [*OF_PRODUCT.items(), *OF_VARIANT.items()] if heading in values}
    empty = [name for name in owned if name not in given and name in said]
    return {**given, **{name: _NOTHING.get(name) for name in empty}}


def _refuse_others(values: Mapping[str, Any], headings: Iterable[str], message: str) -> None:
    for heading in headings:
        if values.get(heading) is not None:
            raise Refused(heading, "not_of_this_row", message)


def _checked(kind: type[Any], given: Mapping[str, Any], headings: Mapping[str, str]) -> Any:
    try:
        return kind.model_validate(given)
    except ValidationError as fault:
        first = fault.errors()[0]
        names = [each for each in first["loc"] if isinstance(each, str)]
        column = next((heading for heading, name in headings.items() if name in names), next(iter(headings)))
        raise Refused(column, "invalid_value", f"{first['msg'].removeprefix('Value error, ')}.") from None
