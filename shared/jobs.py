"""Jobs: long work in steps, each a transaction that also says how far it came. It survives being killed at any instant.

The row is the truth. Whoever runs a job holds a lease on it; every step commits under that lease, so that a worker that
was believed dead can no longer write. A killed job is found by its expired lease and goes on from its last checkpoint.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog
from msgspec.structs import replace

from shared.bus.answering import Surroundings, translated
from shared.bus.envelope import Caller, service_envelope
from shared.causes import Cause
from shared.contracts.platform.events import JobChanged
from shared.contracts.platform.shapes import Actor, Job, JobProgress, ResultFile
from shared.database import POSTGRES_AWAY
from shared.errors import Conflict, CrossdockError, NotFound
from shared.identifiers import JobId, new_id
from shared.service import Service
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.jobs")

LEASE_SECONDS = 30.0
# A job whose worker dies so often is not unlucky.
MOST_RUNS = 20
LONGEST_LOG = 200
# The parameter that says what a job is about, to people.
SUBJECT = "subject"


class JobNotFound(NotFound):
    """There is no such job."""


class JobIsOver(Conflict):
    """The job has ended; it can no longer be cancelled."""


class JobCancelled(CrossdockError):
    """Somebody asked the job to stop."""

    status = 409


class JobRests(CrossdockError):
    """The job has let go of its worker, and goes on by itself later."""

    status = 409


class JobLost(CrossdockError):
    """The lease ended and another worker has the job: this one must not write."""

    status = 409


async def create(
    uow: UnitOfWork, kind: str, parameters: dict[str, Any], *, job_id: UUID | None = None, total: int | None = None
) -> Job:
    """Queue a job of `kind` in this transaction; a worker takes it up after the commit."""
    caller = uow.caller
    row = await uow.fetchrow(
        "INSERT INTO jobs (organization_id, id, kind, state, parameters, total, requested_by)"
        " VALUES ($1, $2, $3, 'queued', $4, $5, $6) RETURNING *",
        uow.organization_id,
        job_id or new_id(),
        kind,
        _dump(parameters),
        total,
        Actor(kind=caller.kind, id=caller.id, name=caller.name, address=caller.address).model_dump_json(),
    )
    job = _announce(uow, row)
    uow.defer("job.wake", {"job_id": str(job.id)})
    return job


async def get(uow: UnitOfWork, job_id: UUID) -> Job:
    """Raises JobNotFound."""
    return shape(uow.service, await _row(uow, job_id))


async def request_cancel(uow: UnitOfWork, job_id: UUID) -> Job:
    """Ask a job to stop: a queued one ends now, a running one at its next step. Raises JobNotFound, JobIsOver."""
    row = await _row(uow, job_id, for_update=True)
    if row["state"] in ("succeeded", "failed", "cancelled"):
        raise JobIsOver(f"The job has already {row['state']}.")
    row = await uow.fetchrow(
        "UPDATE jobs SET cancel_requested = true, state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,"
        " finished_at = CASE state WHEN 'queued' THEN now() END WHERE id = $1 RETURNING *",
        job_id,
    )
    uow.audit("job.cancel", "job", job_id)
    await wake(uow, [job_id])
    return _announce(uow, row)


async def wake(uow: UnitOfWork, job_ids: Sequence[UUID]) -> None:
    """Let those of these jobs that rest go on at once; one that a worker has in hand is left to it."""
    rows = await uow.fetch(
        "UPDATE jobs SET lease_until = now() WHERE id = ANY($1) AND state = 'running' AND run_id IS NULL RETURNING id",
        list(job_ids),
    )
    for row in rows:
        uow.defer("job.wake", {"job_id": str(row["id"])})


async def _row(uow: UnitOfWork, job_id: UUID, *, for_update: bool = False) -> asyncpg.Record:
    question = "SELECT * FROM jobs WHERE id = $1 FOR UPDATE" if for_update else "SELECT * FROM jobs WHERE id = $1"
    row = await uow.fetchrow(question, job_id)
    if row is None:
        raise JobNotFound("There is no such job.")
    return row


def shape(service: str, row: asyncpg.Record) -> Job:
    return Job(
        id=row["id"],
        service=service,
        kind=row["kind"],
        state=row["state"],
        progress=JobProgress(done=row["done"], total=row["total"]),
        counters=orjson.loads(row["counters"]),
        requested_by=Actor.model_validate_json(row["requested_by"]),
        cancel_requested=row["cancel_requested"],
        error=None if row["error"] is None else orjson.loads(row["error"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        result_files=orjson.loads(row["result_files"]),
        log=orjson.loads(row["log"]),
        subject=orjson.loads(row["parameters"]).get(SUBJECT),
    )


def _announce(uow: UnitOfWork, row: asyncpg.Record | None) -> Job:
    assert row is not None
    job = shape(uow.service, row)
    ended = {"queued": 0, "running": 1}.get(job.state, 2)
    # That somebody asked it to stop comes after the step that it interrupts.
    done = min(job.progress.done, (1 << 43) - 1) << 1 | job.cancel_requested
    uow.record(JobChanged(job=job, version=ended << 56 | row["runs"] << 44 | done))
    return job


def _dump(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


class RunningJob:
    """A job in one worker's hands."""

    def __init__(self, service: str, surroundings: Surroundings, row: asyncpg.Record) -> None:
        self.id = JobId(row["id"])
        self.organization_id: UUID = row["organization_id"]
        self.parameters: dict[str, Any] = orjson.loads(row["parameters"])
        self.checkpoint: dict[str, Any] = orjson.loads(row["checkpoint"])
        self.counters: dict[str, int] = orjson.loads(row["counters"])
        self.done: int = row["done"]
        self.total: int | None = row["total"]
        self.result_files: list[ResultFile] = [ResultFile(**file) for file in orjson.loads(row["result_files"])]
        self.log: list[str] = orjson.loads(row["log"])
        self.requested_by = Actor.model_validate_json(row["requested_by"])
        # Why the job's steps write. A kind of work with a thing of its own behind it (an import) says so.
        self.cause = Cause(kind="job", id=self.id, actor=self.requested_by)
        # Set for what has to come to its end once it is begun: steps no longer stop when somebody asks the job to.
        self.is_past_stopping = False
        # What else is done in the transaction in which the job ends, however it ends.
        self.at_end: Callable[[UnitOfWork], Awaitable[None]] | None = None
        self.surroundings = surroundings
        self._service = service
        self._caller: Caller | None = None
        self._run_id: UUID = row["run_id"]

    def count(self, counter: str, by: int = 1) -> None:
        """Add to a counter; it is written with the next step."""
        self.counters[counter] = self.counters.get(counter, 0) + by

    def note(self, line: str) -> None:
        """Add a line to the job's log; it is written with the next step."""
        self.log = [*self.log, line][-LONGEST_LOG:]

    def act_for_requester(self) -> None:
        """What follows is done in the name of whoever asked for the job: so it stands in histories and the audit.

        What that one may do was looked at when the job was asked for.
        """
        actor, service = self.requested_by, service_envelope(self._service, self.organization_id).caller
        self._caller = replace(service, kind=actor.kind, id=actor.id, name=actor.name, address=actor.address)

    def unit_of_work(self) -> UnitOfWork:
        """A unit of work for reading and asking between steps; whoever opens it also ends it."""
        envelope = service_envelope(self._service, self.organization_id, timeout_seconds=120)
        if self._caller is not None:
            envelope = replace(envelope, caller=self._caller)
        uow = self.surroundings.unit_of_work(self._service, envelope)
        uow.because(self.cause)
        return uow

    @asynccontextmanager
    async def step(self) -> AsyncIterator[UnitOfWork]:
        """One step: its effects, the checkpoint and the counters are committed together, or not at all.

        Raises JobCancelled when somebody asked the job to stop, JobLost when it is no longer this worker's.
        """
        before = self._state()
        uow = self.unit_of_work()
        try:
            yield uow
            await self._save(uow)
            await uow.commit()
        except BaseException:
            self._restore(before)
            await uow.rollback()
            raise

    def _state(self) -> tuple[str, str, int, int | None, list[ResultFile], list[str]]:
        return (
            _dump(self.checkpoint),
            _dump(self.counters),
            self.done,
            self.total,
            list(self.result_files),
            list(self.log),
        )

    def _restore(self, state: tuple[str, str, int, int | None, list[ResultFile], list[str]]) -> None:
        checkpoint, counters, self.done, self.total, self.result_files, self.log = state
        self.checkpoint, self.counters = orjson.loads(checkpoint), orjson.loads(counters)

    async def _save(self, uow: UnitOfWork, state: str = "running", error: dict[str, Any] | None = None) -> None:
        row = await uow.fetchrow(
            "UPDATE jobs SET state = $3, checkpoint = $4, counters = $5, done = $6, total = $7, result_files = $8,"
            " log = $9, error = $10, lease_until = now() + make_interval(secs => $11),"
            " finished_at = CASE WHEN $3 <> 'running' THEN now() END"
            " WHERE id = $1 AND run_id = $2 AND state = 'running' RETURNING *",
            self.id,
            self._run_id,
            state,
            _dump(self.checkpoint),
            _dump(self.counters),
            self.done,
            self.total,
            _dump([file.model_dump() for file in self.result_files]),
            _dump(self.log),
            None if error is None else _dump(error),
            LEASE_SECONDS,
        )
        if row is None:
            raise JobLost("Another worker has this job.")
        if row["cancel_requested"] and state == "running" and not self.is_past_stopping:
            raise JobCancelled("Somebody asked the job to stop.")
        _announce(uow, row)

    async def end(self, state: str, error: dict[str, Any] | None = None) -> None:
        """Write the job's end. Raises JobLost."""
        uow = self.unit_of_work()
        try:
            await self._save(uow, state, error)
            if self.at_end is not None:
                await self.at_end(uow)
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise

    async def forgive_run(self) -> None:
        """Do not hold this run against the job: it ended for want of somebody else, and its lease brings the next."""
        uow = self.unit_of_work()
        try:
            await uow.execute("UPDATE jobs SET runs = runs - 1 WHERE id = $1 AND run_id = $2", self.id, self._run_id)
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise

    async def rest(self, seconds: float) -> None:
        """Let go of the worker; go on from the checkpoint after so long, or woken. Raises JobRests, and as `step`."""
        async with self.step():
            pass
        uow = self.unit_of_work()
        try:
            await uow.execute(
                "UPDATE jobs SET runs = runs - 1, run_id = NULL, lease_until = now() + make_interval(secs => $3)"
                " WHERE id = $1 AND run_id = $2",
                self.id,
                self._run_id,
                seconds,
            )
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise
        raise JobRests(f"The job goes on in {seconds:g} seconds.")

    async def keep_lease(self) -> None:
        """Renew the lease for as long as the job runs, also through a long step."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            uow = self.unit_of_work()
            try:
                await uow.execute(
                    "UPDATE jobs SET lease_until = now() + make_interval(secs => $3) WHERE id = $1 AND run_id = $2",
                    self.id,
                    self._run_id,
                    LEASE_SECONDS,
                )
                await uow.commit()
            except (CrossdockError, *POSTGRES_AWAY) as error:
                log.warning("lease_not_renewed", job_id=str(self.id), error=str(error))
            finally:
                # Also when the job ends while the lease is being renewed: nothing is left to undo after a commit.
                await uow.rollback()


class JobRunner:
    """Runs jobs of one service in this process, some at a time."""

    def __init__(self, service: Service, surroundings: Surroundings, *, at_once: int = 4) -> None:
        self._service = service
        self._surroundings = surroundings
        self._room = asyncio.Semaphore(at_once)
        self._running: dict[UUID, asyncio.Task[None]] = {}

    def start(self, organization_id: UUID, job_id: UUID) -> None:
        """Take up a job in the background; does nothing when it runs here already."""
        if job_id not in self._running:
            task = asyncio.create_task(self._run(organization_id, job_id))
            self._running[job_id] = task
            task.add_done_callback(lambda _: self._running.pop(job_id, None))

    async def stop(self) -> None:
        """Let go of what runs; the leases end and it goes on elsewhere."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, organization_id: UUID, job_id: UUID) -> None:
        async with self._room:
            try:
                job = await self._take(organization_id, job_id)
            except (CrossdockError, *POSTGRES_AWAY) as error:
                log.warning("job_not_taken", job_id=str(job_id), error=str(error))
                return
            if job is None:
                return
            keeping = asyncio.create_task(job.keep_lease())
            try:
                await self._carry_out(job)
            finally:
                keeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeping

    async def _take(self, organization_id: UUID, job_id: UUID) -> "_Taken | None":
        envelope = service_envelope(self._service.name, organization_id)
        uow = self._surroundings.unit_of_work(self._service.name, envelope)
        try:
            row = await uow.fetchrow(
                "UPDATE jobs SET state = 'running', run_id = $2, runs = runs + 1,"
                " started_at = coalesce(started_at, now()), lease_until = now() + make_interval(secs => $3)"
                " WHERE id = $1 AND (state = 'queued' OR (state = 'running' AND lease_until < now())) RETURNING *",
                job_id,
                new_id(),
                LEASE_SECONDS,
            )
            if row is not None:
                _announce(uow, row)
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise
        return None if row is None else _Taken(self._service.name, self._surroundings, row)

    async def _carry_out(self, job: "_Taken") -> None:
        try:
            if job.runs > MOST_RUNS:
                raise _WorkerKeepsDying(f"The job was taken up {MOST_RUNS} times and never came to its end.")
            await self._service.jobs[job.kind].function(job)
            await job.end("succeeded")
        except JobCancelled:
            await job.end("cancelled")
        except JobRests as resting:
            log.info("job_rests", job_id=str(job.id), detail=resting.detail)
        except JobLost:
            log.warning("job_lost", job_id=str(job.id))
        except Exception as error:
            named = translated(error, f"job {job.kind}", job.id.hex)
            if named.status in (503, 504):
                log.warning("job_waits", job_id=str(job.id), error=named.detail)
                if named.status == 503:
                    await job.forgive_run()
                return
            await job.end("failed", named.problem())


