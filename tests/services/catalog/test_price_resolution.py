"""The one rule by which prices are found, against a plain reading of it, and what must never happen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from services.catalog.repository.price_terms import ListTerms, PriceTerms
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases import price_explaining
from services.catalog.use_cases.price_resolution import (
    Situation,
    Standing,
    explain,
    is_passed_over,
    resolve_price,
    stand,
    tiers,
)
from shared.contracts.catalog.pricing import PassedOverCode

pytestmark = pytest.mark.feature("CAT-3", "ACC-3")

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
# Few values, most of them such that a price counts: otherwise two that do would hardly ever meet.
HOURS = st.sampled_from([NOON - timedelta(hours=2), NOON - timedelta(hours=1), NOON])
LATER = st.sampled_from([NOON, NOON + timedelta(hours=1)])
GROUPS = st.sampled_from([None, "friends", "friends", "trade"])
CENTRES = st.sampled_from([None, None, "north", "south"])
CURRENCIES = st.sampled_from(["USD"] * 7 + ["EUR"])
STRICT = st.sampled_from([False, False, False, True])


def numbered(number: int) -> UUID:
    return UUID(int=number)


@dataclass(frozen=True)
class World:
    """A shop with its ancestors, their lists, and the prices of one variant."""

    line: list[KnownShop]
    lists: list[ListTerms]
    prices: list[PriceTerms]
    situation: Situation
    quantity: int

    @property
    def standing(self) -> Standing:
        return stand(self.line, self.lists, self.situation)

    def found(self, quantity: int | None = None) -> PriceTerms | None:
        return resolve_price(self.standing, self.prices, quantity or self.quantity)

    def list_of(self, price: PriceTerms) -> ListTerms:
        return next(terms for terms in self.lists if terms.id == price.price_list_id)


def a_shop(number: int, *, currency: str = "USD", strict: bool = False) -> KnownShop:
    return KnownShop(numbered(number), f"shop-{number}", currency, "en", None, strict, version=1)


def dates(draw: st.DrawFn) -> tuple[datetime | None, datetime | None]:
    starts, ends = draw(st.none() | HOURS), draw(st.none() | LATER)
    return starts, (None if starts and ends and ends <= starts else ends)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Small enough that everything meets everything else."""
    line = [a_shop(number, currency=draw(CURRENCIES), strict=draw(STRICT)) for number in range(draw(st.integers(1, 3)))]
    lists = []
    for number in range(draw(st.integers(1, 5))):
        shop, group, currency = draw(st.sampled_from(line)), draw(GROUPS), draw(CURRENCIES)
        made = NOON - timedelta(days=draw(st.integers(1, 2)))
        lists.append(ListTerms(numbered(100 + number), shop.id, f"L{number}", currency, group, *dates(draw), made))
    keys = st.tuples(st.sampled_from(lists), st.integers(1, 3), CENTRES, st.none() | HOURS)
    prices = []
    for terms, minimum, centre, starts in draw(st.lists(keys, max_size=8, unique=True)):
        ends = draw(st.none() | LATER)
        ends = None if starts and ends and ends <= starts else ends
        amount = draw(st.none() | st.integers(0, 9))
        prices.append(PriceTerms(terms.id, minimum, amount, None, centre, starts, ends))
    situation = Situation(draw(HOURS | LATER), draw(GROUPS), draw(CENTRES))
    return World(line, lists, prices, situation, draw(st.integers(1, 4)))


def plainly(world: World) -> PriceTerms | None:
    """The rules once more, one after the other, as a merchant would go through the lists by hand."""
    at = world.situation.at
    for number, shop in enumerate(world.line):
        above = world.line[:number]
        if any(heir.strict_pricing for heir in above) or shop.currency != world.line[0].currency:
            return None
        for group in dict.fromkeys([world.situation.customer_group, None]):
            own = [
                terms
                for terms in world.lists
                if terms.shop_id == shop.id
                and terms.currency == shop.currency
                and terms.customer_group == group
                and in_force(terms.starts_at, terms.ends_at, at)
            ]
            own.sort(key=lambda terms: terms.id, reverse=True)
            own.sort(key=lambda terms: terms.created_at, reverse=True)
            begun = sorted((t for t in own if t.starts_at), key=lambda terms: str(terms.starts_at), reverse=True)
            for terms in begun + [t for t in own if not t.starts_at]:
                price = plainly_in_list(world, terms)
                if price is not None:
                    return price
    return None


