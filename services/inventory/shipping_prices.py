"""What a shipping method costs for a cart. Whole minor units; no rounding anywhere."""

from shared.contracts.inventory.carriers import ShippingPrice, ShippingRate

# Why a table has no price, by what it is a table of.
BEYOND = {"weight": "too_heavy", "total": "total_too_high"}


def price_of(price: ShippingPrice, total: int, weight_grams: int | None) -> int | str:
    """The price in minor units of the method's currency, or the reason why there is none."""
    if price.by == "weight" and weight_grams is None:
        return "weight_unknown"
    measured = {"fixed": 0, "weight": weight_grams or 0, "total": total}[price.by]
    rate = next((rate for rate in price.rates if _reaches(rate, measured)), None)
    return BEYOND[price.by] if rate is None else rate.price


def _reaches(rate: ShippingRate, measured: int) -> bool:
    return rate.up_to is None or measured <= rate.up_to
