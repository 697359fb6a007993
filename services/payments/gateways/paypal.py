"""PayPal: RSA signatures with a certificate that lies at PayPal, events of captures, authorizations, refunds, disputes.

Sources: PayPal's own SDKs for what is signed (`id|time|webhook id|CRC32 of the body`); event names and resources of
developer.paypal.com (webhooks, payments v2, disputes v1); currencies without decimals of its currency codes page.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import NameOID

from services.payments.errors import InvalidGatewaySettings, UnreadableCallback
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
from services.payments.notices import CaptureFact, DisputeFact, Notice, RefundFact
from services.payments.settings import payments_settings

_HEADERS = (
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "paypal-cert-url",
    "paypal-auth-algo",
)
_LONGEST_HEADER = 2048
_HOSTS = {
    True: ("api.paypal.com", "api-m.paypal.com"),
    False: ("api.sandbox.paypal.com", "api-m.sandbox.paypal.com"),
}
_CERTIFICATE = re.compile(r"/v1/notifications/(certs/)?[A-Za-z0-9._-]{1,200}")
# Nothing lies there: what says so is signed with the certificate that a gateway in test mode names itself.
TEST_CERTIFICATE_URL = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-of-the-gateways-own-settings"
_OWNER = re.compile(r"messageverificationcerts(\.[a-z]+)?\.paypal\.com")
_MOST_CERTIFICATES = 6
WITHOUT_DECIMALS = frozenset(("HUF", "JPY", "TWD"))


class PayPal:
    """The adapter. PayPal has no secret: what it signs is bound to the webhook's id."""

    name = "paypal"
    accepted = b"{}"
    accepted_type = "application/json"

    def check_settings(self, given: Mapping[str, Any], is_live: bool) -> None:
        settings.check(self.name, given, needed=("webhook_id",), known=("test_certificate",))
        if "test_certificate" not in given:
            return
        if is_live:
            raise InvalidGatewaySettings("A 'test_certificate' belongs to a gateway in test mode alone.")
        pem = given["test_certificate"]
        if not isinstance(pem, str) or len(pem) > 20_000 or not _chain(pem):
            raise InvalidGatewaySettings("'test_certificate' is no certificate in PEM.")

    def check_secret(self, secret: str) -> None:
        """Any text may be given; none is used."""

    def verify(self, delivery: Delivery, account: Account) -> Verdict:
        told = {name: delivery.headers.get(name, "") for name in _HEADERS}
        if not all(told.values()):
            return forged("no_signature")
        if any(len(value) > _LONGEST_HEADER or not value.isascii() for value in told.values()):
            return forged("malformed_signature")
        if told["paypal-auth-algo"] != "SHA256withRSA":
            return forged("algorithm_not_allowed")
        address, webhook_id = told["paypal-cert-url"], str(account.settings.get("webhook_id", ""))
        if not _is_paypals(address, is_live=account.is_live):
            return forged("certificate_not_allowed")
        own = account.settings.get("test_certificate", "")
        pem = own if address == TEST_CERTIFICATE_URL else account.certificates.get(address)
        if pem is None:
            return Verdict(False, is_pending=True, certificate=address)
        return _judged(delivery, told, webhook_id, pem)

    def identify(self, delivery: Delivery) -> Sequence[EventIdentity]:
        event = reading.find_document(delivery.body)
        if event is None or not reading.is_name(event.get("id")):
            return [reading.unknown(delivery.body)]
        proof = "\n".join(delivery.headers.get(name, "") for name in _HEADERS).encode()
        digest = reading.digest_of(event, delivery.body)
        return [EventIdentity(event["id"], reading.find_name(event, "event_type"), digest, proof=proof)]

    def read(self, content: Content) -> Notice | Harmless:
        event = reading.document(content.body)
        _, name = reading.text(event, "id"), reading.text(event, "event_type")
        reader = _READERS.get(name)
        if reader is None:
            return Harmless(name)
        told = reader(name, reading.inner(event, "resource"))
        if told is None:
            return Harmless(name)
        return Notice(event=name, occurred_at=reading.find_time(event, "create_time"), is_live=None, **told)

    def challenge(self, query: Mapping[str, str], account: Account) -> bytes | None:
        return None


