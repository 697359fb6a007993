"""Expected arrivals, receipts, and the `incoming` of stock, which is what open arrivals still expect."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.models import Place
from shared.contracts.inventory.arrivals import (
    Arrival,
    ArrivalDraft,
    ArrivalState,
    Receipt,
    ReceivedLine,
    ReceivedLineDraft,
)
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

_COLUMNS = (
    "a.id, a.sku, a.centre_id, a.quantity, a.received, a.expected_on, a.reference, a.state, a.created_at, a.version,"
    " c.code AS centre FROM arrivals a JOIN fulfilment_centres c ON c.id = a.centre_id"
)


def shape(row: asyncpg.Record) -> Arrival:
    return Arrival(**{name: row[name] for name in Arrival.model_fields})


async def add(uow: UnitOfWork, drafts: Sequence[ArrivalDraft], centre_ids: Mapping[str, UUID]) -> list[UUID]:
    """Expect goods in places that are there."""
    ids = [new_id() for _ in drafts]
    await uow.execute(
        "INSERT INTO arrivals (organization_id, id, sku, centre_id, quantity, expected_on, reference)"
        " SELECT $1, d.* FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::integer[], $6::date[], $7::text[]) AS d",
        uow.organization_id,
        ids,
        [draft.sku for draft in drafts],
        [centre_ids[draft.centre] for draft in drafts],
        [draft.quantity for draft in drafts],
        [draft.expected_on for draft in drafts],
        [draft.reference for draft in drafts],
    )
    return ids


async def list_by_ids(uow: UnitOfWork, ids: Sequence[UUID], *, lock: bool = False) -> list[asyncpg.Record]:
    """By id, locked in this order if asked."""
    return await uow.fetch(_BY_IDS_LOCKED if lock else _BY_IDS, ids)


_BY_IDS = f"SELECT {_COLUMNS} WHERE a.id = ANY($1) ORDER BY a.id"
_BY_IDS_LOCKED = f"{_BY_IDS} FOR UPDATE OF a"


async def list_rows(
    uow: UnitOfWork,
    sku: str | None,
    centre_id: UUID | None,
    state: ArrivalState | None,
    before: UUID | None,
    most: int,
) -> list[asyncpg.Record]:
    """Latest first."""
    return await uow.fetch(
        f"SELECT {_COLUMNS} WHERE ($1::text IS NULL OR a.sku = $1) AND ($2::uuid IS NULL OR a.centre_id = $2)"
        " AND ($3::text IS NULL OR a.state = $3) AND ($4::uuid IS NULL OR a.id < $4) ORDER BY a.id DESC LIMIT $5",
        sku,
        centre_id,
        state,
        before,
        most,
    )


async def change(uow: UnitOfWork, arrival_id: UUID, columns: Mapping[str, Any]) -> None:
    """Write columns of a locked arrival, and count its change."""
    sets = "".join(f", {name} = ${number}" for number, name in enumerate(columns, 2))
    await uow.execute(
        f"UPDATE arrivals SET version = version + 1{sets} WHERE id = $1",  # noqa: S608
        arrival_id,
        *columns.values(),
    )


async def close_all(uow: UnitOfWork, centre_id: UUID) -> None:
    """Nothing more of what a centre waits for is expected; its stock follows."""
    await uow.execute(
        "UPDATE arrivals SET state = 'closed', version = version + 1 WHERE centre_id = $1 AND state = 'open'", centre_id
    )


async def note_received(uow: UnitOfWork, units: Mapping[UUID, int]) -> None:
    """So many units of these locked arrivals came."""
    await uow.execute(
        "UPDATE arrivals a SET received = a.received + u.units, version = a.version + 1,"
        " state = CASE WHEN a.received + u.units >= a.quantity THEN 'received' ELSE 'open' END"
        " FROM unnest($1::uuid[], $2::bigint[]) AS u (id, units) WHERE a.id = u.id",
        list(units),
        list(units.values()),
    )


async def refresh_incoming(uow: UnitOfWork, places: Sequence[Place]) -> None:
    """Let `incoming` of locked stock be what is still expected there."""
    await uow.execute(
        _REFRESH_INCOMING,
        [sku for sku, _ in places],
        [centre_id for _, centre_id in places],
    )


_REFRESH_INCOMING = """
UPDATE stock s SET incoming = e.incoming, updated_at = now() FROM (
    SELECT p.sku, p.centre_id, coalesce(sum(a.quantity - a.received), 0)::integer AS incoming
    FROM unnest($1::text[], $2::uuid[]) AS p (sku, centre_id)
    LEFT JOIN arrivals a ON (a.sku, a.centre_id) = (p.sku, p.centre_id) AND a.state = 'open' GROUP BY 1, 2) e
