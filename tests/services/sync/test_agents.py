"""Agents at the desk: who may come, what is given to whom, what becomes of lost, late, repeated and broken answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy import topology
from services.sync.errors import AnswerLost, AnswerNotUnderstood, CredentialsRefused, PlatformAway
from services.sync.platforms.agent.platform import Agent
from services.sync.platforms.base import Account, Scan, Session, ShipmentWrite, StockWrite
from services.sync.platforms.desk import Work
from services.sync.platforms.http import connected as connected_to
from services.sync.repository import desk
from services.sync.settings import sync_settings
from services.sync.use_cases import desks
from services.sync.use_cases.desks import AgentDesk, Desks, Patience
from shared import clock
from shared.bells import Bells
from shared.bus.envelope import service_envelope
from shared.identifiers import new_id
from shared.redis_connection import RedisAddress
from tests.doors import Client, eventually
from tests.factories.sync import Connected
from tests.fakes.agent import AgentShop, agent_http
from tests.platforms.conftest import Purse, put_products

pytestmark = pytest.mark.feature("SYN-1", "SYN-10")
SHORT = Patience(absent_seconds=1.0, busy_seconds=3.0, held_seconds=5.0)
_HELLO = {"protocol": 1, "name": "By hand", "can": ["read:products"]}


class Hand:
    """An agent that does what the test says, at the desk of a connection. Who asks it who it is, is told at once."""

    def __init__(self, http: httpx.AsyncClient, merchant: Connected | None = None) -> None:
        self.http, self.merchant = http, merchant
        self.greetings = 0

    async def take(self, wait_seconds: int = 0) -> dict[str, Any] | None:
        answer = await self.http.post("/v1/agent/work", params={"wait_seconds": wait_seconds})
        assert answer.status_code == 200, answer.text
        work: dict[str, Any] | None = answer.json()["work"]
        if work is not None and work["kind"] == "hello":
            assert work["asked"] == {}
            await self.answer(work, {"answer": _HELLO})
            self.greetings += 1
            return None
        return work

    async def taken(self) -> dict[str, Any]:
        """A piece of work, as soon as there is one."""
        found = await eventually(self.take, 60)
        assert found is not None
        return found

    async def keep(self, work: dict[str, Any], *, is_wanted: bool) -> None:
        """Be at it for longer than a lease, and say so: nothing else is given meanwhile."""
        over = clock.now() + 1.5 * sync_settings().agent_lease
        while clock.now() < over:
            answer = await self.http.post(f"/v1/agent/work/{work['id']}/lease")
            assert (answer.json(), await self.take()) == ({"is_wanted": is_wanted}, None)

    async def answer(self, work: dict[str, Any], content: Any, *, status: int = 200) -> Any:
        path = f"/v1/agent/work/{work['id']}/result"
        given = {"content": content} if isinstance(content, bytes) else {"json": content}
        answer = await self.http.post(path, **given)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def merchant_with_shop(process: topology.Surrounded, client: Client) -> Connected:
    """A merchant who has connected nothing yet."""
    merchant = Connected(process, client, AgentShop())
    await merchant.open_shop(currency="EUR")
    return merchant


@pytest.fixture
async def made(merchant_with_shop: Connected) -> dict[str, Any]:
    connection: dict[str, Any] = await merchant_with_shop.post(
        "/v1/connections", merchant_with_shop.draft(), status=201
    )
    return connection


@pytest.fixture
async def hand(client: Client, merchant_with_shop: Connected, made: dict[str, Any]) -> AsyncIterator[Hand]:
    async with agent_http(client, made["agent_token"]) as http:
        yield Hand(http, merchant_with_shop)


@pytest.fixture
def asking(process: topology.Surrounded, merchant_with_shop: Connected, made: dict[str, Any]) -> AgentDesk:
    """Whoever asks something of the connection's agents, and has little patience."""
    known = process.surroundings.resident(Desks)
    return AgentDesk(known, merchant_with_shop.organization_id, made["id"], SHORT)


