"""Braintree: a form with signed XML, and a challenge that it asks the address with.

Sources: the signature, the challenge and the kinds from Braintree's own library; its samples for the XML.
"""

import base64
import binascii
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from services.payments.errors import InvalidChallenge, InvalidSecret, UnreadableCallback
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
from services.payments.gateways.signatures import any_signed, braintree_answer, braintree_signed
from services.payments.notices import DisputeFact, Notice, RefundFact

# The library's own pattern lets a line break pass behind it.
_CHALLENGE = re.compile(r"[a-f0-9]{20,32}")
_PAYLOAD = re.compile(r"[A-Za-z0-9+=/\n]+")


class Braintree:
    """The adapter. A secret is a pair of keys, kept as JSON."""

    name = "braintree"
    accepted = b""
    accepted_type = "text/plain"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given)

    def check_secret(self, secret: str) -> None:
        if _find_keys(secret) is None:
            raise InvalidSecret('A secret of Braintree is {"public_key": …, "private_key": …}.')

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        signature, payload = _form(delivery.body)
        if not signature:
            return forged("no_signature")
        if not payload or not _PAYLOAD.fullmatch(payload):
            return forged("malformed_payload")

        def is_signed(secret: str) -> bool:
            keys = _find_keys(secret)
            return keys is not None and braintree_signed(signature, payload, *keys)

        return GENUINE if any_signed(account.secrets, is_signed) else forged("wrong_signature")

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        """Braintree numbers no events: what happened, when, and to what make one."""
        _, payload = _form(delivery.body)
        try:
            notification = _notification(payload)
            kind, at = _text(notification, "kind"), _text(notification, "timestamp")
        except UnreadableCallback:
            return [reading.unknown(delivery.body)]
        said = "\n".join((kind, at, _subject_id(notification)))
        event_id = hashlib.sha256(said.encode()).hexdigest()
        return [EventIdentity(event_id, kind, hashlib.sha256(payload.strip().encode()).digest())]

    def read(self, content: Content) -> Notice | Harmless:
        notification = _notification(_form(content.body)[1])
        kind = _text(notification, "kind")
        reader = _READERS.get(kind)
        told = None if reader is None else reader(kind, notification)
        if told is None:
            return Harmless(kind)
        return Notice(event=kind, occurred_at=_time(_text(notification, "timestamp")), is_live=None, **told)

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        asked = query.get("bt_challenge", "")
        if not _CHALLENGE.fullmatch(asked):
            raise InvalidChallenge("'bt_challenge' is 20 to 32 digits in hexadecimal.")
        for secret in account.secrets:
            keys = _find_keys(secret)
            if keys is not None:
                return braintree_answer(asked, *keys)
        raise InvalidChallenge("The gateway has no keys to answer with.")


def _find_keys(secret: str) -> tuple[str, str] | None:
    try:
        keys = orjson.loads(secret)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(keys, dict) or set(keys) != {"public_key", "private_key"}:
        return None
    if not all(reading.is_name(key) and key.strip() for key in keys.values()):
        return None
    return keys["public_key"], keys["private_key"]


def _form(body: bytes) -> tuple[str, str]:
    """`bt_signature` and `bt_payload`; empty where they are absent, or there more than once."""
    try:
        form = parse_qs(body.decode("ascii"), max_num_fields=20)
    except ValueError:
        return "", ""
    signature, payload = form.get("bt_signature", []), form.get("bt_payload", [])
    return signature[0] if len(signature) == 1 else "", payload[0] if len(payload) == 1 else ""


def _notification(payload: str) -> ElementTree.Element:
    """The XML in a payload. One that declares a document type is not read: nothing in it is ever expanded."""
    try:
        text = base64.b64decode(payload, validate=False).decode()
    except (binascii.Error, ValueError):
        raise UnreadableCallback("The payload is not text in base64.") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnreadableCallback("The XML declares a document type; none is read.")
    try:
        # No document type can be declared (see above): there are no entities to expand.
        root = ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError:
        raise UnreadableCallback("The payload is not XML.") from None
    if root.tag != "notification":
        raise UnreadableCallback("The XML is no notification.")
    return root


