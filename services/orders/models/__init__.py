"""Tables of orders and the rules that keep them true; the migration repeats what the database can hold."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from types import FunctionType
from typing import Any, Self, cast
from uuid import UUID

from sqlalchemy import JSON, Column, DateTime, MetaData
from sqlmodel import Field, SQLModel

from services.orders import states
from services.orders.errors import IllegalTransition, OrderChangedSince, WrongCurrency
from services.orders.models.totals import Charges, LineSum, OrderSum
from shared import clock
from shared.contracts.base import Shape
from shared.contracts.orders.shapes import LineStatus, OrderStatus
from shared.contracts.orders.states import MOVES
from shared.contracts.orders.totals import Discount, ShippingCharge, Tax
from shared.money import Money


def as_json(shapes: Sequence[Shape]) -> list[dict[str, Any]] | None:
    """Null where there is nothing."""
    return [each.model_dump() for each in shapes] or None


@cache
def _defaults(table: type[SQLModel]) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """What columns are when nobody says: values, and what makes them anew each time."""
    fields = {name: field for name, field in table.model_fields.items() if not field.is_required()}
    made: Any = [(name, field.default_factory) for name, field in fields.items() if field.default_factory is not None]
    return {name: field.default for name, field in fields.items() if field.default_factory is None}, made


@cache
def _plain(table: type[SQLModel]) -> type:
    """The rules of a table's rows, without what SQLAlchemy has made of its columns."""
    named = {name: value for name, value in vars(table).items() if not name.startswith("__")}
    rules = {name: value for name, value in named.items() if isinstance(value, FunctionType | property)}
    return type(f"Unstored{table.__name__}", (), rules)


class Base(SQLModel):
    """Everything in the schema of orders."""

    metadata = MetaData()

    @classmethod
    def unstored(cls, **values: Any) -> Self:
        """A row for statements of our own, never for a session: it has the rules of its table, and is plain otherwise.

        Measured, that a session is told of each value, as it is set and as it is read, was a third of what placing an
        order cost.
        """
        row: Any = _plain(cls)()
        constant, made = _defaults(cls)
        row.__dict__.update(constant)
        row.__dict__.update({name: make() for name, make in made if name not in values})
        row.__dict__.update(values)
        return cast(Self, row)


def instant(**options: Any) -> Any:
    """A moment, in UTC."""
    return Field(sa_type=DateTime(timezone=True), **options)


def json_column() -> Any:
    """Null where there is nothing."""
    return Field(default=None, sa_column=Column(JSON(none_as_null=True)))


