"""Queries of feeds and of their executions, which are jobs of the same id."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.sync.errors import FeedExecutionNotFound, FeedNotFound
from services.sync.repository.connections import seen_shops
from shared.contracts.sync.messages import ListFeedExecutions
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

START_FEED = "sync.start_feed"

_FEED = (
    "SELECT f.id, f.connection_id, f.kind, f.is_enabled, f.cron, f.time_zone, f.next_run_at, f.version, c.platform,"
    " c.settings"
    " FROM feeds f JOIN connections c ON c.id = f.connection_id"
)
_SEEN = "($1::uuid[] IS NULL OR c.shop_id = ANY($1))"


async def add(
    uow: UnitOfWork, connection_id: UUID, rows: Sequence[tuple[str, bool, str | None, datetime | None]]
) -> None:
    """`rows` are kind, whether it is enabled, cron and the first run."""
    await uow.executemany(
        "INSERT INTO feeds (organization_id, id, connection_id, kind, is_enabled, cron, next_run_at, time_zone)"
        " SELECT $1, $2, $3, $4, $5, $6, $7, s.time_zone FROM connections c JOIN shops s ON s.id = c.shop_id"
        " WHERE c.id = $3",
        [(uow.organization_id, new_id(), connection_id, *row) for row in rows],
    )


async def get(uow: UnitOfWork, feed_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """Raises FeedNotFound."""
    row = await uow.fetchrow(
        f"{_FEED} WHERE {_SEEN} AND f.id = $2{' FOR NO KEY UPDATE OF f' if lock else ''}", seen_shops(uow), feed_id
    )
    if row is None:
        raise FeedNotFound("There is no such feed.")
    return row


async def list_of(uow: UnitOfWork, connection_id: UUID) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_FEED} WHERE {_SEEN} AND f.connection_id = $2 ORDER BY f.kind", seen_shops(uow), connection_id
    )


async def put(uow: UnitOfWork, feed_id: UUID, values: Mapping[str, Any]) -> None:
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 2))
    await uow.execute(
        f"UPDATE feeds SET version = version + 1, {changes} WHERE id = $1",  # noqa: S608
        feed_id,
        *values.values(),
    )


async def list_due(uow: UnitOfWork, now: datetime, most: int) -> list[asyncpg.Record]:
    """Feeds whose time has come, across tenants, those of connections that run and where somebody has answered."""
    return await uow.fetch(
        "SELECT f.organization_id, f.id, f.cron, f.time_zone, f.next_run_at FROM feeds f JOIN connections c"
        " ON c.organization_id = f.organization_id AND c.id = f.connection_id"
        " WHERE f.is_enabled AND f.next_run_at <= $1 AND NOT c.is_paused AND NOT c.needs_credentials"
        " AND c.checked_at IS NOT NULL"
        " ORDER BY f.next_run_at LIMIT $2 FOR UPDATE OF f SKIP LOCKED",
        now,
        most,
    )


async def schedule(uow: UnitOfWork, organization_id: UUID, feed_id: UUID, next_run_at: datetime | None) -> None:
    """Across tenants."""
    await uow.execute(
        "UPDATE feeds SET next_run_at = $3 WHERE organization_id = $1 AND id = $2",
        organization_id,
        feed_id,
        next_run_at,
    )


async def leave_start(
    uow: UnitOfWork, organization_id: UUID, feed_id: UUID, run_at: datetime, jitter_seconds: int
) -> None:
    """Across tenants: leave a task that starts a feed, once for each of its times."""
    await uow.execute(
        "INSERT INTO tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " VALUES ($1, $2, $3, json_build_object('feed_id', $4::text), now() + make_interval(secs => $5), $6)"
        " ON CONFLICT DO NOTHING",
        organization_id,
        new_id(),
        START_FEED,
        str(feed_id),
        jitter_seconds,
        f"{feed_id} {run_at.isoformat()}",
    )


# --- executions

_EXECUTION = (
    "SELECT e.id, e.connection_id, e.feed_id, e.kind, e.trigger, e.is_full, e.reason, e.rerun_of, e.created_at,"
    " j.state, j.done, j.total, j.counters, j.error, j.log, j.started_at, j.finished_at, c.is_paused"
    " FROM executions e JOIN jobs j ON j.id = e.id JOIN connections c ON c.id = e.connection_id"
)


async def add_execution(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    names = ", ".join(values)
    places = ", ".join(f"${place}" for place in range(2, len(values) + 2))
    await uow.execute(
        f"INSERT INTO executions (organization_id, {names}) VALUES ($1, {places})",  # noqa: S608
        uow.organization_id,
        *values.values(),
    )


async def get_execution(uow: UnitOfWork, execution_id: UUID) -> asyncpg.Record:
    """Raises FeedExecutionNotFound."""
    row = await uow.fetchrow(f"{_EXECUTION} WHERE {_SEEN} AND e.id = $2", seen_shops(uow), execution_id)
    if row is None:
        raise FeedExecutionNotFound("There is no such run of a feed.")
    return row


_STATES = {
    "paused": "j.state = 'running' AND c.is_paused",
    "running": "j.state = 'running' AND NOT c.is_paused",
    "partial": "j.state = 'succeeded' AND coalesce((j.counters->>'failed')::bigint, 0) > 0",
    "succeeded": "j.state = 'succeeded' AND coalesce((j.counters->>'failed')::bigint, 0) = 0",
}


async def list_executions(uow: UnitOfWork, asked: ListFeedExecutions, before: UUID | None) -> list[asyncpg.Record]:
    """Latest first, one more than asked for."""
    state = "true" if asked.state is None else _STATES.get(asked.state, f"j.state = '{asked.state}'")
    return await uow.fetch(
        f"{_EXECUTION} WHERE {_SEEN} AND ($2::uuid IS NULL OR e.connection_id = $2)"
        f" AND ($3::uuid IS NULL OR e.feed_id = $3) AND ($4::text IS NULL OR e.kind = $4)"
        f" AND ($5::uuid IS NULL OR e.id < $5) AND {state} ORDER BY e.id DESC LIMIT $6",
        seen_shops(uow),
        asked.connection_id,
        asked.feed_id,
        asked.kind,
        before,
        asked.first + 1,
    )


async def find_running(uow: UnitOfWork, connection_id: UUID, kinds: Sequence[str] | None = None) -> UUID | None:
    """An execution of one of these kinds (or of any) that has not ended."""
    found: UUID | None = await uow.fetchval(
        "SELECT e.id FROM executions e JOIN jobs j ON j.id = e.id WHERE e.connection_id = $1"
        " AND ($2::text[] IS NULL OR e.kind = ANY($2)) AND j.state IN ('queued', 'running') LIMIT 1",
        connection_id,
        kinds,
    )
    return found


async def list_running(uow: UnitOfWork, connection_id: UUID) -> list[UUID]:
    """Executions that have begun and not ended."""
    rows = await uow.fetch(
        "SELECT e.id FROM executions e JOIN jobs j ON j.id = e.id WHERE e.connection_id = $1 AND j.state = 'running'"
        " ORDER BY e.id",
        connection_id,
    )
    return [row["id"] for row in rows]


async def has_something_to_send(uow: UnitOfWork, connection_id: UUID, entities: Sequence[str]) -> bool:
    """Whether a record of these kinds waits to be compared, or a change to be sent."""
    found: bool = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM listings WHERE connection_id = $1 AND entity = ANY($2) AND marks > 0"
        "  AND gone_at IS NULL)"
        " OR 'product' = ANY($2) AND EXISTS (SELECT FROM candidates WHERE connection_id = $1)"
        # In test mode what is queued is shown, and not sent: there is nothing to run for.
        " OR EXISTS (SELECT FROM changes c JOIN connections n ON n.id = c.connection_id WHERE c.connection_id = $1"
        "  AND c.direction = 'out' AND c.entity = ANY($2) AND c.state = 'queued' AND n.mode = 'production'"
        "  AND coalesce(c.next_attempt_at, now()) <= now())",
        connection_id,
        entities,
    )
    return found


async def drop_ended(uow: UnitOfWork, older_than: timedelta, most: int) -> int:
    """Executions that ended longer ago, but for the newest of each feed and those that an open issue names.

    Across tenants. Returns how many there were; their jobs go as all jobs do.
    """
    status = await uow.execute(
        "DELETE FROM executions WHERE (organization_id, id) IN (SELECT e.organization_id, e.id FROM executions e"
        " JOIN jobs j ON (j.organization_id, j.id) = (e.organization_id, e.id)"
        " WHERE j.finished_at < now() - $1::interval AND EXISTS (SELECT FROM executions n"
        "  WHERE n.organization_id = e.organization_id AND n.feed_id = e.feed_id AND n.created_at > e.created_at)"
        " AND NOT EXISTS (SELECT FROM issues i WHERE i.organization_id = e.organization_id"
        "  AND i.connection_id = e.connection_id AND i.execution_id = e.id AND i.resolved_at IS NULL)"
        " ORDER BY j.finished_at LIMIT $2)",
        older_than,
        most,
    )
    return int(status.rpartition(" ")[2])