WHERE (s.sku, s.centre_id) = (e.sku, e.centre_id) AND s.incoming <> e.incoming
"""


async def most_incoming(uow: UnitOfWork, places: Sequence[Place]) -> int:
    """The most that is still expected in any of these places."""
    most: int | None = await uow.fetchval(
        "SELECT max(incoming) FROM (SELECT sum(a.quantity - a.received) AS incoming FROM arrivals a"
        " WHERE a.state = 'open' AND (a.sku, a.centre_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"
        " GROUP BY a.sku, a.centre_id) e",
        [sku for sku, _ in places],
        [centre_id for _, centre_id in places],
    )
    return most or 0


async def add_receipt(
    uow: UnitOfWork, receipt_id: UUID, centre_id: UUID, reference: str | None, lines: Sequence[ReceivedLineDraft]
) -> None:
    await uow.execute(
        "INSERT INTO receipts (organization_id, id, centre_id, reference, actor) VALUES ($1, $2, $3, $4, $5)",
        uow.organization_id,
        receipt_id,
        centre_id,
        reference,
        uow.caller.name or uow.caller.kind,
    )
    await uow.execute(
        "INSERT INTO receipt_lines (organization_id, receipt_id, number, sku, quantity, arrival_id)"
        " SELECT $1, $2, l.number, l.sku, l.quantity, l.arrival_id FROM unnest($3::text[], $4::integer[], $5::uuid[])"
        " WITH ORDINALITY AS l (sku, quantity, arrival_id, number)",
        uow.organization_id,
        receipt_id,
        [line.sku for line in lines],
        [line.quantity for line in lines],
        [line.arrival_id for line in lines],
    )


_RECEIPTS = (
    "SELECT r.id, r.reference, r.actor, r.received_at, c.code AS centre FROM receipts r"
    " JOIN fulfilment_centres c ON c.id = r.centre_id"
)


async def find_receipt(uow: UnitOfWork, receipt_id: UUID) -> asyncpg.Record | None:
    return await uow.fetchrow(f"{_RECEIPTS} WHERE r.id = $1", receipt_id)


async def list_receipts(
    uow: UnitOfWork, centre_id: UUID | None, before: UUID | None, most: int
) -> list[asyncpg.Record]:
    """Latest first."""
    return await uow.fetch(
        f"{_RECEIPTS} WHERE ($1::uuid IS NULL OR r.centre_id = $1) AND ($2::uuid IS NULL OR r.id < $2)"
        " ORDER BY r.id DESC LIMIT $3",
        centre_id,
        before,
        most,
    )


async def receipt_shapes(uow: UnitOfWork, rows: Sequence[asyncpg.Record]) -> list[Receipt]:
    """Receipts as clients see them, with one question for all their lines."""
    lines: dict[UUID, list[ReceivedLine]] = {}
    for row in await uow.fetch(
        "SELECT receipt_id, sku, quantity, arrival_id FROM receipt_lines WHERE receipt_id = ANY($1)"
        " ORDER BY receipt_id, number",
        [row["id"] for row in rows],
    ):
        columns = dict(row)
        lines.setdefault(columns.pop("receipt_id"), []).append(ReceivedLine(**columns))
    return [Receipt(**dict(row), lines=lines[row["id"]]) for row in rows]
