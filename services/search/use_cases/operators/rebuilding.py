"""Building operators' documents anew from their sources: a job that goes on where it was killed and can be joined.

What was there before the documents were is filled in the same way, once, by a task that the migration left.
"""

from typing import Any
from uuid import UUID

import orjson

from services.search.repository import operator_documents
from services.search.repository.operator_documents import OperatorRow
from services.search.use_cases import batches
from services.search.use_cases.operators import building
from services.search.use_cases.operators.building import BATCH, SOURCES
from shared import clock, jobs
from shared.bus.answering import translated
from shared.contracts.platform.shapes import Job
from shared.contracts.search.operators import DocumentKind, OperatorDocuments, OperatorIndex, RebuildOperatorIndex
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

KIND = "search.rebuild_operators"
_FIRST = UUID(int=0)


async def request(uow: UnitOfWork, message: RebuildOperatorIndex) -> Job:
    """The job that rebuilds these kinds: the running one, or a new one."""
    return await begin(uow, [message.kind] if message.kind else list(SOURCES))


async def begin(uow: UnitOfWork, kinds: list[DocumentKind]) -> Job:
    """The running job that rebuilds these kinds, or a new one."""
    return await joined(uow, KIND, {"kinds": kinds})


async def joined(uow: UnitOfWork, kind: str, parameters: dict[str, Any]) -> Job:
    """The running job of this kind with these parameters, or a new one."""
    # Two who ask at once wait for each other here, and the second joins.
    await uow.execute(
        "INSERT INTO operator_indexes (organization_id) VALUES ($1) ON CONFLICT DO NOTHING", uow.organization_id
    )
    await uow.execute("SELECT FROM operator_indexes FOR UPDATE")
    running = await uow.fetchval(
        "SELECT id FROM jobs WHERE kind = $1 AND state IN ('queued', 'running') AND NOT cancel_requested"
        " AND parameters::jsonb = $2::jsonb ORDER BY created_at LIMIT 1",
        kind,
        orjson.dumps(parameters).decode(),
    )
    if running is not None:
        return await jobs.get(uow, running)
    uow.audit(kind, "index", "operators", after=parameters)
    return await jobs.create(uow, kind, parameters)


async def state(uow: UnitOfWork) -> OperatorIndex:
    """How the documents stand."""
    index = await operator_documents.find_state(uow)
    kinds = [
        OperatorDocuments(
            kind=row["kind"],
            documents=row["documents"],
            pending=row["pending"],
            failed=row["failed"],
            oldest_pending_at=row["oldest"],
            last_error=row["last_error"],
        )
        for row in await operator_documents.list_standings(uow)
    ]
    if index is None:
        return OperatorIndex(sequence=0, generation=1, kinds=kinds)
    return OperatorIndex(**dict(index.items()), kinds=kinds)


async def run(job: RunningJob) -> None:
    """Rebuild kind by kind; the checkpoint says which, how far, and since which version."""
    kinds: list[DocumentKind] = job.parameters["kinds"]
    while (at := job.checkpoint.get("kind", 0)) < len(kinds):
        await _rebuild_kind(job, kinds[at])
        async with job.step():
            job.checkpoint = {"kind": at + 1}
    async with job.step() as uow:
        await operator_documents.note_rebuilt(uow)


async def _rebuild_kind(job: RunningJob, kind: DocumentKind) -> None:
    """Everything its source has; then what only the documents still have."""
    if "since" not in job.checkpoint:
        since = await batches.take_version(job.unit_of_work)
        async with job.step():
            job.checkpoint = {**job.checkpoint, "since": since}
    while not job.checkpoint.get("listed"):
        after = job.checkpoint.get("after")
        ids = await SOURCES[kind].list_ids(job.unit_of_work, after and UUID(after), BATCH)
        await _rebuild(job, kind, ids, {"after": str(ids[-1])} if ids else {"listed": True})
    since, last = job.checkpoint["since"], UUID(job.checkpoint.get("swept", str(_FIRST)))
    while older := await _list_older(job, kind, since, last):
        last = older[-1]
        await _rebuild(job, kind, older, {"swept": str(last)})


async def _list_older(job: RunningJob, kind: DocumentKind, since: int, after: UUID) -> list[UUID]:
    async with batches.reading(job.unit_of_work) as uow:
        return await operator_documents.list_older(uow, kind, since, after, BATCH)


async def _rebuild(job: RunningJob, kind: DocumentKind, ids: list[UUID], checkpoint: dict[str, object]) -> None:
    """Build some and say so, in one step. Those that cannot be built are named in the job's log."""
    version = await batches.take_version(job.unit_of_work)
    rows, failed = await gather(job, kind, ids)
    async with job.step() as uow:
        if rows:
            job.count("changed", await building.write(uow, kind, rows, version))
        job.count("built", len(rows))
        for line in (f"{kind} {id_}: {reason}" for id_, reason in failed):
            # What failed as one of its source's fails again as one that only the documents still have.
            if line not in job.log:
                job.count("failed")
                job.note(line)
        job.done += len(ids)
        job.checkpoint = {**job.checkpoint, **checkpoint}


async def gather(
    job: RunningJob, kind: DocumentKind, ids: list[UUID]
) -> tuple[list[OperatorRow], list[tuple[UUID, str]]]:
    """What could be built, and which could not and why."""
    if not ids:
        return [], []
    try:
        return await building.gather(job.unit_of_work, kind, dict.fromkeys(ids, clock.now())), []
    except Exception as error:
        named = translated(error, "building documents", kind)
        if batches.is_passing(named):
            raise
        if len(ids) == 1:
            return [], [(ids[0], f"{named.code}: {named.detail}")]
    middle = len(ids) // 2
    first, second = [await gather(job, kind, part) for part in (ids[:middle], ids[middle:])]
    return first[0] + second[0], first[1] + second[1]
