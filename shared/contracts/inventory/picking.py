"""What is to be picked in a centre, oldest orders first."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.contracts.base import Page, Query, Shape
from shared.pagination import First

PickingStatus = Literal["in_stock", "partial", "backorder", "on_hold"]


class PickingLine(Shape):
    """So many units of a SKU that no shipment has taken yet; `there` are on hand for this order."""

    sku: str
    quantity: int
    there: int


class OrderToPick(Shape):
    """What of an order lies in one centre and is in no shipment yet.

    `status`: *in_stock* all of it is there; *partial* some is; *backorder* nothing is; *on_hold* the order is stopped.
    """

    order_id: UUID
    order_number: str | None
    shop: str
    centre: str
    placed_at: datetime
    status: PickingStatus
    lines: list[PickingLine]


class SkuToPick(Shape):
    """Units of a SKU over all orders of one centre: `there` to be picked now, `waiting` for goods, or `on_hold`."""

    sku: str
    centre: str
    there: int
    waiting: int
    on_hold: int
    orders: int


class PickingFile(Shape):
    """A picking list as CSV. `is_cut`: there is more; pick this first."""

    name: str
    content: str
    rows: int
    is_cut: bool


class ListOrdersToPick(Query[Page[OrderToPick]]):
    """The picking list of a centre by order, oldest first. Refused with `centre_not_found` (404).

    Goods that are scarce belong to the orders that waited longest; what is bound to shipments is not listed any more.
    """

    centre: str
    status: PickingStatus | None = None
    first: First = 50
    after: str | None = None


class ListSkusToPick(Query[Page[SkuToPick]]):
    """The picking list of a centre by SKU, over all its orders. Refused with `centre_not_found` (404)."""

    centre: str
    first: First = 50
    after: str | None = None


class GetPickingFile(Query[PickingFile]):
    """The picking list of a centre as CSV, up to 10,000 lines, by order or by SKU.

    Refused with `centre_not_found` (404).
    """

    centre: str
    by: Literal["order", "sku"] = "order"
    status: PickingStatus | None = None
