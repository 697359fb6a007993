"""Queries that find records of a connection that are not in order, and mend them some at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from services.sync.repository.changes import WHOLE
from services.sync.repository.relinks import PRODUCT
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Repair:
    """`found`: what is not in order of connection $1, as `id`s; `mend`: what puts those of `chosen (id)` in order."""

    found: str
    mend: str


def _text(name: str) -> str:
    return f"CASE WHEN jsonb_typeof(l.remote->'{name}') = 'string' THEN nullif(l.remote->>'{name}', '') END"


# What a column repeats of a record is what the record says.
_COLUMNS = f"sku = {_text('sku')}, barcode = CASE WHEN l.remote ? 'barcode' THEN {_text('barcode')} ELSE l.barcode END"
_COUNTED = (
    "(SELECT count(*) FROM listings l WHERE l.connection_id = k.connection_id AND l.entity = k.entity"
    " AND l.gone_at IS NULL AND l.external_id IS NOT NULL)"
)
# In this order: what is gone takes its changes with it, and is counted last.
REPAIRS: dict[str, Repair] = {
    "columns": Repair(
        "SELECT l.id FROM listings l WHERE l.connection_id = $1 AND l.external_id IS NOT NULL AND l.remote ? 'sku'"  # noqa: S608
        f" AND (l.sku IS DISTINCT FROM {_text('sku')}"
        f" OR l.remote ? 'barcode' AND l.barcode IS DISTINCT FROM {_text('barcode')})",
        f"UPDATE listings l SET {_COLUMNS} FROM chosen WHERE l.id = chosen.id",  # noqa: S608
    ),
    "variants": Repair(
        "SELECT l.id FROM listings l WHERE l.connection_id = $1 AND l.entity = 'variant' AND l.gone_at IS NULL"
        " AND l.external_id IS NOT NULL AND NOT EXISTS (SELECT FROM listings p WHERE p.connection_id = $1"
        " AND p.entity = 'product' AND p.external_id = l.parent_external_id AND p.gone_at IS NULL)",
        "UPDATE listings l SET gone_at = now(), updated_at = now(), version = version + 1 FROM chosen"
        " WHERE l.id = chosen.id",
    ),
    "changes": Repair(
        "SELECT c.id FROM changes c JOIN listings l ON l.id = c.listing_id WHERE c.connection_id = $1 AND c.is_open"
        " AND l.gone_at IS NOT NULL",
        "UPDATE changes c SET state = 'cancelled', reason = 'gone', updated_at = now() FROM chosen"
        " WHERE c.id = chosen.id",
    ),
}


async def count(uow: UnitOfWork, connection_id: UUID, repair: Repair) -> int:
    """How much is not in order."""
    found: int = await uow.fetchval(f"SELECT count(*) FROM ({repair.found}) AS f", connection_id)  # noqa: S608
    return found


async def mend(uow: UnitOfWork, connection_id: UUID, repair: Repair, most: int) -> int:
    """Put up to `most` in order. Returns how many there were."""
    status = await uow.execute(
        f"WITH chosen AS MATERIALIZED ({repair.found} LIMIT $2) {repair.mend}",
        connection_id,
        most,
    )
    return int(status.rpartition(" ")[2])


async def count_clocks(uow: UnitOfWork, connection_id: UUID) -> int:
    """How many clocks count something else than there is."""
    found: int = await uow.fetchval(
        f"SELECT count(*) FROM clocks k WHERE k.connection_id = $1 AND k.records <> {_COUNTED}",  # noqa: S608
        connection_id,
    )
    return found


async def mend_clocks(uow: UnitOfWork, connection_id: UUID) -> None:
    """Count anew."""
    await uow.execute(
        f"UPDATE clocks k SET records = {_COUNTED} WHERE k.connection_id = $1 AND k.records <> {_COUNTED}",  # noqa: S608
        connection_id,
    )


# --- records in an older schema


async def list_samples(uow: UnitOfWork, connection_id: UUID, entity: str, most: int) -> list[str]:
    """Ids over there of the records that were seen last."""
    rows = await uow.fetch(
        "SELECT external_id FROM listings WHERE connection_id = $1 AND entity = $2 AND gone_at IS NULL"
        " AND external_id IS NOT NULL ORDER BY updated_at DESC, id LIMIT $3",
        connection_id,
        entity,
        most,
    )
    return [row["external_id"] for row in rows]


async def list_outdated(
    uow: UnitOfWork, connection_id: UUID, entity: str, names: Sequence[str], after: UUID | None, most: int
) -> list[asyncpg.Record]:
    """Records that lack one of these fields, or have others, by id: `id`, and `external_id` of the whole record."""
    return await uow.fetch(
        "SELECT id, coalesce(CASE WHEN entity = 'variant' THEN parent_external_id END, external_id) AS external_id"
        " FROM listings WHERE connection_id = $1 AND entity = $2 AND gone_at IS NULL AND external_id IS NOT NULL"
        " AND NOT (remote ?& $3::text[] AND remote - $3::text[] = '{}'"
        " AND coalesce(acknowledged, '{}') - $3::text[] = '{}')"
        " AND ($4::uuid IS NULL OR id > $4) ORDER BY id LIMIT $5",
        connection_id,
        entity,
        list(names),
        after,
        most,
    )


async def forget_other_fields(uow: UnitOfWork, listing_ids: Sequence[UUID], names: Sequence[str]) -> None:
    """Nothing is known of these records, and nothing waits, beyond these fields."""
    await uow.execute(
        "UPDATE listings l SET acknowledged = (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}')"
        " FROM jsonb_each(l.acknowledged) e WHERE e.key = ANY($2)) WHERE l.id = ANY($1) AND l.acknowledged IS NOT NULL",
        list(listing_ids),
        list(names),
    )
    await uow.execute(
        "UPDATE changes SET state = 'cancelled', reason = 'schema', updated_at = now() WHERE listing_id = ANY($1)"
        " AND is_open AND field <> ALL($3) AND split_part(field, ':', 1) <> ALL($2)",
        list(listing_ids),
        list(names),
        [WHOLE, PRODUCT],
    )


# --- runs

MAINTENANCE_JOB = "connection_maintenance"


async def find_running(uow: UnitOfWork, kind: str, connection_id: UUID) -> UUID | None:
    """A job of this kind that has not ended and is about a connection."""
    found: UUID | None = await uow.fetchval(
        "SELECT id FROM jobs WHERE kind = $1 AND state IN ('queued', 'running')"
        " AND parameters->>'connection_id' = $2::text LIMIT 1",
        kind,
        str(connection_id),
    )
    return found
