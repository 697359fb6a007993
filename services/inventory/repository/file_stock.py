"""What is kept of the stock that files of products counted, until their imports can no longer be taken back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from shared.unit_of_work import UnitOfWork

# By SKU the policy before and after.
Policies = Mapping[str, tuple[str, str]]


class Part(NamedTuple):
    """A part of a file, counted in a centre; `policies` are those that it changed."""

    part: int
    centre_id: UUID
    counted_at: datetime
    policies: Policies


async def hold(uow: UnitOfWork, import_id: UUID, *, alone: bool) -> None:
    """Until the end of the transaction, be the only one about an import, or among those who take parts of it."""
    call = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    await uow.execute(f"SELECT {call}(hashtextextended($1, 0))", f"inventory.file_stock.{import_id}")


async def is_taken_back(uow: UnitOfWork, import_id: UUID) -> bool:
    found: bool = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM file_stock_taken_back WHERE import_id = $1)", import_id
    )
    return found


async def note_taken_back(uow: UnitOfWork, import_id: UUID) -> None:
    """What comes of the import from here on comes too late."""
    await uow.execute(
        "INSERT INTO file_stock_taken_back (organization_id, import_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        uow.organization_id,
        import_id,
    )


async def keep(uow: UnitOfWork, import_id: UUID, part: Part) -> None:
    await uow.execute(
        "INSERT INTO file_stock_parts (organization_id, import_id, part, centre_id, counted_at, policies)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        uow.organization_id,
        import_id,
        part.part,
        part.centre_id,
        part.counted_at,
        orjson.dumps(part.policies).decode(),
    )


async def next_part(uow: UnitOfWork, import_id: UUID, after: int) -> Part | None:
    """The part of an import behind another."""
    row = await uow.fetchrow(
        "SELECT part, centre_id, counted_at, policies FROM file_stock_parts WHERE import_id = $1 AND part > $2"
        " ORDER BY part LIMIT 1",
        import_id,
        after,
    )
    return None if row is None else Part(*row.values())._replace(policies=orjson.loads(row["policies"]))


async def movements(uow: UnitOfWork, reference: str, undo: str) -> list[Any]:
    """What a part moved: SKU, figures, and whether that is taken back already."""
    return await uow.fetch(
        "SELECT m.sku, m.number, m.on_hand_before, m.on_hand_after, EXISTS (SELECT FROM stock_movements u"
        " WHERE (u.sku, u.centre_id, u.reference) = (m.sku, m.centre_id, $2) AND u.reason = 'adjusted') AS is_back"
        " FROM stock_movements m WHERE m.reference = $1 AND m.on_hand_before <> m.on_hand_after",
        reference,
        undo,
    )


async def policies(uow: UnitOfWork, centre_id: UUID, skus: Sequence[str]) -> dict[str, str]:
    """How these are sold in a centre."""
    rows = await uow.fetch(
        "SELECT s.sku, s.policy FROM unnest($2::text[]) AS k (sku)"
        " CROSS JOIN LATERAL (SELECT * FROM stock s WHERE (s.sku, s.centre_id) = (k.sku, $1) OFFSET 0) s",
        centre_id,
        list(skus),
    )
    return {row["sku"]: row["policy"] for row in rows}


async def forget(uow: UnitOfWork, before: datetime) -> None:
    """Across tenants: what was before imports as old as that is kept no longer."""
    await uow.execute("DELETE FROM file_stock_parts WHERE taken_at < $1", before)
    await uow.execute("DELETE FROM file_stock_taken_back WHERE at < $1", before)
