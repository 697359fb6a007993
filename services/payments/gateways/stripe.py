"""Stripe: signature, events and amounts.

Sources: the official library's `WebhookSignature`; event names and objects of Stripe's API reference; amounts of
docs.stripe.com/currencies (zero-decimal, three-decimal and special cases).
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from services.payments.errors import UnreadableCallback, WrongAmount, WrongCurrency
from services.payments.gateways import settings
from services.payments.gateways.base import GENUINE, Account, Content, Delivery, EventIdentity, Harmless, Verdict
from services.payments.gateways.signatures import any_signed, stripe_signed
from services.payments.notices import DisputeFact, Notice, RefundFact
from shared.money import EXPONENTS

TOLERANCE_SECONDS = 300
_LONGEST_HEADER = 4096
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MOST = 10**15

_ZERO_DECIMAL = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_THREE_DECIMAL = frozenset("BHD JOD KWD OMR TND".split())
# All others have two, also ISK and UGX, which lost their minor unit: Stripe keeps writing theirs, always 00.

Object = Mapping[str, Any]


class Stripe:
    """The adapter."""

    name = "stripe"
    accepted = b"{}"
    accepted_type = "application/json"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given)

    def check_secret(self, secret: str) -> None:
        """Any text may be one."""

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        return _verdict(delivery, account.secrets)

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        body = delivery.body
        try:
            event = orjson.loads(body)
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict) or not _is_name(event.get("id")):
            return [EventIdentity(None, None, hashlib.sha256(body).digest())]
        name = event["type"] if _is_name(event.get("type")) else None
        return [EventIdentity(event["id"], name, _digest(event, body))]

    def read(self, content: Content) -> Notice | Harmless:
        event = _event(content.body)
        # An event without an id is not Stripe's, whatever else it says.
        _, name = _text(event, "id"), _text(event, "type")
        if event.get("object", "event") != "event":
            return Harmless(name, "not_a_snapshot")
        reader = _READERS.get(name)
        if reader is None:
            return Harmless(name)
        found = reader(_object(_object(event, "data"), "object"))
        if found is None:
            return Harmless(name)
        return Notice(
            event=name, occurred_at=_find_instant(event, "created"), is_live=_flag(event, "livemode"), **found
        )

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


def _digest(event: Object, body: bytes) -> bytes:
    # The number of endpoints still to be told shrinks from one delivery of an event to the next.
    said = {key: value for key, value in event.items() if key != "pending_webhooks"}
    try:
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()
    # What was read may be nested deeper than can be written.
    except orjson.JSONEncodeError:
        return hashlib.sha256(body).digest()


def _verdict(delivery: Delivery, secrets: Sequence[str]) -> Verdict:
    header = delivery.headers.get("stripe-signature", "")
    if not header:
        return Verdict(False, "no_signature")
    if len(header) > _LONGEST_HEADER or not header.isascii():
        return Verdict(False, "malformed_signature")
    times = [item.removeprefix("t=") for item in header.split(",") if item.startswith("t=")]
    if len(times) != 1 or not _TIMESTAMP.fullmatch(times[0]):
        return Verdict(False, "malformed_signature")
    if not any_signed(secrets, stripe_signed, delivery.body, header):
        return Verdict(False, "wrong_signature")
    # Against the time of receipt and in both directions; the library knows neither.
    if abs(delivery.received_at.timestamp() - int(times[0])) > TOLERANCE_SECONDS:
        return Verdict(False, "stale_signature")
    return GENUINE


# --- reading; every function raises Unusable


def _event(body: bytes) -> Object:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UnreadableCallback("The body is not JSON.") from None
    if not isinstance(event, dict):
        raise UnreadableCallback("The body is not an event.")
    return event


def _object(holder: Object, name: str) -> Object:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise UnreadableCallback(f"'{name}' is missing or not an object.")
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255 and "\0" not in value


def _text(holder: Object, name: str) -> str:
    value = holder.get(name)
    if not _is_name(value):
        raise UnreadableCallback(f"'{name}' is missing or not a text.")
    return str(value)


def _find_id(holder: Object, name: str) -> str | None:
    """An id, also where the object it names was written out in its place."""
    value = holder.get(name)
    if isinstance(value, dict):
        value = value.get("id")
    return str(value) if _is_name(value) else None


def _flag(holder: Object, name: str) -> bool | None:
    value = holder.get(name)
    return value if isinstance(value, bool) else None


def _find_instant(holder: Object, name: str) -> datetime | None:
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 253402300800:
        raise UnreadableCallback(f"'{name}' is not a time.")
    return datetime.fromtimestamp(value, UTC)


def _currency(holder: Object) -> str:
    currency = _text(holder, "currency").upper()
    if currency not in EXPONENTS:
        raise WrongCurrency(f"'{currency[:10]}' is not a currency of ISO 4217.")
    return currency


def _amount(holder: Object, name: str, currency: str) -> int:
    """An amount in our minor units. Stripe's own have another exponent for some currencies."""
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise UnreadableCallback(f"'{name}' is not an amount.")
    return to_minor_units(value, currency)


