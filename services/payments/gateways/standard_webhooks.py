"""Standard Webhooks, and Svix, which sends the same under names of its own.

Source: standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`; symmetric (`whsec_`) and, for senders with a
published key, asymmetric signatures (`whpk_`).
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.payments.errors import InvalidSecret
from services.payments.gateways import plain_events, reading, settings
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
from services.payments.gateways.signatures import any_signed, standard_webhook_signed
from services.payments.notices import Notice

TOLERANCE_SECONDS = 300
_LONGEST_HEADER = 4096
_MOST_SIGNATURES = 20
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class StandardWebhooks:
    """The adapter."""

    name = "standard-webhooks"
    accepted = b"{}"
    accepted_type = "application/json"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given)

    def check_secret(self, secret: str) -> None:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_").removeprefix("whpk_") + "==")
        except (binascii.Error, ValueError):
            key = b""
        if not key:
            raise InvalidSecret("A secret is text in base64 behind 'whsec_' (or a public key behind 'whpk_').")

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        message_id, timestamp, header = (_told(delivery, name) for name in ("id", "timestamp", "signature"))
        if not (message_id and timestamp and header):
            return forged("no_signature")
        if len(header) > _LONGEST_HEADER or not _TIMESTAMP.fullmatch(timestamp):
            return forged("malformed_signature")
        at = int(timestamp)
        for signature in header.split(" ")[:_MOST_SIGNATURES]:
            if any_signed(account.secrets, standard_webhook_signed, message_id, at, delivery.body, signature):
                break
        else:
            return forged("wrong_signature")
        if abs(delivery.received_at.timestamp() - at) > TOLERANCE_SECONDS:
            return forged("stale_signature")
        return GENUINE

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        message_id = _told(delivery, "id")
        return [plain_events.identify(delivery.body, message_id if reading.is_name(message_id) else None)]

    def read(self, content: Content) -> Notice | Harmless:
        return plain_events.read(content.body)

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


def _told(delivery: Delivery, name: str) -> str:
    return delivery.headers.get(f"webhook-{name}") or delivery.headers.get(f"svix-{name}") or ""
