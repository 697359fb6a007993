"""Sets of products (SYN-13): what they are called, and what catalog tells of products to whoever keeps them."""

from collections.abc import Sequence
from typing import Annotated, get_args
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from shared.contracts.base import Query, Shape
from shared.contracts.sync.shapes import PlatformName
from shared.money import Money

Words = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]*$")]
MOST_PARTS = 200
MOST_SETS = 10
FIELDS = (
    "barcode",
    "brand",
    "category",
    "description",
    "image",
    "mpn",
    "price",
    "product_type",
    "seo",
    "tags",
    "weight",
)
_STATUSES = ("draft", "active", "paused", "archived")
# Open ones, on whichever connection.
ISSUES = "issues"
PLATFORMS: tuple[str, ...] = get_args(PlatformName)
# Sets of how something stands on a platform: on any connection of that kind, or on the one with this id.
CONNECTION_SETS = (
    "on",
    "published",
    "unpublished",
    "in_category",
    "without_category",
    "pending_update",
    "pending_create",
    "issues",
)
# Further in a category there, by its path: `category:shopify:Clothing > Scarves`.
CATEGORY = "category"
# What the values of a set may be; None: whatever products have.
SET_VALUES: dict[str, tuple[str, ...] | None] = {
    "with": (*FIELDS, ISSUES),
    "without": (*FIELDS, ISSUES),
    "status": _STATUSES,
    "stock": ("in", "low", "out"),
    # Low: less than a supplier takes for it. Bad: none, or zero.
    "price": ("low", "bad"),
    "brand": None,
    "type": None,
    "tag": None,
    "size": None,
    "colour": None,
}


def is_of_connections(name: str) -> bool:
    """Whether a set is about how something stands on connections."""
    kind, _, value = name.partition(":")
    return kind in (*CONNECTION_SETS, CATEGORY) or (kind in ("with", "without") and value == ISSUES)


def place_of(name: str) -> str:
    """The platform, or the connection's id, that a set of connections names."""
    return name.split(":", 2)[1]


def category_set(place: str, path: Sequence[str]) -> str:
    """The set of what stands in a category of a platform or connection."""
    return f"{CATEGORY}:{place}:{' > '.join(path)}"


def connection_set(text: str) -> bool:
    """Whether this is one of the sets of a platform or connection."""
    name, _, place = text.partition(":")
    if name == CATEGORY:
        place, _, path = place.partition(":")
        return bool(path.strip()) and _is_place(place)
    return name in CONNECTION_SETS and _is_place(place)


def _is_place(text: str) -> bool:
    try:
        return text in PLATFORMS or str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _product_set(text: str) -> str:
    name, _, value = text.partition(":")
    values = SET_VALUES.get(name, ())
    is_known = bool(value.strip()) and (values is None or value in values)
    if not is_known and not connection_set(text):
        told = [f"{known}:{'|'.join(of or ('…',))}" for known, of in SET_VALUES.items()]
        told += [f"{'|'.join(CONNECTION_SETS)}:{'|'.join(PLATFORMS)}|connection's id", f"{CATEGORY}:shopify:path"]
        raise ValueError(f"a set is one of {'; '.join(told)}")
    return text


ProductSet = Annotated[
    str,
    StringConstraints(max_length=300, pattern=r"^[^\x00]*$"),
    AfterValidator(_product_set),
    Field(examples=["without:image"]),
]
ProductSets = Annotated[list[ProductSet], Field(max_length=MOST_SETS)]


class VariantFound(Shape):
    """What a variant is found by. `prices` are the lowest of those that have not ended, one for each currency."""

    sku: str
    codes: list[str]
    size: str | None
    colour: str | None
    prices: list[Money] = []


class ProductFound(Shape):
    """What a product is found by. `has` are those of the fields that it has, or that every one of its variants has."""

    id: UUID
    status: str
    titles: list[str]
    brand: str | None
    product_type: str | None
    tags: list[str]
    has: list[str]
    variants: list[VariantFound]


class ProductsFound(Shape):
    """Those of the products asked for that there are."""

    products: list[ProductFound]


class GetProductsFound(Query[ProductsFound]):
    """What these products are found by, as they are now. Internal: search asks."""

    product_ids: Annotated[list[UUID], Field(max_length=MOST_PARTS)]
