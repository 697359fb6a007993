"""What goes into an order's total, as the storefront says it, and what it comes to."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from shared.contracts.base import Shape
from shared.money import Money

# What a number of JSON and a column can hold exactly.
MOST_AMOUNT = 2**53 - 1


def _payable(money: Money) -> Money:
    if not 0 <= money.amount <= MOST_AMOUNT:
        raise ValueError(f"an amount is between 0 and {MOST_AMOUNT} minor units")
    return money


GivenAmount = Annotated[Money, AfterValidator(_payable)]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$")]
ChargeName = Annotated[_Name, Field(min_length=1, max_length=200)]
MethodCode = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["standard"])]


class Discount(Shape):
    """So much off, in all; `name` is what the customer knows it by."""

    name: Annotated[ChargeName, Field(examples=["SPRING10"])]
    amount: GivenAmount


class Tax(Shape):
    """So much tax, in all: added to the price, or `included` in it already."""

    name: Annotated[ChargeName, Field(examples=["VAT 20 %"])]
    amount: GivenAmount
    included: bool = False


class ShippingCharge(Shape):
    """How the goods travel, by the code of a shipping method, and what that costs."""

    method: MethodCode
    title: Annotated[ChargeName, Field(examples=["Standard, 3 to 5 days"])] | None = None
    price: GivenAmount


Discounts = Annotated[list[Discount], Field(max_length=20)]
Taxes = Annotated[list[Tax], Field(max_length=20)]


def nothing_given() -> Any:
    """A list that is empty where none is given: made, for to copy a default took half of the reading of a line."""
    return Field(default_factory=list, json_schema_extra={"default": []})


class Totals(Shape):
    """How a total comes about: `goods` - `discounts` + `shipping` + `tax` = `total`.

    `goods` are the lines at their unit prices, `discounts` and `tax` those of all lines and of the order;
    `included_tax` is a part of the prices already.
    """

    goods: Money
    discounts: Money
    shipping: Money
    tax: Money
    included_tax: Money
    total: Money
