"""Answers of storefronts' reads that are ready: who gets them, until when, and that nothing was asked for them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.types import Scope

from gateway.ready import ReadyAnswers, ReadyResponse
from gateway.shops_read import ShopsRead
from shared.bus.ask import Asker
from shared.bus.envelope import Caller
from shared.contracts.base import ReadyJson
from shared.contracts.catalog.messages import ListCategories
from shared.contracts.search.messages import GetOffer, SearchOffers
from shared.contracts.search.standing import ShopStanding
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories.search import Seller

pytestmark = pytest.mark.feature("SEA-2", "SEA-3")

_QUERY = 'query($first: Int) { offers(shop: "main", first: $first) { nodes { slug price { amount } } total } }'


class CountingBus:
    """The bus of the gateway, and what was asked through it."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.asked: list[str] = []
        self.messages: list[Any] = []

    async def ask(self, message: Any, envelope: Any) -> Any:
        self.asked.append(message.wire_name)
        self.messages.append(message)
        return await self._bus.ask(message, envelope)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


@pytest.fixture
async def bus(client: Client, shop: Seller) -> AsyncIterator[CountingBus]:
    """Whoever asks from here on is counted; the shop's index is open."""
    usual = client.application.state.bus
    await shop.offers()
    client.application.state.bus = counting = CountingBus(usual)
    yield counting
    client.application.state.bus = usual


