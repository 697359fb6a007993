"""Stock and its ledger, page by page."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.inventory.errors import StockNotFound
from services.inventory.use_cases import centres
from shared.contracts.base import Page
from shared.contracts.inventory.ledger import GetMovementSheet, MovementSheet
from shared.contracts.inventory.messages import ListStock, ListStockMovements, ReadStock, StockPortion
from shared.contracts.inventory.shapes import StockLevel, StockMovement
from shared.impex.writing_guard import guarded
from shared.pagination import cursor_for, cursor_id, cursor_values, id_after
from shared.unit_of_work import UnitOfWork


async def list_stock(uow: UnitOfWork, message: ListStock) -> Page[StockLevel]:
    """By SKU, then centre. Raises CentreNotFound."""
    position = cursor_values(message.after, 2)
    rows = await uow.fetch(
        f"{_LEVELS} WHERE ($1::text IS NULL OR s.sku = $1) AND ($2::uuid IS NULL OR s.centre_id = $2)"
        f" AND ($3::text IS NULL OR (s.sku, s.centre_id) > ($3, $4)) {_LOW if message.low else ''}"
        " ORDER BY s.sku, s.centre_id LIMIT $5",
        message.sku,
        await _centre_id(uow, message.centre),
        str(position[0]) if position else None,
        cursor_id(position[1]) if position else None,
        message.first + 1,
    )
    page = rows[: message.first]
    following = cursor_for(page[-1]["sku"], str(page[-1]["centre_id"])) if len(rows) > message.first else None
    return Page(items=[_level(row) for row in page], next=following)


async def read_portion(uow: UnitOfWork, message: ReadStock) -> StockPortion:
    """Stock for a file, by SKU, then centre."""
    position = cursor_values(message.after, 2)
    rows = await uow.fetch(
        "SELECT s.sku, c.code, s.on_hand, s.policy, s.centre_id FROM stock s"
        " JOIN fulfilment_centres c ON c.id = s.centre_id WHERE ($1::text[] IS NULL OR s.sku = ANY($1))"
        " AND ($2::text IS NULL OR (s.sku, s.centre_id) > ($2, $3)) AND ($5::text IS NULL OR c.code = $5)"
        " ORDER BY s.sku, s.centre_id LIMIT $4",
        message.skus,
        str(position[0]) if position else None,
        cursor_id(position[1]) if position else None,
        message.first,
        message.centre,
    )
    following = cursor_for(rows[-1]["sku"], str(rows[-1]["centre_id"])) if len(rows) == message.first else None
    return StockPortion(rows=[tuple(row)[:4] for row in rows], next=following)


async def count_places(uow: UnitOfWork, skus: list[str] | None, centre: str | None) -> int:
    """How many SKUs in centres there are: of these, or of all."""
    found: int = await uow.fetchval(
        "SELECT count(*) FROM stock WHERE ($1::text[] IS NULL OR sku = ANY($1))"
        " AND ($2::text IS NULL OR centre_id IN (SELECT id FROM fulfilment_centres WHERE code = $2))",
        skus,
        centre,
    )
    return found


async def get_level(uow: UnitOfWork, sku: str, centre: str) -> StockLevel:
    """Raises CentreNotFound, StockNotFound."""
    row = await uow.fetchrow(f"{_LEVELS} WHERE s.sku = $1 AND s.centre_id = $2", sku, await _centre_id(uow, centre))
    if row is None:
        raise StockNotFound(f"The centre '{centre}' has never held {sku}.")
    return _level(row)


_LEVELS = (
    "SELECT s.*, c.code AS centre, greatest(s.on_hand - s.reserved, 0) AS available"
    " FROM stock s JOIN fulfilment_centres c ON c.id = s.centre_id"
)


# As the index of low stock says it.
_LOW = "AND s.warning_level IS NOT NULL AND s.on_hand - s.reserved <= s.warning_level"


def _level(row: Any) -> StockLevel:
    return StockLevel(**{name: row[name] for name in StockLevel.model_fields})


async def list_movements(
    uow: UnitOfWork, message: ListStockMovements, *, until: datetime | None = None
) -> Page[StockMovement]:
    """Latest first, those at the moment `until` included. Raises CentreNotFound."""
    rows = await _movements(uow, message, message.first + 1, until)
    page = rows[: message.first]
    following = cursor_for(str(page[-1]["id"])) if len(rows) > message.first else None
    return Page(items=[_movement(row) for row in page], next=following)


async def movement_sheet(uow: UnitOfWork, message: GetMovementSheet) -> MovementSheet:
    """Latest first, with headings where it begins. Raises CentreNotFound."""
    rows = await _movements(uow, message, SHEET_ROWS + 1)
    page = rows[:SHEET_ROWS]
    text = io.StringIO()
    writer = csv.writer(text)
    if message.after is None:
        writer.writerow(SHEET_HEADINGS)
    writer.writerows([_cell(row[name]) for name in SHEET_HEADINGS] for row in page)
    following = cursor_for(str(page[-1]["id"])) if len(rows) > SHEET_ROWS else None
    return MovementSheet(csv=text.getvalue(), next=following)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return guarded(value) if isinstance(value, str) else value


async def _movements(
    uow: UnitOfWork, wanted: ListStockMovements | GetMovementSheet, most: int, until: datetime | None = None
) -> list[Any]:
    return await uow.fetch(
        _MOVEMENTS,
        wanted.sku,
        None if wanted.centre is None else await centres.get_id_at(uow, wanted.centre, until),
        wanted.reason,
        wanted.reference,
        wanted.from_time,
        wanted.to_time,
        id_after(wanted.after),
        until,
        most,
    )


SHEET_ROWS = 5000
SHEET_HEADINGS = (
    "occurred_at",
    "sku",
    "centre",
    "number",
    "reason",
    "reference",
    "note",
    "on_hand_before",
    "on_hand_after",
    "reserved_before",
    "reserved_after",
)
_MOVEMENTS = """
SELECT m.*, c.code AS centre FROM stock_movements m JOIN fulfilment_centres c ON c.id = m.centre_id
WHERE ($1::text IS NULL OR m.sku = $1) AND ($2::uuid IS NULL OR m.centre_id = $2)
    AND ($3::text IS NULL OR m.reason = $3) AND ($4::text IS NULL OR m.reference = $4)
    AND ($5::timestamptz IS NULL OR m.occurred_at >= $5) AND ($6::timestamptz IS NULL OR m.occurred_at < $6)
    AND ($7::uuid IS NULL OR m.id < $7) AND ($8::timestamptz IS NULL OR m.occurred_at <= $8)
ORDER BY m.id DESC LIMIT $9
"""


def _movement(row: Any) -> StockMovement:
    return StockMovement(**{name: row[name] for name in StockMovement.model_fields})


async def list_levels(uow: UnitOfWork, skus: Sequence[str], centre_ids: Sequence[UUID]) -> list[StockLevel]:
    """By SKU, then centre."""
    rows = await uow.fetch(
        f"{_LEVELS} WHERE s.sku = ANY($1) AND s.centre_id = ANY($2) ORDER BY s.sku, c.code", skus, centre_ids
    )
    return [_level(row) for row in rows]


async def _centre_id(uow: UnitOfWork, code: str | None) -> UUID | None:
    return None if code is None else await centres.get_id(uow, code)
