"""Queries of issues: one open issue per connection, feed, subject and code."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.sync.errors import IssueNotFound
from services.sync.repository.connections import seen_shops
from shared.contracts.sync.messages import ListIssues
from shared.contracts.sync.shapes import FeedKind, IssueClass
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong with a record (`subject` names it), or with a feed (its kind is the subject)."""

    feed: FeedKind
    issue_class: IssueClass
    code: str
    message: str
    subject: str
    listing_id: UUID | None = None
    remote_message: str | None = None


async def note(uow: UnitOfWork, connection_id: UUID, execution_id: UUID | None, troubles: Sequence[Trouble]) -> None:
    """Keep what went wrong; the same again counts, and never lowers its class."""
    once = {(each.feed, each.subject, each.code): each for each in troubles}
    rows = [once[key] for key in sorted(once)]
    await uow.execute(
        _NOTE,
        uow.organization_id,
        connection_id,
        execution_id,
        [new_id() for _ in rows],
        [each.feed for each in rows],
        [each.listing_id for each in rows],
        [each.subject for each in rows],
        [each.issue_class for each in rows],
        [each.code for each in rows],
        [each.message for each in rows],
        [each.remote_message for each in rows],
    )


_NOTE = """
INSERT INTO issues AS i (organization_id, connection_id, execution_id, id, feed, listing_id, subject, class, code,
    message, remote_message)
SELECT $1, $2, $3, t.* FROM unnest($4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::text[]) AS t
ON CONFLICT (organization_id, connection_id, feed, subject, code) WHERE resolved_at IS NULL DO UPDATE
SET class = CASE WHEN i.class = 'error' THEN i.class ELSE excluded.class END, message = excluded.message,
    remote_message = excluded.remote_message, attempts = i.attempts + 1, last_seen_at = now(),
    execution_id = excluded.execution_id
"""


async def list_open(
    uow: UnitOfWork, connection_id: UUID, feed: FeedKind, code: str, after: str, most: int
) -> list[str]:
    """Of which records this is open: their subjects, those behind `after`, in their order."""
    rows = await uow.fetch(
        "SELECT subject FROM issues WHERE connection_id = $1 AND feed = $2 AND code = $3 AND resolved_at IS NULL"
        " AND subject > $4 ORDER BY subject LIMIT $5",
        connection_id,
        feed,
        code,
        after,
        most,
    )
    return [row["subject"] for row in rows]


async def list_subjects(uow: UnitOfWork, connection_id: UUID, feed: FeedKind, execution_id: UUID) -> set[str]:
    """What was open of records when this run ended, and still is."""
    rows = await uow.fetch(
        "SELECT subject FROM issues WHERE connection_id = $1 AND feed = $2 AND execution_id = $3"
        " AND resolved_at IS NULL AND subject <> $2",
        connection_id,
        feed,
        execution_id,
    )
    return {row["subject"] for row in rows}


async def resolve(uow: UnitOfWork, connection_id: UUID, feed: FeedKind, subjects: Sequence[str]) -> None:
    """It works again: whatever was open of these subjects is over."""
    await uow.execute(
        "UPDATE issues SET resolved_at = now() WHERE connection_id = $1 AND feed = $2 AND subject = ANY($3)"
        " AND resolved_at IS NULL",
        connection_id,
        feed,
        subjects,
    )


# For a person, or for another scan after a reset: that an ordinary run came to its end says nothing of these.
_LASTING = ("too_many_gone", "incomplete_scan", "too_many_emptied")


async def resolve_feed(uow: UnitOfWork, connection_id: UUID, feed: FeedKind, execution_id: UUID) -> None:
    """The feed came to its end: what was open of it as a whole is over, but for what this very run has to say."""
    await uow.execute(
        "UPDATE issues SET resolved_at = now() WHERE connection_id = $1 AND feed = $2 AND subject = $2"
        " AND resolved_at IS NULL AND (class = 'retry' OR execution_id IS DISTINCT FROM $3) AND code <> ALL($4)",
        connection_id,
        feed,
        execution_id,
        _LASTING,
    )


async def resolve_lasting(uow: UnitOfWork, connection_id: UUID, feeds: Sequence[FeedKind], execution_id: UUID) -> None:
    """A whole scan after a reset has found everything in order: what others of these feeds had to say of it is over."""
    await uow.execute(
        "UPDATE issues SET resolved_at = now() WHERE connection_id = $1 AND feed = ANY($2) AND subject = feed"
        " AND resolved_at IS NULL AND code = ANY($3) AND execution_id IS DISTINCT FROM $4",
        connection_id,
        feeds,
        _LASTING,
        execution_id,
    )


async def resolve_settled(uow: UnitOfWork, connection_id: UUID, feed: FeedKind) -> None:
    """What was open of products is over where nothing that comes in of them, or of their variants, fails or waits."""
    await uow.execute(
        "UPDATE issues i SET resolved_at = now() FROM listings l WHERE i.connection_id = $1 AND i.feed = $2"
        " AND i.class = 'error' AND i.resolved_at IS NULL AND l.id = i.listing_id"
        " AND NOT EXISTS (SELECT FROM changes c WHERE c.listing_id = l.id AND c.direction = 'in'"
        " AND c.state IN ('failed', 'queued'))"
        " AND NOT EXISTS (SELECT FROM listings v JOIN changes c ON c.listing_id = v.id WHERE v.connection_id = $1"
        " AND v.parent_external_id = l.external_id AND c.direction = 'in' AND c.state IN ('failed', 'queued'))",
        connection_id,
        feed,
    )


