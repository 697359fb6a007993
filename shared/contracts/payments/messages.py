"""What payments is asked."""

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from shared.contracts.base import Command, Page, Query
from shared.contracts.payments.events import PaymentState
from shared.contracts.payments.shapes import (
    Callback,
    CallbackDetail,
    CallbackStatus,
    GatewayMode,
    Payment,
    PaymentGateway,
    PaymentRecords,
    Refund,
    RefundState,
)
from shared.pagination import First
from shared.security import SecretText


def _as_text(value: object) -> object:
    """An object of keys is kept as JSON."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


_TEXT_OR_KEYS = {
    "anyOf": [
        {"type": "string", "format": "password"},
        {"type": "object", "additionalProperties": {"type": "string", "format": "password"}},
    ]
}
# A text or, where a provider gives several keys that belong together, an object of texts (in GraphQL: its JSON).
Keys = Annotated[SecretText, BeforeValidator(_as_text), WithJsonSchema(_TEXT_OR_KEYS)]

Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class CreatePaymentGateway(Command[PaymentGateway]):
    """Open an account at a payment provider for a shop.

    `secrets` are the texts the provider signs its callbacks with, for Braintree `{public_key, private_key}`; two may be
    live at once while one is changed for another. PayPal signs with a certificate, Mollie's classic callbacks not at
    all: they need none. `credentials` reach the provider's API (Stripe, Mollie, Adyen `api_key`; PayPal `client_id`,
    `client_secret`; Square `access_token`; Razorpay `key_id`, `key_secret`): with them payments are compared every
    night, and what is to go back is sent. Both are sealed at rest and never given back. With `allowed_networks`
    callbacks from elsewhere are refused.
    """

    shop: str
    provider: str
    secrets: Annotated[list[Keys], Field(max_length=2)] = []
    credentials: Keys | None = None
    mode: GatewayMode = "test"
    settings: dict[str, Any] = {}
    allowed_networks: Annotated[list[str], Field(max_length=100)] = []


class ListPaymentGateways(Query[Page[PaymentGateway]]):
    """Payment gateways of the shops the caller may see, newest first."""

    shop: str | None = None
    first: First = 50
    after: str | None = None


class GetPaymentGateway(Query[PaymentGateway]):
    """One payment gateway."""

    gateway_id: UUID


class ChangePaymentGateway(Command[PaymentGateway]):
    """Change a payment gateway: add a secret (at most two are live), retire one, replace settings, networks or the
    credentials of its provider's API.

    With `expected_version`, only if it still has that: `payment_gateway_changed_since` (412).
    """

    gateway_id: UUID
    add_secret: Keys | None = None
    retire_secret: UUID | None = None
    credentials: Keys | None = None
    settings: dict[str, Any] | None = None
    allowed_networks: Annotated[list[str] | None, Field(max_length=100)] = None
    expected_version: int | None = None


class DisablePaymentGateway(Command[PaymentGateway]):
    """Take no more callbacks at this gateway's address. Its secrets stay for replaying what came before."""

    gateway_id: UUID
    expected_version: int | None = None


class EnablePaymentGateway(Command[PaymentGateway]):
    """Take callbacks again."""

    gateway_id: UUID
    expected_version: int | None = None


class ListPayments(Query[Page[Payment]]):
    """Payments, newest first."""

    order_id: UUID | None = None
    gateway: UUID | None = None
    state: PaymentState | None = None
    first: First = 50
    after: str | None = None


class GetPayment(Query[Payment]):
    """One payment with its totals."""

    payment_id: UUID


class ListRefunds(Query[Page[Refund]]):
    """Refunds, newest first. Those in state `requested` wait for somebody to send the money back."""

    order_id: UUID | None = None
    state: RefundState | None = None
    first: First = 50
    after: str | None = None


class GetRefund(Query[Refund]):
    """One refund."""

    refund_id: UUID


class CloseRefund(Command[Refund]):
    """Close a requested refund by hand, for instance because the money went back another way.

    So much of the payment counts as returned: it is not requested again.
    """

    refund_id: UUID
    reason: Reason


class ListCallbacks(Query[Page[Callback]]):
    """Callbacks of payment gateways, newest first."""

    status: CallbackStatus | None = None
    gateway: UUID | None = None
    shop: str | None = None
    reason: str | None = None
    received_since: datetime | None = None
    received_before: datetime | None = None
    first: First = 50
    after: str | None = None


class GetCallback(Query[CallbackDetail]):
    """One callback with its raw body and headers."""

    callback_id: UUID


class ReplayCallback(Command[CallbackDetail]):
    """Verify and process the stored bytes again, as of the time they arrived. Changes nothing once processed."""

    callback_id: UUID


class RejectCallback(Command[CallbackDetail]):
    """Set a callback aside for good, with a reason. Nothing is erased."""

    callback_id: UUID
    reason: Reason


class AttachPayment(Command[Payment]):
    """Say which order a gateway's payment id belongs to. Internal: asked by orders, which has checked the order."""

    order_id: UUID
    order_number: str
    shop_id: UUID
    gateway_id: UUID
    external_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x20]+$")]


class GetPaymentRecords(Query[PaymentRecords]):
    """All that is kept of the payments of these orders. Internal: orders tells a person what is kept on them."""

    order_ids: list[UUID]
