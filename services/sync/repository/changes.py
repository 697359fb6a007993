"""Queries of queued changes: one open change per record, direction and field, coalesced as it is found again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import ChangeNotFound
from services.sync.repository.connections import seen_shops
from services.sync.repository.listings import dumped
from shared.contracts.sync.messages import ListChanges
from shared.contracts.sync.shapes import ChangeState, Direction
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

# The field of a change that is a whole record.
WHOLE = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A difference to be kept. `field` WHOLE: the record itself is new, or gone.

    `since`: when that was written here which is to be there; None where that is not known.
    """

    listing_id: UUID
    entity: str
    direction: Direction
    kind: str
    field: str
    before: Any
    after: Any
    state: ChangeState
    reason: str | None = None
    since: datetime | None = None


async def queue(uow: UnitOfWork, connection_id: UUID, found: Sequence[Found]) -> None:
    """Keep differences. One that is open already says what holds now; one that waits for a person goes on waiting."""
    await uow.execute(
        _QUEUE,
        uow.organization_id,
        connection_id,
        [new_id() for _ in found],
        [each.listing_id for each in found],
        [each.entity for each in found],
        [each.direction for each in found],
        [each.kind for each in found],
        [each.field for each in found],
        [dumped(each.before) for each in found],
        [dumped(each.after) for each in found],
        [each.state for each in found],
        [each.reason for each in found],
        [each.since for each in found],
    )


_QUEUE = """
INSERT INTO changes AS c (organization_id, connection_id, id, listing_id, entity, direction, kind, field, before, after,
    state, reason, wanted_since)
SELECT $1, $2, f.id, f.listing_id, f.entity, f.direction, f.kind, f.field, f.before::jsonb, f.after::jsonb, f.state,
    f.reason, f.since
FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::text[], $12::text[], $13::timestamptz[])
    AS f (id, listing_id, entity, direction, kind, field, before, after, state, reason, since)
ON CONFLICT (organization_id, listing_id, direction, field) WHERE is_open DO UPDATE
SET before = excluded.before, after = excluded.after, reason = excluded.reason, attempts = 0,
    state = CASE WHEN c.state IN ('review', 'conflict') AND excluded.state = 'queued' THEN c.state
        ELSE excluded.state END,
    revision = c.revision + 1, next_attempt_at = NULL, decided_by = NULL, updated_at = now(),
    wanted_since = least(c.wanted_since, excluded.wanted_since)
WHERE (c.after, c.before) IS DISTINCT FROM (excluded.after, excluded.before)
    OR c.state = 'failed' AND excluded.state = 'queued'
"""


# Of each record alone, whatever the statistics say of how much is open: a join would read all of that.
_OPEN_OF_FIELDS = (
    "WHERE c.id = ANY(ARRAY(SELECT k.id FROM unnest($1::uuid[], $2::text[]) AS f (listing_id, field) CROSS JOIN LATERAL"
    " (SELECT id, field, direction FROM changes WHERE listing_id = f.listing_id OFFSET 0) k"
    " WHERE k.field = f.field AND k.direction = $3)) AND c.state NOT IN ('applied', 'cancelled')"
)


async def call_off(uow: UnitOfWork, direction: Direction, fields: Sequence[tuple[UUID, str]], reason: str) -> None:
    """Open changes of these records and fields are no longer wanted."""
    await uow.execute(
        f"UPDATE changes c SET state = 'cancelled', reason = $4, updated_at = now() {_OPEN_OF_FIELDS}",  # noqa: S608
        [listing_id for listing_id, _ in fields],
        [field for _, field in fields],
        direction,
        reason,
    )


async def call_off_all(uow: UnitOfWork, listing_ids: Sequence[UUID], reason: str) -> None:
    """Nothing that is open of these records is wanted any more."""
    await uow.execute(
        "UPDATE changes SET state = 'cancelled', reason = $2, updated_at = now()"
        " WHERE listing_id = ANY($1) AND is_open",
        list(listing_ids),
        reason,
    )


_CHANGE = (
    "SELECT c.id, c.connection_id, c.listing_id, c.entity, c.direction, c.kind, c.field, c.before, c.after, c.state,"
    " c.reason, c.revision, c.attempts, c.next_attempt_at, c.decided_by, c.created_at, c.updated_at,"
    " c.wanted_since FROM changes c"
)


