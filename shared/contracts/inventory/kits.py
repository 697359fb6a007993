"""Kits: SKUs that are sold as one thing and lie in centres as several."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from shared.contracts.base import Command, Done, Page, Query, Shape
from shared.contracts.inventory.shapes import Quantity
from shared.pagination import First

KitSku = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$", examples=["GIFT-BOX"])]


class KitPart(Shape):
    """So many of a child that one kit takes."""

    sku: KitSku
    quantity: Quantity = 1


class Kit(Shape):
    """A SKU made of others. It has no stock of its own: it is available as its scarcest child.

    `parts` is what it is made of; `units` are the goods that takes from centres, where a part is a kit itself.
    """

    sku: str
    parts: list[KitPart]
    units: list[KitPart]
    updated_at: datetime


class GetKit(Query[Kit]):
    """What a kit is made of. Refused with `kit_not_found` (404)."""

    sku: KitSku


class ListKits(Query[Page[Kit]]):
    """Kits by SKU; with `child` those that take goods of this SKU."""

    child: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = None
    first: First = 50
    after: str | None = None


class SetKit(Command[Kit]):
    """Make a SKU a kit of these children, or change what it is made of. What is reserved keeps what it took.

    A child may be a kit, as long as none ends up in itself: `kit_loops` (409). Also refused: `kit_has_stock` (409)
    while the SKU has stock of its own, `kit_too_large` (422) beyond 200 goods or 1,000,000 units of one.
    """

    sku: KitSku
    parts: Annotated[list[KitPart], Field(min_length=1, max_length=100)]


class DeleteKit(Command[Done]):
    """Make a kit a SKU with stock of its own, none at first. What is reserved keeps the children it took.

    Refused with `kit_not_found` (404).
    """

    sku: KitSku
