"""What the sweeper does: everything here is found by looking at rows, so that nothing depends on a message arriving."""

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog

from shared.contracts.platform.messages import StillOpen
from shared.errors import CrossdockError
from shared.identifiers import new_id
from shared.messaging.outbox import SentEvent
from shared.messaging.relay import JOB_LIFETIME, Relay
from shared.service import TaskHandler
from shared.unit_of_work import UnitOfWork

F = TypeVar("F", bound=Hashable)
log = structlog.get_logger("crossdock.sweeping")
Transaction = Callable[[UUID | None], AbstractAsyncContextManager[UnitOfWork]]

HOUSEKEEPING_SECONDS = 60.0
# Redis may have lost it; until then whoever is woken by it has the word.
SENT_SECONDS = 10.0
# While so many jobs wait for a listener its events are not lost, only late: sending them again would only add to it.
LONGEST_BACKLOG = 50
_REDELIVERED_AT_ONCE = 5000
_IDEMPOTENCY_LIFETIME = timedelta(days=8)
_OUTBOX_LIFETIME = timedelta(days=7)
_ARRIVALS_AT_ONCE = 5000
# Where a walk through arrivals is: when one came, whose it is, and its event.
Place = tuple[datetime, UUID, UUID]
_BEGINNING: Place = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0), UUID(int=0))


async def redeliver(producer: str, transaction: Transaction, relay: Relay) -> None:
    """Send deliveries that are due again, and wait longer before the next time. Raises what Redis raises."""
    async with transaction(None) as uow:
        listeners = await uow.fetch(
            "SELECT DISTINCT listener FROM deliveries WHERE next_attempt_at <= now() AND parked_at IS NULL"
        )
    if not listeners:
        return
    busy = [row["listener"] for row in listeners if await relay.backlog(row["listener"]) > LONGEST_BACKLOG]
    async with transaction(None) as uow:
        rows = await uow.fetch(_TAKE_DUE, busy, _REDELIVERED_AT_ONCE)
    batches: defaultdict[tuple[str, UUID], list[tuple[float, SentEvent]]] = defaultdict(list)
    for row in rows:
        event = SentEvent(row["id"], row["name"], row["payload"].encode(), row["occurred_at"], row["traceparent"])
        batches[(row["listener"], row["organization_id"])].append((row["sent_at"], event))
    for (listener, organization_id), events in batches.items():
        await relay.send_events(producer, listener, organization_id, events)


# Event ids are UUIDv7: their order is the order in which they happened.
_TAKE_DUE = """
WITH due AS (
    UPDATE deliveries SET attempts = attempts + 1,
        next_attempt_at = now()
            + make_interval(secs => least(300, 5 * power(2, least(attempts, 10)))) * (0.75 + random() / 2)
    WHERE (organization_id, event_id, listener) IN (
        SELECT organization_id, event_id, listener FROM deliveries
        WHERE next_attempt_at <= now() AND parked_at IS NULL AND listener <> ALL($1)
        ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING organization_id, event_id, listener)
SELECT d.listener, o.organization_id, o.id, o.name, o.payload::text AS payload, o.traceparent,
    extract(epoch FROM o.occurred_at)::float8 AS occurred_at, extract(epoch FROM now())::float8 AS sent_at
FROM due d JOIN outbox o ON (o.organization_id, o.id) = (d.organization_id, d.event_id)
ORDER BY o.id
"""


async def leave_scheduled(uow: UnitOfWork, handlers: Sequence[TaskHandler]) -> None:
    """Leave a task for each schedule whose time has come; the row makes it one task however many workers look."""
    # Looked at before anything is written: most seconds nothing is due, and a write would lock the row all the same.
    due = await uow.fetch(
        "SELECT h.name, h.seconds FROM unnest($1::text[], $2::float8[]) AS h (name, seconds)"
        " LEFT JOIN schedules USING (name) WHERE schedules.name IS NULL OR next_run_at <= now()"
        # Also one that lies further ahead than it ever may: the clock was wrong when it was set.
        " OR next_run_at > now() + make_interval(secs => seconds * 2)",
        [handler.kind for handler in handlers],
        [handler.every_seconds for handler in handlers],
    )
    for name, seconds in due:
        is_ours = await uow.fetchval(
            "INSERT INTO schedules (name, next_run_at) SELECT name, now() + make_interval(secs => seconds)"
            " FROM (SELECT $1::text AS name, $2::float8 AS seconds) h"
            " ON CONFLICT (name) DO UPDATE SET next_run_at = excluded.next_run_at"
            " WHERE schedules.next_run_at <= now()"
            " OR schedules.next_run_at > now() + make_interval(secs => $2 * 2)"
            " RETURNING true",
            name,
            seconds,
        )
        if is_ours:
            await uow.execute(
                "INSERT INTO tasks (id, kind, payload, due_at, unique_key) VALUES ($1, $2, '{}', now(), 'schedule')"
                " ON CONFLICT DO NOTHING",
                new_id(),
                name,
            )


