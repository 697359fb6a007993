"""Queries of what deleted connections had: what is left of one is moved here portion by portion (SYN-16)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import ConnectionSnapshotNotFound
from services.sync.repository.connections import seen_shops
from shared.unit_of_work import UnitOfWork

_SNAPSHOT = (
    "SELECT n.connection_id, n.shop_id, s.code AS shop, n.head, n.counts, n.taken_at, n.whole_at, n.parts"
    " FROM snapshots n LEFT JOIN shops s ON s.id = n.shop_id WHERE ($1::uuid[] IS NULL OR n.shop_id = ANY($1))"
)
_CHANGES = (
    "(SELECT jsonb_agg(jsonb_build_object('direction', c.direction, 'kind', c.kind, 'field', c.field, 'state', c.state,"
    " 'reason', c.reason, 'created_at', c.created_at, 'updated_at', c.updated_at)"
    " || CASE WHEN l.entity = 'order' THEN '{}' ELSE jsonb_build_object('before', c.before, 'after', c.after) END"
    " ORDER BY c.id) FROM changes c WHERE c.listing_id = l.id)"
)
_ISSUE = (
    "jsonb_build_object('feed', i.feed, 'class', i.class, 'code', i.code, 'subject', i.subject, 'message', i.message,"
    " 'created_at', i.created_at, 'resolved_at', i.resolved_at)"
)
# What a platform said of an order may name its buyer.
_ISSUES = (
    f"(SELECT jsonb_agg({_ISSUE} || CASE WHEN l.entity = 'order' THEN '{{}}'"  # noqa: S608
    " ELSE jsonb_build_object('remote_message', i.remote_message) END ORDER BY i.id)"
    " FROM issues i WHERE i.listing_id = l.id)"
)
_OF_FEED = (
    f"{_ISSUE} || jsonb_build_object('kind', 'issue') || CASE WHEN i.feed IN ('import_orders', 'update_orders')"
    " THEN '{}' ELSE jsonb_build_object('remote_message', i.remote_message) END"
)
_LISTING = (
    "jsonb_strip_nulls(jsonb_build_object('kind', 'listing', 'entity', l.entity, 'external_id', l.external_id,"
    " 'parent_external_id', l.parent_external_id, 'sku', l.sku, 'barcode', l.barcode, 'product_id', l.product_id,"
    " 'order_id', l.order_id, 'remote_updated_at', l.remote_updated_at, 'gone_at', l.gone_at))"
    " || CASE WHEN l.entity = 'order' THEN '{}' ELSE jsonb_build_object('remote', l.remote,"
    " 'acknowledged', l.acknowledged, 'sent', l.sent, 'refs', l.refs) END"
    f" || jsonb_build_object('changes', coalesce({_CHANGES}, '[]'), 'issues', coalesce({_ISSUES}, '[]'))"
)


async def begin(uow: UnitOfWork, connection_id: UUID, shop_id: UUID, head: str, counts: dict[str, int]) -> None:
    """Keep what a connection was; its records follow."""
    await uow.execute(
        "INSERT INTO snapshots (organization_id, connection_id, shop_id, head, counts) VALUES ($1, $2, $3, $4, $5)",
        uow.organization_id,
        connection_id,
        shop_id,
        head,
        orjson.dumps(counts).decode(),
    )


async def lock(uow: UnitOfWork, connection_id: UUID) -> int | None:
    """How many parts there are, and nobody else adds one; None: nothing is kept of this connection, or all is."""
    parts: int | None = await uow.fetchval(
        "SELECT parts FROM snapshots WHERE connection_id = $1 AND whole_at IS NULL FOR UPDATE", connection_id
    )
    return parts


async def read_left(uow: UnitOfWork, connection_id: UUID, most: int) -> tuple[list[UUID], list[UUID], list[str]]:
    """Some records that a connection has left, or when there are none, issues: ids of each, and what they were."""
    rows = await uow.fetch(
        f"SELECT l.id, ({_LISTING})::text AS line FROM listings l WHERE l.connection_id = $1 LIMIT $2",  # noqa: S608
        connection_id,
        most,
    )
    if rows:
        return [row["id"] for row in rows], [], [row["line"] for row in rows]
    rows = await uow.fetch(
        f"SELECT i.id, ({_OF_FEED})::text AS line FROM issues i WHERE i.connection_id = $1 LIMIT $2",  # noqa: S608
        connection_id,
        most,
    )
    return [], [row["id"] for row in rows], [row["line"] for row in rows]


async def add_part(uow: UnitOfWork, connection_id: UUID, number: int, lines: bytes) -> None:
    await uow.execute(
        "INSERT INTO snapshot_parts (organization_id, connection_id, number, lines) VALUES ($1, $2, $3, $4)",
        uow.organization_id,
        connection_id,
        number,
        lines,
    )
    await uow.execute("UPDATE snapshots SET parts = $2 + 1 WHERE connection_id = $1", connection_id, number)


async def end(uow: UnitOfWork, connection_id: UUID) -> None:
    """Nothing more comes."""
    await uow.execute("UPDATE snapshots SET whole_at = now() WHERE connection_id = $1", connection_id)


async def get(uow: UnitOfWork, connection_id: UUID) -> asyncpg.Record:
    """Of a shop that the caller may see. Raises ConnectionSnapshotNotFound."""
    row = await uow.fetchrow(f"{_SNAPSHOT} AND n.connection_id = $2", seen_shops(uow), connection_id)
    if row is None:
        raise ConnectionSnapshotNotFound("Nothing is kept of such a connection.")
    return row


async def list_page(uow: UnitOfWork, before: UUID | None, most: int) -> list[asyncpg.Record]:
    """Newest connection first."""
    return await uow.fetch(
        f"{_SNAPSHOT} AND ($2::uuid IS NULL OR n.connection_id < $2) ORDER BY n.connection_id DESC LIMIT $3",
        seen_shops(uow),
        before,
        most,
    )


async def get_part(uow: UnitOfWork, connection_id: UUID, number: int) -> bytes | None:
    lines: bytes | None = await uow.fetchval(
        "SELECT lines FROM snapshot_parts WHERE connection_id = $1 AND number = $2", connection_id, number
    )
    return lines


async def drop_old(uow: UnitOfWork, older_than: timedelta, most: int) -> int:
    """Some parts, and snapshots that have none any more. Across tenants. Returns how many there were."""
    dropped = 0
    condition: dict[str, Any] = {
        "snapshot_parts": "(organization_id, connection_id, number) IN (SELECT p.organization_id, p.connection_id,"
        " p.number FROM snapshot_parts p JOIN snapshots n USING (organization_id, connection_id)"
        " WHERE n.whole_at < now() - $1::interval LIMIT $2)",
        "snapshots": "(organization_id, connection_id) IN (SELECT n.organization_id, n.connection_id FROM snapshots n"
        " WHERE n.whole_at < now() - $1::interval AND NOT EXISTS (SELECT FROM snapshot_parts p WHERE"
        " p.organization_id = n.organization_id AND p.connection_id = n.connection_id) LIMIT $2)",
    }
    for table, which in condition.items():
        status = await uow.execute(f"DELETE FROM {table} WHERE {which}", older_than, most)  # noqa: S608
        dropped += int(status.rpartition(" ")[2])
    return dropped
