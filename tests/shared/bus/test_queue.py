"""A queue takes what can be answered in time, and no more; it forgets its judgement with what it was made of."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy import topology
from shared.bus import queue
from shared.bus.answering import Surroundings
from shared.bus.envelope import service_envelope
from shared.bus.queue import RequestQueues, Standing
from shared.bus.redis import RedisAnswering, RedisBus
from shared.contracts.base import Query, Shape
from shared.errors import CrossdockError, Overloaded
from shared.identifiers import new_id
from shared.redis_connection import RedisAddress
from shared.service import Service, answers
from shared.unit_of_work import UnitOfWork
from tests.waiting import until

pytestmark = pytest.mark.feature("GAT-6")


class Echo(Shape):
    word: str


class Call(Query[Echo]):
    service = "catalog"
    word: str = "hallo"


@answers(Call, internal=True)
async def call(message: Call, uow: UnitOfWork) -> Echo:
    return Echo(word=message.word)


@pytest.fixture
def address(process: topology.Surrounded) -> RedisAddress:
    """Names of this test's own."""
    return RedisAddress(process.address.url, f"{process.address.prefix}:{new_id().hex}")


@pytest.fixture
async def redis(address: RedisAddress) -> AsyncIterator[Any]:
    client = address.connect()
    yield client
    await client.aclose()


@pytest.fixture
def queues(redis: Any, address: RedisAddress) -> RequestQueues:
    return RequestQueues(redis, address)


async def _set_pace(redis: Any, address: RedisAddress, *, taken: float, since: float, count: int) -> None:
    """As if so much had been taken since so many seconds ago, the last of it `taken` seconds ago."""
    seconds, micros = await redis.time()
    now = seconds + micros / 1e6
    await redis.set(address.pace("catalog"), f"{now - taken:.6f} {now - since:.6f} {count}")


async def _push(queues: RequestQueues, count: int, seconds: float = 10.0, bound: int = 1000) -> list[Overloaded]:
    return [refusal for _, refusal in await queues.push("catalog", [(b"x", seconds)] * count, bound=bound)]


async def test_what_waits_is_taken_in_order_and_once(queues: RequestQueues) -> None:
    assert await queues.push("catalog", [(bytes([n]), 10.0) for n in range(5)], bound=1000) == []
    assert await queues.take("catalog", 3) == [b"\0", b"\1", b"\2"]
    assert await queues.take("catalog", 3) == [b"\3", b"\4"]
    assert await queues.take("catalog", 3) == []


async def test_the_bound_is_never_exceeded(queues: RequestQueues) -> None:
    [refusal] = await _push(queues, 4, bound=3)
    assert "3 requests waiting" in refusal.detail
    assert (await queues.standing(["catalog"]))["catalog"].waiting == 3


async def test_what_cannot_be_answered_in_time_is_refused_at_once(
    queues: RequestQueues, redis: Any, address: RedisAddress
) -> None:
    assert await _push(queues, 30, 60.0) == []
    # Two a second: thirty are fifteen seconds of work.
    await _set_pace(redis, address, taken=0.1, since=5, count=10)
    patient, hurried, last = (b"patient", 60.0), (b"hurried", 10.0), (b"last", 60.0)
    [(index, refusal)] = await queues.push("catalog", [patient, hurried, last], bound=1000)
    assert (index, refusal.status, refusal.code) == (1, 503, "overloaded")
    assert "in time" in refusal.detail
    assert 14 <= (refusal.retry_after_seconds or 0) <= 17
    assert (await queues.take("catalog", 100))[-2:] == [b"patient", b"last"]


async def test_a_burst_alone_says_nothing_of_the_pace(queues: RequestQueues, redis: Any, address: RedisAddress) -> None:
    await _push(queues, 100)
    await _set_pace(redis, address, taken=0, since=0.5, count=1)
    assert await _push(queues, 1) == []


async def test_a_queue_nobody_takes_from_refuses_until_somebody_does(
    queues: RequestQueues, redis: Any, address: RedisAddress
) -> None:
    await _push(queues, 100)
    await _set_pace(redis, address, taken=queue.SILENT_SECONDS, since=60, count=1000)
    [refusal] = await _push(queues, 1, 1000.0)
    assert "'catalog' has taken no request for 3 s" in refusal.detail
    assert refusal.retry_after_seconds
    standing = (await queues.standing(["catalog", "orders"]))["catalog"]
    assert (standing.waiting, standing.silent_seconds >= queue.SILENT_SECONDS) == (100, True)
    assert len(await queues.take("catalog", 64)) == 64
    # The silence does not count against whoever woke up.
    assert await _push(queues, 1, 1.0) == []


async def test_an_empty_queue_knows_no_grudge(queues: RequestQueues, redis: Any, address: RedisAddress) -> None:
    await _push(queues, 1)
    await queues.take("catalog", 1)
    await _set_pace(redis, address, taken=3600, since=3600, count=1)
    assert (await queues.standing(["catalog"]))["catalog"] == Standing(0, 0.0)
    assert await _push(queues, 50) == []
    assert await _push(queues, 50) == []


async def test_a_service_that_wakes_up_is_asked_again(
    process: topology.Surrounded, address: RedisAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "SILENT_SECONDS", 0.2)
    envelope = service_envelope("orders", new_id())
    bus = RedisBus(address)
    first = asyncio.create_task(bus.ask(Call(word="first"), envelope))

    async def is_refused() -> bool:
        asked = asyncio.create_task(bus.ask(Call(), envelope))
        await asyncio.wait([asked], timeout=0.1)
        return asked.done() and isinstance(asked.exception(), Overloaded)

    await until(is_refused)
    service = Service("catalog", sys.modules[__name__])
    answering = RedisAnswering(service, Surroundings(process.database, bus.ask, process.relay), address)
    serving = asyncio.create_task(answering.run())
    assert await first == Echo(word="first")
    assert await bus.ask(Call(word="again"), envelope) == Echo(word="again")
    answering.stop()
    await serving
    await bus.close()


@pytest.mark.feature("GAT-7")
async def test_a_redis_that_answers_late_costs_one_connection_for_each_service(
    process: topology.Surrounded, address: RedisAddress, redis: Any
) -> None:
    bus = RedisBus(address)
    before = len(await redis.client_list())
    await redis.client_pause(1000)
    asked = []
    for _ in range(50):
        asked.append(asyncio.create_task(bus.ask(Call(), service_envelope("orders", new_id()))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    # One sends, one waits for replies.
    await until(lambda: redis.llen(address.requests("catalog")))
    assert len(await redis.client_list()) - before <= 2
    await until(lambda: _is(redis.llen(address.requests("catalog")), 50))
    await bus.close()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert {error.code for error in told if isinstance(error, CrossdockError)} == {"deadline_exceeded"}
    assert len(told) == 50


async def _is(counted: Any, expected: int) -> bool:
    return bool(await counted == expected)