def plainly_in_list(world: World, terms: ListTerms) -> PriceTerms | None:
    there = [price for price in world.prices if price.price_list_id == terms.id]
    for minimum in range(world.quantity, 0, -1):
        for centre in dict.fromkeys([world.situation.centre, None]):
            fitting = [
                price
                for price in there
                if price.minimum_quantity == minimum
                and price.centre == centre
                and in_force(price.starts_at, price.ends_at, world.situation.at)
            ]
            dated = [price for price in fitting if price.starts_at]
            if dated:
                return sorted(dated, key=lambda price: str(price.starts_at))[-1]
            if fitting:
                return fitting[0]
    return None


def in_force(starts: datetime | None, ends: datetime | None, at: datetime) -> bool:
    return not (starts and at < starts) and not (ends and at >= ends)


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_the_rule_finds_what_going_through_the_lists_by_hand_finds(world: World) -> None:
    assert world.found() == plainly(world)


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_in_which_lists_and_prices_come_never_matters(world: World, random: object) -> None:
    lists, prices = list(world.lists), list(world.prices)
    random.shuffle(lists)  # type: ignore[attr-defined]
    random.shuffle(prices)  # type: ignore[attr-defined]
    assert replace(world, lists=lists, prices=prices).found() == world.found()


@given(worlds())
def test_amounts_never_matter(world: World) -> None:
    """The cheaper price is not the better one: a rule that looked at amounts would sell below what was meant."""
    turned = [replaced(price, price=None if price.price is None else 9 - price.price) for price in world.prices]
    found, then = world.found(), replace(world, prices=turned).found()
    assert (found and world.prices.index(found)) == (then and turned.index(then))


@given(worlds(), st.integers(0, 7))
def test_what_was_passed_over_can_go_without_a_difference(world: World, gone: int) -> None:
    found = world.found()
    rest = [price for number, price in enumerate(world.prices) if price is found or number != gone]
    assert replace(world, prices=rest).found() == found


@given(worlds())
def test_a_strict_shop_never_sells_by_another_ones_lists(world: World) -> None:
    strict = [replace(world.line[0], strict_pricing=True), *world.line[1:]]
    found = replace(world, line=strict).found()
    assert found is None or world.list_of(found).shop_id == strict[0].id


@given(worlds())
def test_currencies_never_mix(world: World) -> None:
    found = world.found()
    assert found is None or world.list_of(found).currency == world.line[0].currency
    if found is not None:
        way = world.line[: [shop.id for shop in world.line].index(world.list_of(found).shop_id) + 1]
        assert len({shop.currency for shop in way}) == 1


@given(worlds())
def test_prices_of_customer_groups_never_leak(world: World) -> None:
    nobody = replace(world, situation=replace(world.situation, customer_group=None))
    found = nobody.found()
    assert found is None or world.list_of(found).customer_group is None
    without = [terms for terms in world.lists if terms.customer_group is None]
    known = {terms.id for terms in without}
    prices = [price for price in world.prices if price.price_list_id in known]
    assert found == replace(nobody, lists=without, prices=prices).found()


@given(worlds())
def test_a_price_of_another_centre_never_holds(world: World) -> None:
    found = world.found()
    assert found is None or found.centre in (None, world.situation.centre)


@given(worlds())
def test_who_buys_more_never_loses_a_price(world: World) -> None:
    found = [world.found(quantity) is not None for quantity in range(1, 6)]
    assert found == sorted(found)


@given(worlds())
def test_tiers_say_for_every_quantity_what_the_rule_says(world: World) -> None:
    told = tiers(world.standing, world.prices)
    assert [quantity for quantity, _ in told] == sorted({quantity for quantity, _ in told})
    for quantity in range(1, 6):
        reached = [price for minimum, price in told if minimum <= quantity]
        assert (reached[-1] if reached else None) == world.found(quantity)


