"""Square: signature over the address it was told and the body, events of payments, refunds and disputes.

Sources: Square's own `verify_signature`; event names, objects and money of developer.squareup.com.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from services.payments.errors import InvalidGatewaySettings, UnreadableCallback
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
from services.payments.gateways.signatures import any_signed, square_signed
from services.payments.notices import DisputeFact, Notice, RefundFact

_LONGEST_HEADER = 1024


class Square:
    """The adapter. `notification_url` is the address as Square was told it; by default the one we give out."""

    name = "square"
    accepted = b"{}"
    accepted_type = "application/json"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given, known=("notification_url",))
        if "notification_url" in given:
            address = urlsplit(settings.text(self.name, given, "notification_url"))
            if address.scheme not in ("http", "https") or not address.netloc:
                raise InvalidGatewaySettings("'notification_url' is an http or https address.")

    def check_secret(self, secret: str) -> None:
        """Any text may be one."""

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        header = delivery.headers.get("x-square-hmacsha256-signature", "")
        if not header:
            return forged("no_signature")
        if len(header) > _LONGEST_HEADER:
            return forged("malformed_signature")
        # Never from the request's own Host header: that is the sender's to choose, and a proxy's to change.
        url = str(account.settings.get("notification_url") or account.callback_url)
        if not any_signed(account.secrets, square_signed, delivery.body, header, url):
            return forged("wrong_signature")
        return GENUINE

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        event = reading.find_document(delivery.body)
        if event is None:
            return [reading.unknown(delivery.body)]
        name, event_id = reading.find_name(event, "type"), reading.find_name(event, "event_id")
        return [EventIdentity(event_id, name, reading.digest_of(event, delivery.body))]

    def read(self, content: Content) -> Notice | Harmless:
        event = reading.document(content.body)
        name = reading.text(event, "type")
        kind = name.partition(".")[0]
        reader = _READERS.get(kind)
        if reader is None:
            return Harmless(name)
        thing = reading.inner(event, "data", "object", kind)
        told = reader(thing)
        if told is None:
            return Harmless(name)
        return Notice(event=name, occurred_at=reading.find_time(event, "created_at"), is_live=None, **told)

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


def _money(holder: Object, name: str) -> tuple[int, str]:
    money = reading.inner(holder, name)
    currency = reading.currency(money.get("currency"))
    return reading.smallest_units(money.get("amount", 0), currency), currency


def read_payment(payment: Object) -> dict[str, Any] | None:
    """A payment as it stands: every event about it carries the totals so far. None for one that is still to come."""
    amount, currency = _money(payment, "amount_money")
    status = reading.text(payment, "status")
    told: dict[str, Any] = {
        "payment": reading.text(payment, "id"),
        "order_number": reading.find_name(payment, "reference_id"),
        "currency": currency,
    }
    if status == "APPROVED":
        return told | {"authorised": amount}
    if status == "COMPLETED":
        # A tip or fee of the platform on top is not the order's: what the order is paid with is this amount.
        refunded = _money(payment, "refunded_money")[0] if "refunded_money" in payment else 0
        return told | {"authorised": amount, "captured": amount, "refunded": refunded or None}
    if status == "CANCELED":
        return told | {"cancelled": True}
    if status == "FAILED":
        return told | {"failed": True}
    if status == "PENDING":
        return None
    raise UnreadableCallback("The payment has a status we do not know.")


_REFUND_STATES = {"PENDING": "pending", "COMPLETED": "succeeded", "REJECTED": "failed", "FAILED": "failed"}


def read_refund(refund: Object) -> dict[str, Any]:
    """A refund as it stands."""
    amount, currency = _money(refund, "amount_money")
    state: Any = _REFUND_STATES.get(reading.text(refund, "status"))
    if state is None:
        raise UnreadableCallback("The refund has a status we do not know.")
    fact = RefundFact(reading.text(refund, "id"), amount, state)
    # A refund has no reference of its own: the payment says which order it is.
    payment = reading.text(refund, "payment_id")
    return {"payment": payment, "order_number": None, "currency": currency, "refunds": (fact,)}


# An inquiry holds no money back; one that was accepted is lost.
_DISPUTE_STATES = {"WON": "won", "LOST": "lost", "ACCEPTED": "lost"}


def _dispute(dispute: Object) -> dict[str, Any] | None:
    state_told = reading.text(dispute, "state")
    if state_told.startswith("INQUIRY"):
        return None
    amount, currency = _money(dispute, "amount_money")
    state: Any = _DISPUTE_STATES.get(state_told, "open")
    external_id = reading.find_name(dispute, "id", "dispute_id")
    if external_id is None:
        raise UnreadableCallback("The dispute has no id.")
    payment = reading.text(reading.inner(dispute, "disputed_payment"), "payment_id")
    fact = DisputeFact(external_id, amount, state)
    return {"payment": payment, "order_number": None, "currency": currency, "disputes": (fact,)}


_READERS = {"payment": read_payment, "refund": read_refund, "dispute": _dispute}


# --- what Square's API lists


def read_listed_payment(payment: Object) -> Notice | None:
    """A payment as it stands; None for one that is still to come. Its refunds are listed by themselves."""
    told = read_payment(payment)
    return None if told is None else _listed(f"payment.{payment['status']}", told | {"refunded": None})


def read_listed_refund(refund: Object) -> Notice | None:
    return _listed("refund.told", read_refund(refund))


def read_listed_dispute(dispute: Object) -> Notice | None:
    """None for an inquiry."""
    told = _dispute(dispute)
    return None if told is None else _listed("dispute.told", told)


def _listed(event: str, told: dict[str, Any]) -> Notice:
    return Notice(event=event, occurred_at=None, is_live=None, **told)
