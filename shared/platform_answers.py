"""What every service answers in the same way: its jobs, its parked deliveries and tasks."""

from collections.abc import Iterable

import orjson

from shared import jobs
from shared.contracts.base import Page
from shared.contracts.platform.events import AlertCleared
from shared.contracts.platform.messages import (
    CancelJob,
    GetJob,
    ListParkedDeliveries,
    ListParkedTasks,
    OpenDeliveries,
    ReplayDeliveries,
    Replayed,
    ReplayTasks,
    StillOpen,
)
from shared.contracts.platform.shapes import Job, ParkedDelivery, ParkedTask
from shared.pagination import cursor_for, cursor_id, cursor_time, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetJob, internal=True)
async def get_job(message: GetJob, uow: UnitOfWork) -> Job:
    return await jobs.get(uow, message.job_id)


@answers(CancelJob, internal=True)
async def cancel_job(message: CancelJob, uow: UnitOfWork) -> Job:
    return await jobs.request_cancel(uow, message.job_id)


@answers(ListParkedDeliveries, scope="admin")
async def list_parked_deliveries(message: ListParkedDeliveries, uow: UnitOfWork) -> Page[ParkedDelivery]:
    values = cursor_values(message.after, 3)
    parked_at, event_id = (None, None) if values is None else (cursor_time(values[0]), cursor_id(values[1]))
    rows = await uow.fetch(
        "SELECT d.*, o.name, o.payload FROM deliveries d JOIN outbox o ON (o.organization_id, o.id) ="
        " (d.organization_id, d.event_id) WHERE parked_at IS NOT NULL AND ($1::timestamptz IS NULL OR"
        " (parked_at, event_id, listener) > ($1, $2::uuid, $3::text))"
        " ORDER BY parked_at, event_id, listener LIMIT $4",
        parked_at,
        event_id,
        None if values is None else str(values[2]),
        message.first + 1,
    )
    items = [
        ParkedDelivery(
            service=uow.service,
            event_id=row["event_id"],
            event=row["name"],
            listener=row["listener"],
            failures=row["failures"],
            last_error=row["last_error"],
            parked_at=row["parked_at"],
            payload=orjson.loads(row["payload"]),
        )
        for row in rows[: message.first]
    ]
    last = rows[message.first - 1] if len(rows) > message.first else None
    following = last and cursor_for(last["parked_at"].isoformat(), str(last["event_id"]), last["listener"])
    return Page(items=items, next=following)


@answers(ReplayDeliveries, scope="admin")
async def replay_deliveries(message: ReplayDeliveries, uow: UnitOfWork) -> Replayed:
    rows = await uow.fetch(
        "UPDATE deliveries SET parked_at = NULL, failures = 0, next_attempt_at = now()"
        " WHERE parked_at IS NOT NULL AND ($1::uuid[] IS NULL OR event_id = ANY($1)) RETURNING event_id, listener",
        message.event_ids,
    )
    if rows:
        ids = [str(row["event_id"]) for row in rows]
        uow.audit("deliveries.replay", "delivery", f"{len(ids)} events", after={"event_ids": ids[:1000]})
        still = await uow.fetch("SELECT DISTINCT listener FROM deliveries WHERE parked_at IS NOT NULL")
        _clear_alerts(uow, "delivery", {row["listener"] for row in rows} - {row["listener"] for row in still})
    return Replayed(count=len(rows))


@answers(ListParkedTasks, scope="admin")
async def list_parked_tasks(message: ListParkedTasks, uow: UnitOfWork) -> Page[ParkedTask]:
    values = cursor_values(message.after, 2)
    parked_at, task_id = (None, None) if values is None else (cursor_time(values[0]), cursor_id(values[1]))
    rows = await uow.fetch(
        "SELECT * FROM tasks WHERE parked_at IS NOT NULL AND ($1::timestamptz IS NULL OR (parked_at, id) > ($1, $2))"
        " ORDER BY parked_at, id LIMIT $3",
        parked_at,
        task_id,
        message.first + 1,
    )
    items = [
        ParkedTask(
            service=uow.service,
            id=row["id"],
            kind=row["kind"],
            failures=row["failures"],
            last_error=row["last_error"],
            parked_at=row["parked_at"],
            payload=orjson.loads(row["payload"]),
        )
        for row in rows[: message.first]
    ]
    last = items[-1] if len(rows) > message.first else None
    return Page(items=items, next=last and cursor_for(last.parked_at.isoformat(), str(last.id)))


@answers(ReplayTasks, scope="admin")
async def replay_tasks(message: ReplayTasks, uow: UnitOfWork) -> Replayed:
    rows = await uow.fetch(
        "UPDATE tasks SET parked_at = NULL, failures = 0, due_at = now()"
        " WHERE parked_at IS NOT NULL AND ($1::uuid[] IS NULL OR id = ANY($1)) RETURNING id, kind",
        message.task_ids,
    )
    if rows:
        ids = [str(row["id"]) for row in rows]
        uow.audit("tasks.replay", "task", f"{len(ids)} tasks", after={"task_ids": ids[:1000]})
        still = await uow.fetch("SELECT DISTINCT kind FROM tasks WHERE parked_at IS NOT NULL")
        _clear_alerts(uow, "task", {row["kind"] for row in rows} - {row["kind"] for row in still})
    return Replayed(count=len(rows))


def _clear_alerts(uow: UnitOfWork, what: str, unparked: Iterable[str]) -> None:
    """Where nothing is parked any more the alert of it is over; what fails again raises a new one."""
    for name in sorted(unparked):
        uow.record(AlertCleared(service=uow.service, cause=f"{uow.service}.{what}.{name}"))


@answers(StillOpen, internal=True)
async def still_open(message: StillOpen, uow: UnitOfWork) -> OpenDeliveries:
    rows = await uow.fetch(
        "SELECT event_id FROM deliveries WHERE event_id = ANY($1) AND listener = $2",
        message.event_ids,
        message.listener,
    )
    return OpenDeliveries(event_ids=[row["event_id"] for row in rows])