async def purge(uow: UnitOfWork) -> None:
    """Drop what has served its time: old idempotency keys, and events that every listener has acknowledged."""
    await uow.execute("DELETE FROM idempotency WHERE created_at < now() - $1::interval", _IDEMPOTENCY_LIFETIME)
    await uow.execute(
        "DELETE FROM outbox o WHERE occurred_at < now() - $1::interval AND NOT EXISTS (SELECT FROM deliveries d"
        " WHERE (d.organization_id, d.event_id) = (o.organization_id, o.id))",
        _OUTBOX_LIFETIME,
    )


async def tell_of_late(uow: UnitOfWork, late_seconds: float) -> None:
    """Say in the log which listeners have not heard events for so long; those they fail on are told of by alerts."""
    for row in await uow.fetch(
        "SELECT d.listener, count(*) AS late, extract(epoch FROM now() - min(o.occurred_at))::int AS oldest"
        " FROM deliveries d JOIN outbox o ON (o.organization_id, o.id) = (d.organization_id, d.event_id)"
        " WHERE d.parked_at IS NULL AND d.failures = 0 AND o.occurred_at < now() - make_interval(secs => $1)"
        " GROUP BY d.listener",
        late_seconds,
    ):
        log.error(
            "events_late", service=uow.service, listener=row["listener"], count=row["late"], seconds=row["oldest"]
        )


async def tell_of_parked(uow: UnitOfWork) -> None:
    """Say in the log which tasks of no organization are parked: nobody else's alert tells of them."""
    for row in await uow.fetch(
        "SELECT kind, count(*) AS parked, max(last_error) AS error FROM tasks"
        " WHERE parked_at IS NOT NULL AND organization_id IS NULL GROUP BY kind"
    ):
        log.error("tasks_parked", service=uow.service, kind=row["kind"], count=row["parked"], error=row["error"])


async def forget_closed_arrivals(
    service: str, transaction: Transaction, unit_of_work: Callable[[UUID | None], UnitOfWork]
) -> None:
    """Drop inbox rows that no delivery can repeat: closed at the producer, and too old for any job still queued.

    Goes on while it finds full portions to drop, so that it keeps pace with whatever arrives. A producer that does not
    answer keeps its own arrivals remembered, nobody else's.
    """
    async with transaction(None) as uow:
        producers = await uow.fetch("SELECT DISTINCT producer FROM inbox")
    for row in producers:
        try:
            place: Place | None = _BEGINNING
            while place is not None:
                place = await _forget_some(service, row["producer"], place, transaction, unit_of_work)
        except CrossdockError as error:
            log.warning("arrivals_kept", service=service, producer=row["producer"], error=error.detail)


async def _forget_some(
    service: str,
    producer: str,
    place: Place,
    transaction: Transaction,
    unit_of_work: Callable[[UUID | None], UnitOfWork],
) -> Place | None:
    """Drop the oldest arrivals from one producer, behind `place`, that are closed.

    Returns the place behind which to go on: those that stay open hold up no other. None when that was all.
    """
    async with transaction(None) as uow:
        rows = await uow.fetch(
            "SELECT received_at, organization_id, event_id FROM inbox"
            " WHERE received_at < now() - $1::interval AND producer = $3"
            " AND (received_at, organization_id, event_id) > ($4, $5, $6)"
            " ORDER BY received_at, organization_id, event_id LIMIT $2",
            JOB_LIFETIME * 2,
            _ARRIVALS_AT_ONCE,
            producer,
            *place,
        )
    arrivals: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for row in rows:
        arrivals[row["organization_id"]].append(row["event_id"])
    for organization_id, event_ids in arrivals.items():
        question = StillOpen(service_name=producer, listener=service, event_ids=event_ids)
        still_open = await unit_of_work(organization_id).ask(question)
        async with transaction(None) as uow:
            await uow.execute(
                "DELETE FROM inbox WHERE organization_id = $1 AND event_id = ANY($2)",
                organization_id,
                list(set(event_ids) - set(still_open.event_ids)),
            )
    if len(rows) < _ARRIVALS_AT_ONCE:
        return None
    last = rows[-1]
    return last["received_at"], last["organization_id"], last["event_id"]


class Sent:
    """What this process put on a queue a moment ago: while it waits there, sending it again would only add to it."""

    def __init__(self) -> None:
        self._sent: dict[Hashable, float] = {}

    def not_yet(self, found: Sequence[F]) -> list[F]:
        """Those not sent within the last seconds; from now on they count as sent."""
        now = time.monotonic()
        self._sent = {known: at for known, at in self._sent.items() if now - at < SENT_SECONDS}
        fresh = [each for each in found if each not in self._sent]
        self._sent.update(dict.fromkeys(fresh, now))
        return fresh


__all__ = [
    "HOUSEKEEPING_SECONDS",
    "Sent",
    "forget_closed_arrivals",
    "leave_scheduled",
    "purge",
    "redeliver",
    "tell_of_late",
    "tell_of_parked",
]