async def dispute(uow: UnitOfWork, fields: Sequence[tuple[UUID, str]]) -> None:
    """Writes of these records and fields wait until somebody has decided."""
    await uow.execute(
        "UPDATE changes c SET state = 'conflict', reason = 'both_sides_changed', updated_at = now()"  # noqa: S608
        f" {_OPEN_OF_FIELDS}",
        [listing_id for listing_id, _ in fields],
        [field for _, field in fields],
        "out",
    )


async def list_open(uow: UnitOfWork, listing_ids: Sequence[UUID], direction: Direction) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_CHANGE} WHERE c.listing_id = ANY($1) AND c.direction = $2 AND c.is_open",
        listing_ids,
        direction,
    )


# What is due of a record, `entity` being one kind; and of which records. LATERAL makes the latter one walk along the
# index that ends where there are enough: a join would read all that is queued, for every batch of it.
_DUE = (
    "c.connection_id = $1 AND c.direction = $2 AND c.entity = kinds.entity AND c.state = 'queued'"
    " AND coalesce(c.next_attempt_at, now()) <= now() AND ($6::uuid IS NULL OR c.run_id = $6) AND {which}"
)
_QUEUED = f"""
WITH records AS MATERIALIZED (
    SELECT kinds.entity, few.listing_id FROM unnest($3::text[]) AS kinds (entity) CROSS JOIN LATERAL (
        SELECT DISTINCT c.listing_id FROM changes c
        WHERE {_DUE} AND c.listing_id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
        ORDER BY c.listing_id LIMIT $5
    ) few ORDER BY few.listing_id LIMIT $5
)
SELECT due.* FROM records kinds CROSS JOIN LATERAL (
    {_CHANGE} WHERE c.listing_id = kinds.listing_id AND {_DUE} OFFSET 0
) due ORDER BY due.listing_id, due.field
"""  # noqa: S608
# Which queued changes a feed takes up.
Which = Literal["all", "inserts", "updates", "images", "fields", "relinks", "removals"]
_WHICH: dict[Which, str] = {
    "all": "true",
    "inserts": "c.kind = 'insert'",
    "updates": "c.kind = 'update' AND c.field NOT IN ('images', 'product_id')",
    "images": "c.kind = 'update' AND c.field = 'images'",
    "fields": "c.kind = 'update'",
    "removals": "c.kind = 'delete' AND c.decided_by IS NOT NULL",
    "relinks": "c.kind = 'update' AND c.field = 'product_id'",
}


async def list_queued(
    uow: UnitOfWork,
    connection_id: UUID,
    direction: Direction,
    entities: Sequence[str],
    which: Which,
    after: UUID | None,
    most: int,
    run_id: UUID | None = None,
) -> list[asyncpg.Record]:
    """Changes to be made now, of so many records, by record; with `run_id` those alone that this run tries again."""
    return await uow.fetch(
        _QUEUED.replace("{which}", _WHICH[which]),
        connection_id,
        direction,
        entities,
        after,
        most,
        run_id,
    )


async def requeue_failed(uow: UnitOfWork, connection_id: UUID, failed_in: UUID, run_id: UUID) -> int:
    """What failed in a run, or in one that tried that again, is tried again by another."""
    status = await uow.execute(
        "UPDATE changes SET state = 'queued', attempts = 0, next_attempt_at = NULL, updated_at = now(), run_id = $3"
        " WHERE connection_id = $1 AND state = 'failed' AND run_id IN (WITH RECURSIVE tries AS (SELECT $2::uuid AS id"
        "  UNION SELECT e.id FROM executions e JOIN tries t ON e.rerun_of = t.id WHERE e.connection_id = $1)"
        " SELECT id FROM tries)",
        connection_id,
        failed_in,
        run_id,
    )
    return int(status.rpartition(" ")[2])


async def count_harm(uow: UnitOfWork, connection_id: UUID, entities: Sequence[str]) -> int:
    """How many records would be emptied or deactivated in part by what is queued and nobody has approved."""
    count: int = await uow.fetchval(
        f"SELECT count(DISTINCT c.listing_id) FROM changes c WHERE {_HARM}",  # noqa: S608
        connection_id,
        entities,
    )
    return count


