"""The ledger of payments: what came in, went back and is disputed, as the gateways say it, in any order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from services.payments.models import Capture, Dispute, Order, Payment, Refund
from services.payments.notices import CaptureFact, DisputeFact, Notice, RefundFact
from services.payments.use_cases import alerting, awaiting, refunding
from services.payments.use_cases.books import Books
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

Part = TypeVar("Part", Capture, Refund, Dispute)


def take_in(uow: UnitOfWork, books: Books, payment: Payment, order: Order, said: Notice, at: datetime) -> bool:
    """Apply a notice to a payment in the books. Returns whether it said anything new.

    Raises AmountBeyondOrder and MustWait; then nothing is changed.
    """
    captures = [_capture_after(payment, books.captures[payment.id], fact, at) for fact in said.captures]
    refunds = [_refund_after(payment, books.refunds[payment.id], fact, at) for fact in said.refunds]
    disputes = [_dispute_after(payment, books.disputes[payment.id], fact, at) for fact in said.disputes]
    captured_before = payment.captured
    changed = payment.apply(
        said,
        at,
        _with(books.captures[payment.id], captures),
        _with(books.refunds[payment.id], refunds),
        _with(books.disputes[payment.id], disputes),
        order.total,
    )
    books.enter(payment, said.aliases, heard_as=said.payment)
    has_news = books.enter_parts(captures, refunds, disputes)
    if changed:
        _announce(uow, books, payment, order, is_less=payment.captured < captured_before)
    return changed or has_news


def _announce(uow: UnitOfWork, books: Books, payment: Payment, order: Order, *, is_less: bool) -> None:
    uow.record(payment.changed())
    books.changed[payment.id] = payment
    for request in refunding.settle_requests(uow, payment, books.refunds[payment.id]):
        books.enter_refund(request)
    alerting.watch_order_sum(uow, order, books.payments[order.id], may_be_over=is_less)


async def follow_up(uow: UnitOfWork, books: Books) -> None:
    """Once the books are written: wake what waited for the changes, and have what cancelled orders got go back."""
    stirred = books.changed | books.named
    if not stirred:
        return
    await awaiting.wake_for_payments(uow, stirred.values())
    changed = {payment.order_id for payment in books.changed.values()}
    for order in books.orders.values():
        if order.is_cancelled and order.id in changed:
            await refunding.request(uow, order.id, reason="The order is cancelled.")


def _capture_after(payment: Payment, known: Sequence[Capture], fact: CaptureFact, at: datetime) -> Capture:
    for capture in known:
        if capture.external_id == fact.external_id:
            return capture.after(fact, at)
    return Capture(**_part(payment, fact, at))


def _refund_after(payment: Payment, known: Sequence[Refund], fact: RefundFact, at: datetime) -> Refund:
    for refund in known:
        if refund.external_id == fact.external_id:
            return refund.after(fact, at)
    return Refund(**_part(payment, fact, at))


def _dispute_after(payment: Payment, known: Sequence[Dispute], fact: DisputeFact, at: datetime) -> Dispute:
    for dispute in known:
        if dispute.external_id == fact.external_id:
            return dispute.after(fact, at)
    return Dispute(**_part(payment, fact, at))


def _part(payment: Payment, fact: CaptureFact | RefundFact | DisputeFact, at: datetime) -> dict[str, Any]:
    return {
        "organization_id": payment.organization_id,
        "id": new_id(),
        "payment_id": payment.id,
        "external_id": fact.external_id,
        "amount": fact.amount,
        "state": fact.state,
        "changed_at": at,
    }


def _with(known: Sequence[Part], news: Sequence[Part]) -> list[Part]:
    """What is known, with `news` in its place or added."""
    ids = {row.id for row in news}
    found = [row for row in known if row.id not in ids]
    found.extend(news)
    return found
