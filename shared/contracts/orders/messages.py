"""What orders is asked."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from shared.contracts.base import Command, Query
from shared.contracts.orders.shapes import (
    CustomerDraft,
    Order,
    OrderedLine,
    OrderStanding,
    Quote,
    ShippingAddress,
)
from shared.contracts.orders.totals import Discounts, ShippingCharge, Taxes, nothing_given
from shared.money import Money

MOST_LINES = 1000
_NO_NUL = r"^[^\x00]*$"


def _with_zone(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a moment needs its offset from UTC, like 2026-01-31T12:00:00Z")
    return time


Moment = Annotated[datetime, AfterValidator(_with_zone)]
Lines = Annotated[list[OrderedLine], Field(min_length=1, max_length=MOST_LINES)]
ShopCode = Annotated[str, Field(min_length=1, max_length=100, pattern=_NO_NUL, examples=["main"])]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=_NO_NUL)]
# As payments takes it.
ExternalPaymentId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x20]+$")]


class CreateQuote(Command[Quote]):
    """Ask what an order of these lines would cost, and whether it could be placed, now.

    What stands in the way is told line by line, not refused. Who buys and where it goes to may be said here already,
    or with the order. Discounts and taxes of a line and of the order, and shipping, count as they are given. Refused:
    `shop_not_found` (404), `wrong_currency`, `discount_exceeds_amount`, `tax_exceeds_amount`, `amount_too_large` (422).
    """

    shop: ShopCode
    lines: Lines
    currency: CurrencyCode | None = None
    customer: CustomerDraft | None = None
    shipping_address: ShippingAddress | None = None
    discounts: Discounts = nothing_given()
    taxes: Taxes = nothing_given()
    shipping: ShippingCharge | None = None


class GetQuote(Query[Quote]):
    """A quote that is still valid. Refused with `quote_not_found` (404), `quote_expired` (410)."""

    quote_id: UUID


class PlaceOrder(Command[Order]):
    """Place an order: all of it is reserved and stored, or nothing. Needs an `Idempotency-Key`.

    Name the quote, or the total that was shown, and the order is placed at that price or refused with `price_changed`
    (409), whose `errors` hold the new total; with neither it is placed at the present price. Without `lines` those of
    the quote are meant, with its discounts, taxes and shipping; without a quote those count that are given here. Other
    refusals: `insufficient_stock` (409, an entry per SKU), `unknown_sku` (422), `not_sellable` (409), `wrong_currency`,
    `discount_exceeds_amount`, `tax_exceeds_amount`, `amount_too_large` (422), `shop_not_found` (404), `quote_expired`
    (410), `quote_differs` (409), `idempotency_key_required` (400), `idempotency_key_reused` (422). The same key and
    body again get the first answer.
    """

    timeout_seconds = 15.0
    shop: ShopCode
    lines: Lines | None = None
    currency: CurrencyCode | None = None
    quote_id: UUID | None = None
    expected_total: Money | None = None
    customer: CustomerDraft | None = None
    shipping_address: ShippingAddress | None = None
    discounts: Discounts | None = None
    taxes: Taxes | None = None
    shipping: ShippingCharge | None = None


class GetOrder(Query[Order]):
    """An order with its lines, payments, shipments and timeline. Refused with `order_not_found` (404)."""

    order_id: UUID


class CancelOrder(Command[Order]):
    """Cancel an order of which nothing has left. Its stock returns, and money that came in is asked to go back.

    Refused with `illegal_transition` (409), `order_changed_since` (412).
    """

    order_id: UUID
    reason: Reason
    expected_version: int | None = None


class HoldOrder(Command[Order]):
    """Stop an order until it is released. Refused with `illegal_transition` (409), `order_changed_since` (412)."""

    order_id: UUID
    reason: Reason
    expected_version: int | None = None


class ReleaseOrder(Command[Order]):
    """Let an order that is on hold go on from where it was; its stock is reserved again where it had run out.

    Refused with `illegal_transition` (409), `insufficient_stock` (409), `order_changed_since` (412).
    """

    order_id: UUID
    expected_version: int | None = None


class AttachOrderPayment(Command[Order]):
    """Tell which payment at a gateway will pay for this order, where callbacks cannot name the order themselves.

    Refused with `order_not_found` (404), `order_changed_since` (412), and as the payments service refuses.
    """

    order_id: UUID
    gateway_id: UUID
    external_id: ExternalPaymentId
    expected_version: int | None = None


class GetOrderStanding(Query[OrderStanding]):
    """Where an order stands. Internal: inventory asks before goods leave. Refused with `order_not_found` (404)."""

    order_id: UUID
