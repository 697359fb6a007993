"""What is known of the payments of orders."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from services.orders.models import Base, instant
from shared.contracts.payments.events import PaymentChanged
from shared.money import Money


class OrderPaymentRow(Base, table=True):
    """A payment as payments last told of it. Amounts are totals so far, in minor units."""

    __tablename__ = "order_payments"

    organization_id: UUID = Field(primary_key=True)
    payment_id: UUID = Field(primary_key=True)
    order_id: UUID
    gateway_id: UUID
    provider: str
    external_id: str
    state: str
    currency: str
    authorised: int
    captured: int
    refunded: int
    disputed: int
    refund_in_doubt: int | None = None
    occurred_at: datetime = instant()
    version: int

    def take(self, event: PaymentChanged) -> None:
        """Become what a newer event says."""
        self.state, self.version, self.occurred_at = event.state, event.version, event.occurred_at
        self.currency = event.captured.currency
        self.authorised, self.captured = event.authorised.amount, event.captured.amount
        self.refunded, self.disputed = event.refunded.amount, event.disputed.amount
        self.refund_in_doubt = _amount(event.refund_in_doubt)

    @classmethod
    def of(cls, organization_id: UUID, event: PaymentChanged) -> "OrderPaymentRow":
        return cls(
            organization_id=organization_id,
            payment_id=event.payment_id,
            order_id=event.order_id,
            gateway_id=event.gateway_id,
            provider=event.provider,
            external_id=event.external_id,
            state=event.state,
            currency=event.captured.currency,
            authorised=event.authorised.amount,
            captured=event.captured.amount,
            refunded=event.refunded.amount,
            disputed=event.disputed.amount,
            refund_in_doubt=_amount(event.refund_in_doubt),
            occurred_at=event.occurred_at,
            version=event.version,
        )


def _amount(money: Money | None) -> int | None:
    return None if money is None else money.amount
