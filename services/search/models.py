"""An offer as it lies in the documents and goes to the engines."""

from dataclasses import dataclass
from uuid import UUID

import msgspec


class OfferFields(msgspec.Struct, frozen=True, gc=False):
    """What an offer is found, filtered and ordered by.

    With US the ASCII unit separator, `categories` are `path<US>name<US>position`, `options` `name<US>value`, and
    `attributes`, those that are facets, `code<US>value<US>label<US>text`, the last two as they are shown. `price` is
    in minor units. What is sold out comes behind everything else. `choices` has the options of each variant that is
    sold, where a variant has several.
    """

    title: str
    names: str
    text: str
    codes: list[str]
    brand: str | None
    categories: list[str]
    options: list[str]
    price: int | None
    is_available: bool
    is_featured: bool
    created_milliseconds: int
    attributes: list[str] = []
    is_sold_out: bool = False
    choices: list[list[str]] = []


class GroupOffer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An offer as one customer group sees it, because prices are others for it; `fields` None: not at all."""

    group: str
    fields: OfferFields | None
    document: bytes
    page: bytes


class StoredOffer(msgspec.Struct, frozen=True, gc=False):
    """A row that a reader follows: an offer as it now is, or that it is gone. `number` is its own within the shop.

    `groups` are the customer groups that see another one in its place.
    """

    product_id: str
    number: int
    slug: str
    fields: OfferFields | None
    document: bytes
    page: bytes
    groups: tuple[GroupOffer, ...] = ()


class OperatorEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an operator finds an order or product by.

    `at` is when it was placed or made, in milliseconds of Unix time. `numbers`, given whole, find what has them alone;
    `codes` are found whole or by their beginning, `words` word by word. `sets` are those it is in. With a `shop` it is
    only found by who sees that.
    """

    at: int
    numbers: list[str] = []
    codes: list[str] = []
    words: list[str] = []
    sets: list[str] = []
    shop: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A row that a reader follows: an order or product as it is now found, or that it is gone."""

    kind: str
    id: UUID
    entry: OperatorEntry | None
