"""Callbacks as each provider posts them, signed: for storefront developers, and for the tests.

A sample says one thing about one payment: that it was authorised, captured, refunded in part … Amounts are given in our
minor units, and written in the provider's own form.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from services.payments.gateways.adyen import ADYEN_EXPONENTS
from services.payments.gateways.apis.money import major_text, units
from services.payments.gateways.generic_hmac import HASHES
from services.payments.gateways.paypal import TEST_CERTIFICATE_URL
from services.payments.gateways.stripe import smallest_unit_exponents

KINDS = (
    "authorised",
    "captured",
    "refunded",
    "refund_failed",
    "disputed",
    "dispute_won",
    "dispute_lost",
    "failed",
    "cancelled",
    "unknown",
)


class NoSuchSample(Exception):
    """The provider posts nothing of this kind, or does not sign it."""


@dataclass(frozen=True)
class Facts:
    """What a sample says. `part` is the amount of a refund or dispute; `id` names the event, refund or dispute."""

    order_number: str | None
    amount: int
    currency: str
    payment: str
    at: datetime
    part: int = 0
    id: str = ""
    is_live: bool = False


@dataclass(frozen=True)
class Signing:
    """What signs: the secret as it was given, the gateway's settings and its address."""

    secret: Any
    settings: Mapping[str, Any]
    url: str


@dataclass(frozen=True)
class Sample:
    body: bytes
    headers: dict[str, str]


def sample(provider: str, kind: str, facts: Facts, signing: Signing) -> Sample:
    """A signed callback. Raises NoSuchSample."""
    if provider not in _MAKERS:
        raise NoSuchSample(f"{provider} is none of: {', '.join(_MAKERS)}.")
    write, sign = _MAKERS[provider]
    content = write(kind, facts, signing)
    if content is None:
        raise NoSuchSample(f"{provider} posts nothing that says '{kind}'.")
    return sign(content, facts, signing)


def signed(provider: str, body: bytes, facts: Facts, signing: Signing) -> Sample:
    """Any body, also one that the provider would not write, as it would sign it."""
    return _MAKERS[provider][1](body, facts, signing)


def _as_json(document: object) -> bytes:
    return json.dumps(document).encode()


def _mac(secret: str, signed: bytes, algorithm: Any = hashlib.sha256) -> Any:
    return hmac.new(secret.encode(), signed, algorithm)


def _id(facts: Facts) -> str:
    return facts.id or uuid4().hex[:16]


# --- Stripe


def _stripe(kind: str, facts: Facts, _signing: Signing) -> bytes | None:
    def money(amount: int) -> int:
        return units(amount, facts.currency, smallest_unit_exponents(facts.currency))

    intent = {"id": facts.payment, "object": "payment_intent", "currency": facts.currency.lower()}
    intent["metadata"] = {} if facts.order_number is None else {"order_number": facts.order_number}  # type: ignore[assignment]
    total, part = money(facts.amount), money(facts.part)
    of_payment = {"id": _id(facts), "payment_intent": facts.payment, "currency": facts.currency.lower(), "amount": part}
    things: dict[str, tuple[str, dict[str, Any]]] = {
        "authorised": ("payment_intent.amount_capturable_updated", intent | {"amount_capturable": total}),
        "captured": ("payment_intent.succeeded", intent | {"amount_received": total}),
        "failed": ("payment_intent.payment_failed", intent),
        "cancelled": ("payment_intent.canceled", intent),
        "refunded": ("refund.updated", of_payment | {"status": "succeeded"}),
        "refund_failed": ("refund.failed", of_payment | {"status": "failed"}),
        "disputed": ("charge.dispute.created", of_payment | {"status": "needs_response"}),
        "dispute_won": ("charge.dispute.closed", of_payment | {"status": "won"}),
        "dispute_lost": ("charge.dispute.closed", of_payment | {"status": "lost"}),
        "unknown": ("customer.created", {"id": _id(facts)}),
    }
    name, thing = things[kind]
    event = {
        "id": f"evt_{kind}_{_id(facts)}_{facts.payment}",
        "object": "event",
        "created": int(facts.at.timestamp()),
        "data": {"object": thing},
        "livemode": facts.is_live,
        "type": name,
    }
    return _as_json(event)


