"""Shapes of payment gateways, callbacks, payments and refunds."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from shared.contracts.base import Shape
from shared.contracts.payments.events import PaymentState
from shared.money import Money

GatewayMode = Literal["test", "live"]
CallbackStatus = Literal["received", "waiting", "retrying", "processed", "ignored", "failed", "invalid", "rejected"]
RefundState = Literal["requested", "pending", "succeeded", "failed", "cancelled", "closed"]


class GatewaySecret(Shape):
    """A secret that signatures are checked with. Its text is never given back."""

    id: UUID
    created_at: datetime
    retired_at: datetime | None = None


class PaymentGateway(Shape):
    """A shop's account at a payment provider. The provider posts its callbacks to `callback_url`."""

    id: UUID
    shop: str
    shop_id: UUID
    provider: str
    mode: GatewayMode
    settings: dict[str, Any]
    allowed_networks: list[str]
    enabled: bool
    secrets: list[GatewaySecret]
    # Whether there are credentials for the provider's API.
    has_credentials: bool = False
    callback_url: str
    created_at: datetime
    version: int
    # Callbacks with a wrong signature that were counted and not kept, because too many came in a minute or a day.
    # Counted for as long as the bytes of the others are kept.
    uncollected_callbacks: int = 0


class CallbackAttempt(Shape):
    """What was once done with a callback, by whom, and what came of it. Attempts are only added."""

    number: int
    at: datetime
    kind: Literal["processing", "check", "replay", "accept", "reject", "repair"]
    actor: str
    status: CallbackStatus
    reason: str | None = None
    detail: str | None = None


class Callback(Shape):
    """A message of a payment gateway, as received. `reason` is a stable code, `detail` a sentence for a person.

    One whose `origin` is `reconciliation` was not posted: it is what the provider was found to know, brought in by a
    repair.
    """

    id: UUID
    gateway: UUID
    provider: str
    status: CallbackStatus
    reason: str | None = None
    detail: str | None = None
    event: str | None = None
    event_id: str | None = None
    payment_id: UUID | None = None
    received_at: datetime
    deliveries: int
    is_verified: bool
    origin: Literal["callback", "reconciliation"] = "callback"
    attempts: list[CallbackAttempt]


class CallbackFilter(Shape):
    """Which callbacks are meant; all that is given must hold. Ages go by the time of receipt."""

    status: CallbackStatus | None = None
    gateway: UUID | None = None
    shop: str | None = None
    reason: str | None = None
    received_since: datetime | None = None
    received_before: datetime | None = None


class DecodedCallback(Shape):
    """What a callback says about a payment, in our words and minor units; `error` is why it cannot be read."""

    event: str | None = None
    error: str | None = None
    says: dict[str, Any] = {}


class CallbackDetail(Callback):
    """A callback with its bytes and headers, what it says, and whether that was verified.

    Card numbers, e-mail addresses and the headers `Authorization` and `Cookie` are masked; what is kept is whole.
    """

    decoded: DecodedCallback
    # Accepted by a person without verification: that never changes.
    is_accepted: bool

    body: str
    body_encoding: Literal["text", "base64"]
    headers: list[tuple[str, str]]
    source_address: str | None = None


class Payment(Shape):
    """A payment at a gateway. Amounts are totals so far.

    `refund_in_doubt` is what the gateway last said has gone back in all, where it had said more before (`refunded`) and
    no refund that failed explains it: a person must find out.
    """

    id: UUID
    order_id: UUID
    order_number: str
    shop_id: UUID
    gateway_id: UUID
    provider: str
    external_id: str
    state: PaymentState
    authorised: Money | None = None
    captured: Money | None = None
    refunded: Money | None = None
    disputed: Money | None = None
    refund_in_doubt: Money | None = None
    created_at: datetime
    occurred_at: datetime
    version: int


class Refund(Shape):
    """Money that goes back: wanted by an order (`requested` until it happened), or reported by the gateway.

    A requested one is sent through the provider's API where the gateway has credentials: `sent_as` is the provider's id
    for it, `sending_error` why it was not, so that a person has to.
    """

    id: UUID
    payment_id: UUID
    order_id: UUID
    order_number: str
    shop_id: UUID
    amount: Money
    state: RefundState
    reason: str | None = None
    external_id: str | None = None
    sent_as: str | None = None
    sending_error: str | None = None
    created_at: datetime
    changed_at: datetime


class PaymentRecords(Shape):
    """Payments as they are kept, each with its refunds and what its gateway told."""

    payments: list[dict[str, Any]]
