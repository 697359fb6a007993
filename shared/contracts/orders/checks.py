"""What `crossdock check` asks of orders."""

from uuid import UUID

from shared.contracts.base import Page, Query, Shape
from shared.contracts.orders.shapes import OrderStatus
from shared.contracts.payments.checks import PaymentToCheck


class LineToCheck(Shape):
    """Units of a line: wanted (those that were cancelled are not), left and back, as orders was told."""

    sku: str
    wanted: int
    shipped: int
    returned: int


class OrderToCheck(Shape):
    """`paid` and `refunded` in minor units, as the order says and as its payments in its currency come to.

    `by_payments` is None where the order has no payment: it may have been paid elsewhere.
    """

    order_id: UUID
    number: str
    status: OrderStatus
    lines: list[LineToCheck]
    paid: int
    refunded: int
    by_payments: tuple[int, int] | None


class ListOrdersToCheck(Query[Page[OrderToCheck]]):
    """By id, a thousand at a time. Internal."""

    timeout_seconds = 60.0
    after: str | None = None


class ListOrderPaymentsToCheck(Query[Page[PaymentToCheck]]):
    """What orders were told of payments, by the id of the payment, a thousand at a time. Internal."""

    timeout_seconds = 60.0
    after: str | None = None
