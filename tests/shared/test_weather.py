"""What goes wrong around the work, not in it: connections die, servers fall silent, frames cannot be read."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from deploy import topology
from shared import jobs, platform_answers, redis_connection
from shared.backlog import Backlogs, FallsBehind
from shared.bus.answering import Surroundings, translated
from shared.bus.envelope import service_envelope
from shared.bus.local import LocalBus
from shared.bus.redis import RedisAnswering, RedisBus
from shared.contracts.base import Query, Shape
from shared.contracts.platform.events import AlertCleared
from shared.database import POSTGRES_AWAY, Database
from shared.errors import CrossdockError, DeadlineExceeded, Unavailable
from shared.identifiers import new_id
from shared.jobs import JobRunner, RunningJob
from shared.messaging import relay as relay_module
from shared.messaging import sweeping
from shared.messaging.outbox import Announcement, SentEvent
from shared.messaging.relay import Relay
from shared.messaging.worker import Worker
from shared.redis_connection import RedisAddress
from shared.service import Service, answers, runs
from shared.unit_of_work import UnitOfWork
from tests.waiting import until

pytestmark = pytest.mark.feature("GAT-7")


class Weather(Shape):
    outlook: str


class AskWeather(Query[Weather]):
    service = "catalog"


class AskNonsense(Query[Weather]):
    """Answered with something that is no weather."""

    service = "catalog"


@answers(AskWeather, internal=True)
async def answer_weather(message: AskWeather, uow: UnitOfWork) -> Weather:
    return Weather(outlook="fair")


@answers(AskNonsense, internal=True)
async def answer_nonsense(message: AskNonsense, uow: UnitOfWork) -> Any:
    return object()


obstacles: list[CrossdockError] = []


@runs("hindered")
async def run_hindered(job: RunningJob) -> None:
    if obstacles:
        raise obstacles.pop()
    async with job.step():
        job.done = 1


def _service() -> Service:
    return Service("catalog", platform_answers, sys.modules[__name__])


def _unit_of_work(process: topology.Surrounded, organization_id: UUID) -> UnitOfWork:
    return process.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))


@asynccontextmanager
async def _administration() -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    try:
        yield connection
    finally:
        await connection.close()


async def _write(uow: UnitOfWork, action: str) -> None:
    await uow.execute(
        "INSERT INTO audit_entries (organization_id, id, actor, action, subject_kind, subject_id)"
        " VALUES ($1, $2, '{}', $3, '', '')",
        uow.organization_id,
        new_id(),
        action,
    )


# --- transactions


async def test_a_transaction_whose_connection_died_is_undone_without_a_word(process: topology.Surrounded) -> None:
    uow = _unit_of_work(process, new_id())
    own = await uow.fetchval("SELECT pg_backend_pid()")
    async with _administration() as connection:
        await connection.execute("SELECT pg_terminate_backend($1)", own)
    with pytest.raises(POSTGRES_AWAY) as lost:
        await uow.fetchval("SELECT pg_sleep(5)")
    await uow.rollback()
    assert translated(lost.value, "test", "1").code == "database_unavailable"
    assert not uow.is_open
    assert await _count(process, new_id()) == 0


async def test_who_stands_still_in_a_transaction_loses_its_locks_and_hears_that_the_database_went_away(
    process: topology.Surrounded,
) -> None:
    uow = _unit_of_work(process, new_id())
    own = await uow.fetchval("SELECT pg_backend_pid()")
    for setting, expected in (("idle_in_transaction_session_timeout", "1min"), ("tcp_keepalives_idle", "30")):
        assert await uow.fetchval("SELECT current_setting($1)", setting) == expected
    await uow.execute("SELECT pg_advisory_xact_lock(4711)")
    await uow.execute("SET LOCAL idle_in_transaction_session_timeout = '10ms'")
    async with _administration() as connection:

        async def is_gone() -> bool:
            alive = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", own)
            return bool(alive == 0)

        await until(is_gone)
        assert await connection.fetchval("SELECT pg_try_advisory_lock(4711)")
    with pytest.raises(POSTGRES_AWAY) as lost:
        await uow.fetchval("SELECT 1")
    await uow.rollback()
    assert translated(lost.value, "test", "1").code == "database_unavailable"


async def test_an_outer_savepoint_goes_back_behind_an_inner_one_that_failed(process: topology.Surrounded) -> None:
    organization_id = new_id()
    uow = _unit_of_work(process, organization_id)
    await _write(uow, "before")
    with pytest.raises(ValueError, match="outer"):
        async with uow.savepoint():
            await _write(uow, "outer")
            with suppress(KeyError):
                async with uow.savepoint():
                    await _write(uow, "inner")
                    raise KeyError
            raise ValueError("outer")
    await uow.commit()
    assert await _count(process, organization_id) == 1


async def _count(process: topology.Surrounded, organization_id: UUID) -> int:
    uow = _unit_of_work(process, organization_id)
    counted: int = await uow.fetchval("SELECT count(*) FROM audit_entries")
    await uow.rollback()
    return counted


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
        asyncpg.IdleInTransactionSessionTimeoutError("terminating connection due to idle-in-transaction timeout"),
        asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
        TimeoutError(),
    ],
)
def test_a_database_that_cannot_now_is_unavailable_and_no_defect(error: Exception) -> None:
    assert (translated(error, "test", "1").status, translated(error, "test", "1").code) == (503, "database_unavailable")


# --- jobs


@pytest.fixture
async def job_id(process: topology.Surrounded, organization_id: UUID) -> UUID:
    uow = _unit_of_work(process, organization_id)
    job = await jobs.create(uow, "hindered", {})
    await uow.commit()
    obstacles.clear()
    return job.id


@pytest.fixture
def organization_id() -> UUID:
    return new_id()


async def test_a_lease_that_is_being_renewed_when_the_job_ends_gives_its_connection_back(
    process: topology.Surrounded, organization_id: UUID, job_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.connect(process.settings.database_url.get_secret_value(), max_connections=2)
    surroundings = Surroundings(database, process.bus.ask, process.relay)
    job = await JobRunner(_service(), surroundings)._take(organization_id, job_id)
    assert job is not None
    monkeypatch.setattr(jobs, "LEASE_SECONDS", 0.03)
    async with _administration() as connection, connection.transaction():
        await connection.execute("SELECT FROM catalog.jobs WHERE id = $1 FOR UPDATE", job_id)
        keeping = asyncio.create_task(job.keep_lease())
        await until(lambda: connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
    for held in [await database.acquire(timeout_seconds=5) for _ in range(2)]:
        await database.release(held)
    await database.close()


@pytest.mark.parametrize(
    ("obstacle", "times"), [(lambda: Unavailable("away"), 25), (lambda: DeadlineExceeded("slow"), 3)]
)
async def test_a_job_outlasts_those_it_needs(
    process: topology.Surrounded,
    organization_id: UUID,
    job_id: UUID,
    obstacle: Callable[[], CrossdockError],
    times: int,
) -> None:
    obstacles.extend(obstacle() for _ in range(times))
    runner = JobRunner(_service(), process.surroundings)
    for _ in range(times + 1):
        await runner._run(organization_id, job_id)
        async with _administration() as connection:
            await connection.execute("UPDATE catalog.jobs SET lease_until = now() - interval '1 second'")
    uow = _unit_of_work(process, organization_id)
    job = await jobs.get(uow, job_id)
    await uow.rollback()
    assert (job.state, job.error) == ("succeeded", None)


# --- loops and queues


async def test_a_loop_that_is_cancelled_from_within_goes_on_until_it_is_ended(process: topology.Surrounded) -> None:
    worker = Worker(_service(), process.surroundings, process.relay, process.address)
    begun: asyncio.Queue[int] = asyncio.Queue()

    async def loop() -> None:
        begun.put_nowait(1)
        # As arq's end does it: waiting for a job of its own that was cancelled before it was under way.
        job = asyncio.create_task(asyncio.Event().wait())
        job.cancel()
        await asyncio.gather(job)

    keeping = asyncio.create_task(worker._forever("queue", loop))
    async with asyncio.timeout(60):
        for _ in range(3):
            await begun.get()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_a_server_that_falls_silent_is_not_waited_for_for_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "_BLOCKING_PATIENCE_SECONDS", 0.2)
    silence = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silence.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = RedisAddress(f"redis://127.0.0.1:{port}/0").connect(blocking=True)
    with pytest.raises(RedisTimeoutError):
        async with asyncio.timeout(60):
            await client.blpop(["nothing"], timeout=1)
    silence.set()
    await client.aclose()
    server.close()


@pytest.fixture
async def bus(process: topology.Surrounded) -> AsyncIterator[RedisBus]:
    over_redis = RedisBus(process.address)
    answering = RedisAnswering(_service(), process.surroundings, process.address)
    serving = asyncio.create_task(answering.run())
    yield over_redis
    answering.stop()
    await serving
    await over_redis.close()


async def test_a_frame_nobody_can_read_ends_nobody(bus: RedisBus, process: topology.Surrounded) -> None:
    redis = process.address.connect()
    await redis.rpush(process.address.requests("catalog"), b"\xc1 of another version", b"")
    assert await bus.ask(AskWeather(), service_envelope("orders", new_id())) == Weather(outlook="fair")
    await redis.aclose()


async def test_an_answer_that_cannot_be_written_is_a_defect_told_at_once(bus: RedisBus) -> None:
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(AskNonsense(), service_envelope("orders", new_id(), timeout_seconds=20))
    assert refused.value.code == "internal_error"


async def test_a_process_whose_answering_ends_ends_too(
    process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_answering: RedisAnswering) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(RedisAnswering, "run", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        async with asyncio.timeout(60):
            await topology.answer_over_redis(_service(), process, asyncio.Event())


# --- what piles up


async def test_old_arrivals_are_forgotten_however_many(
    process: topology.Surrounded, organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_ARRIVALS_AT_ONCE", 2)
    bus = LocalBus({"catalog": _service()})
    surroundings = Surroundings(process.database, bus.ask, process.relay)
    bus.surrounded_by(surroundings)
    worker = Worker(_service(), surroundings, process.relay, process.address)
    async with _administration() as connection:
        await connection.execute(
            "INSERT INTO catalog.inbox (organization_id, event_id, producer, received_at)"
            " SELECT $1, gen_random_uuid(), 'catalog', now() - interval '1 hour' FROM generate_series(1, 5)",
            organization_id,
        )
        await sweeping.forget_closed_arrivals("catalog", worker._transaction, worker._unit_of_work)
        assert await connection.fetchval("SELECT count(*) FROM catalog.inbox") == 0


async def test_arrivals_that_stay_open_hold_up_the_forgetting_of_no_other(
    process: topology.Surrounded, organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_ARRIVALS_AT_ONCE", 2)
    bus = LocalBus({"catalog": _service()})
    surroundings = Surroundings(process.database, bus.ask, process.relay)
    bus.surrounded_by(surroundings)
    worker = Worker(_service(), surroundings, process.relay, process.address)
    parked = [new_id() for _ in range(5)]
    async with _administration() as connection:
        await connection.execute(
            "WITH sent AS (INSERT INTO catalog.outbox (organization_id, id, name, payload)"
            " SELECT $1, id, 'weather.changed', '{}' FROM unnest($2::uuid[]) AS p (id) RETURNING id)"
            " INSERT INTO catalog.deliveries (organization_id, event_id, listener, next_attempt_at, parked_at)"
            " SELECT $1, id, 'catalog', now(), now() FROM sent",
            organization_id,
            parked,
        )
        # Three came in one batch, at one instant, before everything else.
        await connection.execute(
            "INSERT INTO catalog.inbox (organization_id, event_id, producer, received_at)"
            " SELECT $1::uuid, id, 'catalog', now() - interval '2 hours' - greatest(n, 3) * interval '1 minute'"
            " FROM unnest($2::uuid[]) WITH ORDINALITY AS p (id, n)"
            " UNION ALL SELECT $1::uuid, gen_random_uuid(), 'catalog', now() - n * interval '20 minutes'"
            " FROM generate_series(3, 7) AS n",
            organization_id,
            parked,
        )
        await sweeping.forget_closed_arrivals("catalog", worker._transaction, worker._unit_of_work)
        left = await connection.fetch("SELECT event_id FROM catalog.inbox")
    assert {row["event_id"] for row in left} == set(parked)


async def test_events_for_a_listener_that_is_away_stay_with_the_sweeper(
    process: topology.Surrounded, organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "MOST_WAITING", 2)
    relay = Relay(process.address)
    for number in range(5):
        event = SentEvent(new_id(), "weather.changed", b"{}", 0.0)
        relay.announce(Announcement("catalog", organization_id, 0.0, {"nobody": [event]}))
        await until(lambda: relay.backlog("nobody"))
        await relay._sending
        assert await relay.backlog("nobody") == min(number + 1, 2)
    await relay.close()


@pytest.mark.feature("GAT-5")
async def test_an_event_that_fails_does_not_make_the_installation_unready(
    process: topology.Surrounded, organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSDOCK_READY_DELIVERY_SECONDS", "0.000001")
    uow = _unit_of_work(process, organization_id)
    uow.record(AlertCleared(service="catalog", cause="nothing"))
    await uow.commit()
    for failures, expected in ((0, "late"), (1, "ready")):
        backlogs = Backlogs(("catalog",), process.surroundings, process.address, queue_bound=1000)
        async with _administration() as connection:
            await connection.execute("UPDATE catalog.deliveries SET failures = $1", failures)
        assert await _readiness(backlogs) == expected
        await backlogs.close()


async def _readiness(backlogs: Backlogs) -> str:
    try:
        await backlogs.check()
    except FallsBehind:
        return "late"
    return "ready"
