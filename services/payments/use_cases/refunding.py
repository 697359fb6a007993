"""Refund requests: money that should go back. Each stays listed until the gateway reports it, or a person closes it."""

from collections.abc import Sequence
from uuid import UUID

from services.payments.models import Payment, Refund
from services.payments.repository import common, order_records, payment_records
from services.payments.use_cases import alerting
from shared import clock
from shared.contracts.orders.events import RefundWanted
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

# Leaves it to `sending`, which takes in by the ledger what comes of it.
SEND = "payments.send_refund"


async def request(uow: UnitOfWork, order_id: UUID, *, reason: str, amount: int | None = None) -> None:
    """Request the refund of `amount`, or of all that was kept of an order's payments. What is requested already counts.

    Safe to repeat: nothing is requested twice.
    """
    await order_records.find_order(uow, order_id, for_update=True)
    payments = await payment_records.lock_payments(uow, [order_id])
    refunds = await payment_records.list_refunds_of(uow, [payment.id for payment in payments])
    wanted = amount
    for payment in payments:
        requests = [refund for refund in refunds if refund.payment_id == payment.id and refund.is_open_request]
        part = payment.kept(requests) if wanted is None else min(payment.kept(requests), wanted)
        if part > 0:
            await _request(uow, payment, requests, part, reason)
            wanted = None if wanted is None else wanted - part


async def request_wanted(uow: UnitOfWork, event: RefundWanted) -> None:
    """Request what an order wants returned."""
    await request(uow, event.order_id, reason=event.reason, amount=event.amount.amount)


async def _request(uow: UnitOfWork, payment: Payment, requests: Sequence[Refund], amount: int, reason: str) -> None:
    refund = Refund(
        organization_id=payment.organization_id,
        id=new_id(),
        payment_id=payment.id,
        amount=amount,
        state="requested",
        reason=reason[:1000],
        settled_from=payment.refunded + sum(request.amount for request in requests) + amount,
    )
    await common.add(uow, refund)
    alerting.refund_to_be_made(uow, payment, refund)
    uow.defer(SEND, {"refund_id": str(refund.id)}, key=str(refund.id))


def settle_requests(uow: UnitOfWork, payment: Payment, refunds: Sequence[Refund]) -> list[Refund]:
    """Close the requests that what has gone back by now covers. Returns them."""
    settled = [
        refund
        for refund in refunds
        if refund.is_open_request and refund.settled_from is not None and payment.refunded >= refund.settled_from
    ]
    for refund in settled:
        refund.state, refund.changed_at = "succeeded", clock.now()
        alerting.refund_settled(uow, refund)
    return settled


async def close(uow: UnitOfWork, refund_id: UUID, reason: str) -> tuple[Refund, Payment]:
    """Close a request by hand. Raises RefundNotFound, RefundIsSettled, PaymentNotFound beyond the shop limit."""
    refund = await payment_records.get_refund(uow, refund_id)
    payment = await payment_records.get_payment(uow, refund.payment_id)
    before = refund.state
    refund.close(reason)
    uow.audit("refund.close", "refund", refund.id, before={"state": before}, after={"state": "closed"}, reason=reason)
    alerting.refund_settled(uow, refund)
    return refund, payment