# --- the signature


def _is_paypals(address: str, *, is_live: bool) -> bool:
    """Whether a certificate may be had from there: before any request is made, and whoever asks for it."""
    own = payments_settings().provider_apis.get("paypal")
    if own is not None and address.startswith(own):
        return _CERTIFICATE.fullmatch(address.removeprefix(own)) is not None
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and parts.netloc in _HOSTS[is_live]
        and port is None
        and _CERTIFICATE.fullmatch(parts.path) is not None
        and not (parts.query or parts.fragment)
    )


def _judged(delivery: Delivery, told: Mapping[str, str], webhook_id: str, pem: str) -> Verdict:
    chain = _chain(pem)
    if not chain or not _is_owned(chain[0]):
        return forged("certificate_unusable")
    at = delivery.received_at
    if not all(each.not_valid_before_utc <= at <= each.not_valid_after_utc for each in chain):
        return forged("certificate_expired")
    transmission, time = told["paypal-transmission-id"], told["paypal-transmission-time"]
    signed = f"{transmission}|{time}|{webhook_id}|{zlib.crc32(delivery.body)}".encode()
    if not webhook_id or not _is_signed(chain[0], told["paypal-transmission-sig"], signed):
        return forged("wrong_signature")
    return GENUINE


def _is_signed(certificate: x509.Certificate, signature: str, signed: bytes) -> bool:
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), signed, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _chain(pem: str) -> list[x509.Certificate]:
    """The certificates in a PEM text, each issued by the next and none with SHA-1; empty where they are not that.

    The root is not among them. That the first is PayPal's is known from where it was fetched, over TLS.
    """
    try:
        found = x509.load_pem_x509_certificates(pem.encode())[:_MOST_CERTIFICATES]
        for issued, issuer in pairwise(found):
            issued.verify_directly_issued_by(issuer)
        if not all(isinstance(each.signature_hash_algorithm, SHA256 | SHA384 | SHA512) for each in found):
            return []
    except (ValueError, TypeError, InvalidSignature):
        return []
    return found


def _is_owned(certificate: x509.Certificate) -> bool:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(_OWNER.fullmatch(str(name.value)) for name in names)


def has_expired(pem: str, at: datetime) -> bool:
    """Whether a certificate that was kept has to be fetched again."""
    return not all(each.not_valid_after_utc > at for each in _chain(pem)) or not _chain(pem)


# --- reading; a payment is called by its order where that is told, and its captures and authorization are other names


Told = dict[str, Any]


def _money(amount: Object) -> tuple[int, str]:
    """In the form of either version of PayPal's API."""
    currency = reading.currency(amount.get("currency_code", amount.get("currency")))
    value = amount.get("value", amount.get("total"))
    return reading.major_units(value, currency, whole=WITHOUT_DECIMALS), currency


def _order_number(resource: Object) -> str | None:
    return reading.find_name(resource, "custom_id", "invoice_id", "custom", "invoice_number")


def _above(resource: Object) -> str | None:
    """The id that the link `up` leads to: the capture of a refund, the authorization of a capture."""
    for link in reading.objects(resource, "links"):
        path = _path(str(link.get("href"))) if link.get("rel") == "up" else ""
        if re.fullmatch(r"/v[0-9]+/payments/(captures|authorizations|sales?|capture)/[A-Za-z0-9_-]{1,100}", path):
            return path.rpartition("/")[2]
    return None