class OrderRow(Base, table=True):
    """An order. Its status moves as `states.py` allows, and nowhere else."""

    __tablename__ = "orders"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    number: str
    shop_id: UUID
    client_id: UUID | None = None
    customer_id: UUID | None = None
    status: str
    held_from: str | None = None
    hold_cause: str | None = None
    hold_reason: str | None = None
    cancel_reason: str | None = None
    currency: str
    total: int
    goods: int
    line_discount: int = 0
    line_tax: int = 0
    discount: int = 0
    tax: int = 0
    shipping_price: int = 0
    included_tax: int = 0
    discounts: list[dict[str, Any]] | None = json_column()
    taxes: list[dict[str, Any]] | None = json_column()
    shipping: dict[str, Any] | None = json_column()
    paid: int = 0
    refunded: int = 0
    refund_wanted: int = 0
    given_back: int = 0
    customer: dict[str, Any] | None = json_column()
    shipping_address: dict[str, Any] | None = json_column()
    pay_until: datetime | None = instant(default=None)
    placed_at: datetime = instant()
    updated_at: datetime = instant()
    connection_id: UUID | None = None
    external_id: str | None = None
    external_number: str | None = None
    version: int = 1

    def money(self, amount: int) -> Money:
        return Money.known(amount=amount, currency=self.currency)

    def charges(self) -> Charges:
        """What it costs and saves beside its lines."""
        return Charges(
            [Discount.model_validate(each) for each in self.discounts or ()],
            [Tax.model_validate(each) for each in self.taxes or ()],
            None if self.shipping is None else ShippingCharge.model_validate(self.shipping),
        )

    def charge(self, charges: Charges) -> None:
        """Take other discounts, taxes and shipping; `come_to` follows."""
        self.discounts = as_json(charges.discounts)
        self.taxes = as_json(charges.taxes)
        self.shipping = None if charges.shipping is None else charges.shipping.model_dump()

    def come_to(self, whole: OrderSum) -> None:
        """Cost what was added up."""
        self.goods, self.line_discount, self.line_tax = whole.goods, whole.line_discount, whole.line_tax
        self.discount, self.tax, self.shipping_price = whole.discount, whole.tax, whole.shipping_price
        self.included_tax, self.total = whole.included_tax, whole.total

    def totals(self) -> OrderSum:
        """How its total comes about."""
        return OrderSum(
            goods=self.goods,
            line_discount=self.line_discount,
            line_tax=self.line_tax,
            discount=self.discount,
            tax=self.tax,
            shipping_price=self.shipping_price,
            included_tax=self.included_tax,
        )

    def in_minor_units(self, money: Money) -> int:
        """An amount of the order's own currency. Raises WrongCurrency."""
        if money.currency != self.currency:
            raise WrongCurrency(f"The order is in {self.currency}, not in {money.currency}.")
        return money.amount

    @property
    def present_status(self) -> OrderStatus:
        return cast(OrderStatus, self.status)

    @property
    def is_paid(self) -> bool:
        """Whether all of it came in, also when a part went back since."""
        return self.paid >= self.total

    @property
    def has_left(self) -> bool:
        """Whether goods of it left, also while it is on hold."""
        return (self.held_from or self.status) in ("partly_shipped", "complete", "returned")

    def check_version(self, expected: int | None) -> None:
        """Raises OrderChangedSince; None expects nothing."""
        if expected is not None and expected != self.version:
            raise OrderChangedSince(f"The order has version {self.version} now, not {expected}; read it again.")

    def move(self, after: OrderStatus) -> None:
        """Raises IllegalTransition."""
        states.require_move(self.present_status, after)
        self.status = after
        if after != "on_hold":
            self.held_from = self.hold_cause = self.hold_reason = None
        self.touch()

    def hold(self, cause: str, reason: str) -> None:
        """Stop it, remembering from where. Raises IllegalTransition."""
        before = self.status
        self.move("on_hold")
        self.held_from, self.hold_cause, self.hold_reason = before, cause, reason

    def release(self) -> None:
        """Let it go on from where it was; what was paid meanwhile counts. Raises IllegalTransition."""
        if self.held_from is None:
            raise IllegalTransition(f"Only an order on hold can be released; this one is {self.status}.")
        self.move(self.goes_on_as)

    @property
    def goes_on_as(self) -> OrderStatus:
        """What an order on hold becomes when it is released."""
        return "processing" if self.held_from == "pending" and self.is_paid else cast(OrderStatus, self.held_from)

    def cancel(self, reason: str) -> None:
        """End it. Raises IllegalTransition once anything left."""
        if self.has_left:
            raise IllegalTransition(
                f"Goods of the order have left; an order that is {self.status} cannot be cancelled."
            )
        self.move("cancelled")
        self.cancel_reason = reason
        # The cancellation itself asks for all of it to go back.
        self.refund_wanted = self.paid

    def follow(self, after: OrderStatus) -> bool:
        """Its goods moved on. Returns whether the status did: on hold it is where it goes on that moves."""
        if self.status == "on_hold":
            if after != "returned":
                self.held_from = after
            return False
        if after not in MOVES[self.present_status]:
            return False
        self.move(after)
        return True

    @property
    def refundable(self) -> int:
        """What can still be asked back of all that was paid."""
        return max(self.paid - max(self.refunded, self.refund_wanted), 0)

    def want_refund(self) -> int:
        """What is still to be asked back of what was paid beyond its price, or at all when it is cancelled; once."""
        keeps = 0 if self.status == "cancelled" else max(self.total - self.given_back, 0)
        wanted = max(self.paid - keeps - max(self.refunded, self.refund_wanted), 0)
        self._expect_back(wanted)
        return wanted

    def give_back(self, amount: int) -> None:
        """Ask for so much of its price to go back."""
        self.given_back += amount
        self._expect_back(amount)

    def _expect_back(self, amount: int) -> None:
        if amount:
            self.refund_wanted = max(self.refunded, self.refund_wanted) + amount

    def price_back(self, line: "OrderLineRow", quantity: int) -> int:
        """What so many more units of a line cost, with their part of the order's own discount and tax."""
        payable = self.goods - self.line_discount
        own = (self.tax - self.discount) * (line.total - line.tax) // payable if payable else 0
        whole = max(line.total + own, 0)
        return whole * (line.refunded + quantity) // line.wanted - whole * line.refunded // line.wanted

    def touch(self) -> None:
        """Count a change."""
        self.version += 1
        self.updated_at = clock.now()


