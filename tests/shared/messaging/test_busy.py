"""Work that hangs, queues that are full, helpers that are away: each holds up itself and nobody else."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from structlog.testing import capture_logs

from deploy import topology
from shared import jobs, platform_answers
from shared.bus.answering import Surroundings
from shared.bus.envelope import service_envelope
from shared.bus.local import LocalBus
from shared.contracts.base import Event
from shared.contracts.platform.messages import CancelJob
from shared.identifiers import new_id
from shared.jobs import JobRunner, RunningJob
from shared.messaging import inbox, performing, receipts, sweeping, tasks, worker
from shared.messaging.outbox import SentEvent
from shared.messaging.relay import Batch
from shared.messaging.subscriptions import SUBSCRIPTIONS
from shared.messaging.worker import Worker
from shared.service import Service, every, listens, performs, runs
from shared.unit_of_work import UnitOfWork
from tests.waiting import until

pytestmark = pytest.mark.feature("OPS-5", "GAT-7")


class Rang(Event):
    label: str


class Killed(BaseException):
    """No `except Exception` sees it, as none sees a kill."""


gate = asyncio.Event()
hanging: set[str] = set()


async def _write(uow: UnitOfWork, label: str) -> None:
    await uow.execute(
        "INSERT INTO audit_entries (organization_id, id, actor, action, subject_kind, subject_id)"
        " VALUES ($1, $2, '{}', $3, '', '')",
        uow.organization_id,
        new_id(),
        label,
    )


@performs("hang")
async def hang(payload: dict[str, Any], uow: UnitOfWork) -> None:
    hanging.add(payload["label"])
    await gate.wait()
    await _write(uow, payload["label"])


@performs("dawdle")
async def dawdle(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Takes longer than its whole party may."""
    await asyncio.sleep(2 * performing.PARTY_SECONDS)
    await _write(uow, payload["label"])


@performs("gather", together=True)
async def gather(payloads: list[dict[str, Any]], uow: UnitOfWork) -> None:
    for payload in payloads:
        await _write(uow, payload["label"])
    if any(payload["label"] == "hangs" for payload in payloads):
        await gate.wait()


@listens(Rang)
async def write_what_rang(event: Rang, uow: UnitOfWork) -> None:
    await _write(uow, event.label)
    if event.label == "hangs":
        await gate.wait()


