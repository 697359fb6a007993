"""The loop of agents against a Crossdock that answers as the test says: size, patience, leases, faults, and the end."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from deploy.agent import running
from deploy.agent.relay import RelaySource
from deploy.agent.running import Agent, TokenRefused
from deploy.agent.source import NotNow, Source
from shared import clock

pytestmark = pytest.mark.feature("SYN-1", "SYN-10")
Item = dict[str, Any]


class Told(Source):
    """A system that does what the test says with each piece of work."""

    def __init__(self, work: Callable[[Mapping[str, Any]], Any]) -> None:
        self._work = work

    async def _done(self, asked: Mapping[str, Any]) -> Item:
        found = self._work(asked)
        answer: Item = await found if asyncio.iscoroutine(found) else found
        return answer

    async def hello(self) -> Item:
        return await self._done({})

    async def page(self, asked: Mapping[str, Any]) -> Item:
        return await self._done(asked)

    async def read(self, asked: Mapping[str, Any]) -> Item:
        return await self._done(asked)

    async def write(self, name: str, item: Mapping[str, Any]) -> Item:
        return await self._done(item)

    async def close(self) -> None: ...


class Crossdock:
    """Offers pieces of work one after the other, and ends the agent when all were answered."""

    def __init__(self, *work: Item, most_bytes: int = 1 << 20, before: tuple[int, ...] = ()) -> None:
        self.work, self.most_bytes = list(work), most_bytes
        # Statuses that are answered first, whatever is asked.
        self.before = list(before)
        self.stopping = asyncio.Event()
        self.results: list[Item] = []
        self.leases = 0
        self.said: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.before:
            return httpx.Response(self.before.pop(0), json={"detail": "So it is."})
        path = request.url.path
        if path.endswith("/lease"):
            self.leases += 1
        elif path.endswith("/result"):
            if len(request.content) > self.most_bytes:
                return httpx.Response(413, json={"code": "body_too_large"})
            self.results.append(json.loads(request.content))
        elif self.work:
            return httpx.Response(200, json={"connection_id": "c", "work": self.work.pop(0)})
        else:
            self.stopping.set()
            return httpx.Response(200, json={"connection_id": "c", "work": None})
        return httpx.Response(200, json={"is_wanted": True})

    async def serve(self, work: Callable[[Mapping[str, Any]], Any]) -> list[Item]:
        return await self.serve_by(Told(work))

    async def serve_by(self, source: Source) -> list[Item]:
        transport = httpx.MockTransport(self.answer)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://crossdock.test") as http,
            asyncio.timeout(60),
        ):
            await Agent(http, source, self.stopping, self.said.append).run()
        return self.results


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_FIRST_REST_SECONDS", 0.01)


def piece(kind: str, lease_seconds: float = 30, **asked: Any) -> Item:
    return {"id": "w", "kind": kind, "asked": asked, "lease_seconds": lease_seconds}


async def test_an_answer_that_is_too_large_is_brought_with_fewer_records() -> None:
    crossdock = Crossdock(piece("page", list="products", limit=64), most_bytes=1200)
    (result,) = await crossdock.serve(lambda asked: {"items": ["x" * 100] * asked["limit"], "next": "8"})
    assert len(result["answer"]["items"]) == 8
    crossdock = Crossdock(piece("page", list="products", limit=4), most_bytes=300)
    (result,) = await crossdock.serve(lambda asked: {"items": ["x" * 1000] * asked["limit"]})
    assert (result["failure"]["code"], "answer" in result) == ("refused", False)
    crossdock = Crossdock(piece("hello"), most_bytes=300)
    (result,) = await crossdock.serve(lambda asked: {"name": "x" * 1000})
    assert result["failure"]["code"] == "refused"


async def test_a_lease_is_kept_as_long_as_the_system_works() -> None:
    async def slow(_: Any) -> Item:
        while crossdock.leases < 3:
            await asyncio.sleep(0.01)
        return {"outcome": "ok"}

    crossdock = Crossdock(piece("write", 0.3, list="stock", item={"operation_key": "k"}))
    (result,) = await crossdock.serve(slow)
    assert (result["answer"], crossdock.leases >= 3) == ({"outcome": "ok"}, True)


async def test_whatever_the_system_throws_is_told_and_the_next_piece_is_another_chance() -> None:
    answers: list[Any] = [NotNow("It sleeps.", 7), RuntimeError("Boom."), {"items": []}]

    def work(_: Any) -> Item:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    crossdock = Crossdock(*[piece("read", list="stock", ids=["1"])] * 3, piece("dance"))
    first, second, third, fourth = await crossdock.serve(work)
    assert first["failure"] == {"code": "not_now", "message": "It sleeps.", "retry_after_seconds": 7}
    assert (second["failure"]["code"], second["failure"]["message"]) == ("unclear", "RuntimeError: Boom.")
    assert third["answer"] == {"items": []}
    assert (fourth["failure"]["code"], "older than Crossdock" in fourth["failure"]["message"]) == ("refused", True)
    assert all("now" in each for each in (first, second, third, fourth))


async def test_what_passes_is_waited_for_and_what_is_forgotten_is_let_go() -> None:
    passing = (503, 429, 500, 403, 404, 422)
    crossdock = Crossdock(piece("hello"), before=passing)
    assert len(await crossdock.serve(lambda _: {"name": "Quay"})) == 1
    assert sum("again in" in line for line in crossdock.said) == len(passing)

    def forget(_: Any) -> Item:
        crossdock.before = [502, 404]
        return {"name": "Quay"}

    crossdock = Crossdock(piece("hello"))
    assert await crossdock.serve(forget) == []
    assert any("no longer wants this" in line for line in crossdock.said)


async def test_a_token_that_holds_no_longer_ends_it() -> None:
    with pytest.raises(TokenRefused, match=r"So it is\."):
        await Crossdock(before=(401,)).serve(lambda _: {})

    def withdrawn(_: Any) -> Item:
        crossdock.before = [401]
        return {}

    crossdock = Crossdock(piece("hello"))
    with pytest.raises(TokenRefused):
        await crossdock.serve(withdrawn)


async def test_asked_to_end_it_brings_what_it_has_in_hand() -> None:
    async def ends(_: Any) -> Item:
        crossdock.stopping.set()
        await asyncio.sleep(0)
        return {"outcome": "ok"}

    crossdock = Crossdock(piece("write", list="stock", item={}), piece("hello"))
    (result,) = await crossdock.serve(ends)
    assert (result["answer"], len(crossdock.work)) == ({"outcome": "ok"}, 1)


async def test_the_time_of_a_server_behind_it_is_the_servers() -> None:
    """SYN-2: what changed is asked for by its clock; one that is lost in the years is not believed."""
    dates = ["Tue, 01 Dec 2026 02:00:00 GMT", "Wed, 01 Jan 2031 00:00:00 GMT", "none"]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"name": "Quay"}, headers={"Date": dates.pop(0)})

    source = RelaySource("http://erp.test", "x", transport=httpx.MockTransport(answer))
    crossdock = Crossdock(*[piece("hello")] * 3)
    with clock.replaced(lambda: datetime(2026, 12, 1, 1, tzinfo=UTC)):
        results = await crossdock.serve_by(source)
    assert [each["now"] for each in results] == ["2026-12-01T02:00:00+00:00"] * 3
