"""What `crossdock check` asks of payments, and what orders answer alike."""

from uuid import UUID

from shared.contracts.base import Page, Query, Shape


class PaymentToCheck(Shape):
    """A payment's totals so far in minor units of its currency, as of its `version`. Without a currency all are 0."""

    id: UUID
    order_number: str
    currency: str | None
    captured: int
    refunded: int
    disputed: int
    version: int


class ListPaymentsToCheck(Query[Page[PaymentToCheck]]):
    """By id, a thousand at a time. Internal."""

    timeout_seconds = 60.0
    after: str | None = None
