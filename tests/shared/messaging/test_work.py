"""Tasks, schedules and jobs: the row is the truth, the queue only wakes the worker."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest

from deploy import topology
from shared import clock, jobs, platform_answers
from shared.bus.answering import Surroundings
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.bus.local import LocalBus
from shared.contracts.platform.messages import CancelJob, GetJob, ListParkedTasks, ReplayTasks
from shared.contracts.platform.shapes import Job
from shared.errors import Conflict, CrossdockError
from shared.identifiers import new_id
from shared.jobs import RunningJob
from shared.messaging import tasks
from shared.messaging.worker import Worker
from shared.service import Service, every, performs, runs
from shared.unit_of_work import UnitOfWork
from tests.doors import caller_of
from tests.waiting import until

pytestmark = pytest.mark.feature("OPS-5", "OPS-4")


class Stubborn(Conflict):
    """Made to fail."""


gates: dict[str, asyncio.Event] = {}
mended: set[str] = set()


async def _write(uow: UnitOfWork, label: str) -> None:
    await uow.execute(
        "INSERT INTO audit_entries (organization_id, id, actor, action, subject_kind, subject_id)"
        " VALUES ($1, $2, '{}', $3, '', '')",
        uow.organization_id,
        new_id(),
        label,
    )


@performs("write")
async def write(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await _write(uow, payload["label"])
    if payload.get("fails") and payload["label"] not in mended:
        raise Stubborn("It is meant to fail.")


@performs("write_together", together=True)
async def write_together(payloads: list[dict[str, Any]], uow: UnitOfWork) -> None:
    for payload in payloads:
        await write(payload, uow)
    await _write(uow, f"group of {len(payloads)}")


@every(3600)
async def tidy(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await uow.execute("DELETE FROM inbox WHERE false")


@runs("ten_steps")
async def run_ten_steps(job: RunningJob) -> None:
    job.total = 10
    for number in range(job.checkpoint.get("next", 0), 10):
        gate = gates.get(f"{job.id} {number}")
        async with job.step() as uow:
            await _write(uow, f"{job.id} step {number}")
            job.checkpoint["next"] = number + 1
            job.done = number + 1
            job.count("written")
            if gate is not None:
                await gate.wait()
        if number == 5 and job.parameters.get("fails"):
            raise Stubborn("It is meant to fail.")


class Workshop:
    """The catalog's schema with the handlers above, and any number of workers."""

    def __init__(self, process: topology.Surrounded) -> None:
        self.process = process
        self.service = Service("catalog", platform_answers, sys.modules[__name__])
        self.bus = LocalBus({"catalog": self.service})
        self.surroundings = Surroundings(process.database, self.bus.ask, process.relay)
        self.bus.surrounded_by(self.surroundings)
        self.organization_id = new_id()

    def unit_of_work(self) -> UnitOfWork:
        return self.surroundings.unit_of_work("catalog", service_envelope("catalog", self.organization_id))

    async def defer(self, *labels: str, **more: Any) -> None:
        uow = self.unit_of_work()
        for label in labels:
            uow.defer(
                more.get("kind", "write"),
                {"label": label, **more.get("payload", {})},
                due_at=more.get("due_at"),
                key=more.get("key"),
            )
        await uow.commit()

    async def written(self) -> list[str]:
        uow = self.unit_of_work()
        rows = await uow.fetch(
            "SELECT action FROM audit_entries WHERE action NOT IN ('job.cancel', 'tasks.replay') ORDER BY 1"
        )
        await uow.rollback()
        return [row["action"] for row in rows]

    async def tasks(self, what: str = "count(*)") -> Any:
        uow = self.unit_of_work()
        value = await uow.fetchval(f"SELECT {what} FROM tasks WHERE kind LIKE 'write%'")
        await uow.rollback()
        return value

    async def alerts(self, what: str) -> list[str]:
        """The causes of the alerts that were raised, or cleared."""
        uow = self.unit_of_work()
        rows = await uow.fetch("SELECT payload FROM outbox WHERE name = $1 ORDER BY id", f"platform.alert_{what}")
        await uow.rollback()
        return [orjson.loads(row["payload"])["cause"] for row in rows]

    async def due(self) -> list[UUID]:
        uow = self.unit_of_work()
        due = await tasks.list_due(uow)
        await uow.rollback()
        return [task.id for task in due]

    async def create_job(self, **parameters: Any) -> Job:
        uow = self.unit_of_work()
        job = await jobs.create(uow, "ten_steps", parameters)
        await uow.commit()
        return job

    async def job(self, job_id: UUID) -> Job:
        question = GetJob(service_name="catalog", job_id=job_id)
        return await self.bus.ask(question, service_envelope("accounts", self.organization_id))

    async def cancel(self, job_id: UUID) -> Job:
        order = CancelJob(service_name="catalog", job_id=job_id)
        return await self.bus.ask(order, service_envelope("accounts", self.organization_id))

    async def ended(self, job_id: UUID) -> Job:
        async def is_over() -> Job | None:
            job = await self.job(job_id)
            return job if job.finished_at is not None else None

        return await until(is_over)  # type: ignore[return-value]

    @asynccontextmanager
    async def working(self, count: int = 1) -> AsyncIterator[list[Worker]]:
        workers = [
            Worker(self.service, self.surroundings, self.process.relay, self.process.address) for _ in range(count)
        ]
        running = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.gather(*running)

    async def administer(self, statement: str) -> None:
        connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
        await connection.execute(statement)
        await connection.close()