def to_minor_units(amount: int, currency: str) -> int:
    """Stripe's smallest units as those of ISO 4217. Raises WrongAmount for what Stripe would never send."""
    if currency in _THREE_DECIMAL and amount % 10:
        raise WrongAmount(f"Stripe's amounts in {currency} end in 0; {amount} does not.")
    shift = EXPONENTS[currency] - _stripe_exponent(currency)
    if shift >= 0:
        return int(amount * 10**shift)
    whole, rest = divmod(amount, 10**-shift)
    if rest:
        raise WrongAmount(f"{amount} is not a whole amount in {currency}.")
    return int(whole)


def smallest_unit_exponents(currency: str) -> dict[str, int]:
    """The exponent that Stripe writes this currency with."""
    return {currency: _stripe_exponent(currency)}


def _stripe_exponent(currency: str) -> int:
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def _order_number(holder: Object) -> str | None:
    metadata = holder.get("metadata")
    number = metadata.get("order_number") if isinstance(metadata, dict) else None
    for candidate in (number, holder.get("client_reference_id")):
        if _is_name(candidate):
            return str(candidate)
    return None


def _intent(intent: Object) -> dict[str, Any]:
    return {"payment": _text(intent, "id"), "order_number": _order_number(intent), "currency": _currency(intent)}


def _intent_authorised(intent: Object) -> dict[str, Any]:
    found = _intent(intent)
    currency = found["currency"]
    received = _amount(intent, "amount_received", currency) if "amount_received" in intent else 0
    return found | {"authorised": _amount(intent, "amount_capturable", currency) + received, "captured": received}


def _intent_succeeded(intent: Object) -> dict[str, Any]:
    found = _intent(intent)
    currency = found["currency"]
    captured = _amount(intent, "amount_received" if "amount_received" in intent else "amount", currency)
    return found | {"authorised": captured, "captured": captured}


def _intent_failed(intent: Object) -> dict[str, Any]:
    return _intent(intent) | {"failed": True}


def _intent_cancelled(intent: Object) -> dict[str, Any]:
    return _intent(intent) | {"cancelled": True}


def _charge(charge: Object) -> dict[str, Any]:
    """A charge as it stands: every event about it carries the totals so far."""
    currency = _currency(charge)
    found = _of_payment(charge, _text(charge, "id"), currency)
    if charge.get("status", "succeeded") != "succeeded":
        raise UnreadableCallback("The charge is said to have succeeded, but its status is another.")
    amount = _amount(charge, "amount", currency)
    if "amount_captured" in charge:
        captured = _amount(charge, "amount_captured", currency)
    else:
        captured = amount if charge.get("captured") is True else 0
    return found | {
        "authorised": amount,
        "captured": captured,
        "refunded": _amount(charge, "amount_refunded", currency) if "amount_refunded" in charge else None,
    }


def _charge_failed(charge: Object) -> dict[str, Any]:
    return _of_payment(charge, _text(charge, "id"), _currency(charge)) | {"failed": True}


def _charge_expired(charge: Object) -> dict[str, Any]:
    return _of_payment(charge, _text(charge, "id"), _currency(charge)) | {"cancelled": True}


def _charge_updated(charge: Object) -> dict[str, Any] | None:
    return _charge(charge) if charge.get("status") == "succeeded" else None


