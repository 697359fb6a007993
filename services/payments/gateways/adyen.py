"""Adyen: payment notifications, signed item by item, and platform or management webhooks, signed as a whole.

Sources: Adyen's own `Adyen.util`; event codes, exponents of currencies and the answer from docs.adyen.com (webhooks;
currency codes: CLP, CVE, IDR and ISK depart from ISO 4217).
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.payments.errors import InvalidGatewaySettings, InvalidSecret, UnreadableCallback, WrongMode
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
from services.payments.gateways.signatures import adyen_body_signed, adyen_item_signed, any_signed
from services.payments.notices import CaptureFact, DisputeFact, Notice, RefundFact
from shared.money import EXPONENTS

ADYEN_EXPONENTS = {**EXPONENTS, "CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
MOST_ITEMS = 100
_LONGEST_HEADER = 1024
# Its eight signed fields are joined by colons and nothing is escaped: where one could hold a colon, two calls that mean
# different things have the same signature. The merchant's own reference may; it stands between fields that may not.
_PLAIN = re.compile(r"[^:\x00]{0,255}")
# It becomes a part of a host's name.
_PREFIX = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_VALUE = re.compile(r"[0-9]{0,16}")
_CURRENCY = re.compile(r"([A-Z]{3})?")


class Adyen:
    """The adapter."""

    name = "adyen"
    accepted = b"[accepted]"
    accepted_type = "text/plain"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given, needed=("merchant_account",), known=("auto_capture", "live_prefix"))
        settings.flag(given, "auto_capture")
        if "live_prefix" in given and not _PREFIX.fullmatch(settings.text(self.name, given, "live_prefix")):
            raise InvalidGatewaySettings(
                "'live_prefix' is what Adyen puts before '-checkout-live': letters and digits."
            )

    def check_secret(self, secret: str) -> None:
        try:
            bytes.fromhex(secret)
        except ValueError:
            raise InvalidSecret("Adyen's HMAC keys are texts in hexadecimal.") from None

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        notification = reading.find_signed_document(delivery.body)
        if notification is not None and "notificationItems" in notification:
            return _items_verdict(notification, account)
        header = delivery.headers.get("hmacsignature", "")
        if not header:
            return forged("no_signature")
        if len(header) > _LONGEST_HEADER:
            return forged("malformed_signature")
        if not any_signed(account.secrets, adyen_body_signed, delivery.body, header):
            return forged("wrong_signature")
        return GENUINE

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        notification = reading.find_document(delivery.body) or {}
        items = _items(notification)
        if not items:
            digest = hashlib.sha256(delivery.body).digest()
            return [EventIdentity(None, reading.find_name(notification, "type"), digest)]
        return [_identity(item, part) for part, item in enumerate(items)]

    def read(self, content: Content) -> Notice | Harmless:
        notification = reading.document(content.body)
        if "notificationItems" not in notification:
            return Harmless(reading.text(notification, "type"))
        items = _items(notification)
        if content.part >= len(items):
            raise UnreadableCallback("The notification has no such item.")
        is_live = {"true": True, "false": False}.get(str(notification.get("live")).lower())
        return _Item(items[content.part], is_live, content.settings).read()

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


def _items(notification: Object) -> list[Object]:
    return [
        reading.find_inner(each, "NotificationRequestItem")
        for each in reading.objects(notification, "notificationItems")
    ]


def _items_verdict(notification: Object, account: Account) -> Verdict:
    """All items or none: a call with one that is forged is refused as a whole."""
    items, given = _items(notification), notification["notificationItems"]
    if not items or not isinstance(given, list) or len(items) != len(given) or len(items) > MOST_ITEMS:
        return forged("malformed_items")
    for item in items:
        verdict = _item_verdict(item, account)
        if not verdict.is_genuine:
            return verdict
    return GENUINE


def _item_verdict(item: Object, account: Account) -> Verdict:
    signature = reading.find_inner(item, "additionalData").get("hmacSignature")
    if not isinstance(signature, str) or not signature:
        return forged("no_signature")
    fields = _signed_fields(item)
    if fields is None:
        return forged("ambiguous_fields")
    amount = {"value": fields["value"], "currency": fields["currency"]}
    signed = {**fields, "amount": amount, "additionalData": {"hmacSignature": signature}}
    if not any_signed(account.secrets, adyen_item_signed, signed):
        return forged("wrong_signature")
    if fields["merchantAccountCode"] != account.settings.get("merchant_account"):
        return forged("wrong_merchant_account")
    return GENUINE


_FIELDS = {
    "pspReference": _PLAIN,
    "originalReference": _PLAIN,
    "merchantAccountCode": _PLAIN,
    "merchantReference": re.compile(r"(?s).{0,1000}"),
    "value": _VALUE,
    "currency": _CURRENCY,
    "eventCode": _PLAIN,
    "success": re.compile(r"true|false|"),
}


def _signed_fields(item: Object) -> dict[str, str] | None:
    """What is signed, as texts; None where it could be read in two ways."""
    amount = reading.find_inner(item, "amount")
    found = {name: _as_text((amount if name in ("value", "currency") else item).get(name)) for name in _FIELDS}
    is_plain = all(pattern.fullmatch(found[name]) for name, pattern in _FIELDS.items())
    return found if is_plain else None


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _identity(item: Object, part: int) -> EventIdentity:
    """Adyen numbers no events: a payment's or modification's reference, what happened and how it went make one."""
    fields = _signed_fields(item) or {name: _as_text(item.get(name))[:255] for name in _FIELDS}
    digest = reading.digest_of(fields, repr(item).encode())
    event = fields["eventCode"] if reading.is_name(fields["eventCode"]) else None
    event_id = f"{fields['pspReference']}:{fields['eventCode']}:{fields['success']}"
    return EventIdentity(event_id if reading.is_name(event_id) else None, event, digest, part)


class _Item:
    """One item, to be read. Reason, date and additional data are not signed: they move no money."""

    def __init__(self, item: Object, is_live: bool | None, options: Mapping[str, Any]) -> None:
        self._item = item
        self._is_live = is_live
        self._options = options
        self._event = reading.text(item, "eventCode")
        self._succeeded = _as_text(item.get("success")) == "true"

    def read(self) -> Notice | Harmless:
        reader = _READERS.get(self._event)
        if reader is None:
            return Harmless(self._event)
        # Of the other kinds only those that happened say anything.
        if not self._succeeded and self._event not in ("AUTHORISATION", "CAPTURE", "REFUND"):
            return Harmless(self._event, "not_successful")
        told = reader(self)
        return Notice(
            event=self._event if self._succeeded else f"{self._event} failed",
            occurred_at=self._date(),
            is_live=self.is_live,
            payment=reading.find_name(self._item, "originalReference") or self.reference,
            order_number=reading.find_name(self._item, "merchantReference"),
            currency=self.currency,
            **told,
        )

    @property
    def is_live(self) -> bool:
        if self._is_live is None:
            raise WrongMode("The notification does not say whether it is live or a test.")
        return self._is_live

    @property
    def reference(self) -> str:
        return reading.text(self._item, "pspReference")

    @property
    def currency(self) -> str:
        return reading.currency(reading.inner(self._item, "amount").get("currency"))

    @property
    def amount(self) -> int:
        return reading.smallest_units(reading.inner(self._item, "amount").get("value"), self.currency, ADYEN_EXPONENTS)

    def _date(self) -> datetime | None:
        try:
            return reading.find_time(self._item, "eventDate")
        except UnreadableCallback:
            return None

    def authorised(self) -> dict[str, Any]:
        if not self._succeeded:
            return {"failed": True}
        # Where the account captures at once there is no notification of its own for that.
        captured = self.amount if self._options.get("auto_capture") is True else None
        return {"authorised": self.amount, "captured": captured}

    def captured(self) -> dict[str, Any]:
        state: Any = "succeeded" if self._succeeded and self._event == "CAPTURE" else "failed"
        return {"captures": (CaptureFact(self.reference, self.amount, state),)}

    def cancelled(self) -> dict[str, Any]:
        return {"cancelled": True}

    def refunded(self) -> dict[str, Any]:
        state: Any = "succeeded" if self._succeeded and self._event == "REFUND" else "failed"
        return {"refunds": (RefundFact(self.reference, self.amount, state),)}

    def disputed(self) -> dict[str, Any]:
        state: Any = _DISPUTES[self._event]
        return {"disputes": (DisputeFact(self.reference, self.amount, state),)}

    def ambiguous(self) -> dict[str, Any]:
        raise UnreadableCallback("Whether it cancelled or refunded stands in a field that is not signed.")


_DISPUTES = {
    "NOTIFICATION_OF_CHARGEBACK": "open",
    "CHARGEBACK": "open",
    "CHARGEBACK_REVERSED": "won",
    "PREARBITRATION_WON": "won",
    "SECOND_CHARGEBACK": "lost",
    "PREARBITRATION_LOST": "lost",
}
_READERS = {
    "AUTHORISATION": _Item.authorised,
    "CAPTURE": _Item.captured,
    "CAPTURE_FAILED": _Item.captured,
    "CANCELLATION": _Item.cancelled,
    "TECHNICAL_CANCEL": _Item.cancelled,
    "EXPIRE": _Item.cancelled,
    "CANCEL_OR_REFUND": _Item.ambiguous,
    "REFUND": _Item.refunded,
    "REFUND_FAILED": _Item.refunded,
    "REFUNDED_REVERSED": _Item.refunded,
    **dict.fromkeys(_DISPUTES, _Item.disputed),
}
