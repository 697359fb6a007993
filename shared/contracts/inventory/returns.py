"""Goods that come back."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.inventory.shapes import Quantity, Sku
from shared.contracts.inventory.shipments import Reason
from shared.pagination import First


class ReturnLineDraft(Shape):
    """So many units of a SKU came back; into the stock of the centre `restock_to`, or of none."""

    sku: Sku
    quantity: Quantity
    restock_to: str | None = None


class ReturnDraft(Shape):
    """Goods of an order that came back, of one shipment if it is named, else of the oldest that has some left."""

    order_id: UUID
    shipment_id: UUID | None = None
    lines: Annotated[list[ReturnLineDraft], Field(min_length=1, max_length=1000)]
    reason: Reason | None = None


class ReturnLine(Shape):
    """Units of a SKU that had left with a shipment; `restocked_to` is the centre that has them now, if one has."""

    sku: str
    quantity: int
    shipment_id: UUID
    restocked_to: str | None


class GoodsReturn(Shape):
    """What came back of an order at once."""

    id: UUID
    number: str
    order_id: UUID
    order_number: str
    shop_id: UUID
    reason: str | None
    actor: str
    lines: list[ReturnLine]
    returned_at: datetime


class CreateReturn(Command[GoodsReturn]):
    """Record that shipped goods came back. Whether money goes back is the order's business.

    Refused with `order_not_found`, `shipment_not_found`, `centre_not_found` (404), and with an entry per SKU in
    `errors`: `not_shipped` (409) for what never left, `more_than_shipped` (409) for more than is still out.
    """

    goods: ReturnDraft


class GetReturn(Query[GoodsReturn]):
    """One return. Refused with `return_not_found` (404)."""

    return_id: UUID


class ListReturns(Query[Page[GoodsReturn]]):
    """Returns, latest first, of all orders or of one."""

    order_id: UUID | None = None
    first: First = 50
    after: str | None = None