def _path(address: str) -> str:
    """The path of an address; an empty one of what is no address."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""


def _named(resource: Object, *own: str | None) -> Told:
    related = reading.find_inner(resource, "supplementary_data", "related_ids")
    names = [
        reading.find_name(related, "order_id"),
        reading.find_name(resource, "parent_payment"),
        reading.find_name(related, "authorization_id"),
        reading.find_name(resource, "capture_id", "sale_id"),
        reading.find_name(related, "capture_id"),
        _above(resource),
        *own,
    ]
    found = list(dict.fromkeys(name for name in names if name is not None))
    if not found:
        raise UnreadableCallback("The event does not say which payment it is about.")
    return {"payment": found[0], "aliases": tuple(found[1:]), "order_number": _order_number(resource)}


def _authorised(_name: str, resource: Object) -> Told:
    amount, currency = _money(reading.inner(resource, "amount"))
    return _named(resource, reading.text(resource, "id")) | {"currency": currency, "authorised": amount}


def _voided(_name: str, resource: Object) -> Told:
    _, currency = _money(reading.inner(resource, "amount"))
    return _named(resource, reading.text(resource, "id")) | {"currency": currency, "cancelled": True}


def _captured(_name: str, resource: Object) -> Told:
    amount, currency = _money(reading.inner(resource, "amount"))
    fact = CaptureFact(reading.text(resource, "id"), amount, "succeeded")
    return _named(resource, fact.external_id) | {"currency": currency, "captures": (fact,)}


def _denied(_name: str, resource: Object) -> Told:
    _, currency = _money(reading.inner(resource, "amount"))
    return _named(resource, reading.text(resource, "id")) | {"currency": currency, "failed": True}


_REFUNDS = {"PAYMENT.REFUND.FAILED": "failed", "PAYMENT.REFUND.PENDING": "pending"}


def _refunded(name: str, resource: Object) -> Told:
    amount, currency = _money(reading.inner(resource, "amount"))
    state: Any = _REFUNDS.get(name, "succeeded")
    fact = RefundFact(reading.text(resource, "id"), amount, state)
    return _named(resource) | {"currency": currency, "refunds": (fact,)}


_WON = ("RESOLVED_SELLER_FAVOUR", "CANCELED_BY_BUYER", "RESOLVED_WITH_PAYOUT", "DENIED")


def _disputed(name: str, resource: Object) -> Told | None:
    outcome = reading.find_inner(resource, "dispute_outcome").get("outcome_code")
    # An inquiry holds no money back.
    if resource.get("dispute_life_cycle_stage") == "INQUIRY" and outcome is None:
        return None
    amount, currency = _money(reading.inner(resource, "dispute_amount"))
    state: Any = "open"
    if name == "CUSTOMER.DISPUTE.RESOLVED" or resource.get("status") == "RESOLVED":
        state = "won" if outcome in _WON else "lost"
    transactions = reading.objects(resource, "disputed_transactions")
    transaction = transactions[0] if transactions else {}
    capture = reading.text(transaction, "seller_transaction_id")
    fact = DisputeFact(reading.text(resource, "dispute_id"), amount, state)
    number = reading.find_name(transaction, "custom", "invoice_number")
    return {"payment": capture, "order_number": number, "currency": currency, "disputes": (fact,)}


_READERS = {
    "PAYMENT.AUTHORIZATION.CREATED": _authorised,
    "PAYMENT.AUTHORIZATION.VOIDED": _voided,
    "PAYMENT.CAPTURE.COMPLETED": _captured,
    "PAYMENT.SALE.COMPLETED": _captured,
    "PAYMENT.CAPTURE.DENIED": _denied,
    "PAYMENT.CAPTURE.DECLINED": _denied,
    "PAYMENT.SALE.DENIED": _denied,
    "PAYMENT.CAPTURE.REFUNDED": _refunded,
    "PAYMENT.CAPTURE.REVERSED": _refunded,
    "PAYMENT.SALE.REFUNDED": _refunded,
    "PAYMENT.SALE.REVERSED": _refunded,
    "PAYMENT.REFUND.PENDING": _refunded,
    "PAYMENT.REFUND.FAILED": _refunded,
    "CUSTOMER.DISPUTE.CREATED": _disputed,
    "CUSTOMER.DISPUTE.UPDATED": _disputed,
    "CUSTOMER.DISPUTE.RESOLVED": _disputed,
}


# --- what PayPal's APIs list and tell


_RETURNED = ("T1106", "T1107")
_CHARGED_BACK = ("T1201",)


def is_chargeback(transaction: Object) -> bool:
    """Whether a transaction of a search took back what a buyer's bank reversed."""
    return transaction.get("transaction_event_code") in _CHARGED_BACK