async def hold_harm(
    uow: UnitOfWork, connection_id: UUID, entities: Sequence[str], after: UUID | None, most: int
) -> UUID | None:
    """Let so many of these wait for a person, those after this one. Returns the last; None: there are no more."""
    last: UUID | None = await uow.fetchval(
        "WITH held AS (UPDATE changes SET state = 'review', reason = 'guard', updated_at = now()"  # noqa: S608
        f" WHERE id = ANY(ARRAY(SELECT c.id FROM changes c WHERE {_HARM} AND ($3::uuid IS NULL OR c.id > $3)"
        " ORDER BY c.id LIMIT $4)) RETURNING id)"
        " SELECT CASE WHEN count(*) = $4 THEN (array_agg(id ORDER BY id DESC))[1] END FROM held",
        connection_id,
        entities,
        after,
        most,
    )
    return last


_HARM = """c.connection_id = $1 AND c.entity = ANY($2) AND c.direction = 'in' AND c.state = 'queued'
    AND c.kind = 'update' AND c.decided_by IS NULL AND c.before NOT IN ('null', '""', '[]', '{}')
    AND (c.after IN ('null', '""', '[]', '{}')
        OR c.field = 'status' AND c.before = '"active"' AND c.after IN ('"archived"', '"paused"', '"draft"'))"""


async def settle(uow: UnitOfWork, change_ids: Sequence[UUID], state: ChangeState, reason: str | None = None) -> None:
    await uow.execute(
        "UPDATE changes SET state = $2, reason = coalesce($3, reason), updated_at = now() WHERE id = ANY($1)",
        change_ids,
        state,
        reason,
    )


async def fail(uow: UnitOfWork, change_ids: Sequence[UUID], reason: str, run_id: UUID) -> None:
    """These failed in this run."""
    await uow.execute(
        "UPDATE changes SET state = 'failed', reason = $2, run_id = $3, updated_at = now() WHERE id = ANY($1)",
        change_ids,
        reason,
        run_id,
    )


async def settle_tried(
    uow: UnitOfWork, tried: Sequence[asyncpg.Record], state: ChangeState, reason: str, run_id: UUID
) -> None:
    """What came of changes as this run tried them; one that was renewed, or decided on, meanwhile is another."""
    await uow.execute(
        f"UPDATE changes c SET state = $3, reason = $4, run_id = $5, updated_at = now() {_AS_TRIED}",  # noqa: S608
        *_tried(tried),
        state,
        reason,
        run_id,
    )


async def put_off(
    uow: UnitOfWork, tried: Sequence[asyncpg.Record], reason: str, most_attempts: int, run_id: UUID
) -> list[UUID]:
    """Try these again later, ever later; beyond `most_attempts` they fail in this run. Returns those that did."""
    rows = await uow.fetch(
        "UPDATE changes c SET attempts = attempts + 1, reason = $3, run_id = $5, updated_at = now(),"  # noqa: S608
        " state = CASE WHEN attempts + 1 >= $4 THEN 'failed' ELSE 'queued' END,"
        " next_attempt_at = now() + make_interval(secs => least(3600, 30 * power(2, least(attempts, 10)))"
        f" * (0.75 + random() / 2)) {_AS_TRIED} RETURNING c.id, c.state",
        *_tried(tried),
        reason,
        most_attempts,
        run_id,
    )
    return [row["id"] for row in rows if row["state"] == "failed"]


async def hasten(uow: UnitOfWork, tried: Sequence[asyncpg.Record]) -> None:
    """These are due now, unless they were renewed, or decided on, meanwhile."""
    await uow.execute(f"UPDATE changes c SET next_attempt_at = NULL {_AS_TRIED}", *_tried(tried))  # noqa: S608


# LATERAL looks each up by its id: a join would read all that is queued, for every batch of it.
_AS_TRIED = (
    "WHERE c.id = ANY(ARRAY(SELECT k.id FROM unnest($1::uuid[], $2::integer[]) AS t (id, revision) CROSS JOIN LATERAL"
    " (SELECT id, revision, state FROM changes WHERE id = t.id OFFSET 0 FOR NO KEY UPDATE) k"
    " WHERE k.revision = t.revision AND k.state = 'queued'))"
)


