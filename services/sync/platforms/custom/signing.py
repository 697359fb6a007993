"""Signatures of the custom protocol, both ways: HMAC-SHA256 as Standard Webhooks has it.

Source: standard-webhooks/standard-webhooks, `spec/standard-webhooks.md` (symmetric signatures, `whsec_`).
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

from services.sync.errors import InvalidCredentials

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
_MOST_SIGNATURES = 20


def key_of(secret: str) -> bytes:
    """The bytes that a secret stands for. Raises InvalidCredentials."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        raise InvalidCredentials(
            f"A signing secret is '{_PREFIX}' and {_SHORTEST} to {_LONGEST} random bytes in base64 behind it."
        )
    return key


def signature(secret: str, message_id: str, timestamp: int, content: bytes) -> str:
    """What stands in the header. Raises InvalidCredentials."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, content)
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def is_signed(secret: str, message_id: str, timestamp: str, header: str, content: bytes, now: datetime) -> bool:
    """Whether one of the signatures in `header`, which spaces part, is that of `content` and five minutes old at most.

    Raises InvalidCredentials.
    """
    if not (message_id and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    right = signature(secret, message_id, int(timestamp), content).encode()
    given = header.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]
    return any(hmac.compare_digest(right, each.encode(errors="replace")) for each in given)