class _Taken(RunningJob):
    def __init__(self, service: str, surroundings: Surroundings, row: asyncpg.Record) -> None:
        super().__init__(service, surroundings, row)
        self.kind: str = row["kind"]
        self.runs: int = row["runs"]


class _WorkerKeepsDying(CrossdockError):
    code = "worker_keeps_dying"
    title = "The worker died each time it ran this"


@dataclass(frozen=True)
class AbandonedJob:
    """A job nobody has, since `lease_until`."""

    organization_id: UUID
    id: UUID
    lease_until: datetime


async def list_abandoned(uow: UnitOfWork) -> list[AbandonedJob]:
    """Jobs whose lease has ended, and queued ones nobody took. Across tenants."""
    rows = await uow.fetch(
        "SELECT organization_id, id, lease_until FROM jobs"
        " WHERE state IN ('queued', 'running') AND lease_until < now() ORDER BY lease_until LIMIT 100"
    )
    return [AbandonedJob(*row) for row in rows]


async def drop_ended(uow: UnitOfWork, kept: timedelta, most: int) -> int:
    """Drop up to `most` jobs that ended longer ago and that nothing names. Across tenants. Returns how many."""
    dropped: int = await uow.fetchval("SELECT drop_ended_jobs($1, $2)", kept, most)
    return dropped


__all__ = [
    "AbandonedJob",
    "JobRunner",
    "RunningJob",
    "create",
    "drop_ended",
    "get",
    "list_abandoned",
    "request_cancel",
    "shape",
    "wake",
]