def _sign_stripe(body: bytes, facts: Facts, signing: Signing) -> Sample:
    at = int(facts.at.timestamp())
    return Sample(body, {"Stripe-Signature": f"t={at},v1={_mac(signing.secret, b'%d.' % at + body).hexdigest()}"})


# --- Adyen

_ADYEN = {
    "authorised": ("AUTHORISATION", "true"),
    "failed": ("AUTHORISATION", "false"),
    "captured": ("CAPTURE", "true"),
    "capture_failed": ("CAPTURE_FAILED", "true"),
    "cancelled": ("CANCELLATION", "true"),
    "refunded": ("REFUND", "true"),
    "refund_failed": ("REFUND_FAILED", "true"),
    "disputed": ("CHARGEBACK", "true"),
    "dispute_won": ("CHARGEBACK_REVERSED", "true"),
    "dispute_lost": ("SECOND_CHARGEBACK", "true"),
    "unknown": ("REPORT_AVAILABLE", "true"),
}
# What is said later of a capture, refund or dispute names it as before.
_ADYEN_PARTS = {"captured": "capture", "refunded": "refund", "disputed": "dispute"}


def adyen_item(kind: str, facts: Facts, signing: Signing) -> dict[str, Any]:
    """One signed item of a notification."""
    code, success = _ADYEN[kind]
    is_payment, part = code == "AUTHORISATION", _ADYEN_PARTS.get(kind, kind.partition("_")[0])
    amount = facts.part if kind.startswith(("refund", "dispute")) else facts.amount
    item: dict[str, Any] = {
        "pspReference": facts.payment if is_payment else f"{part}-{_id(facts)}",
        "merchantAccountCode": signing.settings.get("merchant_account", ""),
        "merchantReference": facts.order_number or "",
        "amount": {"value": units(amount, facts.currency, ADYEN_EXPONENTS), "currency": facts.currency},
        "eventCode": code,
        "success": success,
        "eventDate": facts.at.isoformat(),
    }
    if not is_payment:
        item["originalReference"] = facts.payment
    signed = (
        item["pspReference"],
        item.get("originalReference", ""),
        item["merchantAccountCode"],
        item["merchantReference"],
        item["amount"]["value"],
        item["amount"]["currency"],
        code,
        success,
    )
    mac = hmac.new(bytes.fromhex(signing.secret), ":".join(map(str, signed)).encode(), hashlib.sha256)
    return item | {"additionalData": {"hmacSignature": base64.b64encode(mac.digest()).decode()}}


def adyen_notification(*items: Mapping[str, Any], is_live: bool = False) -> bytes:
    live = str(is_live).lower()
    return _as_json({"live": live, "notificationItems": [{"NotificationRequestItem": item} for item in items]})


def _adyen(kind: str, facts: Facts, signing: Signing) -> bytes:
    return adyen_notification(adyen_item(kind, facts, signing), is_live=facts.is_live)


def _signed_inside(body: bytes, _facts: Facts, _signing: Signing) -> Sample:
    return Sample(body, {"Content-Type": "application/json"})


# --- PayPal

_PAYPAL = {
    "authorised": "PAYMENT.AUTHORIZATION.CREATED",
    "captured": "PAYMENT.CAPTURE.COMPLETED",
    "failed": "PAYMENT.CAPTURE.DENIED",
    "cancelled": "PAYMENT.AUTHORIZATION.VOIDED",
    "refunded": "PAYMENT.CAPTURE.REFUNDED",
    "refund_failed": "PAYMENT.REFUND.FAILED",
    "disputed": "CUSTOMER.DISPUTE.CREATED",
    "dispute_won": "CUSTOMER.DISPUTE.RESOLVED",
    "dispute_lost": "CUSTOMER.DISPUTE.RESOLVED",
    "unknown": "BILLING.PLAN.CREATED",
}


