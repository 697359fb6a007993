"""What orders announces."""

from datetime import datetime
from uuid import UUID

from shared.contracts.base import Event
from shared.contracts.orders.imported import ImportedOrderState
from shared.contracts.orders.shapes import OrderStanding, PlacedLine
from shared.money import Money


class OrderPlaced(Event):
    """An order was stored. While it waits for its payment its stock is held until `pay_until`."""

    order_id: UUID
    number: str
    shop_id: UUID
    total: Money
    status: str
    lines: list[PlacedLine]
    placed_at: datetime
    pay_until: datetime | None = None


class OrderMoved(Event):
    """An order went from one status to another (ORD-2). `version` grows with every change of one order."""

    order_id: UUID
    number: str
    shop_id: UUID
    before: str
    after: str
    version: int


class OrderDueLater(Event):
    """A payment of a pending order is on its way: its stock is held until then."""

    order_id: UUID
    number: str
    shop_id: UUID
    pay_until: datetime


class OrderCancelled(Event):
    """An order was cancelled: its stock returns, and money that came in is to go back."""

    order_id: UUID
    number: str
    shop_id: UUID
    reason: str


class OrderLinesChanged(Event):
    """An order has other lines: all that it wants now, and the amendments they came from."""

    order: OrderStanding


class OrderTotalChanged(Event):
    """An order costs something else than before. `version` grows with every change of one order."""

    order_id: UUID
    number: str
    shop_id: UUID
    total: Money
    version: int


class OrderDetailsChanged(Event):
    """Another person, another place, or other ways to follow its goods: what an order is found by."""

    order_id: UUID
    number: str
    shop_id: UUID
    version: int


class ImportedOrderChanged(Event):
    """An order of a connection waits, was taken, or was given up. `version` grows with every change of one order.

    `reason` and `detail` say why it is set aside, by a stable code and in words; `is_escalated`: it was looked at so
    often as its connection allows, and a person has to act.
    """

    imported_order_id: UUID
    connection_id: UUID
    external_id: str
    state: ImportedOrderState
    reason: str | None
    detail: str | None
    is_escalated: bool
    version: int


class RefundWanted(Event):
    """Money came in, or stays in, for an order that will not be fulfilled."""

    order_id: UUID
    number: str
    shop_id: UUID
    amount: Money
    reason: str


class CustomerErased(Event):
    """Who a customer was is to be forgotten, also by whoever keeps something of these orders."""

    customer_id: UUID
    order_ids: list[UUID]
