"""What a gateway knows of indexes that search reads elsewhere, and that it gives nothing that is contradicted by it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from deploy import topology
from gateway import standings
from gateway.standings import StandingsElsewhere
from shared.contracts.accounts.messages import CreateApiKey
from shared.contracts.search.standing import GetShopStandings, ShopStanding, StandingsOfShops
from shared.errors import Overloaded
from shared.settings import Settings
from tests.doors import eventually
from tests.factories.search import Seller
from tests.gateway.credentials import Business, bearer

pytestmark = pytest.mark.feature("SEA-2", "SEA-3", "GAT-7")

ORGANIZATION = UUID(int=7)
NOW = ShopStanding("shop", 3, 1, 100, 2)


class Search:
    """The bus, behind which search stands at the same point until it is told otherwise."""

    def __init__(self) -> None:
        self.standing: ShopStanding | None = NOW
        self.looks = 0
        self.is_silent = False

    async def ask(self, message: GetShopStandings, _envelope: Any) -> StandingsOfShops:
        self.looks += 1
        if self.is_silent:
            raise Overloaded("The queue is full.")
        return StandingsOfShops(standings=[self.standing for _ in message.shops])


@pytest.fixture
def search() -> Search:
    return Search()


@pytest.fixture
async def elsewhere(search: Search) -> AsyncIterator[StandingsElsewhere]:
    async with contextlib.aclosing(StandingsElsewhere(search)) as made:  # type: ignore[arg-type]
        yield made


def _time() -> float:
    return asyncio.get_running_loop().time()


async def test_what_was_heard_is_looked_at_again_for_as_long_as_it_is_asked_for(
    elsewhere: StandingsElsewhere, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert elsewhere.of(ORGANIZATION, "main") is None
    elsewhere.heard(ORGANIZATION, "main", NOW, _time())
    search.standing = further = NOW._replace(sequence=101)

    async def has_gone_on() -> bool:
        return elsewhere.of(ORGANIZATION, "main") == further

    await eventually(has_gone_on)
    assert elsewhere.of(UUID(int=8), "main") is None
    monkeypatch.setattr(standings, "_ASKED_FOR_SECONDS", 0.0)

    async def is_left_alone() -> bool:
        return elsewhere._watching is None or elsewhere._watching.done()

    await eventually(is_left_alone)
    assert elsewhere.of(ORGANIZATION, "main") is None


async def test_of_several_that_read_the_furthest_counts(elsewhere: StandingsElsewhere, search: Search) -> None:
    elsewhere.heard(ORGANIZATION, "main", NOW, _time())
    elsewhere.heard(ORGANIZATION, "main", NOW._replace(sequence=101, tuning=1), _time())
    # Neither is what one of them alone had: what was kept by either is not given.
    assert elsewhere.of(ORGANIZATION, "main") == NOW._replace(sequence=101)
    search.standing = NOW

    async def nobody_is_so_far() -> bool:
        return elsewhere.of(ORGANIZATION, "main") is None

    await eventually(nobody_is_so_far)
    search.standing = NOW._replace(sequence=101)

    async def all_are() -> bool:
        return elsewhere.of(ORGANIZATION, "main") == search.standing

    await eventually(all_are)


async def test_a_code_that_another_shop_took_over_is_believed_when_it_is_said_again(
    elsewhere: StandingsElsewhere, search: Search
) -> None:
    elsewhere.heard(ORGANIZATION, "main", NOW, _time())
    search.is_silent = True
    other = ShopStanding("another", 1, 1, 5, 0)
    elsewhere.heard(ORGANIZATION, "main", other, _time())
    assert elsewhere.of(ORGANIZATION, "main") is None
    elsewhere.heard(ORGANIZATION, "main", other, _time())
    assert elsewhere.of(ORGANIZATION, "main") == other


async def test_while_search_is_silent_nothing_is_known(elsewhere: StandingsElsewhere, search: Search) -> None:
    elsewhere.heard(ORGANIZATION, "main", NOW, _time())
    assert elsewhere.of(ORGANIZATION, "main") == NOW
    search.is_silent = True

    async def is_unknown() -> bool:
        return elsewhere.of(ORGANIZATION, "main") is None

    await eventually(is_unknown)
    search.is_silent = False

    async def is_known() -> bool:
        return elsewhere.of(ORGANIZATION, "main") == NOW

    await eventually(is_known)


# --- over Redis


class Doors(NamedTuple):
    gateway: FastAPI
    client: httpx.AsyncClient


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    goods = await seller.category("Goods")
    await seller.sell("Wool scarf", goods, price=1999)
    await seller.sells(1)
    await seller.settles()
    return seller


@pytest.fixture
async def doors(configuration: Settings, shop: Seller) -> AsyncIterator[Doors]:
    """A gateway that asks over Redis; accounts, and search twice, answering there."""
    stopping = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        work = []
        for name in ("accounts", "search", "search"):
            process = await stack.enter_async_context(
                topology.surrounded(answers_here=False, configuration=configuration)
            )
            work.append(asyncio.create_task(topology.answer_over_redis(topology.named(name)[0], process, stopping)))
        gateway = topology.gateway_application()
        transport = httpx.ASGITransport(app=gateway)
        async with (
            gateway.router.lifespan_context(gateway),
            httpx.AsyncClient(transport=transport, base_url="http://crossdock.test", timeout=60) as client,
        ):
            yield Doors(gateway, client)
        stopping.set()
        await asyncio.gather(*work)


async def test_a_gateway_keeps_what_search_answered_until_it_hears_of_more(
    doors: Doors, shop: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long an answer takes on a busy machine: what was kept ends by what is heard, not by time.
    monkeypatch.setattr(standings, "_BELIEVED_SECONDS", 3600.0)
    business = Business(shop.process, shop.organization_id, "", "")
    client_id, _ = await business.client("storefront")
    key = (await business.ask(CreateApiKey(client_id=client_id, name="window"))).key.reveal()
    asked: list[str] = []
    usual = doors.gateway.state.bus.ask

    async def noted(message: Any, envelope: Any) -> Any:
        asked.append(message.wire_name)
        return await usual(message, envelope)

    doors.gateway.state.bus.ask = noted
    query = {"query": '{ offers(shop: "main") { nodes { price { amount } } } }'}
    price = 1999

    async def amounts() -> tuple[int, int, int]:
        listed = await doors.client.get("/v1/shops/main/offers", headers=bearer(key))
        page = await doors.client.get("/v1/shops/main/offers/wool-scarf", headers=bearer(key))
        posted = await doors.client.post("/graphql", json=query, headers=bearer(key))
        return (
            listed.json()["items"][0]["price"]["amount"],
            page.json()["price"]["amount"],
            posted.json()["data"]["offers"]["nodes"][0]["price"]["amount"],
        )

    async def is_ready() -> bool:
        before = len([name for name in asked if name.startswith("search.")])
        assert await amounts() == (price, price, price)
        return len([name for name in asked if name.startswith("search.")]) == before

    await eventually(is_ready)
    price = 2100
    await shop.price({"WOOL-SCARF": price})

    async def has_gone_on() -> bool:
        return await amounts() == (price, price, price)

    await eventually(has_gone_on)
    await eventually(is_ready)
