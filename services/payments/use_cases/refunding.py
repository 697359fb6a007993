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
    refunds = await payment_records.lock_refunds_of(uow, [payment.id for payment in payments])
    wanted = amount
    for payment in payments:
        known = [refund for refund in refunds if refund.payment_id == payment.id]
        part = payment.kept(known) if wanted is None else min(payment.kept(known), wanted)
        if part > 0:
            await _request(uow, payment, known, part, reason)
            wanted = None if wanted is None else wanted - part


async def request_wanted(uow: UnitOfWork, event: RefundWanted) -> None:
    """Request what an order wants returned."""
    await request(uow, event.order_id, reason=event.reason, amount=event.amount.amount)


async def _request(uow: UnitOfWork, payment: Payment, known: Sequence[Refund], amount: int, reason: str) -> None:
    before = sum(refund.left(payment.refunded) for refund in known if refund.is_open_request)
    refund = Refund(
        organization_id=payment.organization_id,
        id=new_id(),
        payment_id=payment.id,
        amount=amount,
        state="requested",
        reason=reason[:1000],
        settled_from=payment.refunded + before + amount,
    )
    closed = [each for each in known if each.state == "closed"]
    for each in closed:
        each.move(amount)
    await common.write(uow, [*closed, refund])
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
    refund, payment, known = await lock_request(uow, refund_id)
    before = refund.state
    open_ones = [each for each in known if each.is_open_request and each.id != refund.id]
    behind = [each for each in open_ones if (each.settled_from or 0) > (refund.settled_from or 0)]
    refund.close(reason, behind)
    uow.audit("refund.close", "refund", refund.id, before={"state": before}, after={"state": "closed"}, reason=reason)
    alerting.refund_settled(uow, refund)
    # What went back before may have been theirs.
    settle_requests(uow, payment, behind)
    await common.write(uow, [refund, *behind])
    return refund, payment


async def lock_request(uow: UnitOfWork, refund_id: UUID) -> tuple[Refund, Payment, list[Refund]]:
    """A request with its payment and all refunds of that, locked. Raises RefundNotFound, PaymentNotFound."""
    refund = await payment_records.get_refund(uow, refund_id)
    order_id = (await payment_records.get_payment(uow, refund.payment_id)).order_id
    await order_records.find_order(uow, order_id, for_update=True)
    payments = await payment_records.lock_payments(uow, [order_id])
    payment = next(each for each in payments if each.id == refund.payment_id)
    refunds = await payment_records.lock_refunds_of(uow, [payment.id])
    return next(each for each in refunds if each.id == refund_id), payment, refunds