@pytest.mark.parametrize(
    "path",
    [
        "shops/main/offers?first=2&sort=newest",
        "shops/main/offers?fields=slug",
        "shops/main/offers/wool-scarf",
        "shops/main/categories",
        "shops/main/offers-by-sku?sku=WOOL-SCARF",
        "shops/main/offer-suggestions?q=wo",
    ],
)
async def test_what_was_answered_is_answered_again_without_asking(shop: Seller, bus: CountingBus, path: str) -> None:
    first = await _get(shop, f"/v1/{path}")
    assert first.status_code == 200, first.text
    assert len(bus.asked) == 1
    again = await _get(shop, f"/v1/{path}")
    assert len(bus.asked) == 1
    assert (again.content, again.status_code) == (first.content, 200)
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == "private, no-cache"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    known = await _get(shop, f"/v1/{path}", **{"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", first.headers["etag"])
    assert len(bus.asked) == 1
    head = await shop.client.head(f"/v1/{path}", headers=_speaking(shop))  # type: ignore[union-attr]
    assert (head.status_code, head.headers["etag"]) == (200, first.headers["etag"])


async def test_graphql_by_post_is_ready_for_the_same_variables_alone(shop: Seller, bus: CountingBus) -> None:
    first = await _post(shop, {"query": _QUERY, "variables": {"first": 1}})
    assert first.json()["data"]["offers"]["total"] == 2
    again = await _post(shop, {"query": _QUERY, "variables": {"first": 1}})
    assert (again.content, len(bus.asked)) == (first.content, 1)
    assert "etag" not in again.headers
    other = await _post(shop, {"query": _QUERY, "variables": {"first": 2}})
    assert len(other.json()["data"]["offers"]["nodes"]) == 2


@pytest.mark.feature("GAT-2")
async def test_facets_that_nobody_reads_are_not_counted(shop: Seller, bus: CountingBus) -> None:
    for query, is_counted in (
        ('{ offers(shop: "main") { total } }', False),
        ('{ offers(shop: "main") { total facets { category { path } } } }', True),
        ('{ offers(shop: "main") { ...f } } fragment f on OfferConnection { f: facets { __typename } }', True),
        ('{ offers(shop: "main", facets: true) { total matched } }', True),
    ):
        answer = await _post(shop, {"query": query})
        assert "errors" not in answer.json(), answer.text
        assert bus.messages[-1].facets is is_counted, query
    read = (await _post(shop, {"query": '{ offers(shop: "main") { facets { category { path } } } }'})).json()
    assert read["data"]["offers"]["facets"] == {"category": [{"path": "goods"}]}
    bare = await shop.offers(facets="false")
    assert bare["facets"]["category"] == []
    assert [bare["items"], bare["total"]] == [(await shop.offers())[name] for name in ("items", "total")]
    refused = await shop.get("shops/main/offers", facets="some")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/query/facets")


@pytest.mark.feature("GAT-2")
async def test_graphql_by_get_says_304_to_who_has_it(shop: Seller, bus: CountingBus) -> None:
    query = {"query": '{ offers(shop: "main") { nodes { slug } } }'}
    first = await _get(shop, "/graphql", query)
    assert first.headers["cache-control"] == "private, no-cache"
    assert "Accept" in first.headers["vary"]
    for _ in range(2):
        known = await _get(shop, "/graphql", query, **{"If-None-Match": first.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
    assert len(bus.asked) == 1
    named = await _get(shop, "/graphql", query, Accept="application/graphql-response+json")
    assert named.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert first.headers["content-type"] == "application/json; charset=utf-8"
    # What is no read of offers is tagged, too, and never kept.
    products = {"query": "{ products { nodes { id } } }"}
    tag = (await _get(shop, "/graphql", products)).headers["etag"]
    before = len(bus.asked)
    assert (await _get(shop, "/graphql", products, **{"If-None-Match": tag})).status_code == 304
    assert len(bus.asked) == before + 1


async def test_a_mistake_is_no_answer_to_keep(shop: Seller, bus: CountingBus) -> None:
    for times in (1, 2):
        missing = await _get(shop, "/v1/shops/main/offers/nothing")
        assert (missing.status_code, len(bus.asked)) == (404, times)
    query = {"query": '{ offers(shop: "main") { total } offer(shop: "main", slug: "nothing") { slug } }'}
    for _ in range(2):
        partial = await _get(shop, "/graphql", query)
        assert partial.json()["errors"][0]["extensions"]["code"] == "offer_not_found"
        assert "etag" not in partial.headers


async def test_a_change_ends_what_was_ready(shop: Seller) -> None:
    for _ in range(3):
        assert [item["price"]["amount"] for item in (await shop.offers(q="scarf"))["items"]] == [1999]
    await shop.price({"WOOL-SCARF": 2100})

    async def cheaper() -> bool:
        listed = (await shop.offers(q="scarf"))["items"][0]["price"]["amount"]
        # A reader goes on as a whole: what was kept of its list is no older than its page.
        page = (await shop.get("shops/main/offers/wool-scarf")).json()["price"]["amount"]
        assert (listed, page) in {(1999, 1999), (1999, 2100), (2100, 2100)}
        return bool(listed == 2100)

    await eventually(cheaper)
    await shop.price({"WOOL-SCARF": 1999})
    await shop.settles()


async def test_nobody_is_given_what_only_others_may_see(shop: Seller, client: Client) -> None:
    other = Seller(shop.process, client)
    await other.open()
    await other.sell("Bell", await other.category("Bells"))
    await other.sells(1)
    for _ in range(3):
        assert (await shop.get("shops/main/offers")).json()["total"] == 2
        assert (await other.get("shops/main/offers")).json()["total"] == 1
        confined = caller_of(shop.organization_id, "storefront", shop_ids=[new_id()])
        answer = await shop.get("shops/main/offers", caller=confined)
        assert (answer.status_code, answer.json()["code"]) == (404, "shop_not_found")
        unentitled = caller_of(shop.organization_id, "inventory:read")
        answer = await shop.get("shops/main/offers", caller=unentitled)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
        nobody = await client.get("/v1/shops/main/offers")
        assert nobody.status_code == 401


async def test_what_was_ready_for_a_withdrawn_credential_is_refused(shop: Seller, client: Client) -> None:
    headers = client.speaking_as(caller_of(shop.organization_id, "storefront"))
    for _ in range(3):
        assert (await client.get("/v1/shops/main/offers", headers=headers)).status_code == 200
    forged = await client.get("/v1/shops/main/offers", headers={"Authorization": "Bearer cdk_not-one-of-ours-at-all"})
    assert (forged.status_code, forged.json()["code"]) == (401, "invalid_token")


# --- what is kept, without a shop


ORGANIZATION = UUID(int=7)


def _scope(path: str, state: dict[str, Any] | None = None) -> Scope:
    return {"method": "GET", "path": path, "query_string": b"", "headers": [], "state": state or {}, "route": None}


class Standings:
    """How far the index of each shop is."""

    def __init__(self, **sequences: int) -> None:
        self.sequences = sequences

    def of(self, _organization_id: UUID, shop: str) -> ShopStanding | None:
        sequence = self.sequences.get(shop)
        return None if sequence is None else ShopStanding(shop, 1, 1, sequence, 0)

    def heard(self, *_: Any) -> None:
        pass


def _asked(path: str, states: Standings, *messages: Any) -> Scope:
    caller = Caller(kind="client", organization_id=ORGANIZATION)
    reads = ShopsRead(ORGANIZATION, states)
    for message in messages:
        standing = states.of(ORGANIZATION, message.shop) if hasattr(message, "shop") else None
        reads.note(message, b"{}" if standing is None else ReadyJson.of(b"{}", standing), 0.0)
    return _scope(path, {"asker": Asker(None, caller, "request"), "shops_read": reads})  # type: ignore[arg-type]


def test_what_is_of_the_index_alone_is_kept_and_ends_with_its_state() -> None:
    where = Standings(main=1, other=1)
    answers = ReadyAnswers(where.of, 1_000_000)
    caller = Caller(kind="client", organization_id=ORGANIZATION, address="192.0.2.1")

    def found(path: str) -> bool:
        return answers.find(_scope(path), caller) is not None

    def keep(path: str, *messages: Any) -> bool:
        answers.keep(_asked(path, where, *messages), ReadyResponse(b"{}", "application/json"))
        return found(path)

    both = SearchOffers(shop="main"), GetOffer(shop="other", slug="a")
    assert keep("/both", *both)
    assert keep("/main", SearchOffers(shop="main"))
    assert not keep("/catalog", SearchOffers(shop="main"), ListCategories())
    assert not keep("/unread", SearchOffers(shop="unread"))
    assert not keep("/nothing")
    where.sequences["other"] = 2
    assert found("/main")
    assert not found("/both")
    where.sequences.pop("main")
    assert not found("/main")


def test_where_no_index_is_read_nothing_is_kept() -> None:
    reads = ShopsRead(ORGANIZATION, None)
    reads.note(SearchOffers(shop="main"), ReadyJson.of(b"{}", ShopStanding("main", 1, 1, 1, 0)), 0.0)
    assert reads.states is None


def test_an_answer_during_which_the_index_went_on_is_not_kept() -> None:
    where = Standings(main=1)
    reads = ShopsRead(ORGANIZATION, where)
    for sequence, is_kept in ((1, True), (1, True), (2, False), (1, False)):
        reads.note(SearchOffers(shop="main"), ReadyJson.of(b"{}", ShopStanding("main", 1, 1, sequence, 0)), 0.0)
        assert (reads.states is not None) is is_kept


def test_the_room_is_never_exceeded_and_what_was_asked_last_stays() -> None:
    where = Standings(main=1)
    answers = ReadyAnswers(where.of, 64_000)
    caller = Caller(kind="client", organization_id=ORGANIZATION)
    for number in range(100):
        asked = _asked(f"/{number}", where, SearchOffers(shop="main"))
        answers.keep(asked, ReadyResponse(b"x" * 2000, "application/json"))
        assert answers.find(_scope("/0"), caller) is not None
    kept = [number for number in range(100) if answers.find(_scope(f"/{number}"), caller) is not None]
    assert kept == [0, *range(80, 100)]
    answers.keep(_asked("/large", where, SearchOffers(shop="main")), ReadyResponse(b"x" * 4000, "text/plain"))
    assert answers.find(_scope("/large"), caller) is None


# --- asking


def _speaking(shop: Seller) -> dict[str, str]:
    assert shop.client is not None
    return shop.client.speaking_as(shop.caller)


async def _get(shop: Seller, path: str, parameters: Any = None, **headers: str) -> httpx.Response:
    assert shop.client is not None
    return await shop.client.get(path, params=parameters, headers=_speaking(shop) | headers)


async def _post(shop: Seller, body: Any) -> httpx.Response:
    assert shop.client is not None
    return await shop.client.post("/graphql", json=body, headers=_speaking(shop))