@pytest.fixture
def workshop(process: topology.Surrounded) -> Workshop:
    gates.clear()
    mended.clear()
    return Workshop(process)


async def test_tasks_are_done_once_by_several_workers(workshop: Workshop) -> None:
    labels = [f"task {number:03}" for number in range(60)]
    async with workshop.working(3):
        await workshop.defer(*labels)
        await until(lambda: _equals(workshop.tasks(), 0))
    assert await workshop.written() == labels


async def test_a_task_for_later_waits(workshop: Workshop) -> None:
    await workshop.defer("later", due_at=clock.now() + timedelta(hours=1))
    async with workshop.working():
        await workshop.defer("now")
        await until(lambda: _equals(workshop.written(), ["now"]))
    assert await workshop.tasks() == 1


async def test_a_keyed_task_is_not_doubled_while_it_waits(workshop: Workshop) -> None:
    for _ in range(3):
        await workshop.defer("once", key="k")
    assert await workshop.tasks() == 1
    async with workshop.working():
        await until(lambda: _equals(workshop.written(), ["once"]))
        await workshop.defer("once", key="k")
        await until(lambda: _equals(workshop.written(), ["once", "once"]))


async def test_a_failing_task_leaves_nothing_waits_longer_and_is_parked(workshop: Workshop) -> None:
    await workshop.defer("bad", payload={"fails": True})
    async with workshop.working():
        for failures in range(1, 13):
            await until(lambda expected=failures: _equals(workshop.tasks("max(failures)"), expected))  # type: ignore[misc]
            await workshop.administer("UPDATE catalog.tasks SET due_at = now() WHERE kind = 'write'")
        await until(lambda: _equals(workshop.tasks("count(parked_at)"), 1))
    assert await workshop.written() == []
    assert "stubborn" in await workshop.tasks("max(last_error)")


async def test_parked_tasks_are_shown_page_by_page_and_replayed(workshop: Workshop) -> None:
    labels = ["first", "second", "third"]
    await workshop.defer(*labels, payload={"fails": True})
    await workshop.administer("UPDATE catalog.tasks SET failures = 11 WHERE kind = 'write'")
    async with workshop.working():
        await until(lambda: _equals(workshop.tasks("count(parked_at)"), 3))
    assert len(await workshop.alerts("raised")) == 3

    operator = caller_of(workshop.organization_id)
    shown = await workshop.bus.ask(ListParkedTasks(service_name="catalog", first=2), envelope_for(operator))
    rest = await workshop.bus.ask(
        ListParkedTasks(service_name="catalog", first=2, after=shown.next), envelope_for(operator)
    )
    parked = [*shown.items, *rest.items]
    assert (len(shown.items), len(rest.items), rest.next) == (2, 1, None)
    assert {(task.service, task.kind, task.failures) for task in parked} == {("catalog", "write", 12)}
    assert all(task.last_error == "stubborn: It is meant to fail." for task in parked)
    assert sorted(task.payload["label"] for task in parked) == labels

    mended.update(labels)
    named = next(task.id for task in parked if task.payload["label"] == "second")
    async with workshop.working():
        one = ReplayTasks(service_name="catalog", task_ids=[named, new_id()])
        assert (await workshop.bus.ask(one, envelope_for(operator))).count == 1
        await until(lambda: _equals(workshop.written(), ["second"]))
        assert await workshop.alerts("cleared") == []
        assert (await workshop.bus.ask(ReplayTasks(service_name="catalog"), envelope_for(operator))).count == 2
        await until(lambda: _equals(workshop.written(), labels))
    assert (await workshop.bus.ask(ReplayTasks(service_name="catalog"), envelope_for(operator))).count == 0
    assert await workshop.alerts("cleared") == ["catalog.task.write"]