def _find_text(holder: ElementTree.Element, path: str) -> str | None:
    found = (holder.findtext(path) or "").strip()
    return found if reading.is_name(found) else None


def _text(holder: ElementTree.Element, path: str) -> str:
    found = _find_text(holder, path)
    if found is None:
        raise UnreadableCallback(f"'{path}' is missing.")
    return found


def _inner(holder: ElementTree.Element, path: str) -> ElementTree.Element:
    found = holder.find(path)
    if found is None:
        raise UnreadableCallback(f"'{path}' is missing.")
    return found


def _subject_id(notification: ElementTree.Element) -> str:
    subject = notification.find("subject")
    ids = [] if subject is None else [each.findtext("id") or "" for each in subject]
    return ",".join(ids)


def _time(text: str) -> datetime | None:
    return (reading.find_time({"timestamp": text.replace(" UTC", "+00:00")}, "timestamp") or _NEVER).astimezone(UTC)


_NEVER = datetime.fromtimestamp(0, UTC)
Told = dict[str, Any]


def _money(holder: ElementTree.Element) -> tuple[int, str]:
    currency = reading.currency(_text(holder, "currency-iso-code"))
    return reading.major_units(_text(holder, "amount"), currency), currency


def _transaction(notification: ElementTree.Element) -> tuple[ElementTree.Element, int, Told]:
    transaction = _inner(notification, "subject/transaction")
    amount, currency = _money(transaction)
    told = {
        "payment": _text(transaction, "id"),
        "order_number": _find_text(transaction, "order-id"),
        "currency": currency,
    }
    return transaction, amount, told


def _settled(_kind: str, notification: ElementTree.Element) -> Told:
    transaction, amount, told = _transaction(notification)
    if _find_text(transaction, "type") != "credit":
        return told | {"authorised": amount, "captured": amount}
    return _credit(transaction, amount, told, "succeeded")


def _declined(_kind: str, notification: ElementTree.Element) -> Told:
    transaction, amount, told = _transaction(notification)
    if _find_text(transaction, "type") != "credit":
        return told | {"failed": True}
    return _credit(transaction, amount, told, "failed")


def _refund_failed(_kind: str, notification: ElementTree.Element) -> Told:
    transaction, amount, told = _transaction(notification)
    return _credit(transaction, amount, told, "failed")


def _credit(transaction: ElementTree.Element, amount: int, told: Told, state: Any) -> Told:
    """A refund is a transaction of its own, which names the one it returns."""
    refund = RefundFact(told["payment"], amount, state)
    return told | {"payment": _text(transaction, "refunded-transaction-id"), "refunds": (refund,)}


_DISPUTES = {"dispute_won": "won", "dispute_lost": "lost", "dispute_accepted": "lost", "dispute_expired": "lost"}


def _dispute(kind: str, notification: ElementTree.Element) -> Told | None:
    dispute = _inner(notification, "subject/dispute")
    # A request for information holds no money back.
    if _find_text(dispute, "kind") == "retrieval":
        return None
    amount, currency = _money(dispute)
    state: Any = _DISPUTES.get(kind, "open")
    fact = DisputeFact(_text(dispute, "id"), amount, state)
    transaction = _inner(dispute, "transaction")
    return {
        "payment": _text(transaction, "id"),
        "order_number": _find_text(transaction, "order-id"),
        "currency": currency,
        "disputes": (fact,),
    }


_READERS = {
    "transaction_settled": _settled,
    "transaction_disbursed": _settled,
    "transaction_settlement_declined": _declined,
    "refund_failed": _refund_failed,
    **dict.fromkeys(("dispute_opened", "dispute_disputed", "dispute_under_review", *_DISPUTES), _dispute),
}
