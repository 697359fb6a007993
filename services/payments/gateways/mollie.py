"""Mollie: classic callbacks, which name a payment and nothing else, and the signed ones.

A classic callback is unsigned: whoever knows the address can post it, so that it is only a reason to ask Mollie. What
the payment is comes from its API alone, and the answer is the same for ids that exist and ids that do not.
Sources: docs.mollie.com (webhooks, payments API); the signature from Mollie's own library.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from services.payments.errors import UnreadableCallback
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
from services.payments.gateways.signatures import any_signed, mollie_signed
from services.payments.notices import DisputeFact, Notice, RefundFact

_PAYMENT = re.compile(r"tr_[A-Za-z0-9_]{1,60}")
_LONGEST_HEADER = 2048


class Mollie:
    """The adapter."""

    name = "mollie"
    accepted = b""
    accepted_type = "text/plain"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given, known=("classic",))
        settings.flag(given, "classic")

    def check_secret(self, secret: str) -> None:
        """Any text may be one."""

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        header = delivery.headers.get("x-mollie-signature", "")
        if not header:
            is_classic = account.settings.get("classic", True) and find_payment(delivery.body) is not None
            return Verdict(False, is_pending=True) if is_classic else forged("no_signature")
        if len(header) > _LONGEST_HEADER:
            return forged("malformed_signature")
        for signature in map(str.strip, header.split(",")):
            if any_signed(account.secrets, mollie_signed, delivery.body, signature):
                return GENUINE
        return forged("wrong_signature")

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        payment = find_payment(delivery.body)
        if payment is not None:
            # One record for a payment and day: what it says is what Mollie answers, each time anew.
            digest = hashlib.sha256(f"{payment}\n{delivery.received_at:%Y-%m-%d}".encode()).digest()
            return [EventIdentity(None, "payment", digest, is_reread=True)]
        event = reading.find_document(delivery.body)
        if event is None or not reading.is_name(event.get("id")):
            return [reading.unknown(delivery.body)]
        name = reading.find_name(event, "type", "event_type")
        return [EventIdentity(event["id"], name, reading.digest_of(event, delivery.body))]

    def read(self, content: Content) -> Notice | Harmless:
        if content.fetched is not None:
            return read_payment(reading.document(content.fetched))
        if find_payment(content.body) is not None:
            raise UnreadableCallback("The callback only names a payment, and what Mollie says of it was not fetched.")
        event = reading.document(content.body)
        name = reading.find_name(event, "type", "event_type")
        if name is None:
            raise UnreadableCallback("'type' is missing or not a text.")
        if name != "payment-link.paid" or not reading.find_inner(event, "_embedded", "entity"):
            return Harmless(name)
        return _link_paid(event, reading.inner(event, "_embedded", "entity"))

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


def find_payment(body: bytes) -> str | None:
    """The payment that a classic callback names; None for any other body."""
    try:
        form = parse_qsl(body.decode("ascii"), max_num_fields=20)
    except ValueError:
        return None
    ids = [value for name, value in form if name == "id"]
    return ids[0] if len(ids) == 1 and _PAYMENT.fullmatch(ids[0]) else None


def _money(amount: Object) -> tuple[int, str]:
    currency = reading.currency(amount.get("currency"))
    return reading.major_units(amount.get("value"), currency), currency


def _order_number(holder: Object) -> str | None:
    """What the shop wrote into `metadata`: the number itself, or an object with it."""
    metadata = holder.get("metadata")
    if isinstance(metadata, dict):
        return reading.find_name(metadata, "order_number")
    return str(metadata) if reading.is_name(metadata) else None


def _link_paid(event: Object, link: Object) -> Notice:
    amount, currency = _money(reading.inner(link, "amount"))
    return Notice(
        event="payment-link.paid",
        occurred_at=reading.find_time(event, "createdAt"),
        is_live={"live": True, "test": False}.get(str(link.get("mode"))),
        payment=reading.text(link, "id"),
        order_number=_order_number(link),
        currency=currency,
        authorised=amount,
        captured=amount,
    )


def read_payment(payment: Object) -> Notice | Harmless:
    """A payment as Mollie's API tells it, with its refunds and chargebacks: they do not change its status."""
    status = reading.text(payment, "status")
    amount, currency = _money(reading.inner(payment, "amount"))
    told: dict[str, Any] = {}
    if status == "paid":
        captured = _money(payment["amountCaptured"])[0] if isinstance(payment.get("amountCaptured"), dict) else amount
        told = {"authorised": amount, "captured": captured}
    elif status == "authorized":
        told = {"authorised": amount}
    elif status in ("canceled", "expired"):
        told = {"cancelled": True}
    elif status == "failed":
        told = {"failed": True}
    else:
        return Harmless(f"payment.{status}")
    return Notice(
        event=f"payment.{status}",
        occurred_at=None,
        is_live={"live": True, "test": False}.get(str(payment.get("mode"))),
        payment=reading.text(payment, "id"),
        order_number=_order_number(payment),
        currency=currency,
        refunds=tuple(map(read_refund, reading.objects(reading.find_inner(payment, "_embedded"), "refunds"))),
        disputes=tuple(map(_chargeback, reading.objects(reading.find_inner(payment, "_embedded"), "chargebacks"))),
        **told,
    )


_REFUND_STATES = {
    "queued": "pending",
    "pending": "pending",
    "processing": "pending",
    "refunded": "succeeded",
    "failed": "failed",
    "canceled": "cancelled",
}


def read_refund(refund: Object) -> RefundFact:
    state: Any = _REFUND_STATES.get(reading.text(refund, "status"))
    if state is None:
        raise UnreadableCallback("A refund has a status we do not know.")
    return RefundFact(reading.text(refund, "id"), _money(reading.inner(refund, "amount"))[0], state)


def _chargeback(chargeback: Object) -> DisputeFact:
    state: Any = "won" if chargeback.get("reversedAt") else "open"
    return DisputeFact(reading.text(chargeback, "id"), _money(reading.inner(chargeback, "amount"))[0], state)


def read_listed_refund(refund: Object) -> Notice | None:
    """A refund out of the list of all: it names its payment."""
    return _part(refund, "refund", refunds=(read_refund(refund),))


def read_listed_chargeback(chargeback: Object) -> Notice | None:
    """A chargeback out of the list of all: it names its payment."""
    return _part(chargeback, "chargeback", disputes=(_chargeback(chargeback),))


def _part(thing: Object, kind: str, **parts: Any) -> Notice:
    return Notice(
        event=f"{kind}.{thing.get('status', 'told')}",
        occurred_at=None,
        is_live={"live": True, "test": False}.get(str(thing.get("mode"))),
        payment=reading.text(thing, "paymentId"),
        order_number=None,
        currency=_money(reading.inner(thing, "amount"))[1],
        **parts,
    )