async def test_parked_tasks_are_of_their_organization_and_for_its_administrators(workshop: Workshop) -> None:
    await workshop.defer("mine")
    await workshop.administer("UPDATE catalog.tasks SET parked_at = now()")
    stranger = envelope_for(caller_of(new_id()))
    [parked_id] = [await workshop.tasks("min(id::text)")]
    assert (await workshop.bus.ask(ListParkedTasks(service_name="catalog"), stranger)).items == []
    for task_ids in (None, [UUID(parked_id)]):
        message = ReplayTasks(service_name="catalog", task_ids=task_ids)
        assert (await workshop.bus.ask(message, stranger)).count == 0
    assert await workshop.tasks("count(parked_at)") == 1
    clerk = envelope_for(caller_of(workshop.organization_id, "catalog:write"))
    for refused in (ListParkedTasks(service_name="catalog"), ReplayTasks(service_name="catalog")):
        with pytest.raises(CrossdockError) as error:
            await workshop.bus.ask(refused, clerk)
        assert error.value.code == "missing_scope"


async def test_tasks_of_a_kind_that_works_together_share_a_transaction(workshop: Workshop) -> None:
    labels = [f"task {number}" for number in range(10)]
    async with workshop.working(2):
        await workshop.defer(*labels, kind="write_together")
        await until(lambda: _equals(workshop.tasks(), 0))
    written = await workshop.written()
    sizes = [int(label.removeprefix("group of ")) for label in written if label.startswith("group")]
    # The sweeper and a wake-up may have shared them out between two workers.
    assert (sum(sizes), max(sizes) > 1) == (10, True)
    assert [label for label in written if label.startswith("task")] == labels


async def test_one_that_fails_undoes_the_group_and_then_only_itself(workshop: Workshop) -> None:
    uow = workshop.unit_of_work()
    for label in ("one", "two", "three"):
        uow.defer("write_together", {"label": label, "fails": label == "two"})
    await uow.commit()
    async with workshop.working():
        await until(lambda: _equals(workshop.tasks("max(failures)"), 1))
        await until(lambda: _equals(workshop.tasks(), 1))
    assert await workshop.written() == ["group of 1", "group of 1", "one", "three"]
    assert "stubborn" in await workshop.tasks("max(last_error)")


async def test_a_group_that_lost_one_of_its_leases_does_not_do_that_task(workshop: Workshop) -> None:
    await workshop.defer("mine", "theirs", kind="write_together")
    due = await workshop.due()
    uow = workshop.unit_of_work()
    claimed = await tasks.claim(uow, due, new_id(), workshop.organization_id)
    await uow.execute("UPDATE tasks SET claim = $1 WHERE payload->>'label' = 'theirs'", new_id())
    await uow.commit()
    worker = Worker(workshop.service, workshop.surroundings, workshop.process.relay, workshop.process.address)
    for group in await worker._tasks.perform_group(claimed):
        await worker._tasks.perform_group(group)
    assert await workshop.written() == ["group of 1", "mine"]
    assert await workshop.tasks("max(payload->>'label')") == "theirs"


async def test_claiming_a_few_tasks_reads_no_others_that_are_due(workshop: Workshop) -> None:
    """Else each party would cost as much as all that waits, just when much does.

    A table of a few pages is rightly read whole, whenever PostgreSQL has counted it: what is asked is a way by key.
    """
    await workshop.defer(*map(str, range(400)))
    uow = workshop.unit_of_work()
    await uow.execute("SET LOCAL enable_seqscan = off")
    ids = [row["id"] for row in await uow.fetch("SELECT id FROM tasks LIMIT 2")]
    plan = await uow.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {tasks._CLAIM}", ids, new_id(), 60.0)
    await uow.rollback()
    scans = [node for node in _nodes(orjson.loads(plan)[0]["Plan"]) if node.get("Relation Name") == "tasks"]
    read = [
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans if "Scan" in node["Node Type"]
    ]
    assert max(read) <= 2, plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


async def test_a_schedule_runs_once_per_period_however_many_workers_look(workshop: Workshop) -> None:
    await workshop.administer("DELETE FROM catalog.schedules; DELETE FROM catalog.tasks")
    async with workshop.working(3):
        connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
        await until(lambda: _equals(connection.fetchval("SELECT count(*) FROM catalog.schedules"), 1))
        await until(
            lambda: _equals(connection.fetchval("SELECT count(*) FROM catalog.tasks WHERE kind LIKE 'every%'"), 0)
        )
        assert await connection.fetchval("SELECT next_run_at > now() + interval '50 minutes' FROM catalog.schedules")
        await connection.close()


