"""Razorpay: signature, events of payments, refunds and disputes.

Sources: Razorpay's own `Utility.verify_webhook_signature`; events and payloads of razorpay.com/docs/webhooks;
amounts in three-decimal currencies end in 0 (razorpay.com/docs, checkout parameters).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.payments.errors import UnreadableCallback, WrongAmount
from services.payments.gateways import reading, settings
from services.payments.gateways.base import (
    GENUINE,
    Account,
    Content,
    Delivery,
    EventIdentity,
    Harmless,
    Verdict,
    forged,
)
from services.payments.gateways.reading import Object
from services.payments.gateways.signatures import any_signed, razorpay_signed
from services.payments.notices import DisputeFact, Notice, RefundFact
from shared.money import EXPONENTS

_LONGEST_HEADER = 1024


class Razorpay:
    """The adapter."""

    name = "razorpay"
    accepted = b"{}"
    accepted_type = "application/json"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given)

    def check_secret(self, secret: str) -> None:
        """Any text may be one."""

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        header = delivery.headers.get("x-razorpay-signature", "")
        if not header:
            return forged("no_signature")
        if len(header) > _LONGEST_HEADER:
            return forged("malformed_signature")
        if not any_signed(account.secrets, razorpay_signed, delivery.body, header):
            return forged("wrong_signature")
        return GENUINE

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        """The event's id is in a header that is not signed: it names the event, and what it says is in the digest."""
        event = reading.find_document(delivery.body)
        if event is None:
            return [reading.unknown(delivery.body)]
        event_id = reading.find_name(delivery.headers, "x-razorpay-event-id")
        return [EventIdentity(event_id, reading.find_name(event, "event"), reading.digest_of(event, delivery.body))]

    def read(self, content: Content) -> Notice | Harmless:
        event = reading.document(content.body)
        name = reading.text(event, "event")
        reader = _find_reader(name)
        if reader is None:
            return Harmless(name)
        told = reader(name, reading.inner(event, "payload"))
        return Notice(event=name, occurred_at=reading.find_time(event, "created_at"), is_live=None, **told)

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


def money(entity: Object, name: str = "amount") -> tuple[int, str]:
    """An amount of an entity in our minor units, and its currency. Raises WrongAmount."""
    currency = reading.currency(entity.get("currency"))
    amount = reading.smallest_units(entity.get(name), currency)
    if EXPONENTS[currency] == 3 and amount % 10:
        raise WrongAmount(f"Razorpay's amounts in {currency} end in 0; {amount} does not.")
    return amount, currency


def order_number(*entities: Object) -> str | None:
    """What the shop wrote into the notes, or as the receipt of Razorpay's order."""
    for entity in entities:
        found = reading.find_name(reading.find_inner(entity, "notes"), "order_number")
        found = found or reading.find_name(entity, "receipt")
        if found is not None:
            return found
    return None


def _payment(payload: Object) -> tuple[int, dict[str, Any]]:
    payment = reading.inner(payload, "payment", "entity")
    amount, currency = money(payment)
    number = order_number(payment, reading.find_inner(payload, "order", "entity"))
    return amount, {"payment": reading.text(payment, "id"), "order_number": number, "currency": currency}


def _authorised(_name: str, payload: Object) -> dict[str, Any]:
    amount, told = _payment(payload)
    return told | {"authorised": amount}


def _captured(_name: str, payload: Object) -> dict[str, Any]:
    amount, told = _payment(payload)
    return told | {"authorised": amount, "captured": amount}


def _failed(_name: str, payload: Object) -> dict[str, Any]:
    return _payment(payload)[1] | {"failed": True}


_REFUND_STATES = {"pending": "pending", "created": "pending", "processed": "succeeded", "failed": "failed"}


def read_refund(refund: Object) -> RefundFact:
    """A refund as Razorpay's API and its events tell it."""
    state: Any = _REFUND_STATES.get(reading.text(refund, "status"))
    if state is None:
        raise UnreadableCallback("The refund has a status we do not know.")
    return RefundFact(reading.text(refund, "id"), money(refund)[0], state)


def _refund(_name: str, payload: Object) -> dict[str, Any]:
    refund = reading.inner(payload, "refund", "entity")
    _, currency = money(refund)
    # The notes of a refund are its own; the payment, where it comes along, says which order it is.
    number = order_number(reading.find_inner(payload, "payment", "entity"))
    payment = reading.text(refund, "payment_id")
    return {"payment": payment, "order_number": number, "currency": currency, "refunds": (read_refund(refund),)}


def _dispute(name: str, payload: Object) -> dict[str, Any]:
    dispute = reading.inner(payload, "dispute", "entity")
    amount, currency = money(dispute)
    status = {"payment.dispute.won": "won", "payment.dispute.lost": "lost"}.get(name, dispute.get("status"))
    state: Any = status if status in ("won", "lost") else "open"
    fact = DisputeFact(reading.text(dispute, "id"), amount, state)
    number = order_number(reading.find_inner(payload, "payment", "entity"))
    payment = reading.text(dispute, "payment_id")
    return {"payment": payment, "order_number": number, "currency": currency, "disputes": (fact,)}


_READERS: dict[str, Callable[[str, Object], dict[str, Any]]] = {
    "payment.authorized": _authorised,
    "payment.captured": _captured,
    "payment.failed": _failed,
    "order.paid": _captured,
}


def _find_reader(name: str) -> Callable[[str, Object], dict[str, Any]] | None:
    if name.startswith("refund."):
        return _refund
    return _dispute if name.startswith("payment.dispute.") else _READERS.get(name)


# --- what Razorpay's API lists


def _listed(event: str, payment: str, entity: Object, **told: Any) -> Notice:
    _, currency = money(entity)
    number = order_number(entity) if payment == entity.get("id") else None
    return Notice(
        event=event,
        occurred_at=None,
        is_live=None,
        payment=payment,
        order_number=number,
        currency=currency,
        **told,
    )


def read_listed_payment(payment: Object) -> Notice | None:
    """A payment as it stands; None for one that was not paid yet. Its refunds are listed by themselves."""
    status, name = reading.text(payment, "status"), reading.text(payment, "id")
    if status == "created":
        return None
    amount = money(payment)[0]
    told: dict[str, dict[str, Any]] = {
        "authorized": {"authorised": amount},
        "captured": {"authorised": amount, "captured": amount},
        "refunded": {"authorised": amount, "captured": amount},
        "failed": {"failed": True},
    }
    if status not in told:
        raise UnreadableCallback("The payment has a status we do not know.")
    return _listed(f"payment.{status}", name, payment, **told[status])


def read_listed_refund(refund: Object) -> Notice | None:
    """A refund out of the list of all: it names its payment."""
    return _listed("refund.told", reading.text(refund, "payment_id"), refund, refunds=(read_refund(refund),))


def read_listed_dispute(dispute: Object) -> Notice | None:
    """A dispute out of the list of all, understood as its events are."""
    told = _dispute("payment.dispute.told", {"dispute": {"entity": dispute}})
    return _listed("payment.dispute.told", told["payment"], dispute, disputes=told["disputes"])