def _paypal(kind: str, facts: Facts, _signing: Signing) -> bytes:
    def money(amount: int) -> dict[str, str]:
        whole = frozenset(("HUF", "JPY", "TWD"))
        return {"currency_code": facts.currency, "value": major_text(amount, facts.currency, whole=whole)}

    capture = f"CAP-{facts.payment}"
    resource: dict[str, Any] = {"id": f"{kind}-{facts.payment}", "amount": money(facts.amount)}
    if kind.startswith("refund"):
        up = f"https://api.sandbox.paypal.com/v2/payments/captures/{capture}"
        resource |= {"id": f"REF-{_id(facts)}", "amount": money(facts.part), "links": [{"rel": "up", "href": up}]}
    elif kind.startswith("dispute"):
        outcomes = {"dispute_won": "RESOLVED_SELLER_FAVOUR", "dispute_lost": "RESOLVED_BUYER_FAVOUR"}
        resource = {
            "dispute_id": f"PP-D-{_id(facts)}",
            "dispute_amount": money(facts.part),
            "disputed_transactions": [{"seller_transaction_id": capture}],
            "dispute_life_cycle_stage": "CHARGEBACK",
        }
        resource |= {"dispute_outcome": {"outcome_code": outcomes[kind]}} if kind in outcomes else {}
    else:
        resource["supplementary_data"] = {"related_ids": {"order_id": facts.payment}}
        resource |= {} if facts.order_number is None else {"custom_id": facts.order_number}
        if kind in ("captured", "failed"):
            resource["id"] = capture
    event = {
        "id": f"WH-{kind}-{_id(facts)}-{facts.payment}",
        "create_time": facts.at.isoformat(),
        "event_type": _PAYPAL[kind],
        "resource": resource,
    }
    return _as_json(event)


def test_certificate() -> tuple[str, str]:
    """A private key and a certificate of it in PayPal's name, in PEM: for a gateway in test mode that names it."""
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.sandbox.paypal.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2015, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 12, 31, tzinfo=UTC))
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), certificate.public_bytes(Encoding.PEM).decode()


