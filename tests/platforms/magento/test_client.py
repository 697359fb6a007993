"""Requests to Magento: who asks, how it is searched, what an error says (SYN-1, SYN-11)."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms.http import connected
from services.sync.platforms.magento.client import Client, Filter, answered, any_of, criteria, said, segment
from shared.outgoing import Answer
from tests.fakes.magento import KEYS, MagentoShop
from tests.platforms.conftest import Purse, put_products, session_with

pytestmark = pytest.mark.feature("SYN-1", "SYN-11")


@pytest.fixture
async def client(magento: MagentoShop) -> AsyncIterator[Client]:
    async with connected(magento.url, Purse(), allow_private=True) as http:
        yield Client(http, magento.url, KEYS)


def error(message: str, parameters: Any = None, status: int = 400, **more: Any) -> Answer:
    return Answer(status, {}, orjson.dumps({"message": message, "parameters": parameters, **more}))


# --- what an error says


@pytest.mark.parametrize(
    ("message", "parameters", "words"),
    [
        ("No %fieldName = %fieldValue", {"fieldName": "id", "fieldValue": 99999}, "No id = 99999"),
        ("Could not save: %1", ["the URL key"], "Could not save: the URL key"),
        ("From %2 to %1", ["b", "a"], "From a to b"),
        ("Invalid attribute %fieldName = %fieldValue.", ["SKU", "NOPE"], "Invalid attribute SKU = NOPE."),
        ("50% of %3 and %other", ["a"], "50% of %3 and a"),
        ("%name is missing", None, "%name is missing"),
        ("Plain", [], "Plain"),
    ],
)
def test_parameters_are_put_into_a_message(message: str, parameters: Any, words: str) -> None:
    assert said(error(message, parameters)) == words


def test_errors_within_an_error_are_said_too() -> None:
    more = [{"message": '"%field" should be numeric.', "parameters": {"field": "status"}}]
    assert said(error("Validation Failed", errors=more)) == 'Validation Failed "status" should be numeric.'


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (error("Not authorized", status=401), CredentialsRefused),
        (error("No such entity", status=404), PlatformRefused),
        (error("Price is wrong"), PlatformRefused),
        (error("SQLSTATE[40001]: Deadlock found when trying to get lock; try restarting transaction"), PlatformAway),
        (Answer(500, {}, b"An error has happened during application run."), PlatformAway),
        (Answer(503, {"retry-after": "7"}, b"<html>Backend fetch failed</html>"), PlatformAway),
        (Answer(302, {}, b""), PlatformRefused),
        (Answer(200, {}, b"<html>One moment, please</html>"), AnswerNotUnderstood),
        (Answer(200, {}, b'{"items": ['), AnswerNotUnderstood),
    ],
)
def test_errors_are_told_apart(answer: Answer, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        answered(answer)


@pytest.mark.parametrize(("body", "value"), [(b"true", True), (b"false", False), (b'"3"', "3"), (b"9", 9), (b"[]", [])])
def test_bare_answers_are_answers(body: bytes, value: Any) -> None:
    """Surprise 14."""
    assert answered(Answer(200, {}, body)) == value


# --- searching


def test_groups_are_and_and_filters_are_or() -> None:
    asked = criteria([Filter("a", "eq", "1"), Filter("b", "eq", "2")], [Filter("c", "gt", "3")], sort="c", size=5)
    assert asked["searchCriteria[filter_groups][0][filters][1][value]"] == "2"
    assert asked["searchCriteria[filter_groups][1][filters][0][condition_type]"] == "gt"
    assert asked["searchCriteria[sortOrders][0][direction]"] == "ASC"
    assert "fields" not in asked
    assert criteria(size=1, fields="id")["fields"] == "items[id],total_count"


def test_values_are_asked_for_in_lists_as_long_as_an_address_may_be() -> None:
    searches = any_of("sku", [*(f"SKU-{number:040}" for number in range(150)), "a,b"])
    assert searches[0] == [Filter("sku", "eq", "a,b")], "a comma would part it"
    assert sum(len(group[0].value.split(",")) for group in searches[1:]) == 150
    assert all(len(group[0].value) < 4000 for group in searches)
    assert any_of("sku", []) == []


@pytest.mark.parametrize(("sku", "part"), [("A/B 12", "A%2FB%2012"), ("P+Q%20\\R", "P%2BQ%2520%5CR"), ("ß", "%C3%9F")])
def test_sku_is_one_part_of_a_path(sku: str, part: str) -> None:
    assert segment(sku) == part


@pytest.mark.parametrize("sku", ["", ".", ".."])
def test_sku_that_would_lead_elsewhere_is_refused(sku: str) -> None:
    with pytest.raises(PlatformRefused):
        segment(sku)


async def test_walk_gives_all_in_pages_and_ends(client: Client, magento: MagentoShop) -> None:
    put_products(magento, 7)
    pages = [rows async for rows in client.walk("/products", by="entity_id", key="id", fields="id")]
    assert [row["id"] for rows in pages for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert len(pages) == 3
    empty = [Filter("sku", "eq", "NOPE")]
    assert [rows async for rows in client.walk("/products", empty, by="entity_id", key="id", fields="id")] == []
    assert (await client.search("/products", empty)).items == []


async def test_count_without_records_is_no_empty_shop(client: Client, magento: MagentoShop) -> None:
    """Surprise 5: an unexpected nothing is not believed."""
    put_products(magento, 1)
    magento.page_size = 0
    with pytest.raises(AnswerNotUnderstood):
        await client.search("/products", sort="entity_id")


# --- who asks


async def test_bearer_token_is_enough_where_the_shop_allows_it(magento: MagentoShop) -> None:
    magento.credentials = {"access_token": KEYS["access_token"]}
    async with session_with(magento) as session:
        with pytest.raises(CredentialsRefused):
            await session.greet()
        magento.allows_bearer = True
        assert (await session.greet()).missing == []


@pytest.mark.parametrize("name", sorted(KEYS))
async def test_one_wrong_key_is_refused(magento: MagentoShop, name: str) -> None:
    magento.credentials[name] = "another"
    async with session_with(magento) as session:
        with pytest.raises(CredentialsRefused):
            await session.greet()


async def test_without_credentials_nothing_is_asked(magento: MagentoShop) -> None:
    magento.credentials = {}
    async with session_with(magento) as session:
        with pytest.raises(CredentialsRefused):
            await session.greet()
    assert magento.requests == []


async def test_rights_that_are_missing_are_named(magento: MagentoShop) -> None:
    """Surprise 11: 401 means no token, a wrong token or a missing right alike."""
    magento.lacking = {"Magento_Sales::ship", "Magento_Sales::actions_view"}
    async with session_with(magento) as session:
        greeting = await session.greet()
    assert sorted(greeting.missing) == ["Magento_Sales::actions_view", "Magento_Sales::ship"]
    assert magento.writes == []


async def test_greeting_says_what_the_shop_is(magento: MagentoShop) -> None:
    async with session_with(magento) as session:
        greeting = await session.greet()
    assert (greeting.shop_name, greeting.currency, greeting.time_zone) == ("127.0.0.1", "EUR", "UTC")
    assert [(place.external_id, place.name) for place in greeting.places] == [("main", "Main warehouse")]
    assert greeting.order_statuses == list(greeting.proposed_statuses)
    assert greeting.proposed_statuses["processing"] == "import"
