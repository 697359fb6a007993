"""What `crossdock check` asks of orders."""

from uuid import UUID

from shared.contracts.base import Page, Query, Shape
from shared.contracts.orders.shapes import OrderStatus


class LineToCheck(Shape):
    """Units of a line: wanted (those that were cancelled are not), left and back, as orders was told."""

    sku: str
    wanted: int
    shipped: int
    returned: int


class OrderToCheck(Shape):
    order_id: UUID
    number: str
    status: OrderStatus
    lines: list[LineToCheck]


class ListOrdersToCheck(Query[Page[OrderToCheck]]):
    """By id, a thousand at a time. Internal."""

    timeout_seconds = 60.0
    after: str | None = None