async def test_a_job_runs_its_steps_and_counts(workshop: Workshop) -> None:
    async with workshop.working():
        job = await workshop.create_job()
        ended = await workshop.ended(job.id)
    assert (ended.state, ended.progress.done, ended.progress.total, ended.counters) == (
        "succeeded",
        10,
        10,
        {"written": 10},
    )
    assert len(await workshop.written()) == 10


async def test_a_failing_job_keeps_its_finished_steps_and_says_why(workshop: Workshop) -> None:
    async with workshop.working():
        job = await workshop.create_job(fails=True)
        ended = await workshop.ended(job.id)
    assert ended.state == "failed"
    assert ended.error is not None
    assert ended.error["code"] == "stubborn"
    assert ended.counters == {"written": 6}
    assert len(await workshop.written()) == 6


async def test_a_job_of_unknown_kind_fails_by_name(workshop: Workshop) -> None:
    async with workshop.working():
        uow = workshop.unit_of_work()
        job = await jobs.create(uow, "unheard_of", {})
        await uow.commit()
        assert (await workshop.ended(job.id)).state == "failed"


async def test_a_queued_job_is_cancelled_at_once_and_an_ended_one_never(workshop: Workshop) -> None:
    job = await workshop.create_job()
    assert (await workshop.cancel(job.id)).state == "cancelled"
    with pytest.raises(CrossdockError) as refused:
        await workshop.cancel(job.id)
    assert refused.value.code == "job_is_over"
    async with workshop.working():
        await workshop.defer("marker")
        await until(lambda: _equals(workshop.written(), ["marker"]))


async def test_a_running_job_stops_at_its_next_step(workshop: Workshop) -> None:
    job = await workshop.create_job()
    gate, last = (gates.setdefault(f"{job.id} {step}", asyncio.Event()) for step in (4, 9))
    async with workshop.working():
        await until(lambda: _has_done(workshop, job.id, 4))
        cancelled = asyncio.create_task(workshop.cancel(job.id))
        gate.set()
        await cancelled
        last.set()
        ended = await workshop.ended(job.id)
    assert ended.state == "cancelled"
    assert ended.progress.done == len(await workshop.written())


async def test_a_job_whose_worker_died_goes_on_from_its_checkpoint(workshop: Workshop) -> None:
    job = await workshop.create_job()
    gates[f"{job.id} 4"] = asyncio.Event()
    async with workshop.working():
        await until(lambda: _has_done(workshop, job.id, 4))
    # The worker is gone in the middle of its fifth step; its lease has not ended yet.
    gates.clear()
    mended.clear()
    await workshop.administer(
        "UPDATE catalog.jobs SET lease_until = now() - interval '1 second' WHERE state = 'running'"
    )
    async with workshop.working(2):
        ended = await workshop.ended(job.id)
    assert (ended.state, ended.counters) == ("succeeded", {"written": 10})
    assert await workshop.written() == sorted(f"{job.id} step {number}" for number in range(10))


async def test_a_worker_that_lost_its_lease_can_no_longer_write(workshop: Workshop) -> None:
    job = await workshop.create_job()
    gate = gates[f"{job.id} 4"] = asyncio.Event()
    async with workshop.working():
        await until(lambda: _has_done(workshop, job.id, 4))
        await workshop.administer(f"UPDATE catalog.jobs SET run_id = '{new_id()}' WHERE id = '{job.id}'")
        gate.set()
        await workshop.defer("marker")
        await until(lambda: _contains(workshop.written(), "marker"))
    assert (await workshop.job(job.id)).progress.done == 4
    assert len(await workshop.written()) == 5


async def test_another_tenant_sees_no_job(workshop: Workshop) -> None:
    job = await workshop.create_job()
    for message in (GetJob, CancelJob):
        with pytest.raises(CrossdockError) as refused:
            await workshop.bus.ask(
                message(service_name="catalog", job_id=job.id), service_envelope("accounts", new_id())
            )
        assert refused.value.code == "job_not_found"
    with pytest.raises(CrossdockError) as refused:
        caller = Caller(
            kind="client", organization_id=workshop.organization_id, id=new_id(), scopes=frozenset({"admin"})
        )
        await workshop.bus.ask(GetJob(service_name="catalog", job_id=job.id), envelope_for(caller))
    assert refused.value.code == "unknown_message"


async def _equals(asked: Any, expected: object) -> bool:
    return bool(await asked == expected)


async def _contains(asked: Any, wanted: str) -> bool:
    return wanted in await asked


async def _has_done(workshop: Workshop, job_id: UUID, done: int) -> bool:
    return (await workshop.job(job_id)).progress.done >= done
