"""Weights and sizes: a decimal in the merchant's own unit, and whole grams or millimetres to reckon with.

Never a float. Units other than metric ones are exact by definition (international yard and pound agreement of 1959).
"""

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.base import Shape

WeightUnit = Literal["g", "kg", "oz", "lb"]
LengthUnit = Literal["mm", "cm", "m", "in", "ft"]

_GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "oz": Decimal("28.349523125"), "lb": Decimal("453.59237")}
_MILLIMETRES = {
    "mm": Decimal(1),
    "cm": Decimal(10),
    "m": Decimal(1000),
    "in": Decimal("25.4"),
    "ft": Decimal("304.8"),
}
# What a file may bring and a table hold.
MOST_GRAMS = 2**31 - 1
MOST_MILLIMETRES = 10_000_000


def _plain(value: Decimal) -> Decimal:
    """The same number without an exponent, so that it is written as a person would."""
    return Decimal(format(value, "f"))


Quantity = Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=6), AfterValidator(_plain)]


class Weight(Shape):
    """A weight as the merchant says it: `{"value": "1.5", "unit": "lb"}`."""

    value: Quantity
    unit: WeightUnit

    @model_validator(mode="after")
    def _bounded(self) -> "Weight":
        if self.value * _GRAMS[self.unit] > MOST_GRAMS:
            raise ValueError(f"a weight is at most {MOST_GRAMS} g")
        return self

    @property
    def grams(self) -> int:
        """In whole grams, halves up."""
        return int((self.value * _GRAMS[self.unit]).quantize(Decimal(1), ROUND_HALF_UP))


@lru_cache(maxsize=4096)
def weight_in(grams: int, unit: WeightUnit) -> Weight:
    """So many grams as somebody says them in `unit`: with as few decimals as still make just these grams."""
    exact = Decimal(grams) / _GRAMS[unit]
    for decimals in range(7):
        weight = Weight.model_construct(value=_plain(round(exact, decimals).normalize()), unit=unit)
        if weight.grams == grams:
            break
    return weight


class Dimensions(Shape):
    """Sizes of a parcel in one unit, as the merchant says them; at least one of the three."""

    length: Quantity | None = None
    width: Quantity | None = None
    height: Quantity | None = None
    unit: LengthUnit

    @model_validator(mode="after")
    def _bounded(self) -> "Dimensions":
        given = [side for side in (self.length, self.width, self.height) if side is not None]
        if not given:
            raise ValueError("give length, width or height")
        if max(given) * _MILLIMETRES[self.unit] > MOST_MILLIMETRES:
            raise ValueError(f"a side is at most {MOST_MILLIMETRES} mm")
        return self

    @property
    def millimetres(self) -> tuple[int | None, int | None, int | None]:
        """Length, width and height in whole millimetres, halves up."""
        return _whole(self.length, self.unit), _whole(self.width, self.unit), _whole(self.height, self.unit)


def _whole(side: Decimal | None, unit: str) -> int | None:
    return None if side is None else int((side * _MILLIMETRES[unit]).quantize(Decimal(1), ROUND_HALF_UP))
