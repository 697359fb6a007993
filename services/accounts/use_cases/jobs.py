"""One list of jobs over all services (OPS-5). The service that runs a job keeps the truth about it."""

import asyncio
from datetime import timedelta
from uuid import UUID

from services.accounts.lists_errors import JobNotFound
from services.accounts.use_cases.visibility import position, readable_services
from shared import jobs
from shared.contracts.accounts.lists import ListJobs
from shared.contracts.base import Page
from shared.contracts.platform import messages as platform
from shared.contracts.platform.events import JobChanged
from shared.contracts.platform.shapes import Job
from shared.errors import CrossdockError
from shared.pagination import cursor_for
from shared.unit_of_work import UnitOfWork


async def note(uow: UnitOfWork, event: JobChanged) -> None:
    """List a job as it stands, unless something newer is listed already."""
    job = event.job
    await uow.execute(
        _NOTE,
        uow.organization_id,
        job.id,
        job.service,
        job.kind,
        job.state,
        job.requested_by.id,
        job.created_at,
        event.version,
        job.model_dump_json(),
    )


_NOTE = """
INSERT INTO listed_jobs AS l (organization_id, id, service, kind, state, requested_by, created_at, version, job)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (organization_id, id) DO UPDATE SET state = excluded.state, version = excluded.version, job = excluded.job
WHERE l.version <= excluded.version
"""


async def list_jobs(uow: UnitOfWork, message: ListJobs) -> Page[Job]:
    """A page of jobs, newest first, as they were last announced."""
    created_at, job_id = position(message.after)
    rows = await uow.fetch(
        _LIST,
        readable_services(uow.caller),
        _only_requested_by(uow),
        message.state,
        message.kind,
        message.service_name,
        created_at,
        job_id,
        message.first + 1,
    )
    page = rows[: message.first]
    following = cursor_for(page[-1]["created_at"].isoformat(), str(page[-1]["id"])) if len(rows) > len(page) else None
    return Page(items=[Job.model_validate_json(row["job"]) for row in page], next=following)


_LIST = """
SELECT id, created_at, job FROM listed_jobs
WHERE service = ANY($1) AND ($2::uuid IS NULL OR requested_by = $2) AND ($3::text IS NULL OR state = $3)
  AND ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR service = $5)
  AND ($6::timestamptz IS NULL OR (created_at, id) < ($6, $7::uuid))
ORDER BY created_at DESC, id DESC LIMIT $8
"""


async def get_job(uow: UnitOfWork, job_id: UUID) -> Job:
    """A job as it stands this moment; also one that was made this moment and is not listed yet.

    Every service whose jobs the caller may read is asked, accounts itself last: nobody asks inside a transaction.
    Raises JobNotFound, and what a service raises that does not answer when no other has the job.
    """
    job = await _ask_everybody(uow, job_id)
    if job is None and uow.service in readable_services(uow.caller):
        job = await _own(uow, job_id)
    requester = _only_requested_by(uow)
    if job is None or (requester is not None and job.requested_by.id != requester):
        raise JobNotFound("There is no such job.")
    return job


async def cancel_job(uow: UnitOfWork, job_id: UUID) -> Job:
    """Ask a job to stop. Raises JobNotFound, JobIsOver, MissingScope."""
    job = await get_job(uow, job_id)
    uow.caller.require(f"{job.service}:write")
    if job.service == uow.service:
        return await jobs.request_cancel(uow, job_id)
    return await uow.ask(platform.CancelJob(service_name=job.service, job_id=job_id))


async def _ask_everybody(uow: UnitOfWork, job_id: UUID) -> Job | None:
    """The first that has it; the others are not waited for."""
    others = [service for service in readable_services(uow.caller) if service != uow.service]
    asking = [asyncio.create_task(_ask_one(uow, service, job_id)) for service in others]
    failure: CrossdockError | None = None
    try:
        for answer in asyncio.as_completed(asking):
            try:
                job = await answer
            except CrossdockError as error:
                failure = error
                continue
            if job is not None:
                return job
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    if failure is not None:
        raise failure
    return None


async def _ask_one(uow: UnitOfWork, service: str, job_id: UUID) -> Job | None:
    try:
        return await uow.ask(platform.GetJob(service_name=service, job_id=job_id))
    except CrossdockError as error:
        if error.code == "job_not_found":
            return None
        raise


async def _own(uow: UnitOfWork, job_id: UUID) -> Job | None:
    try:
        return await jobs.get(uow, job_id)
    except jobs.JobNotFound:
        return None


def _only_requested_by(uow: UnitOfWork) -> UUID | None:
    """Jobs belong to no shop, so that somebody who is limited to shops sees the own ones alone."""
    return uow.caller.id if uow.caller.shop_ids is not None else None


async def forget_ended(uow: UnitOfWork, kept: timedelta, most: int) -> int:
    """Drop up to `most` jobs that ended longer ago from the list, but for those of imports. Across tenants."""
    dropped: int = await uow.fetchval("SELECT drop_listed_jobs($1, $2)", kept, most)
    return dropped
