"""What a provider told about one payment beside what the ledger says of it: where they differ, and how."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from services.payments.models import Payment
from services.payments.notices import CaptureFact, DisputeFact, Notice, RefundFact
from services.payments.repository.difference_records import Found
from services.payments.repository.reconciliation_records import Fact, Known

# What a later word never takes back, as the ledger has it.
_DISPUTE_ORDER = {"open": 0, "won": 1, "lost": 2}


def compare(facts: Sequence[Fact], known: Known) -> list[Found]:
    """The differences, those of one payment together: itself first, then what was returned and disputed of it."""
    found: list[Found] = []
    for _, group in groupby(sorted(facts, key=lambda fact: _place(fact, known)), lambda fact: _place(fact, known)[0]):
        found.extend(_compare_payment(list(group), known))
    return found


def _place(fact: Fact, known: Known) -> tuple[str, bool]:
    """The payment a fact is about, by whatever name it was told; what speaks of the payment itself comes first."""
    payment = find_payment(fact, known)
    is_part = fact.said is not None and not fact.said.speaks_of_payment
    return (fact.payment if payment is None else str(payment.id)), is_part


def find_payment(fact: Fact, known: Known) -> Payment | None:
    names = [fact.payment] if fact.said is None else [fact.said.payment, *fact.said.aliases]
    return next((known.payments[name] for name in names if name in known.payments), None)


def _compare_payment(facts: Sequence[Fact], known: Known) -> Iterator[Found]:
    payment = find_payment(facts[0], known)
    for fact in facts:
        if fact.said is None:
            yield from _untold(fact, payment)
        elif fact.said.speaks_of_payment:
            yield from _status(fact, fact.said, payment, known)
    yield from _refunds(facts, payment, known)
    yield from _disputes(facts, payment, known)


def _untold(fact: Fact, payment: Payment | None) -> Iterator[Found]:
    """Not understood, or not known to the provider."""
    if fact.problem is not None:
        yield Found(fact, "unreadable", 0, 0, fact.problem, payment, is_repairable=False)
    elif payment is not None and payment.captured:
        detail = "It is paid here, and the provider knows no such payment."
        yield Found(fact, "paid_here", 0, payment.captured, detail, payment, is_repairable=False)


# --- the payment itself


def _status(fact: Fact, said: Notice, payment: Payment | None, known: Known) -> Iterator[Found]:
    here = 0 if payment is None else payment.captured
    if payment is not None and payment.currency not in (None, said.currency):
        detail = f"The payment is in {payment.currency} here and in {said.currency} there."
        yield Found(fact, "amount_differs", _paid_there(said), here, detail, payment, is_repairable=False)
    elif said.captures:
        yield from _captures(fact, said, payment, known)
    elif said.captured:
        yield from _captured(fact, said.captured, payment, known)
    elif here and (said.failed or said.cancelled or said.authorised is not None):
        detail = f"It is paid here, and the provider says {said.event}."
        yield Found(fact, "paid_here", 0, here, detail, payment, is_repairable=False)
    else:
        yield from _not_paid(fact, said, payment)
    if said.refunded and said.refunded > (0 if payment is None else payment.refunded):
        refunded = 0 if payment is None else payment.refunded
        detail = "More was refunded there than is known here."
        yield Found(fact, "refund_missing", said.refunded, refunded, detail, payment)


def _paid_there(said: Notice) -> int:
    return said.captured or sum(capture.amount for capture in said.captures if capture.state == "succeeded")


def _captured(fact: Fact, there: int, payment: Payment | None, known: Known) -> Iterator[Found]:
    here = 0 if payment is None else payment.captured
    if not here:
        yield _paid(fact, there, payment, known)
    elif here != there:
        detail = f"The provider has captured {'more' if there > here else 'less'} than is known here."
        # The ledger follows the most that was ever told: less is for a person to decide.
        yield Found(fact, "amount_differs", there, here, detail, payment, is_repairable=there > here)


def _captures(fact: Fact, said: Notice, payment: Payment | None, known: Known) -> Iterator[Found]:
    """A provider that tells captures one by one."""
    rows = [] if payment is None else known.captures.get(payment.id, [])
    missing = [capture for capture in said.captures if not _is_known_capture(capture, rows)]
    there = sum(capture.amount for capture in missing if capture.state == "succeeded")
    if not there:
        return
    if payment is None or not payment.captured:
        yield _paid(fact, there, payment, known)
        return
    added_up = sum(row.amount for row in rows if row.state == "succeeded") + there
    if added_up > payment.captured:
        detail = "A capture is there that is not known here."
        yield Found(fact, "amount_differs", added_up, payment.captured, detail, payment)


def _is_known_capture(capture: CaptureFact, rows: Iterable[Any]) -> bool:
    return any(row.external_id == capture.external_id for row in rows)


def _paid(fact: Fact, there: int, payment: Payment | None, known: Known) -> Found:
    assert fact.said is not None
    number = fact.said.order_number
    if payment is not None or number in known.orders:
        return Found(fact, "paid_there", there, 0, "It is paid there and not here.", payment)
    detail = "It names no order." if number is None else f"There is no order {number} here."
    return Found(fact, "paid_without_order", there, 0, f"It is paid there. {detail}", payment)


def _not_paid(fact: Fact, said: Notice, payment: Payment | None) -> Iterator[Found]:
    """Authorised, failed or cancelled there. An attempt that came to nothing and was never heard of is none."""
    authorised = 0 if payment is None else payment.authorised
    if said.authorised is not None and said.authorised > authorised:
        yield Found(fact, "status_differs", said.authorised, authorised, "It is authorised there alone.", payment)
    elif payment is not None and _has_ended(said, payment.state):
        detail = f"It is {payment.state} here, and the provider says {said.event}."
        yield Found(fact, "status_differs", 0, authorised, detail, payment)


def _has_ended(said: Notice, state: str) -> bool:
    """Whether a payment came to nothing there that is still on its way here; a failed attempt ends no other."""
    return (said.cancelled and state in ("pending", "authorised")) or (said.failed and state == "pending")


# --- what was returned, and what is disputed


def _refunds(facts: Sequence[Fact], payment: Payment | None, known: Known) -> Iterator[Found]:
    """Refunds are known one by one, or by a total that the provider told: both are looked at."""
    rows = {} if payment is None else {row.external_id: row for row in known.refunds.get(payment.id, [])}
    told = [(fact, refund) for fact in facts if fact.said is not None for refund in fact.said.refunds]
    missing = [
        (fact, refund)
        for fact, refund in told
        if refund.state == "succeeded" and _state(rows, refund) not in ("succeeded", "failed", "cancelled")
    ]
    here = 0 if payment is None else payment.refunded
    one_by_one = sum(row.amount for name, row in rows.items() if name is not None and row.state == "succeeded")
    if one_by_one + sum(refund.amount for _, refund in missing) > here:
        for fact, refund in missing:
            yield Found(fact, "refund_missing", refund.amount, 0, "It was refunded there and not here.", payment)
    for fact, refund in told:
        before = _state(rows, refund)
        if refund.state in ("failed", "cancelled") and before == "succeeded":
            detail = f"The refund {refund.state} there, and succeeded here."
            yield Found(fact, "refund_differs", 0, refund.amount, detail, payment)
        elif refund.state == "succeeded" and before in ("failed", "cancelled"):
            detail = f"The refund succeeded there, and {before} here."
            yield Found(fact, "refund_differs", refund.amount, 0, detail, payment, is_repairable=False)


def _disputes(facts: Sequence[Fact], payment: Payment | None, known: Known) -> Iterator[Found]:
    rows = {} if payment is None else {row.external_id: row for row in known.disputes.get(payment.id, [])}
    for fact in facts:
        for dispute in () if fact.said is None else fact.said.disputes:
            before = _state(rows, dispute)
            is_behind = before is not None and _DISPUTE_ORDER[dispute.state] <= _DISPUTE_ORDER[before]
            if is_behind or (before is None and dispute.state == "won"):
                continue
            here = 0 if before is None else rows[dispute.external_id].amount
            detail = f"The dispute is {dispute.state} there, and {before or 'not known'} here."
            yield Found(fact, "dispute_missing", dispute.amount, here, detail, payment)


def _state(rows: dict[str, Any], part: RefundFact | DisputeFact) -> str | None:
    row = rows.get(part.external_id)
    return None if row is None else row.state


def matching(rows: Sequence[Any], facts: Sequence[Fact], known: Known) -> set[UUID]:
    """Which differences are none any more, by what is known now. What the provider did not tell never is."""
    still = {(found.kind, found.fact.reference) for found in compare(facts, known)}
    # An order that has come turns one kind into the other; paid there and not here it is all the same.
    still |= {("paid_without_order", reference) for kind, reference in still if kind == "paid_there"}
    return {row["id"] for row in rows if row["said"] is not None and (row["kind"], row["reference"]) not in still}
