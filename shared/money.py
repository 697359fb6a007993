"""Money: an integer of minor units with an ISO 4217 currency. Never a float."""

from decimal import ROUND_HALF_UP, Decimal

from pydantic import field_validator

from shared.contracts.base import Shape
from shared.errors import ValidationFailed

# ISO 4217 minor units that differ from two (list of 2024-06-25, https://www.six-group.com/en/products-services/financial-information/data-standards.html).
_EXPONENTS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD "
    "KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL "
    "THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG"
)
EXPONENTS: dict[str, int] = {**dict.fromkeys(_TWO.split(), 2), **_EXPONENTS}


class UnknownCurrency(ValidationFailed):
    """Not a currency of ISO 4217."""


class CurrencyMismatch(ValidationFailed):
    """Amounts of two currencies were about to be added."""


def exponent(currency: str) -> int:
    """Digits after the point in `currency`. Raises UnknownCurrency."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(f"'{currency}' is not an ISO 4217 currency code.") from None


class Money(Shape):
    """An amount in minor units: `{"amount": 1999, "currency": "USD"}` is $19.99."""

    amount: int
    currency: str

    @field_validator("currency")
    @classmethod
    def _known(cls, currency: str) -> str:
        if currency not in EXPONENTS:
            raise ValueError(f"'{currency}' is not an ISO 4217 currency code")
        return currency

    @classmethod
    def of(cls, major: Decimal, currency: str) -> "Money":
        """From major units, halves rounded away from zero."""
        minor = major.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP)
        return cls(amount=int(minor), currency=currency)

    @property
    def major(self) -> Decimal:
        """In major units, exact."""
        return Decimal(self.amount).scaleb(-exponent(self.currency))

    @property
    def text(self) -> str:
        """For people to read: `19.99 USD`."""
        return f"{self.major} {self.currency}"

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be added.")
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __mul__(self, quantity: int) -> "Money":
        return Money(amount=self.amount * quantity, currency=self.currency)
