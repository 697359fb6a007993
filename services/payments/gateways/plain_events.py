"""The events of senders who have no vocabulary of their own: Crossdock's, for Standard Webhooks and any HMAC.

`{"id"?, "type", "timestamp"?, "mode"?, "data": {"payment_id", "order_number"?, "amount", "currency", …}}`. Amounts
are integers of ISO 4217 minor units, or Money. `refund.*` has `refund_id`, `dispute.*` has `dispute_id`.
`payment.authorised` and `payment.captured` tell totals so far, `payment.refunded` too, as `amount_refunded`.
"""

from collections.abc import Callable
from typing import Any

from services.payments.errors import UnreadableCallback
from services.payments.gateways import reading
from services.payments.gateways.base import EventIdentity, Harmless
from services.payments.gateways.reading import Object
from services.payments.notices import DisputeFact, Notice, RefundFact


def identify(body: bytes, event_id: str | None = None) -> EventIdentity:
    """Who an event is: `event_id` where the sender's headers say it, else what the body calls itself."""
    event = reading.find_document(body)
    if event is None:
        return EventIdentity(event_id, None, reading.unknown(body).digest)
    own = event_id or reading.find_name(event, "id", "event_id")
    return EventIdentity(own, reading.find_name(event, "type"), reading.digest_of(event, body))


def read(body: bytes) -> Notice | Harmless:
    """Raises Unusable."""
    event = reading.document(body)
    name = reading.text(event, "type")
    reader = _READERS.get(name)
    if reader is None:
        return Harmless(name)
    data = reading.inner(event, "data")
    return Notice(
        event=name,
        occurred_at=reading.find_time(event, "timestamp"),
        is_live={"live": True, "test": False}.get(str(event.get("mode"))),
        payment=reading.text(data, "payment_id"),
        order_number=reading.find_name(data, "order_number"),
        **reader(name, data),
    )


Told = dict[str, Any]


def _money(data: Object, name: str = "amount") -> tuple[int, str]:
    value, currency = data.get(name), data.get("currency")
    if isinstance(value, dict):
        return _money(value)
    code = reading.currency(currency)
    return reading.smallest_units(value, code), code


def _authorised(_name: str, data: Object) -> Told:
    amount, currency = _money(data)
    return {"currency": currency, "authorised": amount}


def _captured(_name: str, data: Object) -> Told:
    amount, currency = _money(data)
    return {"currency": currency, "authorised": amount, "captured": amount}


def _ended(name: str, data: Object) -> Told:
    currency = _money(data)[1] if isinstance(data.get("amount"), dict) else reading.currency(data.get("currency"))
    return {"currency": currency, "failed": name == "payment.failed", "cancelled": name != "payment.failed"}


def _refunded(name: str, data: Object) -> Told:
    if name == "payment.refunded" and "amount_refunded" in data:
        amount, currency = _money(data, "amount_refunded")
        return {"currency": currency, "refunded": amount}
    amount, currency = _money(data)
    state: Any = {"refund.failed": "failed", "refund.pending": "pending", "refund.cancelled": "cancelled"}.get(name)
    return {"currency": currency, "refunds": (RefundFact(_id(data, "refund_id"), amount, state or "succeeded"),)}


def _disputed(name: str, data: Object) -> Told:
    amount, currency = _money(data)
    state: Any = name.removeprefix("dispute.") if name in ("dispute.won", "dispute.lost") else "open"
    return {"currency": currency, "disputes": (DisputeFact(_id(data, "dispute_id"), amount, state),)}


def _id(data: Object, name: str) -> str:
    if not reading.is_name(data.get(name)):
        raise UnreadableCallback(f"'{name}' is missing or not a text.")
    return str(data[name])


_READERS: dict[str, Callable[[str, Object], Told]] = {
    **dict.fromkeys(("payment.authorised", "payment.authorized"), _authorised),
    **dict.fromkeys(("payment.captured", "payment.succeeded", "payment.paid"), _captured),
    **dict.fromkeys(("payment.failed", "payment.cancelled", "payment.canceled", "payment.voided"), _ended),
    **dict.fromkeys(
        ("payment.refunded", "refund.succeeded", "refund.pending", "refund.failed", "refund.cancelled"), _refunded
    ),
    **dict.fromkeys(("payment.disputed", "dispute.opened", "dispute.won", "dispute.lost"), _disputed),
}
