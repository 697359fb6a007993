"""Weights and sizes: exact, in whole grams and millimetres, and given back as they came (CAT-1)."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.measures import Dimensions, Weight

pytestmark = pytest.mark.feature("CAT-1")

VALUES = st.decimals(0, 1000, places=6, allow_nan=False, allow_infinity=False)
GRAMS = {"g": Fraction(1), "kg": Fraction(1000), "oz": Fraction("28.349523125"), "lb": Fraction("453.59237")}


@given(VALUES, st.sampled_from(sorted(GRAMS)))
def test_grams_are_the_nearest_whole_ones_and_the_value_comes_back(value: Decimal, unit: str) -> None:
    weight = Weight.model_validate({"value": str(value), "unit": unit})
    exact = Fraction(value) * GRAMS[unit]
    assert abs(weight.grams - exact) <= Fraction(1, 2)
    assert Weight.model_validate_json(weight.model_dump_json()) == weight
    assert weight.value == value
    assert "E" not in weight.model_dump(mode="json")["value"]


@pytest.mark.parametrize(
    ("given", "grams"), [(("1.5", "lb"), 680), (("0.5", "g"), 1), (("2.4", "g"), 2), (("1E+2", "g"), 100)]
)
def test_a_weight_in_grams(given: tuple[str, str], grams: int) -> None:
    assert Weight(value=given[0], unit=given[1]).grams == grams  # type: ignore[arg-type]


def test_sides_that_are_not_given_are_not_there() -> None:
    sides = Dimensions(length=Decimal("12"), height=Decimal("0.5"), unit="in")
    assert sides.millimetres == (305, None, 13)


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "-1", "unit": "g"},
        {"value": "NaN", "unit": "g"},
        {"value": "Infinity", "unit": "g"},
        {"value": "1e400", "unit": "g"},
        {"value": "1.1234567", "unit": "g"},
        {"value": "2147484", "unit": "kg"},
        {"value": "1,5", "unit": "kg"},
        {"value": "", "unit": "kg"},
        {"value": "1", "unit": "stone"},
        {"value": "1"},
        {"unit": "g"},
    ],
)
def test_what_is_no_weight_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Weight.model_validate(wrong)


@pytest.mark.parametrize("wrong", [{"unit": "cm"}, {"length": "10000.1", "unit": "m"}, {"length": "1", "unit": "px"}])
def test_what_are_no_dimensions_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Dimensions.model_validate(wrong)