def _of_payment(holder: Object, otherwise: str, currency: str) -> dict[str, Any]:
    """The payment is the payment intent's; a charge made without one stands for itself."""
    payment = _find_id(holder, "payment_intent") or otherwise
    return {"payment": payment, "order_number": _order_number(holder), "currency": currency}


# A refund that still needs the buyer's bank details has not returned anything yet.
_REFUND_STATES = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "cancelled",
}


def _refund(refund: Object) -> dict[str, Any]:
    currency = _currency(refund)
    payment = _find_id(refund, "payment_intent") or _find_id(refund, "charge")
    state = _REFUND_STATES.get(str(refund.get("status")))
    if payment is None or state is None:
        raise UnreadableCallback("The refund names no payment, or a status we do not know.")
    fact = RefundFact(_text(refund, "id"), _amount(refund, "amount", currency), state)  # type: ignore[arg-type]
    # The number in a refund's own metadata may be anything: the payment says which order it is.
    return {"payment": payment, "order_number": None, "currency": currency, "refunds": (fact,)}


def _dispute(dispute: Object) -> dict[str, Any] | None:
    status = _text(dispute, "status")
    # An inquiry holds no money back.
    if status.startswith("warning_") or status == "prevented":
        return None
    currency = _currency(dispute)
    payment = _find_id(dispute, "payment_intent") or _find_id(dispute, "charge")
    if payment is None:
        raise UnreadableCallback("The dispute names no payment.")
    state = status if status in ("won", "lost") else "open"
    fact = DisputeFact(_text(dispute, "id"), _amount(dispute, "amount", currency), state)  # type: ignore[arg-type]
    return {"payment": payment, "order_number": None, "currency": currency, "disputes": (fact,)}


def _session_completed(session: Object) -> dict[str, Any] | None:
    if session.get("mode", "payment") != "payment" or session.get("payment_status") == "no_payment_required":
        return None
    found = _session(session)
    if session.get("payment_status") != "paid":
        return found
    total = _amount(session, "amount_total", found["currency"])
    return found | {"authorised": total, "captured": total}


def _session_failed(session: Object) -> dict[str, Any]:
    return _session(session) | {"failed": True}


def _session(session: Object) -> dict[str, Any]:
    return _of_payment(session, _text(session, "id"), _currency(session))


_READERS: dict[str, Callable[[Object], dict[str, Any] | None]] = {
    "payment_intent.amount_capturable_updated": _intent_authorised,
    "payment_intent.succeeded": _intent_succeeded,
    "payment_intent.payment_failed": _intent_failed,
    "payment_intent.canceled": _intent_cancelled,
    "charge.succeeded": _charge,
    "charge.captured": _charge,
    "charge.updated": _charge_updated,
    "charge.refunded": _charge,
    "charge.failed": _charge_failed,
    "charge.expired": _charge_expired,
    "charge.refund.updated": _refund,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "checkout.session.completed": _session_completed,
    "checkout.session.async_payment_succeeded": _session_completed,
    "checkout.session.async_payment_failed": _session_failed,
}


# --- what Stripe's API tells, outside any event


def read_thing(thing: Object) -> Notice | None:
    """An object as it stands now; None where it moves no money yet. Raises Unusable."""
    kind, status = _text(thing, "object"), str(thing.get("status"))
    reader = _THINGS.get((kind, status)) or _THINGS.get((kind, ""))
    # An intent that waits for a way to pay has failed only where one was tried.
    if reader is _intent_failed and not thing.get("last_payment_error"):
        return None
    told = None if reader is None else reader(thing)
    if told is None:
        return None
    return Notice(event=f"{kind}.{status}", occurred_at=None, is_live=_flag(thing, "livemode"), **told)


_THINGS: dict[tuple[str, str], Callable[[Object], dict[str, Any] | None]] = {
    ("payment_intent", "succeeded"): _intent_succeeded,
    ("payment_intent", "requires_capture"): _intent_authorised,
    ("payment_intent", "canceled"): _intent_cancelled,
    ("payment_intent", "requires_payment_method"): _intent_failed,
    ("charge", "succeeded"): _charge,
    ("charge", "failed"): _charge_failed,
    ("checkout.session", "complete"): _session_completed,
    ("refund", ""): _refund,
    ("dispute", ""): _dispute,
}
