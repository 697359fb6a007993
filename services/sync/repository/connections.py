"""Queries of connections and of how far each has been read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.sync.errors import ConnectionNotFound
from shared.contracts.sync.shapes import Entity
from shared.unit_of_work import UnitOfWork

_CONNECTION = (
    "SELECT c.id, c.shop_id, s.code AS shop, s.currency, s.time_zone, c.platform, c.name, c.mode,"
    " c.is_paused, c.needs_credentials, c.settings, c.credentials, c.greeting, c.checked_at, c.matches_seen_at,"
    " c.stock_imported_at, c.live_at, c.levels_since, c.levels_wanted, c.created_at, c.updated_at, c.version"
    " FROM connections c JOIN shops s ON s.id = c.shop_id"
)
_SEEN = "($1::uuid[] IS NULL OR c.shop_id = ANY($1))"


def seen_shops(uow: UnitOfWork) -> list[UUID] | None:
    """The shops that the caller is confined to; None: all of the organization."""
    return None if uow.caller.shop_ids is None else list(uow.caller.shop_ids)


async def add(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    names = ", ".join(values)
    places = ", ".join(f"${place}" for place in range(2, len(values) + 2))
    await uow.execute(
        f"INSERT INTO connections (organization_id, {names}) VALUES ($1, {places})",  # noqa: S608
        uow.organization_id,
        *values.values(),
    )


async def get(uow: UnitOfWork, connection_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """A connection of a shop that the caller may see. Raises ConnectionNotFound."""
    row = await uow.fetchrow(
        f"{_CONNECTION} WHERE {_SEEN} AND c.id = $2{' FOR NO KEY UPDATE OF c' if lock else ''}",
        seen_shops(uow),
        connection_id,
    )
    if row is None:
        raise ConnectionNotFound("There is no such connection.")
    return row


async def find(uow: UnitOfWork, connection_id: UUID) -> asyncpg.Record | None:
    """As `get`; None where there is none."""
    return await uow.fetchrow(f"{_CONNECTION} WHERE {_SEEN} AND c.id = $2", seen_shops(uow), connection_id)


async def list_page(uow: UnitOfWork, before: UUID | None, most: int) -> list[asyncpg.Record]:
    """Newest first."""
    return await uow.fetch(
        f"{_CONNECTION} WHERE {_SEEN} AND ($2::uuid IS NULL OR c.id < $2) ORDER BY c.id DESC LIMIT $3",
        seen_shops(uow),
        before,
        most,
    )


async def list_of_shops(uow: UnitOfWork, shop_ids: list[UUID] | None) -> list[asyncpg.Record]:
    """The connections of these shops, or all that there are."""
    return await uow.fetch(f"{_CONNECTION} WHERE $1::uuid[] IS NULL OR c.shop_id = ANY($1) ORDER BY c.id", shop_ids)


async def put(uow: UnitOfWork, connection_id: UUID, values: Mapping[str, Any], *, is_new_version: bool = True) -> None:
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 2))
    raised = ", version = version + 1" if is_new_version else ""
    await uow.execute(
        f"UPDATE connections SET updated_at = now(), {changes}{raised} WHERE id = $1",  # noqa: S608
        connection_id,
        *values.values(),
    )


async def want_levels(uow: UnitOfWork, connection_id: UUID) -> None:
    """What was made there has stock levels from now on, which are to be looked for."""
    await uow.execute(
        "UPDATE connections SET levels_since = least(levels_since, now()), levels_wanted = levels_wanted + 1"
        " WHERE id = $1",
        connection_id,
    )


async def note_levels(uow: UnitOfWork, connection_id: UUID, wanted: int) -> None:
    """They were looked for, as `wanted` was read before; if something was made meanwhile, they are once more."""
    await uow.execute(
        "UPDATE connections SET levels_since = NULL, levels_wanted = 0 WHERE id = $1 AND levels_wanted = $2",
        connection_id,
        wanted,
    )


async def count_what_it_has(uow: UnitOfWork, connection_id: UUID) -> dict[str, int]:
    """How many rows of each kind hang on a connection."""
    row = await uow.fetchrow(
        "SELECT (SELECT count(*) FROM listings WHERE connection_id = $1) AS listings,"
        " (SELECT count(*) FROM changes WHERE connection_id = $1) AS changes,"
        " (SELECT count(*) FROM changes WHERE connection_id = $1 AND direction = 'out' AND is_open) AS unsent_changes,"
        " (SELECT count(*) FROM clocks WHERE connection_id = $1) AS clocks,"
        " (SELECT count(*) FROM feeds WHERE connection_id = $1) AS feeds,"
        " (SELECT count(*) FROM executions WHERE connection_id = $1) AS executions,"
        " (SELECT count(*) FROM issues WHERE connection_id = $1) AS issues",
        connection_id,
    )
    assert row is not None
    return dict(row)


async def delete(uow: UnitOfWork, connection_id: UUID) -> None:
    """With everything that hangs on it but its records and issues: see `drop_left`."""
    await uow.execute("DELETE FROM connections WHERE id = $1", connection_id)


async def drop_left(
    uow: UnitOfWork, connection_id: UUID, listing_ids: Sequence[UUID], issue_ids: Sequence[UUID]
) -> None:
    """Drop these records with their changes, and these issues, of a connection that is gone."""
    for table, ids in (("listings", listing_ids), ("issues", issue_ids)):
        await uow.execute(
            f"DELETE FROM {table} WHERE id = ANY($2) AND NOT EXISTS (SELECT FROM connections WHERE id = $1)",  # noqa: S608
            connection_id,
            list(ids),
        )


# --- clocks


async def get_clock(uow: UnitOfWork, connection_id: UUID, entity: Entity) -> asyncpg.Record | None:
    return await uow.fetchrow(
        "SELECT entity, cursor_at, scan_started_at, full_scan_at, records FROM clocks"
        " WHERE connection_id = $1 AND entity = $2",
        connection_id,
        entity,
    )


async def list_clocks(uow: UnitOfWork, connection_id: UUID) -> list[asyncpg.Record]:
    return await uow.fetch(
        "SELECT entity, cursor_at, scan_started_at, full_scan_at, records FROM clocks"
        " WHERE connection_id = $1 ORDER BY entity",
        connection_id,
    )


async def begin_scan(uow: UnitOfWork, connection_id: UUID, entity: Entity, started_at: datetime) -> None:
    await uow.execute(
        "INSERT INTO clocks (organization_id, connection_id, entity, scan_started_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (organization_id, connection_id, entity)"
        " DO UPDATE SET scan_started_at = excluded.scan_started_at",
        uow.organization_id,
        connection_id,
        entity,
        started_at,
    )


async def end_scan(
    uow: UnitOfWork, connection_id: UUID, entity: Entity, cursor_at: datetime, *, is_full: bool, records: int
) -> None:
    """All that changed until `cursor_at` is known. A clock that was reset meanwhile stays so."""
    await uow.execute(
        "UPDATE clocks SET cursor_at = $3, full_scan_at = CASE WHEN $4 THEN scan_started_at ELSE full_scan_at END,"
        " records = CASE WHEN $4 THEN $5 ELSE records END, scan_started_at = NULL"
        " WHERE connection_id = $1 AND entity = $2 AND scan_started_at IS NOT NULL",
        connection_id,
        entity,
        cursor_at,
        is_full,
        records,
    )


async def reset_clock(uow: UnitOfWork, connection_id: UUID, entity: Entity) -> None:
    await uow.execute(
        "UPDATE clocks SET cursor_at = NULL, scan_started_at = NULL WHERE connection_id = $1 AND entity = $2",
        connection_id,
        entity,
    )
