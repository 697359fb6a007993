"""Our minor units in the form that an API takes."""

from decimal import Decimal

from shared.money import EXPONENTS


def major_text(amount: int, currency: str, *, whole: frozenset[str] = frozenset()) -> str:
    """As a decimal text with the currency's digits: "19.99"; currencies in `whole` have none."""
    major = Decimal(amount).scaleb(-EXPONENTS[currency])
    return f"{major:.{0 if currency in whole else EXPONENTS[currency]}f}"


def units(amount: int, currency: str, exponents: dict[str, int]) -> int:
    """As an integer of the provider's own smallest units."""
    return int(Decimal(amount).scaleb(exponents.get(currency, EXPONENTS[currency]) - EXPONENTS[currency]))
