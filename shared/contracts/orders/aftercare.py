"""What orders is asked about orders that stand: their details, notes, and money that is to go back."""

from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.base import Change, Command, Shape
from shared.contracts.orders.messages import Reason
from shared.contracts.orders.shapes import CustomerDraft, Order, Quantity, ShippingAddress, Sku
from shared.contracts.orders.totals import Discounts, GivenAmount, ShippingCharge, Taxes

_Words = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$")]
NoteWords = Annotated[_Words, Field(min_length=1, max_length=2000, examples=["The customer wants it in one parcel."])]


class OrderChange(Change):
    """What is to be otherwise about an order; what is left out stays.

    `discounts` and `taxes` are the order's own, not its lines'. The total follows.
    """

    customer: CustomerDraft | None = None
    shipping_address: ShippingAddress | None = None
    shipping: ShippingCharge | None = None
    discounts: Discounts = []
    taxes: Taxes = []
    reason: Reason | None = None

    @model_validator(mode="after")
    def _stays_whole(self) -> "OrderChange":
        for name in ("customer", "shipping_address"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be taken away")
        return self


class ChangeOrder(Command[Order]):
    """Change who is to be asked about an order, where it goes, how it travels, and its own discounts and taxes.

    Its total follows: what was paid beyond it is asked to go back, and what is not paid yet of a higher one puts the
    order on hold until it is. Refused with `order_not_found` (404), `order_not_changeable` (409) once all of it has
    left or it is over, `shipment_in_preparation` (409) where goods are picked or packed for the address that is to
    change, `concurrent_change`, `hold_ran_out` (409: send it again), `order_changed_since` (412), and as placing an
    order refuses amounts (422).
    """

    order_id: UUID
    change: OrderChange
    expected_version: int | None = None


class AddOrderNote(Command[Order]):
    """Write a person's words on an order's timeline.

    Refused with `order_not_found` (404), `order_changed_since` (412).
    """

    order_id: UUID
    text: NoteWords
    expected_version: int | None = None


class RefundedLine(Shape):
    """So many units of a line that came back."""

    sku: Sku
    quantity: Quantity


class RefundDraft(Shape):
    """Money that is to go back: an `amount`, or what `lines` that came back cost."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"amount": {"amount": 500, "currency": "USD"}, "reason": "It came damaged."}}
    )

    amount: GivenAmount | None = None
    lines: Annotated[list[RefundedLine], Field(min_length=1, max_length=1000)] | None = None
    reason: Reason

    @model_validator(mode="after")
    def _says_how_much(self) -> "RefundDraft":
        if (self.amount is None) == (self.lines is None):
            raise ValueError("say either the amount or the lines")
        if self.amount is not None and not self.amount.amount:
            raise ValueError("nothing is to go back")
        return self


class RequestOrderRefund(Command[Order]):
    """Ask for money of an order to go back; by line for each returned unit once, and never more than was paid.

    Refused with `order_not_found` (404), `not_returned` (409), `refund_exceeds_paid` (409), `wrong_currency` (422),
    `order_changed_since` (412).
    """

    order_id: UUID
    refund: RefundDraft
    expected_version: int | None = None
