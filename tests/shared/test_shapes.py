"""Shapes that are made without being looked at, as those are that are."""

import pytest
from pydantic import ValidationError

from shared.contracts.base import Change
from shared.money import Money

pytestmark = pytest.mark.feature("GAT-1")


class Title(Change):
    title: str | None = None
    brand: str | None = None


def test_what_is_known_is_like_what_is_looked_at() -> None:
    known, looked_at = Money.known(amount=5, currency="USD"), Money(amount=5, currency="USD")
    assert known == looked_at
    assert hash(known) == hash(looked_at)
    assert known.model_dump_json() == looked_at.model_dump_json()
    assert known.model_fields_set == looked_at.model_fields_set
    with pytest.raises(ValidationError):
        known.amount = 6  # type: ignore[misc]


def test_all_fields_are_to_be_given() -> None:
    with pytest.raises(TypeError, match="amount, currency"):
        Money.known(amount=5)


def test_a_copy_adds_nothing_to_others() -> None:
    """What was given is one set for all that are known: a copy must not change it."""
    first = Title.known(title="Bowl", brand=None)
    first.model_copy(update={"title": "Cup", "colour": "red"})
    second = Title.known(title="Jug", brand=None)
    assert first.given() == {"title": "Bowl", "brand": None}
    assert second.given() == {"title": "Jug", "brand": None}


def test_an_heir_has_its_own_fields() -> None:
    class Priced(Title):
        price: int

    Title.known(title="Bowl", brand=None)
    assert Priced.known(title="Bowl", brand=None, price=5).model_fields_set == {"title", "brand", "price"}
