"""What an order comes to: the one place that adds it up. The table holds it to the same sum."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from services.orders.errors import AmountTooLarge, DiscountExceedsAmount, TaxExceedsAmount, WrongCurrency
from shared.contracts.orders.shapes import OrderedLine
from shared.contracts.orders.totals import MOST_AMOUNT, Discount, ShippingCharge, Tax, Totals
from shared.money import Money


class Charges(Struct, frozen=True):
    """What an order costs and saves beside its lines."""

    discounts: Sequence[Discount] = ()
    taxes: Sequence[Tax] = ()
    shipping: ShippingCharge | None = None


class LineSum(Struct, frozen=True):
    """What a line comes to, in minor units."""

    unit_price: int
    quantity: int
    discount: int = 0
    tax: int = 0
    included_tax: int = 0

    @property
    def goods(self) -> int:
        return self.unit_price * self.quantity

    @property
    def total(self) -> int:
        return self.goods - self.discount + self.tax


class OrderSum(Struct, frozen=True):
    """What an order comes to, in minor units: its columns of the same names."""

    goods: int
    line_discount: int
    line_tax: int
    discount: int
    tax: int
    shipping_price: int
    included_tax: int

    @property
    def total(self) -> int:
        return self.goods - self.line_discount - self.discount + self.shipping_price + self.line_tax + self.tax

    def shape(self, currency: str) -> Totals:
        amounts = {
            "goods": self.goods,
            "discounts": self.line_discount + self.discount,
            "shipping": self.shipping_price,
            "tax": self.line_tax + self.tax,
            "included_tax": self.included_tax,
            "total": self.total,
        }
        # Most of them are nothing, and the goods the total.
        money = {amount: Money.known(amount=amount, currency=currency) for amount in set(amounts.values())}
        return Totals.known(**{name: money[amount] for name, amount in amounts.items()})


def of_line(currency: str, line: OrderedLine, unit_price: int) -> LineSum:
    """What a line comes to at a price. Raises WrongCurrency, DiscountExceedsAmount, TaxExceedsAmount."""
    goods = unit_price * line.quantity
    return LineSum(unit_price, line.quantity, *_sums(currency, f"line {line.sku}", goods, line.discounts, line.taxes))


def of_order(currency: str, lines: Iterable[LineSum], charges: Charges) -> OrderSum:
    """What an order of these lines comes to.

    A discount of the order is at most its goods after their own, with shipping. Raises WrongCurrency,
    DiscountExceedsAmount, TaxExceedsAmount, AmountTooLarge.
    """
    lines = list(lines)
    shipping_price = 0 if charges.shipping is None else _in(currency, "shipping", charges.shipping.price)
    payable = sum(line.goods - line.discount for line in lines) + shipping_price
    discount, tax, included = _sums(currency, "order", payable, charges.discounts, charges.taxes)
    whole = OrderSum(
        goods=sum(line.goods for line in lines),
        line_discount=sum(line.discount for line in lines),
        line_tax=sum(line.tax for line in lines),
        discount=discount,
        tax=tax,
        shipping_price=shipping_price,
        included_tax=included + sum(line.included_tax for line in lines),
    )
    if max(whole.goods + whole.shipping_price, whole.total) > MOST_AMOUNT:
        raise AmountTooLarge(f"An order comes to {MOST_AMOUNT} minor units at most.")
    return whole


def _sums(
    currency: str, of: str, payable: int, discounts: Sequence[Discount], taxes: Sequence[Tax]
) -> tuple[int, int, int]:
    """Discount, added and included tax."""
    if not discounts and not taxes:
        return 0, 0, 0
    discount = sum(_in(currency, of, each.amount) for each in discounts)
    if discount > payable:
        raise DiscountExceedsAmount(
            f"The discounts of the {of} come to more than it costs.",
            [{"of": of, "discount": discount, "amount": payable, "currency": currency}],
        )
    added = sum(_in(currency, of, each.amount) for each in taxes if not each.included)
    included = sum(_in(currency, of, each.amount) for each in taxes if each.included)
    if included > payable - discount:
        raise TaxExceedsAmount(
            f"The tax included in the {of} is more than it costs.",
            [{"of": of, "included_tax": included, "amount": payable - discount, "currency": currency}],
        )
    return discount, added, included


def _in(currency: str, of: str, money: Money) -> int:
    if money.currency != currency:
        raise WrongCurrency(f"The order is in {currency}; an amount of the {of} is in {money.currency}.")
    return money.amount
