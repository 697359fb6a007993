"""Structs as answers: what they hold comes back as it was, and is checked on the way."""

from decimal import Decimal

import msgspec
import pytest

from shared.contracts.structs import StructAnswer
from shared.measures import Weight
from shared.money import Money


class Parcel(msgspec.Struct, frozen=True, gc=False):
    weight: Weight | None
    prices: list[Money]


ANSWER = StructAnswer(Parcel)


@pytest.mark.feature("SEA-1")
def test_shapes_within_a_struct_come_back_as_they_were() -> None:
    prices = [Money(amount=1, currency="USD"), Money(amount=1, currency="EUR")]
    parcel = Parcel(Weight(value=Decimal("1.50"), unit="lb"), prices)
    written = ANSWER.dump_json(parcel)
    assert written == (
        b'{"weight":{"value":"1.50","unit":"lb"},'
        b'"prices":[{"amount":1,"currency":"USD"},{"amount":1,"currency":"EUR"}]}'
    )
    assert ANSWER.validate_json(written) == parcel
    assert ANSWER.validate_json(b'{"weight":null,"prices":[],"of_a_later_version":1}') == Parcel(None, [])


@pytest.mark.feature("SEA-1")
@pytest.mark.parametrize("price", [b'{"amount":true,"currency":"USD"}', b'{"amount":1,"currency":"XXX"}', b"1", b"{}"])
def test_shapes_within_a_struct_are_checked(price: bytes) -> None:
    assert ANSWER.validate_json(b'{"weight":null,"prices":[{"amount":1,"currency":"USD"}]}').prices[0].amount == 1
    with pytest.raises(msgspec.ValidationError):
        ANSWER.validate_json(b'{"weight":null,"prices":[' + price + b"]}")