async def greeted(hand: Hand) -> None:
    """An agent is asked who it is by itself when it comes for the first time."""

    async def is_done() -> bool:
        assert hand.merchant is not None
        return await hand.take() is None and hand.greetings > 0 and await hand.merchant.waiting_tasks() == 0

    await eventually(is_done, 20)


# --- who may come


@pytest.mark.feature("SYN-9")
async def test_a_token_is_shown_once_and_replaced_by_another(
    merchant_with_shop: Connected, made: dict[str, Any], hand: Hand, client: Client, process: topology.Surrounded
) -> None:
    """It is nowhere to be read, neither at the doors nor in the database; a new one ends it at once."""
    token, path = made["agent_token"], f"/v1/connections/{made['id']}"
    assert (made["mode"], made["greeting"], made["checked_at"]) == ("test", None, None)
    assert token.startswith("cda_")
    assert (await merchant_with_shop.get(path))["agent_token"] is None
    uow = process.surroundings.unit_of_work("sync", service_envelope("sync", merchant_with_shop.organization_id))
    rows = [*await uow.fetch("SELECT * FROM agents"), *await uow.fetch("SELECT * FROM connections")]
    await uow.rollback()
    assert token not in str([dict(row) for row in rows])
    checklist = {each["code"]: each["is_met"] for each in (await merchant_with_shop.get(f"{path}/checklist"))["items"]}
    assert not checklist["credentials"]

    await greeted(hand)
    issued = await merchant_with_shop.post(f"{path}/agent-token")
    refused = await hand.http.post("/v1/agent/work")
    assert (refused.status_code, refused.json()["code"]) == (401, "agent_not_known")
    async with agent_http(client, issued["token"]) as http:
        assert await Hand(http).take() is None
    found = await eventually(lambda: merchant_with_shop.get(path))
    assert found["greeting"]["shop_name"] == "By hand"
    assert found["greeting"]["missing"], "it was made for more than this agent can"


async def test_nobody_else_comes_to_the_desk(
    merchant_with_shop: Connected, hand: Hand, asking: AgentDesk, client: Client, process: topology.Surrounded
) -> None:
    other = Connected(process, client, AgentShop())
    await other.open_shop(currency="EUR")
    theirs = await other.post("/v1/connections", other.draft(), status=201)
    beside = await merchant_with_shop.post("/v1/connections", merchant_with_shop.draft(), status=201)
    await greeted(hand)
    waiting = asyncio.create_task(asking.ask([Work("page", {"list": "stock"})]))
    work = await hand.taken()
    for token in (theirs["agent_token"], beside["agent_token"]):
        async with agent_http(client, token) as http:
            stranger = Hand(http)
            assert await stranger.take() is None
            answer = await stranger.answer(work, {"answer": {}}, status=404)
            assert answer["code"] == "work_not_found"
            assert (await http.post(f"/v1/agent/work/{work['id']}/lease")).status_code == 404
    for token in ("cda_unknown", "cdk_key", "", "x" * 5000):
        async with agent_http(client, token) as http:
            assert (await http.post("/v1/agent/work")).status_code == 401
            assert (await http.post(f"/v1/agent/work/{work['id']}/result", content=b"{}")).status_code == 401
            assert (await http.get("/v1/products")).status_code == 401
    assert (await hand.http.get("/v1/products")).status_code == 401
    await hand.answer(work, {"answer": {"items": []}})
    assert [answer is not None for answer in await waiting] == [True]


