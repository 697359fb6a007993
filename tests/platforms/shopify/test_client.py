"""Requests to Shopify: tokens, budget, versions and errors (SYN-1, SYN-12)."""

import asyncio
from dataclasses import dataclass, field

import pytest

from services.sync.errors import (
    AnswerNotUnderstood,
    CredentialsRefused,
    InvalidConnectionSettings,
    PlatformAway,
    PlatformRefused,
)
from services.sync.platforms.base import ProductWrite, Scan
from services.sync.platforms.http import IsHeld, never_held
from services.sync.platforms.shopify.client import MOST_THROTTLED
from services.sync.platforms.shopify.platform import SCOPES, Shopify
from services.sync.platforms.shopify.queries import PRODUCTS_BY_ID
from tests.fakes.shopify import CLIENT_ID, CLIENT_SECRET, ShopifyShop
from tests.fakes.shopify_graphql import operation, reckoned
from tests.platforms.conftest import Purse, all_pages, ids, put_products, session_with

pytestmark = pytest.mark.feature("SYN-1", "SYN-12")


@dataclass
class Bucket(Purse):
    """A budget that waits as long as its bucket needs, by a clock that only its own waiting moves."""

    left: float = 0
    per_second: float = 0
    waited: list[float] = field(default_factory=list)

    async def take(self, points: float, is_held: IsHeld = never_held) -> None:
        if self.per_second and points > self.left:
            self.waited.append((points - self.left) / self.per_second)
            self.left = points
        self.left -= points
        await asyncio.sleep(0)

    async def learn(self, *, left: float, per_second: float, most: float) -> None:
        await super().learn(left=left, per_second=per_second, most=most)
        self.left, self.per_second = left, per_second


async def test_rights_that_are_missing_are_named(shopify: ShopifyShop) -> None:
    shopify.scopes = ["write_products", "read_orders"]
    async with session_with(shopify) as session:
        greeting = await session.greet()
    assert greeting.missing == [scope for scope in SCOPES if scope not in ("write_products", "read_orders")]
    assert (greeting.currency, greeting.time_zone, greeting.version) == ("EUR", "Europe/London", "2026-10")
    assert [place.external_id for place in greeting.places] == ["1", "2"]


async def test_right_to_write_has_the_right_to_read(shopify: ShopifyShop) -> None:
    shopify.scopes = [*SCOPES[:-2], "write_orders", SCOPES[-1]]
    async with session_with(shopify) as session:
        assert (await session.greet()).missing == []


async def test_token_is_fetched_for_id_and_secret_and_anew_when_it_has_expired(shopify: ShopifyShop) -> None:
    shopify.credentials = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    async with session_with(shopify) as session:
        await session.greet()
        shopify.tokens.clear()
        await session.greet()
        assert len(shopify.tokens) == 1


async def test_wrong_secret_is_refused(shopify: ShopifyShop) -> None:
    shopify.credentials = {"client_id": CLIENT_ID, "client_secret": "wrong"}
    async with session_with(shopify) as session:
        with pytest.raises(CredentialsRefused):
            await session.greet()


async def test_token_of_the_merchant_is_not_replaced(shopify: ShopifyShop) -> None:
    shopify.tokens.clear()
    async with session_with(shopify) as session:
        with pytest.raises(CredentialsRefused):
            await session.greet()


async def test_throttled_request_waits_exactly_as_long_as_the_bucket_needs(shopify: ShopifyShop) -> None:
    """The answer says what it costs and what is left: (needed - left) / rate, and not a second more."""
    put_products(shopify, 2)
    shopify.maximum, shopify._left, shopify.restore_rate = 1000, 5, 50
    budget = Bucket()
    async with session_with(shopify, budget) as session:
        task = asyncio.create_task(session.read("product", ["1"]))
        while not budget.waited:
            await asyncio.sleep(0)
        shopify._left = shopify.maximum
        records = await task
    assert [record.external_id for record in records] == ["1"]
    assert shopify.throttled >= 1
    needed = budget.learned[0]
    assert budget.waited[0] == pytest.approx((_cost_of_products() - needed[0]) / 50)


async def test_budget_that_others_spend_is_given_up_after_some_tries(shopify: ShopifyShop) -> None:
    shopify.maximum = shopify._left = shopify.restore_rate = 0.5
    async with session_with(shopify) as session:
        with pytest.raises(PlatformAway) as raised:
            await session.read("product", ["1"])
    assert raised.value.retry_after_seconds
    assert shopify.throttled == MOST_THROTTLED


async def test_query_that_costs_too_much_is_asked_for_in_smaller_pieces(
    shopify: ShopifyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.shopify_graphql._MOST_PER_QUERY", 200)
    shopify.others_running, shopify.page_size = 5, 100
    there = put_products(shopify, 20)
    async with session_with(shopify) as session:
        pages = await all_pages(session, Scan("product"))
        records = await session.read("product", there)
    assert sorted(ids(pages)) == sorted(there)
    assert sorted(record.external_id for record in records) == sorted(there)


async def test_other_version_than_ours_is_refused(shopify: ShopifyShop) -> None:
    shopify.version = "2027-10"
    async with session_with(shopify) as session:
        with pytest.raises(PlatformRefused, match="2027-10"):
            await session.greet()


async def test_page_of_html_is_not_understood(shopify: ShopifyShop) -> None:
    shopify.faults.html = 1
    async with session_with(shopify) as session:
        with pytest.raises(AnswerNotUnderstood):
            await session.greet()


async def test_credentials_that_expire_while_writing_are_told_as_such(shopify: ShopifyShop) -> None:
    put_products(shopify, 2)
    async with session_with(shopify) as session:
        await session.read("product", ["1"])
        shopify.before = lambda name: shopify.tokens.clear() if name == "ProductsPlain" else None
        with pytest.raises(CredentialsRefused):
            await session.write_products([ProductWrite(f"k{each}", each, {"title": "New"}) for each in ("1", "2")])
    assert not shopify.writes


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shop": "shop.example.com"},
        {"shop": "a b"},
        {"shop": "x", "other": 1},
        {"shop": "x", "notify_customer": "no"},
    ]
    + [{"url": each} for each in ("ftp://x", "https://x/admin", "https://user@x", "x")],
)
def test_settings_that_lead_nowhere_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidConnectionSettings):
        Shopify().check_settings(settings)


@pytest.mark.parametrize("shop", ["skerry", "skerry.myshopify.com", "Skerry.myshopify.com"])
def test_shop_has_one_address(shop: str) -> None:
    platform = Shopify()
    platform.check_settings({"shop": shop})
    assert platform.base_url({"shop": shop}) == "https://skerry.myshopify.com"


def _cost_of_products() -> float:
    return reckoned(operation(PRODUCTS_BY_ID.text), {"ids": ["1"]})