def _sign_paypal(body: bytes, facts: Facts, signing: Signing) -> Sample:
    key = load_pem_private_key(signing.secret.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise NoSuchSample("PayPal signs with RSA: the secret is to be the private key of a test certificate, in PEM.")
    transmission, time = uuid4().hex, facts.at.isoformat()
    signed = f"{transmission}|{time}|{signing.settings.get('webhook_id', '')}|{zlib.crc32(body)}".encode()
    headers = {
        "Paypal-Transmission-Id": transmission,
        "Paypal-Transmission-Time": time,
        "Paypal-Transmission-Sig": base64.b64encode(key.sign(signed, PKCS1v15(), SHA256())).decode(),
        "Paypal-Cert-Url": TEST_CERTIFICATE_URL,
        "Paypal-Auth-Algo": "SHA256withRSA",
    }
    return Sample(body, headers)


# --- Mollie


def _mollie(kind: str, facts: Facts, _signing: Signing) -> bytes | None:
    if kind not in ("captured", "unknown"):
        # All else a callback only names: Mollie's API tells what happened.
        return urlencode({"id": facts.payment}).encode()
    link = {
        "id": facts.payment,
        "resource": "payment-link",
        "amount": {"value": major_text(facts.amount, facts.currency), "currency": facts.currency},
        "mode": "live" if facts.is_live else "test",
        "metadata": {"order_number": facts.order_number},
    }
    event = {
        "resource": "event",
        "id": f"whe_{kind}_{_id(facts)}",
        "type": "payment-link.paid" if kind == "captured" else "profile.created",
        "entityId": facts.payment,
        "createdAt": facts.at.isoformat(),
        "_embedded": {"entity": link},
    }
    return _as_json(event)


def _sign_mollie(body: bytes, _facts: Facts, signing: Signing) -> Sample:
    if body.startswith(b"id="):
        return Sample(body, {"Content-Type": "application/x-www-form-urlencoded"})
    return Sample(body, {"X-Mollie-Signature": f"sha256={_mac(signing.secret, body).hexdigest()}"})


# --- Square

_SQUARE = {"authorised": "APPROVED", "captured": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELED"}


def _square(kind: str, facts: Facts, _signing: Signing) -> bytes:
    def money(amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": facts.currency}

    if kind in _SQUARE:
        name, thing = "payment.updated", {"id": facts.payment, "status": _SQUARE[kind]}
        thing |= {"amount_money": money(facts.amount)}  # type: ignore[dict-item]
        thing |= {} if facts.order_number is None else {"reference_id": facts.order_number}
    elif kind.startswith("refund"):
        status = "FAILED" if kind == "refund_failed" else "COMPLETED"
        name, thing = "refund.updated", {"id": _id(facts), "payment_id": facts.payment, "status": status}
        thing |= {"amount_money": money(facts.part)}  # type: ignore[dict-item]
    elif kind.startswith("dispute"):
        state = {"dispute_won": "WON", "dispute_lost": "LOST"}.get(kind, "EVIDENCE_REQUIRED")
        name, thing = "dispute.state.updated", {"id": _id(facts), "state": state}
        thing |= {"amount_money": money(facts.part), "disputed_payment": {"payment_id": facts.payment}}  # type: ignore[dict-item]
    else:
        name, thing = "customer.created", {"id": _id(facts)}
    event = {
        "type": name,
        "event_id": f"{kind}-{_id(facts)}-{facts.payment}",
        "created_at": facts.at.isoformat(),
        "data": {"type": name.partition(".")[0], "object": {name.partition(".")[0]: thing}},
    }
    return _as_json(event)


def _sign_square(body: bytes, _facts: Facts, signing: Signing) -> Sample:
    signed = str(signing.settings.get("notification_url") or signing.url).encode() + body
    mac = base64.b64encode(_mac(signing.secret, signed).digest()).decode()
    return Sample(body, {"X-Square-Hmacsha256-Signature": mac})


# --- Razorpay

_RAZORPAY = {
    "authorised": "payment.authorized",
    "captured": "payment.captured",
    "failed": "payment.failed",
    "refunded": "refund.processed",
    "refund_failed": "refund.failed",
    "disputed": "payment.dispute.created",
    "dispute_won": "payment.dispute.won",
    "dispute_lost": "payment.dispute.lost",
    "unknown": "invoice.paid",
}


def _razorpay(kind: str, facts: Facts, _signing: Signing) -> bytes | None:
    if kind not in _RAZORPAY:
        return None
    part = {"id": _id(facts), "payment_id": facts.payment, "amount": facts.part, "currency": facts.currency}
    notes = {} if facts.order_number is None else {"order_number": facts.order_number}
    payment = {"id": facts.payment, "amount": facts.amount, "currency": facts.currency, "notes": notes}
    payload: dict[str, Any] = {"payment": {"entity": payment}}
    if kind.startswith("refund"):
        status = "failed" if kind == "refund_failed" else "processed"
        payload = {"refund": {"entity": part | {"status": status}}}
    elif kind.startswith("dispute"):
        payload = {"dispute": {"entity": part | {"status": "open"}}}
    event = {"event": _RAZORPAY[kind], "payload": payload, "created_at": int(facts.at.timestamp())}
    return _as_json(event)


def _sign_razorpay(body: bytes, facts: Facts, signing: Signing) -> Sample:
    headers = {"X-Razorpay-Signature": _mac(signing.secret, body).hexdigest()}
    return Sample(body, headers | {"X-Razorpay-Event-Id": hashlib.sha256(body).hexdigest()[:24]})


# --- Braintree

_BRAINTREE = {
    "captured": "transaction_settled",
    "failed": "transaction_settlement_declined",
    "refunded": "transaction_settled",
    "refund_failed": "refund_failed",
    "disputed": "dispute_opened",
    "dispute_won": "dispute_won",
    "dispute_lost": "dispute_lost",
    "unknown": "check",
}


def _braintree(kind: str, facts: Facts, _signing: Signing) -> bytes | None:
    if kind not in _BRAINTREE:
        return None
    number = "" if facts.order_number is None else f"<order-id>{facts.order_number}</order-id>"
    money = f"<currency-iso-code>{facts.currency}</currency-iso-code>"
    total = f"<amount>{major_text(facts.amount, facts.currency)}</amount>{money}"
    part = f"<amount>{major_text(facts.part, facts.currency)}</amount>{money}"
    subject = f"<transaction><id>{facts.payment}</id><type>sale</type>{number}{total}</transaction>"
    if kind.startswith("refund"):
        of = f"<refunded-transaction-id>{facts.payment}</refunded-transaction-id>"
        subject = f"<transaction><id>{_id(facts)}</id><type>credit</type>{of}{part}</transaction>"
    elif kind.startswith("dispute"):
        of = f"<transaction><id>{facts.payment}</id></transaction>"
        subject = f"<dispute><id>{_id(facts)}</id><kind>chargeback</kind>{part}{of}</dispute>"
    elif kind == "unknown":
        subject = '<check type="boolean">true</check>'
    at = f'<timestamp type="datetime">{facts.at:%Y-%m-%dT%H:%M:%SZ}</timestamp>'
    xml = f"<notification>{at}<kind>{_BRAINTREE[kind]}</kind><subject>{subject}</subject></notification>"
    return base64.encodebytes(xml.encode())


def sign_braintree(payload: bytes, _facts: Facts, signing: Signing) -> Sample:
    keys = signing.secret if isinstance(signing.secret, dict) else json.loads(signing.secret)
    key = hashlib.sha1(keys["private_key"].encode()).digest()  # noqa: S324 - as Braintree has it
    signature = f"{keys['public_key']}|{hmac.new(key, payload, hashlib.sha1).hexdigest()}"
    form = {"bt_signature": signature, "bt_payload": payload.decode()}
    return Sample(urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"})


# --- Standard Webhooks, and any HMAC

_PLAIN = {
    "authorised": "payment.authorised",
    "captured": "payment.captured",
    "failed": "payment.failed",
    "cancelled": "payment.cancelled",
    "refunded": "refund.succeeded",
    "refund_failed": "refund.failed",
    "disputed": "dispute.opened",
    "dispute_won": "dispute.won",
    "dispute_lost": "dispute.lost",
    "unknown": "ping",
}


def _plain(kind: str, facts: Facts, _signing: Signing) -> bytes:
    is_part = kind.startswith(("refund", "dispute"))
    data: dict[str, Any] = {"payment_id": facts.payment, "amount": facts.part if is_part else facts.amount}
    data |= {"currency": facts.currency, "order_number": facts.order_number}
    data |= {"refund_id" if kind.startswith("refund") else "dispute_id": _id(facts)} if is_part else {}
    event = {
        "id": f"{kind}-{_id(facts)}-{facts.payment}",
        "type": _PLAIN[kind],
        "timestamp": facts.at.isoformat(),
        "mode": "live" if facts.is_live else "test",
        "data": data,
    }
    return _as_json(event)


def _sign_standard(body: bytes, facts: Facts, signing: Signing) -> Sample:
    message_id, at = f"msg_{hashlib.sha256(body).hexdigest()[:24]}", int(facts.at.timestamp())
    key = base64.b64decode(signing.secret.removeprefix("whsec_") + "==")
    mac = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return Sample(body, {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signature})


def _sign_hmac(body: bytes, facts: Facts, signing: Signing) -> Sample:
    told, at = signing.settings, int(facts.at.timestamp())
    form = str(told.get("signed", "body"))
    joint = "," if "," in form else "." if "." in form else None
    mac = _mac(
        signing.secret,
        body if joint is None else f"{at}{joint}".encode() + body,
        HASHES[str(told.get("hash", "sha256")).lower().replace("-", "")],
    )
    is_hex = str(told.get("encoding", "hex")).lower() == "hex"
    value = mac.hexdigest() if is_hex else base64.b64encode(mac.digest()).decode()
    return Sample(body, {str(told["header"]): value if joint is None else f"t={at},v1={value}"})


Write = Callable[[str, Facts, Signing], bytes | None]
Sign = Callable[[bytes, Facts, Signing], Sample]
_MAKERS: Mapping[str, tuple[Write, Sign]] = {
    "stripe": (_stripe, _sign_stripe),
    "adyen": (_adyen, _signed_inside),
    "paypal": (_paypal, _sign_paypal),
    "mollie": (_mollie, _sign_mollie),
    "square": (_square, _sign_square),
    "razorpay": (_razorpay, _sign_razorpay),
    "braintree": (_braintree, sign_braintree),
    "standard-webhooks": (_plain, _sign_standard),
    "generic-hmac": (_plain, _sign_hmac),
}
