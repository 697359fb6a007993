"""Sets of products (SYN-13): what they are called, and what catalog tells of products to whoever keeps them."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from shared.contracts.base import Query, Shape

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
# What the values of a set may be; None: whatever products have.
SET_VALUES: dict[str, tuple[str, ...] | None] = {
    "with": FIELDS,
    "without": FIELDS,
    "status": _STATUSES,
    "stock": ("in", "low", "out"),
    "brand": None,
    "type": None,
    "tag": None,
    "size": None,
    "colour": None,
}


def _product_set(text: str) -> str:
    name, _, value = text.partition(":")
    values = SET_VALUES.get(name, ())
    if not value.strip() or (values is not None and value not in values):
        told = "; ".join(f"{known}:{'|'.join(of or ('…',))}" for known, of in SET_VALUES.items())
        raise ValueError(f"a set is one of {told}")
    return text


ProductSet = Annotated[
    str,
    StringConstraints(max_length=300, pattern=r"^[^\x00]*$"),
    AfterValidator(_product_set),
    Field(examples=["without:image"]),
]
ProductSets = Annotated[list[ProductSet], Field(max_length=MOST_SETS)]


class VariantFound(Shape):
    """What a variant is found by."""

    sku: str
    codes: list[str]
    size: str | None
    colour: str | None


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
