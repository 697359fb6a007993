"""Whether operators' documents are what their sources say: a job that goes on where it was, and mends if told to.

As with offers (`use_cases/checking.py`), what differs may only be on its way: it is looked at a second time a moment
later, and what is marked to be built anyway is none of the findings.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from services.search.repository import operator_documents, operator_marks
from services.search.use_cases import batches, checking
from services.search.use_cases.checking import Compared, Finding
from services.search.use_cases.operators import rebuilding
from services.search.use_cases.operators.builder import mark
from services.search.use_cases.operators.building import BATCH, SOURCES
from shared.contracts.platform.shapes import Job
from shared.contracts.search.operators import CheckOperatorIndex, DocumentKind
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

KIND = "search.check_operators"
_FIRST, _LAST = UUID(int=0), UUID(int=(1 << 128) - 1)


async def request(uow: UnitOfWork, message: CheckOperatorIndex) -> Job:
    """The job that checks these kinds: the running one for the same, or a new one."""
    kinds = [message.kind] if message.kind else list(SOURCES)
    return await rebuilding.joined(uow, KIND, {"kinds": kinds, "repair": message.repair})


async def run(job: RunningJob) -> None:
    """Kind by kind; the checkpoint says which, and how far."""
    kinds: list[DocumentKind] = job.parameters["kinds"]
    while (at := job.checkpoint.get("kind", 0)) < len(kinds):
        while not job.checkpoint.get("checked"):
            await _check_page(job, kinds[at], UUID(job.checkpoint.get("after", str(_FIRST))))
        async with job.step():
            job.checkpoint = {"kind": at + 1}


async def _check_page(job: RunningJob, kind: DocumentKind, after: UUID) -> None:
    """A page of what its source has, and all that has a document among these, or behind the last of them."""
    listed = await SOURCES[kind].list_ids(job.unit_of_work, after if after.int else None, BATCH)
    last = listed[-1] if listed else _LAST
    async with batches.reading(job.unit_of_work) as uow:
        documented = await operator_documents.list_between(uow, kind, after, last)
    findings: dict[UUID, Finding] = {}
    failed: list[tuple[UUID, str]] = []
    ids = sorted({*listed, *documented})
    for start in range(0, len(ids), BATCH):
        found, not_built = await _compare(job, kind, ids[start : start + BATCH])
        findings |= found
        failed += not_built
    async with job.step() as uow:
        await _note(job, uow, kind, findings, failed)
        job.count("checked", len(listed))
        job.done += len(listed)
        job.checkpoint = {**job.checkpoint, **({"after": str(last)} if listed else {"checked": True})}


async def _compare(job: RunningJob, kind: DocumentKind, ids: Sequence[UUID]) -> Compared:
    """What is wrong with these documents, and still is a moment later."""
    found, failed = await _differing(job, kind, ids)
    if found:
        await asyncio.sleep(checking.SETTLES_SECONDS)
        found, failed_since = await _differing(job, kind, list(found))
        failed += failed_since
    return found, failed


async def _differing(job: RunningJob, kind: DocumentKind, ids: Sequence[UUID]) -> Compared:
    rows, failed = await rebuilding.gather(job, kind, list(ids))
    async with batches.reading(job.unit_of_work) as uow:
        documents = await operator_documents.list_entries(uow, kind, ids)
        pending = await operator_marks.marked_among(uow, kind, ids)
    judged = ((row.id, _judge(row.entry, documents.get(row.id))) for row in rows if row.id not in pending)
    return {id_: finding for id_, finding in judged if finding is not None}, failed


def _judge(built: bytes | None, stored: bytes | None) -> Finding | None:
    if built == stored:
        return None
    return "superfluous" if built is None else "missing" if stored is None else "outdated"


async def _note(
    job: RunningJob,
    uow: UnitOfWork,
    kind: DocumentKind,
    findings: dict[UUID, Finding],
    failed: Sequence[tuple[UUID, str]],
) -> None:
    for id_, finding in findings.items():
        job.count(finding)
        job.note(f"{kind} {id_}: {finding}")
    for id_, reason in failed:
        job.count("failed")
        job.note(f"{kind} {id_}: {reason}")
    if findings and job.parameters["repair"]:
        await mark(uow, kind, list(findings))
        job.count("marked", len(findings))
