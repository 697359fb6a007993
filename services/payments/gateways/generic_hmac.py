"""Any sender that signs with an HMAC in a header: which header, hash and encoding, and what is signed, are settings.

`signed` is `body`, or the time and the body joined by a character, such as `timestamp.body` or `timestamp,body`; then
the header holds `t=<seconds>,v1=<signature>` (several `v1` while a secret changes), as Convoy and Stripe write it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.payments.errors import InvalidGatewaySettings
from services.payments.gateways import plain_events, settings
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
from services.payments.gateways.signatures import HASHES, any_signed, hmac_signed
from services.payments.notices import Notice

TOLERANCE_SECONDS = 300
_LONGEST_HEADER = 4096
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_SIGNED = re.compile(r"(?:[{<]?(?:timestamp|ts|t)[}>]?([^A-Za-z0-9{}<>\s]))?[{<]?(?:raw[ _]?)?body[}>]?")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class GenericHmac:
    """The adapter."""

    name = "generic-hmac"
    accepted = b"{}"
    accepted_type = "application/json"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given, needed=("header",), known=("hash", "encoding", "signed"))
        if not _HEADER.fullmatch(given["header"]):
            raise InvalidGatewaySettings("'header' is the name of a header.")
        lower = {name: str(value).lower() for name, value in given.items()}
        settings.one_of({"hash": _hash(given)}, "hash", tuple(HASHES))
        settings.one_of(lower, "encoding", ("hex", "base64"))
        if not _SIGNED.fullmatch(str(given.get("signed", "body"))):
            raise InvalidGatewaySettings("'signed' is 'body', or such as 'timestamp.body' or 'timestamp,body'.")

    def check_secret(self, secret: str) -> None:
        """Any text may be one."""

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        header = delivery.headers.get(str(account.settings.get("header", "")).lower(), "")
        if not header:
            return forged("no_signature")
        if len(header) > _LONGEST_HEADER:
            return forged("malformed_signature")
        form = _SIGNED.fullmatch(str(account.settings.get("signed", "body")))
        joint = None if form is None else form[1]
        if joint is None:
            return _judged(delivery.body, [re.sub(r"^sha[0-9]+=", "", header)], account)
        return _judged_with_time(delivery, header, joint, account)

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        return [plain_events.identify(delivery.body)]

    def read(self, content: Content) -> Notice | Harmless:
        return plain_events.read(content.body)

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


def _hash(given: Mapping[str, Any]) -> str:
    return str(given.get("hash", "sha256")).lower().replace("-", "")


def _judged(signed: bytes, signatures: Sequence[str], account: Account) -> Verdict:
    algorithm, encoding = _hash(account.settings), str(account.settings.get("encoding", "hex")).lower()
    for signature in signatures:
        if any_signed(account.secrets, hmac_signed, signed, signature, algorithm, encoding):
            return GENUINE
    return forged("wrong_signature")


def _judged_with_time(delivery: Delivery, header: str, joint: str, account: Account) -> Verdict:
    pairs = [(name.strip(), value.strip()) for name, _, value in (each.partition("=") for each in header.split(","))]
    times = [value for name, value in pairs if name == "t"]
    if len(times) != 1 or not _TIMESTAMP.fullmatch(times[0]):
        return forged("malformed_signature")
    signed = f"{times[0]}{joint}".encode() + delivery.body
    verdict = _judged(signed, [value for name, value in pairs if name == "v1"], account)
    if verdict.is_genuine and abs(delivery.received_at.timestamp() - int(times[0])) > TOLERANCE_SECONDS:
        return forged("stale_signature")
    return verdict
