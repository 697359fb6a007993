"""The one place that asks the providers' own libraries whether a signature holds.

They raise whatever odd input brings about (KeyError, TypeError, UnicodeDecodeError, their own errors). None of that is
a signature: every exception becomes "not signed", and none keeps the other secret from being tried. An empty secret
signs nothing, whatever a library makes of it.

Several libraries take a body as text, and cannot be asked about one that is not UTF-8. A provider signs bytes: of such
a body they are judged here, by the same rule, so that what is unreadable is not called forged.
"""

import base64
import hashlib
import hmac
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from types import SimpleNamespace
from typing import Any, ParamSpec

from Adyen.util import is_valid_hmac_notification, is_valid_hmac_payload
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from mollie.utils.webhooks.signature_validator import SignatureValidator
from razorpay.utility.utility import Utility
from square.utils.webhooks_helper import verify_signature as verify_square
from standardwebhooks import Webhook
from stripe import WebhookSignature

with warnings.catch_warnings():
    # It warns, at import, of names of its own that it has retired.
    warnings.simplefilter("ignore", DeprecationWarning)
    from braintree.webhook_notification_gateway import WebhookNotificationGateway

P = ParamSpec("P")


def _or_not_signed(check: Callable[P, bool]) -> Callable[P, bool]:
    @wraps(check)
    def checked(*args: P.args, **kwargs: P.kwargs) -> bool:
        try:
            return bool(check(*args, **kwargs))
        except Exception:
            return False

    return checked


def any_signed(secrets: Sequence[str], check: Callable[..., bool], *signed: Any) -> bool:
    """Whether `check` holds of what is signed and one of the secrets; an empty one is none."""
    return any(check(*signed, secret) for secret in secrets if secret.strip())


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


@_or_not_signed
def stripe_signed(body: bytes, header: str, secret: str) -> bool:
    if not _is_text(body):
        pairs = [item.split("=", 1) for item in header.split(",") if "=" in item]
        signed = b"%d." % int(next(value for name, value in pairs if name == "t")) + body
        return any(hmac_signed(signed, value, "sha256", "hex", secret) for name, value in pairs if name == "v1")
    # The library knows no timestamps from the future, so that the age is the adapter's to judge.
    return bool(WebhookSignature.verify_header(body, header, secret, tolerance=None))


_ADYEN_SIGNED = (
    *("pspReference", "originalReference", "merchantAccountCode", "merchantReference"),
    *("value", "currency", "eventCode", "success"),
)


@_or_not_signed
def adyen_item_signed(item: Mapping[str, Any], secret: str) -> bool:
    """One item, alone: of several the library looks at the first. What is no text in it is surrogates (PEP 383)."""
    signed = ":".join(item[name] for name in _ADYEN_SIGNED)
    if not signed.isascii() and any("\udc80" <= each <= "\udcff" for each in signed):
        mac = hmac.new(bytes.fromhex(secret), signed.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
        return hmac.compare_digest(base64.b64encode(mac), item["additionalData"]["hmacSignature"].encode())
    return is_valid_hmac_notification({"notificationItems": [{"NotificationRequestItem": item}]}, secret) is True


@_or_not_signed
def adyen_body_signed(body: bytes, header: str, secret: str) -> bool:
    return is_valid_hmac_payload(header, secret, body) is True


@_or_not_signed
def mollie_signed(body: bytes, header: str, secret: str) -> bool:
    if not _is_text(body):
        return hmac_signed(body, header.removeprefix("sha256="), "sha256", "hex", secret)
    return SignatureValidator(secret).validate_payload(body.decode(), header)


@_or_not_signed
def square_signed(body: bytes, header: str, notification_url: str, secret: str) -> bool:
    if not _is_text(body):
        return hmac_signed(notification_url.encode() + body, header, "sha256", "base64", secret)
    return verify_square(
        request_body=body.decode(), signature_header=header, signature_key=secret, notification_url=notification_url
    )


@_or_not_signed
def razorpay_signed(body: bytes, header: str, secret: str) -> bool:
    if not _is_text(body):
        return hmac_signed(body, header, "sha256", "hex", secret)
    return Utility().verify_webhook_signature(body.decode(), header, secret) is True


@_or_not_signed
def braintree_signed(signature: str, payload: str, public_key: str, private_key: str) -> bool:
    """Whether the form's payload is signed. The library's own `parse` would also read the XML, entities and all."""
    check = _braintree(public_key, private_key)._WebhookNotificationGateway__validate_signature
    # Pairs that are none keep the library from looking at the others.
    pairs = [pair for pair in signature.split("&") if pair.count("|") == 1]
    check("&".join(pairs), payload.encode("ascii"))
    return True


def braintree_answer(challenge: str, public_key: str, private_key: str) -> bytes:
    """What Braintree expects to its challenge."""
    return str(_braintree(public_key, private_key).verify(challenge)).encode()


def _braintree(public_key: str, private_key: str) -> Any:
    configuration = SimpleNamespace(public_key=public_key, private_key=private_key)
    return WebhookNotificationGateway(SimpleNamespace(config=configuration))


@_or_not_signed
def standard_webhook_signed(message_id: str, at: int, body: bytes, signature: str, secret: str) -> bool:
    """One entry of the list, `v1,…` or `v1a,…`.

    The library's own `verify` reads the machine's clock, and stops at the first entry it cannot read; `sign` does not.
    """
    version, _, value = signature.partition(",")
    if version == "v1a":
        return _ed25519_signed(f"{message_id}.{at}.".encode() + body, value, secret)
    if version != "v1" or secret.startswith("whpk_"):
        return False
    if not _is_text(body):
        key = base64.b64decode(secret.removeprefix("whsec_") + "==")
        mac = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
        return bool(key) and hmac.compare_digest(base64.b64encode(mac), value.encode())
    expected = Webhook(secret).sign(message_id, datetime.fromtimestamp(at, UTC), body.decode())
    return hmac.compare_digest(expected.encode(), signature.encode())


def _ed25519_signed(signed: bytes, value: str, secret: str) -> bool:
    if not secret.startswith("whpk_"):
        return False
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.removeprefix("whpk_"), validate=True))
    key.verify(base64.b64decode(value, validate=True), signed)
    return True


HASHES: Mapping[str, Any] = {
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}


@_or_not_signed
def hmac_signed(signed: bytes, signature: str, algorithm: str, encoding: str, secret: str) -> bool:
    """An HMAC of any sender: `signature` is what the header holds, in hex (either case) or base64."""
    expected = hmac.new(secret.encode(), signed, HASHES[algorithm])
    if encoding == "hex":
        return hmac.compare_digest(expected.hexdigest().encode(), signature.lower().encode())
    return hmac.compare_digest(base64.b64encode(expected.digest()), signature.encode())
