"""Shapes of quotes and orders."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StringConstraints

from shared.contracts.base import Shape
from shared.contracts.orders.totals import Discount, Discounts, ShippingCharge, Tax, Taxes, Totals, nothing_given
from shared.money import Money

OrderStatus = Literal["pending", "processing", "partly_shipped", "complete", "on_hold", "cancelled", "returned"]
LineStatus = Literal["reserved", "backordered", "ready", "partly_shipped", "shipped", "cancelled", "returned"]
Quantity = Annotated[int, Field(ge=1, le=1_000_000, examples=[2])]


_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def _without_controls(text: str) -> str:
    if _CONTROLS.search(text):
        raise ValueError("control characters are not allowed")
    return text


Sku = Annotated[str, Field(min_length=1, max_length=200, examples=["MUG-BLUE"]), AfterValidator(_without_controls)]
_Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_without_controls)
]
# Absent, or something: a form's empty box is absent.
_MaybeLine = Annotated[
    _Line | None, BeforeValidator(lambda text: (text.strip() or None) if isinstance(text, str) else text)
]


def _called(name: str, *otherwise: str, **options: Any) -> Any:
    """A field that forms know by several names."""
    return Field(validation_alias=AliasChoices(name, *otherwise), **options)


class PlacedLine(Shape):
    """One line of a placed order."""

    sku: str
    quantity: int
    unit_price: Money


class OrderedLine(Shape):
    """So many of a SKU, with what is taken off the line and what tax it has. Lines of the same SKU become one."""

    sku: Sku
    quantity: Quantity
    discounts: Discounts = nothing_given()
    taxes: Taxes = nothing_given()


class CustomerDraft(Shape):
    """Who buys."""

    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$", examples=["ada@example.com"])]
    name: Annotated[_Line, Field(examples=["Ada Lovelace"])]


class ShippingAddress(Shape):
    """Where a carrier brings the goods. `country` is an ISO 3166-1 alpha-2 code; without `name` the customer's holds.

    What shop forms call otherwise is taken as well: `street` or `address1` for `line1`, `state` or `province` for
    `region`, `zip` or `postcode` for `postal_code`, and the like.
    """

    name: _MaybeLine = None
    company: _MaybeLine = None
    line1: Annotated[_Line, Field(examples=["1 Quay"])] = _called(
        "line1", "street", "street1", "address1", "address_line1"
    )
    line2: _MaybeLine = _called("line2", "street2", "address2", "address_line2", default=None)
    city: Annotated[_Line, Field(examples=["Portsea"])] = _called("city", "town")
    region: _MaybeLine = _called("region", "state", "province", default=None)
    postal_code: _MaybeLine = _called("postal_code", "zip", "zip_code", "postcode", default=None)
    country: Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-Za-z]{2}$"), Field(examples=["US"])] = (
        _called("country", "country_code")
    )
    phone: _MaybeLine = _called("phone", "telephone", default=None)


QuoteProblem = Literal["unknown_sku", "not_sellable", "outside_order_limits", "insufficient_stock"]
# Why there is not enough, as the refused order would say it.
Shortage = Literal[
    "no_centre",
    "not_stocked",
    "not_on_sale",
    "out_of_stock",
    "not_enough",
    "not_in_one_centre",
    # Each line could be had by itself: all of them together not from one centre, or not of the goods that they share.
    "order_not_in_one_centre",
    "not_enough_for_all_lines",
]


class QuoteSource(Shape):
    """So many units of a SKU that a fulfilment centre, by its code, would give for a line; for a kit, of a child.

    `beyond_stock` of them are promised and not there.
    """

    sku: str
    centre: str
    quantity: int
    beyond_stock: int = 0


class QuoteLine(Shape):
    """What a line costs and whether it can be had. `problem` is null, or the code of what stands in the way.

    `total` is what it comes to after its discounts, with added tax. `reason` says why there is not enough, as the
    refused order would; no_centre: none sells for the shop. `sources` is where it would come from now, by the shop's
    rule, as long as nothing stands in the way of any line.
    """

    sku: str
    quantity: int
    title: str | None
    unit_price: Money | None
    total: Money | None
    available: bool
    available_quantity: int
    problem: QuoteProblem | None = None
    reason: Shortage | None = None
    message: str | None = None
    discounts: list[Discount] = []
    taxes: list[Tax] = []
    sources: list[QuoteSource] = []


class Quote(Shape):
    """What an order of these lines would cost now. `quote_id` is its id, by the name an order takes it under.

    `total` is what the lines that have a price come to, with the order's discounts, taxes and shipping; with any
    `problem` the order would be refused. Until `valid_until` an order may name the quote instead of an expected total;
    what the quote knows of who buys and where it goes holds for the order, too.
    """

    id: UUID
    quote_id: UUID
    shop: str
    currency: str
    lines: list[QuoteLine]
    total: Money
    can_be_placed: bool
    valid_until: datetime
    customer: CustomerDraft | None = None
    shipping_address: ShippingAddress | None = None
    discounts: list[Discount] = []
    taxes: list[Tax] = []
    shipping: ShippingCharge | None = None
    totals: Totals | None = None


class OrderLine(Shape):
    """One line of an order, and how much of it has left.

    Of the `quantity` ordered, `cancelled` units are neither paid nor shipped, and `backordered` ones are not there yet;
    `refunded` counts units of which the money was asked back after they `returned`. `total` is for what is not
    cancelled, after discounts and with added tax. A line is `reserved` while its order waits, `ready` when it can
    leave.
    """

    sku: str
    title: str | None
    quantity: int
    unit_price: Money
    total: Money
    shipped: int
    status: LineStatus
    cancelled: int = 0
    returned: int = 0
    refunded: int = 0
    backordered: int = 0
    discounts: list[Discount] = []
    taxes: list[Tax] = []


class OrderPayment(Shape):
    """What is known of one payment of an order. Amounts are totals so far."""

    payment_id: UUID
    gateway_id: UUID
    provider: str
    external_id: str
    state: str
    authorised: Money
    captured: Money
    refunded: Money
    disputed: Money
    occurred_at: datetime


class OrderShipmentLine(Shape):
    sku: str
    quantity: int


class OrderShipment(Shape):
    """Goods of the order that left, and how to follow them."""

    shipment_id: UUID
    number: str
    carrier: str | None
    service: str | None
    tracking_numbers: list[str]
    tracking_url: str | None
    lines: list[OrderShipmentLine]
    shipped_at: datetime
    state: Literal["shipped", "delivered", "returned"] = "shipped"
    delivered_at: datetime | None = None
    version: int = 1


class OrderReturnLine(Shape):
    """So many units came back; `restocked` of them lie in a centre again."""

    sku: str
    quantity: int
    restocked: int


class OrderReturn(Shape):
    """Goods of the order that came back."""

    return_id: UUID
    number: str
    lines: list[OrderReturnLine]
    reason: str | None
    returned_at: datetime


class TimelineEntry(Shape):
    """Something that happened to an order: who did what, when and why.

    `before` and `after` are its status, where that moved; what else changed is in `data`, before and after.
    """

    id: UUID
    occurred_at: datetime
    kind: str
    before: str | None
    after: str | None
    actor: str
    text: str
    reason: str | None = None
    data: dict[str, Any] = {}


class OrderSource(Shape):
    """The connection an order came from, and what it is called there."""

    connection_id: UUID
    external_id: str
    external_number: str | None = None


class Order(Shape):
    """An order, whole. While it is pending its payment is due until `pay_until`.

    `refund_wanted` is what was asked back so far; `refunded` is what went back.
    """

    id: UUID
    number: str
    shop: str
    status: OrderStatus
    currency: str
    total: Money
    paid: Money
    refunded: Money
    lines: list[OrderLine]
    payments: list[OrderPayment] = []
    shipments: list[OrderShipment] = []
    returns: list[OrderReturn] = []
    timeline: list[TimelineEntry] = []
    customer: CustomerDraft | None = None
    shipping_address: ShippingAddress | None = None
    placed_at: datetime
    pay_until: datetime | None = None
    hold_reason: str | None = None
    cancel_reason: str | None = None
    discounts: list[Discount] = []
    taxes: list[Tax] = []
    shipping: ShippingCharge | None = None
    totals: Totals | None = None
    source: OrderSource | None = None
    refund_wanted: Money | None = None
    version: int


PaymentStatus = Literal["unpaid", "partly_paid", "paid", "partly_refunded", "refunded"]


class OrderSummary(Shape):
    """An order as a list shows it."""

    id: UUID
    number: str
    shop: str
    status: OrderStatus
    total: Money
    paid: Money
    payment_status: PaymentStatus
    customer_email: str | None
    placed_at: datetime
    version: int


class StandingLine(Shape):
    """So many units of a SKU that an order wants, those that have left included."""

    sku: str
    quantity: int


class OrderStanding(Shape):
    """Where an order stands, for services that must know before they act.

    `amendments` are the changes of its lines so far, by the ids they were prepared under; `lines` are what they led to,
    and are told only where there are some.
    """

    order_id: UUID
    number: str
    shop_id: UUID
    status: OrderStatus
    version: int
    lines: list[StandingLine] = []
    amendments: list[UUID] = []
