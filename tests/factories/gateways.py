"""Payment gateways of every provider, and what their providers post to them."""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

from deploy.callback_samples import Facts, Sample, Signing, sample, signed, test_certificate
from deploy.topology import Surrounded
from services.payments.errors import Unusable
from services.payments.gateways.base import Content, Delivery, Provider
from services.payments.gateways.registry import get_provider
from shared import clock
from shared.contracts.payments.shapes import PaymentGateway
from shared.security import SecretText
from tests.factories import payments as a

PROVIDERS = (
    "stripe",
    "adyen",
    "paypal",
    "mollie",
    "square",
    "razorpay",
    "braintree",
    "standard-webhooks",
    "generic-hmac",
)
BRAINTREE_KEYS = {"public_key": "public_of_the_tests", "private_key": "private_of_the_tests"}
SECRETS: dict[str, Any] = {
    "stripe": a.SECRET,
    "adyen": "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
    "mollie": "mollie_of_the_tests",
    "square": "square_of_the_tests",
    "razorpay": "razorpay_of_the_tests",
    "braintree": '{"private_key": "private_of_the_tests", "public_key": "public_of_the_tests"}',
    "standard-webhooks": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "generic-hmac": "hmac_of_the_tests",
}


@cache
def paypal_keys() -> tuple[str, str]:
    """A private key and a certificate of it as PayPal's, both in PEM."""
    return test_certificate()


def settings_of(provider: str) -> dict[str, Any]:
    if provider == "paypal":
        return {"webhook_id": "WH-TESTS", "test_certificate": paypal_keys()[1]}
    return {
        "adyen": {"merchant_account": "TestMerchant"},
        "square": {"notification_url": "https://shop.example/hooks/square"},
        "generic-hmac": {"header": "X-Signature", "hash": "sha512", "encoding": "base64", "signed": "timestamp.body"},
    }.get(provider, {})


def secret_of(provider: str) -> Any:
    return paypal_keys()[0] if provider == "paypal" else SECRETS[provider]


_OTHERS = {
    "adyen": "AB" * 32,
    "standard-webhooks": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "braintree": '{"private_key": "of somebody else", "public_key": "public_of_the_tests"}',
}


@cache
def other_secret_of(provider: str) -> Any:
    """A secret in the provider's form that is not the one of the tests: what is signed with it is forged."""
    return test_certificate()[0] if provider == "paypal" else _OTHERS.get(provider, "of somebody else")


async def open_gateway(process: Surrounded, organization_id: UUID, provider: str, **fields: Any) -> PaymentGateway:
    # PayPal has no secret that signs.
    secrets = () if provider == "paypal" else (SECRETS[provider],)
    given = {"provider": provider, "settings": settings_of(provider), "secrets": secrets} | fields
    if "credentials" in given:
        given["credentials"] = SecretText(given["credentials"])
    return await a.open_gateway(process, organization_id, **given)


@dataclass(frozen=True)
class Sender:
    """A provider that posts to one gateway about one payment."""

    gateway: PaymentGateway
    facts: Facts

    @property
    def provider(self) -> str:
        return self.gateway.provider

    def say(self, kind: str, *, secret: Any = None, **facts: Any) -> Sample:
        return sample(self.provider, kind, replace(self.facts, **facts), self._signing(secret))

    def sign(self, body: bytes) -> Sample:
        """Any body, as the provider would sign it."""
        return signed(self.provider, body, self.facts, self._signing())

    def _signing(self, secret: Any = None) -> Signing:
        return Signing(secret or secret_of(self.provider), self.gateway.settings, self.gateway.callback_url)


def sender(gateway: PaymentGateway, order_number: str | None, **facts: Any) -> Sender:
    values = {"amount": 1999, "currency": "USD", "payment": "pay_1", "at": clock.now(), "part": 500, "id": "one"}
    return Sender(gateway, Facts(order_number=order_number, **values | facts))


# --- what is thrown at adapters


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def adapter_of(provider: str) -> Provider:
    return get_provider(provider)


def delivery(headers: dict[str, bytes], body: bytes) -> Delivery:
    return Delivery({name: value.decode("latin-1") for name, value in headers.items()}, body, clock.now())


def read_safely(provider: str, settings: dict[str, Any], body: bytes) -> None:
    """Read a body as if it were genuine: an adapter says what it cannot use by name, or says what it says."""
    for fetched in (None, body):
        try:
            get_provider(provider).read(Content(body, settings, fetched=fetched))
        except Unusable:
            continue
