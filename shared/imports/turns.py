"""Files that write the same things are written in the order in which they came, whole, one after the other.

Two at once would write chunk by chunk in turn, and the older file might have the last word. A dry run writes nothing
and waits for nobody; nobody waits for a file that is still being fetched.
"""

from collections.abc import Sequence
from uuid import UUID

from shared import jobs
from shared.imports.starting import IMPORT_JOB
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

# Whoever ends wakes who waits; this is for a waking that was lost.
_LOOK_SECONDS = 15.0


async def take(job: RunningJob, turn: str, groups: Sequence[str]) -> None:
    """Begin, or let go of the worker while another file of these groups is before this one. Raises JobRests.

    `turn` names what the groups write. Who began stays begun until its end, also killed in between.
    """
    if job.checkpoint:
        return
    async with job.step() as uow:
        name = f"import {uow.organization_id} {uow.service} {turn}"
        await uow.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)
        is_behind = await uow.fetchval(_BEHIND, job.id, list(groups), IMPORT_JOB)
        if not is_behind:
            job.checkpoint = {"phase": "turn"}
    if is_behind:
        await job.rest(_LOOK_SECONDS)


async def hand_on(uow: UnitOfWork, job_id: UUID, groups: Sequence[str]) -> None:
    """Wake the file that comes next, in the transaction in which this one ends."""
    following = await uow.fetchval(_NEXT, job_id, list(groups), IMPORT_JOB)
    if following is not None:
        await jobs.wake(uow, [following])


_OPEN = """
FROM imports i JOIN jobs j ON j.id = i.job_id
WHERE i.item_group = ANY($2) AND NOT i.dry_run AND i.key IS NOT NULL AND j.kind = $3 AND j.id <> $1
    AND j.state IN ('queued', 'running')
"""
_BEHIND = f"SELECT EXISTS (SELECT {_OPEN} AND (j.id < $1 OR j.checkpoint::text <> '{{}}'))"
_NEXT = f"SELECT j.id {_OPEN} ORDER BY j.id LIMIT 1"
