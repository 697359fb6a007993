"""What a price becomes on its way to a platform: converted, raised, rounded, in whole minor units."""

from decimal import ROUND_HALF_UP, Decimal

from shared.contracts.sync.shapes import PriceRule
from shared.money import Money, exponent

_HUNDRED = Decimal(100)


def outgoing_price(price: Money, rule: PriceRule) -> Money:
    """Converted by the rule's rate, then raised by its margin, then rounded once: half up, or up to its ending.

    With an ending the price is the least one that ends so and is not below what was reached: 17.02 becomes 17.99.
    """
    currency = rule.currency or price.currency
    shift = exponent(currency) - exponent(price.currency)
    raised = (Decimal(price.amount) * (rule.rate or 1) * (_HUNDRED + rule.margin_percent) / _HUNDRED).scaleb(shift)
    amount = int(raised.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    if rule.ending is not None and amount > 0:
        amount += (rule.ending - amount) % 100
    return Money(amount=amount, currency=currency)