def read_listed_dispute(document: Object) -> Notice | None:
    """A dispute by itself; None for one that holds no money back. Raises Unusable."""
    told = _disputed("", document)
    return None if told is None else Notice(event="dispute.told", occurred_at=None, is_live=None, **told)


def read_listed_transaction(transaction: Object) -> Notice | None:
    """A transaction of a search; None for what is no payment or refund, or is not settled yet. Raises Unusable."""
    code, status = reading.text(transaction, "transaction_event_code"), transaction.get("transaction_status")
    name, amount = reading.text(transaction, "transaction_id"), reading.inner(transaction, "transaction_amount")
    is_outgoing = str(amount.get("value")).startswith("-")
    value, currency = _money({**amount, "value": str(amount.get("value")).removeprefix("-")})
    told: Told = {"event": f"transaction.{code}", "currency": currency, "occurred_at": None, "is_live": None}
    number = reading.find_name(transaction, "custom_field", "invoice_id")
    if code in _CHARGED_BACK:
        raise UnreadableCallback(f"{transaction.get('paypal_reference_id')} was charged back; look at its dispute.")
    # What was reversed came in all the same.
    if code.startswith("T00") and status in ("S", "V") and not is_outgoing:
        fact = CaptureFact(name, value, "succeeded")
        return Notice(payment=name, order_number=number, captures=(fact,), **told)
    if code in _RETURNED and status == "S":
        payment = reading.text(transaction, "paypal_reference_id")
        refund = RefundFact(name, value, "succeeded" if is_outgoing else "failed")
        return Notice(payment=payment, order_number=None, refunds=(refund,), **told)
    return None


_CAPTURED = ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED")


def read_listed_order(document: Object) -> Notice | None:
    """An order with its captures and refunds, or a capture by itself; None where nothing was captured."""
    units = reading.objects(document, "purchase_units")
    held = [reading.find_inner(unit, "payments") for unit in units] or [{"captures": [document]}]
    captures = [each for payments in held for each in reading.objects(payments, "captures")]
    captures = [each for each in captures if each.get("status") in _CAPTURED]
    if not captures:
        return None
    facts = tuple(map(_capture_fact, captures))
    refunds = [read_refund(each) for payments in held for each in reading.objects(payments, "refunds")]
    numbers = [number for each in (*units, *captures) if (number := _order_number(each)) is not None]
    return Notice(
        event="order.told",
        occurred_at=None,
        is_live=None,
        payment=reading.text(document, "id"),
        aliases=tuple(fact.external_id for fact in facts if fact.external_id != document["id"]),
        order_number=numbers[0] if numbers else None,
        currency=_money(reading.inner(captures[0], "amount"))[1],
        captures=facts,
        refunds=tuple(refunds),
    )


def _capture_fact(capture: Object) -> CaptureFact:
    return CaptureFact(reading.text(capture, "id"), _money(reading.inner(capture, "amount"))[0], "succeeded")


_REFUND_STATES = {"COMPLETED": "succeeded", "PENDING": "pending", "FAILED": "failed", "CANCELLED": "cancelled"}


def read_refund(refund: Object) -> RefundFact:
    """A refund as PayPal's API tells it."""
    state: Any = _REFUND_STATES.get(str(refund.get("status")))
    if state is None:
        raise UnreadableCallback("The refund has a status we do not know.")
    return RefundFact(reading.text(refund, "id"), _money(reading.inner(refund, "amount"))[0], state)
