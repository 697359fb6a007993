"""The order in which a shop finds what it shows of a field, and what handing over does to values: pure rules."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.repository.channel_content import Fields, KnownContent
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases.channel_view import ChannelView, Shown, Step, shown
from shared.identifiers import new_id
from shared.money import Money

pytestmark = pytest.mark.feature("CAT-4")

OWNERS = st.sampled_from(["channel", "master", "parent"])
VALUES = st.one_of(st.none(), st.text(max_size=3))
LINES = st.lists(st.builds(Step, OWNERS, VALUES, st.booleans()), min_size=1, max_size=4).map(
    lambda line: [Step(line[0].owner, line[0].value, True), *line[1:]]
)
NAMES = ("title", "images", "seo_title")
FIELDS = st.recursive(
    st.just(Fields()),
    lambda before: st.one_of(
        st.builds(Fields.with_values, before, st.dictionaries(st.sampled_from(NAMES), VALUES)),
        st.builds(
            Fields.handed, before, st.sets(st.sampled_from(NAMES)), OWNERS, st.just(dict.fromkeys(NAMES, "shown"))
        ),
    ),
    max_leaves=6,
)


@given(LINES, VALUES, VALUES)
def test_a_shop_that_owns_a_field_shows_its_own_value_whatever_else_there_is(
    line: list[Step], master: Any, translation: Any
) -> None:
    own = [Step("channel", "own"), *line]
    assert shown(own, master, translation) == Shown("channel", "own")


@given(LINES, VALUES, VALUES)
def test_a_field_handed_to_the_master_shows_nothing_of_any_channel(
    line: list[Step], master: Any, translation: Any
) -> None:
    said = master if translation is None else translation
    assert shown([Step("master", "kept"), *line], master, translation) == Shown("master", said)


@given(LINES, VALUES, VALUES)
def test_shops_above_the_one_that_decides_do_not_matter(line: list[Step], master: Any, translation: Any) -> None:
    deciding = next((n for n, step in enumerate(line) if step.owner != "parent"), len(line))
    assert shown(line, master, translation) == shown(line[: deciding + 1], master, translation)


@given(LINES, st.text(max_size=3), VALUES)
def test_what_is_shown_is_somebodys_and_only_an_owners(line: list[Step], master: str, translation: Any) -> None:
    found = shown(line, master, translation)
    match found.source:
        case "channel":
            assert (line[0].owner, line[0].value) == ("channel", found.value)
        case "parent":
            assert any(step.owner == "channel" and step.value == found.value for step in line[1:])
        case "master":
            assert found.value == (master if translation is None else translation)


@given(LINES, st.text(max_size=3))
def test_without_translations_languages_do_not_matter(line: list[Step], master: str) -> None:
    assert shown(line, master) == shown([Step(step.owner, step.value, not step.speaks) for step in line], master)


def test_a_translation_comes_before_what_is_inherited_in_another_language_and_after_what_is_in_ones_own() -> None:
    foreign, related = Step("channel", "Mug", speaks=False), Step("channel", "Becher")
    assert shown([Step("parent"), foreign], "Cup", "Tasse") == Shown("master", "Tasse")
    assert shown([Step("parent"), foreign], "Cup") == Shown("parent", "Mug")
    assert shown([Step("parent"), related], "Cup", "Tasse") == Shown("parent", "Becher")
    assert shown([Step("channel", "Häferl"), related], "Cup", "Tasse") == Shown("channel", "Häferl")


@given(FIELDS, st.sets(st.sampled_from(NAMES)), OWNERS, VALUES)
def test_handing_over_erases_nothing_and_gives_the_fields_to_whom_it_says(
    before: Fields, names: set[str], to: Any, value: Any
) -> None:
    after = before.handed(names, to, dict.fromkeys(NAMES, value))
    assert {name: after.values[name] for name in before.values} == before.values
    assert all(after.owner(name) == to for name in names)
    assert all(after.owner(name) == before.owner(name) for name in set(NAMES) - names)
    assert after.of_channel <= after.values.keys()
    assert not after.of_channel & after.of_master


@given(FIELDS, st.sets(st.sampled_from(NAMES), min_size=1))
def test_a_field_that_comes_back_has_the_value_it_left_with(before: Fields, names: set[str]) -> None:
    mine = before.handed(names, "channel", dict.fromkeys(NAMES, "shown"))
    back = mine.handed(names, "master", {}).handed(names, "channel", dict.fromkeys(NAMES, "something else"))
    assert back == mine


@given(FIELDS, st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_a_write_of_the_channel_is_kept_and_takes_nothing_from_the_master(
    before: Fields, values: dict[str, Any]
) -> None:
    after = before.with_values(values)
    assert {name: after.values[name] for name in values} == values
    assert after.of_master == before.of_master
    assert after.of_channel == before.of_channel | (values.keys() - before.of_master)


def a_shop(currency: str = "USD", *, strict: bool = False) -> KnownShop:
    return KnownShop(new_id(), "code", currency, "en", None, strict_pricing=strict, version=1)


@pytest.mark.feature("ACC-3")
@pytest.mark.parametrize(
    ("heir", "inherits"),
    [(a_shop(), True), (a_shop(strict=True), False), (a_shop("EUR"), False)],
    ids=["heir", "strict", "other currency"],
)
def test_an_old_price_is_inherited_where_prices_are(heir: KnownShop, inherits: bool) -> None:
    parent, variant_id, product_id = a_shop(), new_id(), new_id()
    own = Fields().with_values({"list_price": Money(amount=900, currency="USD"), "weight_grams": 5})
    contents: dict[UUID, KnownContent] = {parent.id: KnownContent(product_id, variants={variant_id: own})}
    view = ChannelView([heir, parent], contents)
    assert view.list_price(variant_id, None).source == ("parent" if inherits else "master")
    assert view.of_variant(variant_id, "weight_grams", 7) == Shown("parent", 5)
    assert ChannelView([parent], contents).list_price(variant_id, None).value == Money(amount=900, currency="USD")


def test_an_old_price_in_a_currency_the_shop_has_left_is_not_shown() -> None:
    shop, variant_id, product_id = a_shop("EUR"), new_id(), new_id()
    own = Fields().with_values({"list_price": Money(amount=900, currency="USD")})
    view = ChannelView([shop], {shop.id: KnownContent(product_id, variants={variant_id: own})})
    assert view.list_price(variant_id, None) == Shown("master", None)