@given(worlds())
def test_everything_that_does_not_hold_is_told_once_with_its_reason(world: World) -> None:
    found = world.found()
    passed = explain(world.standing, world.lists, world.prices, world.quantity)
    told = [each.price for each in passed if each.price is not None]
    assert sorted(map(repr, told)) == sorted(repr(price) for price in world.prices if price is not found)
    having = {price.price_list_id for price in world.prices}
    assert {each.terms.id for each in passed if each.price is None} == {t.id for t in world.lists} - having
    for each in passed:
        assert each.code in get_args(PassedOverCode)
        if each.price is not None:
            out = is_passed_over(world.standing, each.price, world.quantity)
            assert each.code == out if out else each.code.endswith("_first")


def test_every_reason_has_a_sentence() -> None:
    assert set(price_explaining._MESSAGES) == set(get_args(PassedOverCode))


# --- single cases, told as stories


def a_list(number: int = 1, shop: int = 0, **terms: object) -> ListTerms:
    made = ListTerms(numbered(100 + number), numbered(shop), f"L{number}", "USD", None, None, None, NOON)
    return replace(made, **terms)  # type: ignore[arg-type]


def found_in(
    lists: Sequence[ListTerms], prices: Sequence[PriceTerms], quantity: int = 1, **situation: object
) -> object:
    asked = Situation(**{"at": NOON, **situation})  # type: ignore[arg-type]
    world = World([a_shop(0), a_shop(1)], list(lists), list(prices), asked, quantity)
    price = world.found()
    return price and price.price


def price(amount: int | None, list_number: int = 1, minimum: int = 1, **terms: object) -> PriceTerms:
    return replaced(PriceTerms(numbered(100 + list_number), minimum, amount), **terms)


@pytest.mark.parametrize("of", ["list", "price"])
def test_validity_is_half_open(of: str) -> None:
    seen = []
    for second in (-1, 0, 59, 60):
        span = {"starts_at": NOON, "ends_at": NOON + timedelta(seconds=60)}
        lists = [a_list(**(span if of == "list" else {}))]
        prices = [price(5, **(span if of == "price" else {}))]
        seen.append(found_in(lists, prices, at=NOON + timedelta(seconds=second)))
    assert seen == [None, 5, 5, None]


def test_a_list_without_a_price_for_the_quantity_lets_the_next_one_speak() -> None:
    lists = [a_list(1), a_list(2, starts_at=NOON - timedelta(days=1))]
    prices = [price(10, 1), price(8, 2, minimum=10)]
    assert [found_in(lists, prices, quantity) for quantity in (1, 9, 10)] == [10, 10, 8]


def test_an_expired_tier_does_not_hide_the_one_below() -> None:
    prices = [price(10), price(5, minimum=10, ends_at=NOON)]
    assert found_in([a_list()], prices, 20) == 10


def test_a_dated_price_comes_before_the_plain_one_of_its_list_while_it_lasts() -> None:
    span = {"starts_at": NOON, "ends_at": NOON + timedelta(hours=1)}
    prices = [price(10), price(7, **span)]
    assert [found_in([a_list()], prices, at=NOON + timedelta(hours=hours)) for hours in (-1, 0, 1)] == [10, 7, 10]


def test_a_shops_own_price_comes_before_its_parents_price_for_the_group() -> None:
    lists = [a_list(1, shop=0), a_list(2, shop=1, customer_group="friends")]
    assert found_in(lists, [price(10, 1), price(5, 2)], customer_group="friends") == 10
    assert found_in(lists, [price(5, 2)], customer_group="friends") == 5
    assert found_in(lists, [price(5, 2)]) is None


def test_a_centres_price_comes_before_the_general_one_of_the_same_quantity_alone() -> None:
    prices = [price(10), price(9, centre="north"), price(8, minimum=10)]
    found = [
        found_in([a_list()], prices, quantity, centre=centre) for quantity in (1, 10) for centre in ("north", None)
    ]
    assert found == [9, 10, 8, 8]


def test_a_price_on_request_is_a_price_and_hides_what_comes_after() -> None:
    prices = [price(10), price(None, minimum=100)]
    standing = stand([a_shop(0)], [a_list()], Situation(NOON))
    on_request = resolve_price(standing, prices, 100)
    assert on_request is not None
    assert on_request.price is None
    assert [quantity for quantity, _ in tiers(standing, prices)] == [1, 100]
