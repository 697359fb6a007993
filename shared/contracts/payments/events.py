"""What payments announces."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.contracts.base import Event
from shared.money import Money

PaymentState = Literal[
    "pending", "authorised", "captured", "partly_refunded", "refunded", "failed", "cancelled", "disputed"
]


class PaymentChanged(Event):
    """A payment moved. Amounts are totals so far, never differences; take it when `version` is newer than the last.

    `refund_in_doubt` is what the gateway last said has gone back in all, where it had said more before (`refunded`) and
    no refund that failed explains it.
    """

    payment_id: UUID
    order_id: UUID
    order_number: str
    shop_id: UUID
    gateway_id: UUID
    provider: str
    external_id: str
    state: PaymentState
    authorised: Money
    captured: Money
    refunded: Money
    disputed: Money
    refund_in_doubt: Money | None = None
    occurred_at: datetime
    version: int