@every(3600)
async def tidy(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await uow.execute("DELETE FROM inbox WHERE false")


@runs("gated")
async def run_gated(job: RunningJob) -> None:
    async with job.step():
        job.done = 1
    await gate.wait()
    async with job.step():
        job.done = 2


class Works:
    """The catalog's schema with the handlers above."""

    def __init__(self, process: topology.Surrounded) -> None:
        self.process = process
        self.service = Service("catalog", platform_answers, sys.modules[__name__])
        self.bus = LocalBus({"catalog": self.service})
        self.surroundings = Surroundings(process.database, self.bus.ask, process.relay)
        self.bus.surrounded_by(self.surroundings)
        self.organization_id = new_id()
        self.worker = self.new_worker()

    def new_worker(self) -> Worker:
        return Worker(self.service, self.surroundings, self.process.relay, self.process.address)

    def unit_of_work(self) -> UnitOfWork:
        return self.surroundings.unit_of_work("catalog", service_envelope("catalog", self.organization_id))

    async def defer(self, kind: str, *labels: str) -> None:
        uow = self.unit_of_work()
        for label in labels:
            uow.defer(kind, {"label": label})
        await uow.commit()

    async def of_mine(self, question: str) -> Any:
        uow = self.unit_of_work()
        value = await uow.fetchval(question)
        await uow.rollback()
        return value

    async def written(self) -> list[str]:
        return orjson.loads(
            await self.of_mine("SELECT coalesce(json_agg(action ORDER BY action), '[]')::text FROM audit_entries")
        )

    async def due(self) -> list[list[str]]:
        uow = self.unit_of_work()
        due = await tasks.list_due(uow)
        await uow.rollback()
        return [[str(self.organization_id), str(task.id)] for task in due]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        worker = self.new_worker()
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            gate.set()
            worker.stop()
            await running


@asynccontextmanager
async def _administration() -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def works(process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch) -> Works:
    global gate
    gate = asyncio.Event()
    hanging.clear()
    monkeypatch.setitem(SUBSCRIPTIONS, Rang, ("catalog",))
    async with _administration() as connection:
        await connection.execute("DELETE FROM catalog.tasks; DELETE FROM catalog.schedules; DELETE FROM catalog.inbox")
    redis = process.address.connect()
    await redis.delete(process.address.work("catalog"))
    await redis.aclose()
    return Works(process)


# --- tasks that take long


async def test_a_task_that_hangs_is_ended_and_counts_as_failed(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performing, "TASK_SECONDS", 0.1)
    async with works.working():
        await works.defer("hang", "stuck")
        await until(lambda: works.of_mine("SELECT count(*) FROM tasks WHERE failures = 1 AND claim IS NULL"))
    assert (await works.of_mine("SELECT last_error FROM tasks")).startswith("task_took_too_long: ")
    assert await works.written() == []


async def test_what_took_too_long_together_is_tried_alone(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performing, "TASK_SECONDS", 0.2)
    monkeypatch.setattr(performing, "PARTY_SECONDS", 0.1)
    async with works.working():
        await works.defer("gather", "one", "hangs", "two")
        await until(lambda: _equals(works.written(), ["one", "two"]))
        await until(lambda: works.of_mine("SELECT count(*) FROM tasks WHERE failures = 2 AND claim IS NULL"))


async def test_what_a_party_has_no_time_for_is_given_back_untried(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performing, "PARTY_SECONDS", 0.05)
    await works.defer("dawdle", "one", "two", "three")
    await works.worker._tasks.perform(await works.due())
    assert len(await works.written()) == 1
    untried = "SELECT count(*) FROM tasks WHERE claim IS NULL AND due_at <= now() AND failures = 0"
    assert await works.of_mine(untried) == 2
    async with works.working():
        await until(lambda: _equals(works.written(), ["one", "three", "two"]))


async def test_events_are_heard_while_tasks_hang(works: Works) -> None:
    labels = [f"task {number:02}" for number in range(30)]
    async with works.working():
        for label in labels:
            await works.defer("hang", label)
            await works.process.relay._sending
        await until(lambda: _is(len(hanging) >= performing.PARTIES_AT_ONCE))
        uow = works.unit_of_work()
        uow.record(Rang(label="bell"))
        await uow.commit()
        await until(lambda: _equals(works.written(), ["bell"]))
        gate.set()
        await until(lambda: _equals(works.written(), ["bell", *labels]))


def _batch(works: Works, *labels: str) -> Batch:
    events = [
        SentEvent(new_id(), Rang.wire_name, Rang(label=label).model_dump_json().encode(), 0.0) for label in labels
    ]
    return Batch("catalog", works.organization_id, time.time(), events)


async def test_an_event_that_hangs_fails_and_holds_up_nobody(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "TOGETHER_SECONDS", 0.5)
    monkeypatch.setattr(inbox, "ALONE_SECONDS", 3.0)
    batch = _batch(works, "one", "hangs", "two")
    done, failed = await inbox.receive(works.service, works.surroundings, batch)
    assert done == [batch.events[0].id, batch.events[2].id]
    assert failed == [(batch.events[1].id, "event_took_too_long: It did not end within 3 s.")]
    assert await works.written() == ["one", "two"]


async def test_events_there_is_no_time_for_are_neither_done_nor_failed(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "TOGETHER_SECONDS", 0.1)
    monkeypatch.setattr(inbox, "BATCH_SECONDS", 0.1)
    batch = _batch(works, "one", "hangs", "two")
    assert await inbox.receive(works.service, works.surroundings, batch) == ([], [])
    gate.set()
    monkeypatch.undo()
    done, failed = await inbox.receive(works.service, works.surroundings, batch)
    assert (len(done), failed) == (3, [])


# --- the sweeper


async def test_what_waits_on_the_queue_is_not_sent_with_every_sweep(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    await works.defer("dawdle", "one", "two")
    await works.process.relay._sending
    async with _administration() as connection:
        await connection.execute("DELETE FROM catalog.tasks WHERE kind <> 'dawdle'")
        uow = works.unit_of_work()
        await jobs.create(uow, "gated", {})
        await uow.commit()
        await connection.execute("DELETE FROM catalog.tasks WHERE kind = 'job.wake'")
    await works.process.relay._sending
    for _ in range(2):
        await works.worker._sweep_once()
        waiting = await works.process.relay.backlog("catalog")
        for _ in range(3):
            await works.worker._sweep_once()
            assert await works.process.relay.backlog("catalog") == waiting
        # Due anew: it failed and its time has come again.
        async with _administration() as connection:
            await connection.execute("UPDATE catalog.tasks SET due_at = due_at + interval '1 microsecond'")
    await works.worker._sweep_once()
    assert await works.process.relay.backlog("catalog") == waiting + 1
    monkeypatch.setattr(sweeping, "SENT_SECONDS", 0)
    await works.worker._sweep_once()
    assert await works.process.relay.backlog("catalog") == waiting + 3


async def test_a_schedule_that_is_not_due_is_only_looked_at(works: Works) -> None:
    async with _administration() as connection:
        for _ in range(3):
            async with works.worker._transaction(None) as uow:
                await sweeping.leave_scheduled(uow, works.worker._schedules())
            assert await connection.fetch("SELECT xmax::text FROM catalog.schedules") == [("0",)]
        assert await connection.fetchval("SELECT count(*) FROM catalog.tasks WHERE kind = 'every.tidy'") == 1
        await connection.execute("UPDATE catalog.schedules SET next_run_at = now() + interval '1 year'")
        await connection.execute("DELETE FROM catalog.tasks")
        async with works.worker._transaction(None) as uow:
            await sweeping.leave_scheduled(uow, works.worker._schedules())
        assert await connection.fetchval("SELECT count(*) FROM catalog.tasks WHERE kind = 'every.tidy'") == 1


async def test_a_producer_that_does_not_answer_keeps_its_own_arrivals_alone(works: Works) -> None:
    async with _administration() as connection:
        for producer, age in (("nowhere", "2 hours"), ("catalog", "1 hour")):
            await connection.execute(
                "INSERT INTO catalog.inbox (organization_id, event_id, producer, received_at)"
                " SELECT $1, gen_random_uuid(), $2, now() - $3::text::interval FROM generate_series(1, 3)",
                works.organization_id,
                producer,
                age,
            )
        await sweeping.forget_closed_arrivals("catalog", works.worker._transaction, works.worker._unit_of_work)
        left = await connection.fetch("SELECT DISTINCT producer FROM catalog.inbox")
    assert [row["producer"] for row in left] == ["nowhere"]


async def test_housekeeping_that_fails_waits_for_its_next_time(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, swept = 0, 0

    async def fail(_worker: Worker) -> None:
        nonlocal kept
        kept += 1
        raise RuntimeError("no house")

    async def sweep_once(_worker: Worker) -> None:
        nonlocal swept
        swept += 1

    monkeypatch.setattr(Worker, "_keep_house", fail)
    monkeypatch.setattr(Worker, "_sweep_once", sweep_once)
    monkeypatch.setattr(worker, "SWEEP_SECONDS", 0.01)
    async with works.working():
        await until(lambda: _is(swept >= 5))
    assert kept == 1


# --- what is parked


@pytest.mark.feature("OPS-4")
async def test_nothing_is_parked_without_its_alert(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    uow = works.unit_of_work()
    event_id = uow.record(Rang(label="stuck"))
    await uow.commit()
    receipt = receipts.Receipt(works.organization_id, "catalog", [event_id], "internal_error: a defect")
    async with _administration() as connection:
        await connection.execute("UPDATE catalog.deliveries SET failures = $1", receipts.MOST_FAILURES - 1)

    def die(**_: Any) -> None:
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(worker, "AlertRaised", die)
        with suppress(Killed):
            await works.worker._close([receipt])
    parked = "SELECT count(*) FROM deliveries WHERE parked_at IS NOT NULL"
    alerts = "SELECT count(*) FROM outbox WHERE name = 'platform.alert_raised'"
    assert (await works.of_mine(parked), await works.of_mine(alerts)) == (0, 0)
    await works.worker._close([receipt])
    assert (await works.of_mine(parked), await works.of_mine(alerts)) == (1, 1)


@pytest.mark.feature("OPS-4")
async def test_parked_work_of_no_organization_is_told_in_the_log(works: Works) -> None:
    async with _administration() as connection:
        await connection.execute(
            "INSERT INTO catalog.tasks (id, kind, payload, due_at, failures, last_error, parked_at)"
            " SELECT gen_random_uuid(), 'every.tidy', '{}', now(), 12, 'a reason', now() FROM generate_series(1, 2)"
        )
    await works.defer("hang", "mine")
    async with _administration() as connection:
        await connection.execute("UPDATE catalog.tasks SET parked_at = now() WHERE kind = 'hang'")
    with capture_logs() as logs:
        async with works.worker._transaction(None) as uow:
            await sweeping.tell_of_parked(uow)
    assert [(entry["log_level"], entry["kind"], entry["count"], entry["error"]) for entry in logs] == [
        ("error", "every.tidy", 2, "a reason")
    ]


@pytest.mark.feature("GAT-5")
async def test_what_listeners_have_not_heard_for_long_is_told_in_the_log(works: Works) -> None:
    uow = works.unit_of_work()
    for label in ("one", "two", "failing"):
        uow.record(Rang(label=label))
    await uow.commit()
    async with _administration() as connection:
        await connection.execute("UPDATE catalog.outbox SET occurred_at = now() - interval '400 s' WHERE name ~ 'rang'")
        await connection.execute(
            "UPDATE catalog.deliveries SET failures = 1 WHERE event_id IN"
            " (SELECT id FROM catalog.outbox WHERE payload ->> 'label' IN ('failing', 'stuck'))"
        )
    told = []
    for late_seconds in (500, 300):
        with capture_logs() as logs:
            async with works.worker._transaction(None) as uow:
                await sweeping.tell_of_late(uow, late_seconds)
        told.append(
            [(entry["log_level"], entry["listener"], entry["count"], entry["seconds"] >= 400) for entry in logs]
        )
    assert told == [[], [("error", "catalog", 2, True)]]


@pytest.mark.feature("ACC-1")
async def test_a_task_is_claimed_only_in_the_name_of_its_organization(works: Works) -> None:
    await works.defer("hang", "mine")
    [[_, task_id]] = await works.due()
    async with works.worker._transaction(None) as uow:
        assert await tasks.claim(uow, [UUID(task_id)], new_id(), None) == []
    async with works.worker._transaction(works.organization_id) as uow:
        assert len(await tasks.claim(uow, [UUID(task_id)], new_id(), works.organization_id)) == 1


# --- jobs


async def test_that_a_running_job_was_cancelled_is_newer_than_its_last_step(works: Works) -> None:
    uow = works.unit_of_work()
    job = await jobs.create(uow, "gated", {})
    await uow.commit()
    runner = JobRunner(works.service, works.surroundings)
    runner.start(works.organization_id, job.id)
    await until(lambda: works.of_mine("SELECT done FROM jobs"))
    order = CancelJob(service_name="catalog", job_id=job.id)
    await works.bus.ask(order, service_envelope("accounts", works.organization_id))
    versions = await _versions(works)
    assert versions == sorted(set(versions))
    assert await works.of_mine("SELECT cancel_requested FROM jobs")
    gate.set()
    await until(lambda: works.of_mine("SELECT finished_at IS NOT NULL FROM jobs"))
    ended = await _versions(works)
    assert ended == sorted(set(ended))
    assert len(ended) == len(versions) + 1
    await runner.stop()


async def _versions(works: Works) -> list[int]:
    """Of what was announced of the job, in order."""
    announced: list[int] = orjson.loads(
        await works.of_mine(
            "SELECT json_agg((payload ->> 'version')::bigint ORDER BY id)::text FROM outbox"
            " WHERE name = 'platform.job_changed'"
        )
    )
    return announced


async def _equals(asked: Any, expected: object) -> bool:
    return bool(await asked == expected)


async def _is(fact: bool) -> bool:
    return fact
