"""What orders is asked when lines of an order that stands are to change."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Command, Shape
from shared.contracts.orders.messages import MOST_LINES, Reason
from shared.contracts.orders.shapes import Order, Quantity, Sku
from shared.contracts.orders.totals import Discounts, GivenAmount, Taxes
from shared.money import Money

CentreCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$"), Field(examples=["store"])]
UnitsWanted = Annotated[int, Field(ge=0, le=1_000_000, examples=[2])]


class LineChange(Shape):
    """How a line is to be; a SKU the order does not have becomes a line.

    `quantity`: units that are wanted in all, those that have left included; 0 cancels the line. With `centre`, what is
    in no shipment yet comes from that fulfilment centre. A new line costs what the shop asks now, or `unit_price`.
    Discounts and taxes of the line follow its quantity in proportion, unless they are given.
    """

    sku: Sku
    quantity: UnitsWanted | None = None
    centre: CentreCode | None = None
    unit_price: GivenAmount | None = None
    discounts: Discounts | None = None
    taxes: Taxes | None = None


class LinesDraft(Shape):
    """How lines of an order are to be: all of it, or nothing.

    To replace one thing by another is a line of 0 and a new line. The order's own discounts and taxes follow what its
    goods cost in proportion, unless they are given; with `expected_total` it costs that afterwards or stays as it is.
    """

    lines: Annotated[list[LineChange], Field(min_length=1, max_length=MOST_LINES)]
    discounts: Discounts | None = None
    taxes: Taxes | None = None
    expected_total: Money | None = None
    reason: Reason | None = None


class ChangeOrderLines(Command[Order]):
    """Change, add, replace, cancel or re-source lines of an order, as far as they are in no shipment.

    Stock is reserved before and released after, all or nothing. What was paid beyond the new total is asked to go back;
    what is not paid yet of a higher one puts the order on hold until it is. Refused with `order_not_found` (404),
    `order_not_changeable` (409), `goods_leaving` (409), `insufficient_stock` (409), `nothing_left` (409: cancel the
    order), `unknown_sku` (422), `not_sellable` (409), `outside_order_limits` (422), `duplicate_line` (422),
    `centre_not_found` (404), `centre_does_not_serve` (409), `price_changed` (409), `order_changed_since` (412),
    `concurrent_change` (409), and as placing an order refuses amounts (422).
    """

    timeout_seconds = 15.0
    order_id: UUID
    change: LinesDraft
    expected_version: int | None = None


class CancelledLine(Shape):
    """So many units of a line that are not wanted any more; without `quantity` all that have not left."""

    sku: Sku
    quantity: Quantity | None = None


class CancelDraft(Shape):
    """Lines that are not wanted any more; without `lines` all that has not left."""

    lines: Annotated[list[CancelledLine], Field(min_length=1, max_length=MOST_LINES)] | None = None
    reason: Reason


class CancelOrderLines(Command[Order]):
    """Cancel lines of an order or parts of them, as far as they are in no shipment.

    Their stock is released, and what was paid for them is asked to go back. Refused with `order_not_found` (404),
    `order_not_changeable` (409), `goods_leaving` (409), `nothing_left` (409: cancel the order), `unknown_sku` (422),
    `duplicate_line` (422), `order_changed_since` (412), `concurrent_change` (409).
    """

    timeout_seconds = 15.0
    order_id: UUID
    cancel: CancelDraft
    expected_version: int | None = None