async def resolve_code(
    uow: UnitOfWork, connection_id: UUID, feeds: Sequence[FeedKind], subjects: Sequence[str], code: str
) -> None:
    """This is over of these records, whichever of these feeds has said it."""
    await uow.execute(
        "UPDATE issues SET resolved_at = now() WHERE connection_id = $1 AND feed = ANY($2) AND subject = ANY($3)"
        " AND resolved_at IS NULL AND code = $4",
        connection_id,
        feeds,
        subjects,
        code,
    )


async def resolve_other(uow: UnitOfWork, listing_id: UUID, prefix: str, trouble: Trouble | None) -> None:
    """Of a record's issues whose codes begin so, all but this one are over; in a lower class it is one anew."""
    await uow.execute(
        "UPDATE issues SET resolved_at = now() WHERE listing_id = $1 AND starts_with(code, $2) AND resolved_at IS NULL"
        " AND (code IS DISTINCT FROM $3 OR class = 'error' AND $4 <> 'error')",
        listing_id,
        prefix,
        trouble and trouble.code,
        trouble.issue_class if trouble else "error",
    )


async def close_pattern(uow: UnitOfWork, connection_id: UUID, feed: FeedKind, code: str) -> list[asyncpg.Record]:
    """Close all open issues of a pattern. Returns their listings and subjects."""
    return await uow.fetch(
        "UPDATE issues SET resolved_at = now() WHERE connection_id = $1 AND feed = $2 AND code = $3"
        " AND resolved_at IS NULL RETURNING listing_id, subject",
        connection_id,
        feed,
        code,
    )


_LISTED = (
    "SELECT i.id, i.connection_id, i.feed, i.listing_id, i.subject, i.class, i.code, i.message, i.remote_message,"
    " i.attempts, i.execution_id, i.created_at, i.last_seen_at, i.resolved_at FROM issues i"
    " JOIN connections c ON c.id = i.connection_id WHERE ($1::uuid[] IS NULL OR c.shop_id = ANY($1))"
)


async def get(uow: UnitOfWork, issue_id: UUID) -> asyncpg.Record:
    """Raises IssueNotFound."""
    row = await uow.fetchrow(f"{_LISTED} AND i.id = $2", seen_shops(uow), issue_id)
    if row is None:
        raise IssueNotFound("There is no such issue.")
    return row


async def list_page(uow: UnitOfWork, asked: ListIssues, before: UUID | None) -> list[asyncpg.Record]:
    """Latest first, one more than asked for."""
    return await uow.fetch(
        f"{_LISTED} AND ($2::uuid IS NULL OR i.connection_id = $2) AND ($3::uuid IS NULL OR i.listing_id = $3)"
        " AND ($4::text IS NULL OR i.class = $4) AND ($5::text IS NULL OR i.code = $5)"
        " AND (i.resolved_at IS NULL) = $6 AND ($7::uuid IS NULL OR i.id < $7) ORDER BY i.id DESC LIMIT $8",
        seen_shops(uow),
        asked.connection_id,
        asked.listing_id,
        asked.issue_class,
        asked.code,
        asked.is_open,
        before,
        asked.first + 1,
    )


async def list_patterns(uow: UnitOfWork, connection_id: UUID | None) -> list[asyncpg.Record]:
    """Open issues by connection, feed, class and code, the most frequent first."""
    return await uow.fetch(
        "SELECT i.connection_id, i.feed, i.class, i.code, count(*), min(i.subject) AS example,"
        " (array_agg(i.remote_message ORDER BY i.last_seen_at DESC))[1] AS remote_message,"
        " min(i.created_at) AS first_at, max(i.last_seen_at) AS last_at"
        " FROM issues i JOIN connections c ON c.id = i.connection_id"
        " WHERE ($1::uuid[] IS NULL OR c.shop_id = ANY($1)) AND ($2::uuid IS NULL OR i.connection_id = $2)"
        " AND i.resolved_at IS NULL GROUP BY 1, 2, 3, 4 ORDER BY count(*) DESC, 1, 2, 4 LIMIT 200",
        seen_shops(uow),
        connection_id,
    )


async def count_errors(uow: UnitOfWork, connection_id: UUID) -> int:
    """Open issues of a connection that wait for a person."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM issues WHERE connection_id = $1 AND class = 'error' AND resolved_at IS NULL",
        connection_id,
    )
    return count


async def drop_resolved(uow: UnitOfWork, older_than: timedelta, most: int) -> int:
    """Across tenants. Returns how many there were."""
    status = await uow.execute(
        "DELETE FROM issues WHERE (organization_id, id) IN (SELECT organization_id, id FROM issues"
        " WHERE resolved_at < now() - $1::interval LIMIT $2)",
        older_than,
        most,
    )
    return int(status.rpartition(" ")[2])