def _tried(changes: Sequence[asyncpg.Record]) -> tuple[list[UUID], list[int]]:
    return [change["id"] for change in changes], [change["revision"] for change in changes]


# --- for people

_LISTED = (
    "SELECT c.*, l.external_id, l.sku FROM changes c JOIN listings l ON l.id = c.listing_id"
    " JOIN connections n ON n.id = c.connection_id WHERE ($1::uuid[] IS NULL OR n.shop_id = ANY($1))"
)


async def get(uow: UnitOfWork, change_id: UUID) -> asyncpg.Record:
    """Raises ChangeNotFound."""
    row = await uow.fetchrow(f"{_LISTED} AND c.id = $2", seen_shops(uow), change_id)
    if row is None:
        raise ChangeNotFound("There is no such change.")
    return row


async def list_page(uow: UnitOfWork, asked: ListChanges, before: UUID | None) -> list[asyncpg.Record]:
    """Latest first, one more than asked for."""
    return await uow.fetch(
        f"{_LISTED} AND ($2::uuid IS NULL OR c.connection_id = $2) AND ($3::uuid IS NULL OR c.listing_id = $3)"
        " AND ($4::text IS NULL OR c.direction = $4) AND ($5::text IS NULL OR c.state = $5)"
        " AND ($6::uuid IS NULL OR c.id < $6) ORDER BY c.id DESC LIMIT $7",
        seen_shops(uow),
        asked.connection_id,
        asked.listing_id,
        asked.direction,
        asked.state,
        before,
        asked.first + 1,
    )


async def count(uow: UnitOfWork, connection_id: UUID, direction: Direction | None) -> dict[str, int]:
    rows = await uow.fetch(
        "SELECT state, count(*) FROM changes WHERE connection_id = $1 AND ($2::text IS NULL OR direction = $2)"
        " GROUP BY state",
        connection_id,
        direction,
    )
    return {row["state"]: row["count"] for row in rows}


async def lock(uow: UnitOfWork, change_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Changes that a person decides on. Raises ChangeNotFound unless all of them are there."""
    rows = await uow.fetch(
        f"{_LISTED} AND c.id = ANY($2) ORDER BY c.id FOR NO KEY UPDATE OF c", seen_shops(uow), change_ids
    )
    if len(rows) < len(set(change_ids)):
        raise ChangeNotFound("There is no such change among them.")
    return rows


async def decide(uow: UnitOfWork, change_ids: Sequence[UUID], state: ChangeState, decided_by: dict[str, Any]) -> None:
    await uow.execute(
        "UPDATE changes SET state = $2, decided_by = $3, attempts = 0, next_attempt_at = NULL, updated_at = now()"
        " WHERE id = ANY($1)",
        change_ids,
        state,
        orjson.dumps(decided_by).decode(),
    )


async def try_again(uow: UnitOfWork, listing_ids: Sequence[UUID], direction: Direction) -> int:
    """Failed and postponed changes of these records, and of the variants of those, are tried again now."""
    status = await uow.execute(
        "UPDATE changes SET state = 'queued', attempts = 0, next_attempt_at = NULL, updated_at = now()"
        " WHERE listing_id = ANY(ARRAY(SELECT unnest($1::uuid[]) UNION ALL SELECT v.id FROM listings p JOIN listings v"
        "  ON v.connection_id = p.connection_id AND v.parent_external_id = p.external_id AND v.entity = 'variant'"
        "  WHERE p.id = ANY($1) AND p.entity = 'product')) AND direction = $2"
        " AND (state = 'failed' OR state = 'queued' AND next_attempt_at IS NOT NULL)",
        list(listing_ids),
        direction,
    )
    return int(status.rpartition(" ")[2])


async def drop_settled(uow: UnitOfWork, older_than: timedelta, most: int) -> int:
    """Across tenants. Returns how many there were."""
    status = await uow.execute(
        "DELETE FROM changes WHERE (organization_id, id) IN (SELECT organization_id, id FROM changes"
        " WHERE NOT is_open AND updated_at < now() - $1::interval LIMIT $2)",
        older_than,
        most,
    )
    return int(status.rpartition(" ")[2])