class OrderLineRow(Base, table=True):
    """A line. `unit_price` is in minor units of the order's currency."""

    __tablename__ = "order_lines"

    organization_id: UUID = Field(primary_key=True)
    order_id: UUID = Field(primary_key=True)
    sku: str = Field(primary_key=True)
    position: int
    title: str | None = None
    quantity: int
    unit_price: int
    discount: int = 0
    tax: int = 0
    discounts: list[dict[str, Any]] | None = json_column()
    taxes: list[dict[str, Any]] | None = json_column()
    shipped: int = 0
    cancelled: int = 0
    returned: int = 0
    refunded: int = 0
    backordered: int = 0

    @property
    def wanted(self) -> int:
        """Units that are still ordered, whether they have left or not."""
        return self.quantity - self.cancelled

    def sums(self) -> LineSum:
        """What it comes to."""
        included = sum(tax.amount.amount for tax in self.named_taxes() if tax.included)
        return LineSum(self.unit_price, self.wanted, self.discount, self.tax, included)

    def named_discounts(self) -> list[Discount]:
        return [Discount.model_validate(each) for each in self.discounts or ()]

    def named_taxes(self) -> list[Tax]:
        return [Tax.model_validate(each) for each in self.taxes or ()]

    def charge(self, whole: LineSum, discounts: Sequence[Discount], taxes: Sequence[Tax]) -> None:
        """Have these discounts and taxes, which were added up."""
        self.discounts, self.taxes = as_json(discounts), as_json(taxes)
        self.discount, self.tax = whole.discount, whole.tax

    @property
    def total(self) -> int:
        """What it comes to, in minor units."""
        return self.unit_price * self.wanted - self.discount + self.tax

    def want(self, units: int) -> None:
        """Want so many units, those that have left included: fewer are cancelled, more are ordered."""
        fewer = self.wanted - units
        if fewer > 0:
            self.cancelled += fewer
        else:
            self.quantity -= fewer
        self.backordered = min(self.backordered, self.wanted - self.shipped)

    def wait_longer_for(self, quantity: int) -> None:
        """So many more units are not there yet."""
        self.backordered = min(self.backordered + quantity, self.wanted - self.shipped)

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is to leave any more."""
        return self.shipped >= self.wanted

    def status(self, order_status: str) -> LineStatus:
        if not self.wanted or (order_status == "cancelled" and not self.shipped):
            return "cancelled"
        if self.returned >= self.wanted:
            return "returned"
        if self.shipped:
            return "shipped" if self.is_done else "partly_shipped"
        if self.backordered:
            return "backordered"
        return "ready" if order_status in ("processing", "partly_shipped") else "reserved"

    def ship(self, quantity: int) -> int:
        """Returns how much of `quantity` was beyond the line."""
        beyond = max(self.shipped + quantity - self.wanted, 0)
        self.shipped += quantity - beyond
        self.backordered = min(self.backordered, self.wanted - self.shipped)
        return beyond

    def take_back(self, quantity: int) -> int:
        """Units came back, maybe before it was told that they left. Returns how many were beyond the line."""
        beyond = max(self.returned + quantity - self.wanted, 0)
        self.returned += quantity - beyond
        return beyond

    def wait_for(self, quantity: int) -> None:
        """At most so many units are not there yet: what was told later but happened earlier does not raise it."""
        self.backordered = min(self.backordered, quantity)