async def test_only_what_comes_to_us_has_a_token(merchant_with_shop: Connected, made: dict[str, Any]) -> None:
    answer = await merchant_with_shop.client.post(
        f"/v1/connections/{uuid4()}/agent-token", headers=merchant_with_shop.headers
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "connection_not_found")
    wrong = merchant_with_shop.draft() | {"credentials": {"token": "mine"}}
    answer = await merchant_with_shop.client.post("/v1/connections", json=wrong, headers=merchant_with_shop.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_credentials")
    wrong = merchant_with_shop.draft() | {"settings": {"platform": {"rights": ["read:minds"]}}}
    answer = await merchant_with_shop.client.post("/v1/connections", json=wrong, headers=merchant_with_shop.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_connection_settings")


# --- what is given to whom


async def test_work_that_is_not_answered_in_time_is_given_again(
    hand: Hand, asking: AgentDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took it first may still answer; a second answer, and one to what is over, change nothing."""
    await greeted(hand)
    monkeypatch.setattr(sync_settings(), "agent_lease", timedelta(seconds=0.6))
    waiting = asyncio.create_task(asking.ask([Work("write", {"n": 1}), Work("write", {"n": 2})]))
    first = await hand.taken()
    assert (first["asked"], await hand.take()) == ({"n": 1}, None), "of writes one is in hand at a time"
    again = await hand.taken()
    assert again["id"] == first["id"]
    assert (await hand.answer(first, {"answer": 1}))["is_wanted"]
    assert not (await hand.answer(again, {"answer": 2}))["is_wanted"]
    second = await hand.taken()
    await hand.keep(second, is_wanted=True)
    assert (await hand.answer(second, {"answer": 3}))["is_wanted"]
    assert await waiting == [b'{"answer":1}', b'{"answer":3}']
    assert not (await hand.answer(second, {"answer": 4}))["is_wanted"]
    assert (await hand.http.post(f"/v1/agent/work/{second['id']}/lease")).json() == {"is_wanted": False}


async def test_a_write_that_nobody_waits_for_is_in_hand_as_long_as_its_agent_says(
    hand: Hand, asking: AgentDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await greeted(hand)
    monkeypatch.setattr(sync_settings(), "agent_lease", timedelta(seconds=0.6))
    given_up = asyncio.create_task(asking.ask([Work("write", {"n": 1})]))
    first = await hand.taken()
    given_up.cancel()
    await asyncio.wait((given_up,))
    waiting = asyncio.create_task(asking.ask([Work("write", {"n": 2})]))
    await hand.keep(first, is_wanted=False)
    assert not (await hand.answer(first, {"answer": 1}))["is_wanted"]
    second = await hand.taken()
    assert second["asked"] == {"n": 2}
    await hand.answer(second, {"answer": 2})
    assert await waiting == [b'{"answer":2}']


async def test_two_agents_of_one_connection_share_the_work(hand: Hand, asking: AgentDesk) -> None:
    await greeted(hand)
    asked = [Work("page", {"n": n}) for n in range(20)]
    waiting = asyncio.create_task(asking.ask(asked))
    taken: list[int] = []

    async def work() -> None:
        while len(taken) < len(asked):
            if (piece := await hand.take()) is not None:
                taken.append(piece["asked"]["n"])
                await hand.answer(piece, {"answer": piece["asked"]["n"]})

    await asyncio.gather(work(), work())
    assert sorted(taken) == list(range(20))
    assert await waiting == [b'{"answer":%d}' % n for n in range(20)]


@pytest.mark.feature("SYN-3")
async def test_a_connection_that_rests_gives_nothing_but_greetings(
    merchant_with_shop: Connected, made: dict[str, Any], hand: Hand, asking: AgentDesk
) -> None:
    await greeted(hand)
    path = f"/v1/connections/{made['id']}"
    await merchant_with_shop.post(f"{path}/pause")
    with pytest.raises(PlatformAway, match="paused"):
        await asking.ask([Work("page", {"list": "stock"})])
    testing = asyncio.create_task(merchant_with_shop.post(f"{path}/test"))
    while not testing.done():
        assert await hand.take(1) is None
    assert (await testing)["greeting"]["shop_name"] == "By hand"


async def test_an_agent_is_woken_and_what_nobody_waits_for_is_not_given(hand: Hand, asking: AgentDesk) -> None:
    await greeted(hand)
    polling = asyncio.create_task(hand.take(20))
    waiting = asyncio.create_task(asking.ask([Work("page", {"list": "stock"})]))
    async with asyncio.timeout(18):
        work = await polling
    assert work is not None
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not (await hand.answer(work, {"answer": {}}))["is_wanted"]
    waiting = asyncio.create_task(asking.ask([Work("page", {"list": "stock"})]))
    with pytest.raises(PlatformAway, match="other things"):
        await waiting
    assert await hand.take() is None


async def test_without_redis_nobody_is_woken_and_nobody_breaks() -> None:
    bells = Bells(RedisAddress("redis://127.0.0.1:1/0"))
    await bells.ring("work", "x")
    bells.ring_soon("work", "x")
    async with asyncio.timeout(60):
        await bells.wait(0.1, "work", "x")
    await bells.aclose()


# --- what is brought


@pytest.fixture
async def session(asking: AgentDesk, hand: Hand) -> AsyncIterator[Session]:
    await greeted(hand)
    async with connected_to("", Purse()) as http:
        yield Agent().session(Account({"page_size": 100}, {}, desk=asking), http)


GARBAGE = [
    b"",
    b"\xff\xfe\x00",
    b"<!DOCTYPE html><html></html>",
    b"[" * 100_000,
    b'{"answer": {"items": [',
    b"{}",
    b'{"answer": null}',
    b'{"answer": {"items": "all"}}',
    b'{"answer": {"items": []}, "failure": {"code": "refused", "message": "both"}}',
    b'{"failure": {"code": "tired", "message": "?"}}',
    b'{"failure": {"code": "not_now", "message": "", "retry_after_seconds": -1}}',
    b'{"answer": {"items": []}, "now": "yesterday"}',
]


async def test_an_answer_of_garbage_is_an_error_and_never_an_empty_page(session: Session, hand: Hand) -> None:
    for garbage in GARBAGE:
        asked = asyncio.create_task(session.page(Scan("product")))
        await hand.answer(await hand.taken(), garbage)
        with pytest.raises(AnswerNotUnderstood):
            await asked
    writing = asyncio.create_task(session.write_stock([StockWrite("k1", "main/A", "A", "main", 1)]))
    await hand.answer(await hand.taken(), b'{"answer": {"outcome": "splendid"}}')
    assert [written.outcome for written in await writing] == ["retry"]


async def test_an_answer_of_50_mb_is_refused_before_it_is_read(session: Session, hand: Hand) -> None:
    asked = asyncio.create_task(session.page(Scan("product")))
    work = await hand.taken()
    refused = await hand.answer(work, b"[" + b" " * 50_000_000 + b"]", status=413)
    assert refused["code"] == "body_too_large"
    await hand.answer(work, {"answer": {"items": [], "next": None}})
    assert list((await asked).records) == []


async def test_of_writes_each_is_told_by_itself(session: Session, hand: Hand) -> None:
    """Also when nobody knows what came of some: they are tried again with the same keys, and the others are done."""
    writes = [StockWrite(f"k{n}", f"main/{n}", str(n), "main", n, 0) for n in range(4)]
    writing = asyncio.create_task(session.write_stock(writes))
    failure = {"code": "refused", "message": "The warehouse burned down."}
    for content in ({"answer": {"outcome": "ok", "id": "main/0"}}, {"failure": failure}, b"?"):
        await hand.answer(await hand.taken(), content)
    lost = await hand.taken()
    assert lost["asked"]["item"]["operation_key"] == "k3"
    written = await writing
    assert [each.outcome for each in written] == ["ok", "person", "retry", "retry"]
    assert written[1].message == "The warehouse burned down."
    with pytest.raises(PlatformAway):
        # The write that nobody answered is still in somebody's hands.
        await session.write_stock(writes[3:])


async def test_a_shipment_that_has_to_wait_does_not_keep_others_from_being_told(session: Session, hand: Hand) -> None:
    """They are told one by one: one that is not taken now is no platform that is away; a refused agent is no retry."""
    shipment = ShipmentWrite("s1", "5001", [("A", 1)], None, ["T"], None)
    telling = asyncio.create_task(session.confirm_shipments([shipment]))
    await hand.answer(await hand.taken(), _failure("not_now", "The order is locked."))
    (written,) = await telling
    assert (written.outcome, written.message, written.retry_after_seconds) == ("retry", "The order is locked.", 5)
    telling = asyncio.create_task(session.confirm_shipments([shipment]))
    await hand.answer(await hand.taken(), _failure("no_access", "Not for you."))
    with pytest.raises(CredentialsRefused, match="Not for you"):
        await telling


def _failure(code: str, message: str) -> dict[str, Any]:
    return {"failure": {"code": code, "message": message, "retry_after_seconds": 5}}


async def test_a_page_that_is_taken_and_never_answered_is_lost(session: Session, hand: Hand) -> None:
    asked = asyncio.create_task(session.page(Scan("stock")))
    await hand.taken()
    with pytest.raises(AnswerLost):
        await asked


async def test_a_clock_that_is_lost_in_the_years_is_not_believed() -> None:
    """SYN-2: else the next page would begin years from now, and no change be found until then."""

    class OfTime:
        now = (clock.now() + timedelta(hours=1)).isoformat()

        async def ask(self, work: Sequence[Work]) -> list[bytes | None]:
            return [b'{"now": "%s", "answer": {"items": []}}' % self.now.encode()]

    async with connected_to("", Purse()) as http:
        desk = OfTime()
        session = Agent().session(Account({}, {}, desk=desk), http)
        lost = ("2031-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00")
        for told in (desk.now, *lost):
            desk.now = told
            await session.page(Scan("product"))
            assert abs(http.ahead - timedelta(hours=1)) < timedelta(minutes=1)


# --- an agent that is away


@pytest.mark.feature("SYN-11")
async def test_a_feed_waits_for_its_agent_without_a_worker_and_goes_on_when_it_comes(
    process: topology.Surrounded, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "PATIENCE", Patience(0.2, 5, 5))
    monkeypatch.setattr(desk, "PRESENT", timedelta(0))
    fake = AgentShop()
    await fake.start()
    merchant = Connected(process, client, fake)
    try:
        await merchant.open()
        put_products(fake, 3)
        await fake.rest()
        feed = merchant.feeds["import_products"]["id"]
        started = await merchant.post(f"/v1/feeds/{feed}/run", status=202)

        async def rests() -> bool:
            """And will for an hour, unless it is woken."""
            uow = process.surroundings.unit_of_work("sync", merchant.inside("sync"))
            told = await uow.execute(
                "UPDATE jobs SET lease_until = now() + interval '1 hour' WHERE id = $1 AND run_id IS NULL"
                " AND replace(checkpoint::text, ' ', '') LIKE '%\"retries\":3%'",
                started["id"],
            )
            await uow.commit()
            return bool(told == "UPDATE 1")

        await eventually(rests, 120)
        (issue,) = await merchant.issues()
        assert (issue["issue_class"], issue["code"]) == ("retry", "platform_away")
        assert "last here" in issue["remote_message"]
        monkeypatch.setattr(desk, "PRESENT", timedelta(seconds=60))
        uow = process.surroundings.unit_of_work("sync", merchant.inside("sync"))
        await uow.execute("UPDATE agents SET seen_at = now() - interval '1 hour'")
        await uow.commit()
        fake.send_agent(client, await new_token(merchant))
        done = await merchant.ended(started["id"], 120)
        assert (done["state"], done["counters"]["scanned"]) == ("succeeded", 3)
        assert "platform_away" not in {each["code"] for each in await merchant.issues()}
    finally:
        await fake.stop()


async def new_token(merchant: Connected) -> str:
    token: str = (await merchant.post(f"/v1/connections/{merchant.id}/agent-token"))["token"]
    return token


async def test_what_is_over_is_dropped_after_an_hour(
    process: topology.Surrounded, merchant_with_shop: Connected, hand: Hand, asking: AgentDesk
) -> None:
    await greeted(hand)
    with pytest.raises(PlatformAway):
        await asking.ask([Work("page", {})])
    envelope = service_envelope("sync", merchant_with_shop.organization_id)
    uow = process.surroundings.unit_of_work("sync", envelope)
    await uow.execute("UPDATE desk SET created_at = created_at - interval '2 hours' WHERE kind = 'page'")
    await uow.commit()
    across = process.surroundings.unit_of_work("sync", service_envelope("sync", new_id()), across_tenants=True)
    assert await desk.drop_old(across, timedelta(hours=1), 5000) >= 1
    await across.commit()
    uow = process.surroundings.unit_of_work("sync", envelope)
    left = {row["kind"] for row in await uow.fetch("SELECT kind FROM desk")}
    await uow.rollback()
    assert left == {"hello"}
