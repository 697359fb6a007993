"""Publishable keys in browsers: pages of the allow-list may read the answer, and a key asks no more than it may."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deploy.topology import Surrounded
from gateway.budgets import WINDOW_SECONDS, Budgets, OverBudget
from shared.bus.envelope import Caller
from shared.identifiers import new_id
from shared.redis_connection import RedisAddress
from tests.doors import Client
from tests.gateway.credentials import Business, bearer, founded, token_of
from tests.ports import served

pytestmark = pytest.mark.feature("ACC-11")

HOME = "https://shop.example"
OFFERS = "/v1/shops/main/offers"


@pytest.fixture(scope="module")
async def business(process: Surrounded) -> Business:
    return await founded(process)


async def a_key(client: Client, business: Business, code: str, *origins: str) -> str:
    shop = await business.shop(code)
    draft = {"shop_id": str(shop.id), "name": "page", "allowed_origins": list(origins)}
    admin = bearer(await token_of(client, business.basic))
    return str((await client.post("/v1/publishable-keys", json=draft, headers=admin)).json()["key"])


@pytest.fixture(scope="module")
async def key(client: Client, business: Business) -> str:
    return await a_key(client, business, "main", HOME)


# --- which page may read what


@pytest.mark.parametrize(
    ("path", "methods"), [(OFFERS, "GET, HEAD"), (f"{OFFERS}/black-tee", "GET, HEAD"), ("/graphql", "GET, POST")]
)
async def test_a_preflight_is_granted_where_publishable_keys_are_taken(client: Client, path: str, methods: str) -> None:
    asked = {
        "Origin": HOME,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-publishable-key",
    }
    answer = await client.options(path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == HOME
    assert answer.headers["access-control-allow-methods"] == methods
    assert "X-Publishable-Key" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


async def test_a_connection_lives_on_after_a_preflight(client: Client, key: str) -> None:
    asked = {"Origin": HOME, "Access-Control-Request-Method": "GET"}
    async with served(client.application) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as browser:
        assert (await browser.options(OFFERS, headers=asked)).status_code == 204
        answer = await browser.get(f"{OFFERS}?fields=slug", headers={"X-Publishable-Key": key, "Origin": HOME})
        assert answer.headers["access-control-allow-origin"] == HOME
        assert answer.headers["ratelimit"]


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/products", "/oauth/token", "/v1/shops", f"{OFFERS}/a/b"])
async def test_no_other_preflight_is_granted(client: Client, path: str) -> None:
    answer = await client.options(path, headers={"Origin": HOME, "Access-Control-Request-Method": "GET"})
    assert answer.status_code in (204, 404)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_options_that_is_no_preflight_is_granted_nothing(client: Client) -> None:
    answer = await client.options(OFFERS)
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_page_of_the_list_may_read_the_answer(client: Client, key: str) -> None:
    answer = await client.get(OFFERS, headers={"X-Publishable-Key": key, "Origin": HOME})
    assert answer.status_code != 403
    assert answer.headers["access-control-allow-origin"] == HOME
    assert "ETag" in answer.headers["access-control-expose-headers"]
    assert "Origin" in ", ".join(answer.headers.get_list("vary"))
    assert "access-control-allow-credentials" not in answer.headers


async def test_it_may_read_what_is_wrong_too(client: Client, key: str) -> None:
    answer = await client.get("/v1/products", headers={"X-Publishable-Key": key, "Origin": HOME})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (403, HOME)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{HOME}.evil.example", "http://shop.example"])
async def test_no_other_page_may(client: Client, key: str, origin: str) -> None:
    answer = await client.get(OFFERS, headers={"X-Publishable-Key": key, "Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in answer.headers


async def test_a_key_without_a_list_is_for_every_page(client: Client, business: Business) -> None:
    open_key = await a_key(client, business, "open")
    answer = await client.get(
        "/v1/shops/open/offers", headers={"X-Publishable-Key": open_key, "Origin": "https://anywhere.example"}
    )
    assert answer.headers["access-control-allow-origin"] == "https://anywhere.example"


async def test_pages_read_nothing_with_other_credentials(client: Client, merchant: Caller) -> None:
    answer = await client.get(OFFERS, headers=client.speaking_as(merchant) | {"Origin": HOME})
    assert "access-control-allow-origin" not in answer.headers
    assert "ratelimit" not in answer.headers


# --- how often


@pytest.fixture
async def three_a_minute(client: Client, process: Surrounded) -> AsyncIterator[None]:
    usual = client.application.state.budgets
    client.application.state.budgets = Budgets(process.address, 3)
    yield
    await client.application.state.budgets.aclose()
    client.application.state.budgets = usual


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(
    client: Client, business: Business, three_a_minute: None
) -> None:
    key = await a_key(client, business, "busy", HOME)
    headers = {"X-Publishable-Key": key, "Origin": HOME}
    # At most three fit into a minute; a fourth and a fifth may fall into the next one, a seventh cannot.
    answers = [await client.get("/v1/shops/busy/offers", headers=headers) for _ in range(7)]
    assert "q=3;w=60" in answers[0].headers["ratelimit-policy"]
    assert '"publishable-key";r=2;t=' in answers[0].headers["ratelimit"]
    assert answers[0].status_code != 429
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "over_budget"
    assert 0 < int(refused.headers["retry-after"]) <= WINDOW_SECONDS
    assert "r=0;" in refused.headers["ratelimit"]
    assert refused.headers["access-control-allow-origin"] == HOME


async def test_all_gateways_count_together_and_keys_apart(process: Surrounded) -> None:
    one, other = Budgets(process.address, 100), Budgets(process.address, 100)
    key, another = new_id(), new_id()
    spent = [await each.spend(key) for each in (one, other, one, other)]
    # Should a minute begin between them, the count begins anew: then all four are within the first two or three.
    assert min(each.remaining for each in spent) in (96, 97, 98)
    assert (await one.spend(another)).remaining == 99
    await one.aclose()
    await other.aclose()


async def test_without_redis_each_process_counts_for_itself() -> None:
    budgets = Budgets(RedisAddress("redis://127.0.0.1:1/0"), 2)
    key = new_id()
    spent = [await budgets.spend(key) for _ in range(5)]
    assert spent[0].remaining == 1
    spent[0].check()
    assert min(each.remaining for each in spent) < 0
    with pytest.raises(OverBudget) as refused:
        min(spent, key=lambda each: each.remaining).check()
    assert refused.value.retry_after_seconds
    await budgets.aclose()


# --- what was refused before anybody looked at the key


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", f"{OFFERS}?colour=red", {}, 422),
        ("GET", f"{OFFERS}/nothing", {}, 404),
        ("GET", "/v1/shops/main/nothing-there", {}, 404),
        ("DELETE", OFFERS, {}, 405),
        ("POST", "/graphql", {"content": b"{"}, 415),
        ("POST", "/graphql", {"json": []}, 400),
        ("POST", "/graphql", {"json": {}}, 400),
        ("GET", "/graphql", {"headers": {"Accept": "text/plain"}}, 406),
    ],
)
async def test_every_refusal_may_be_read_by_the_page(
    client: Client, key: str, method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    headers = {"X-Publishable-Key": key, "Origin": HOME} | sent.pop("headers", {})
    answer = await client.request(method, path, headers=headers, **sent)
    assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (status, HOME)
    assert answer.headers.get_list("ratelimit") == [answer.headers["ratelimit"]]
    elsewhere = await client.request(method, path, headers=headers | {"Origin": "https://evil.example"}, **sent)
    assert "access-control-allow-origin" not in elsewhere.headers


async def test_a_page_hears_that_its_key_is_none(client: Client) -> None:
    wrong = {"X-Publishable-Key": "cdp_nothing-that-was-ever-given-out", "Origin": HOME}
    answer = await client.get(OFFERS, headers=wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert answer.headers["access-control-allow-origin"] == HOME
