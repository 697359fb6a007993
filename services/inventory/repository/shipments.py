"""Shipments, their lines, and who moved them."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import orjson

from services.inventory.models import ReservedUnits, UnitsKey
from services.inventory.repository import carriers
from shared.contracts.inventory.carriers import NUMBER
from shared.contracts.inventory.shipments import Package, Shipment, ShipmentLine, ShipmentMove, ShipmentState, Tracking
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

_PLAIN = (
    "id, number, order_id, order_number, shop_id, state, carrier, service, tracking_numbers, tracking_url, packages,"
    " created_at, shipped_at, delivered_at, version"
)
# Columns of JSON, which the driver takes and gives as text.
_JSON = frozenset({"packages"})


async def add(uow: UnitOfWork, columns: Mapping[str, Any], units: Sequence[tuple[ReservedUnits, int]]) -> UUID:
    """A new shipment of an order whose reservation is locked, so that nobody else numbers one of it now."""
    shipment_id = new_id()
    count = await uow.fetchval("SELECT count(*) FROM shipments WHERE order_id = $1", columns["order_id"])
    columns = {**columns, "id": shipment_id, "number": f"{columns['order_number']}-S{count + 1}"}
    names = ", ".join(columns)
    values = ", ".join(f"${number}" for number in range(2, len(columns) + 2))
    await uow.execute(
        f"INSERT INTO shipments (organization_id, {names}) VALUES ($1, {values})",  # noqa: S608
        uow.organization_id,
        *_stored(columns),
    )
    await uow.execute(
        "INSERT INTO shipment_lines (organization_id, shipment_id, kit, sku, centre_id, quantity)"
        " SELECT $1, $2, l.* FROM unnest($3::text[], $4::text[], $5::uuid[], $6::integer[]) AS l",
        uow.organization_id,
        shipment_id,
        [own.kit for own, _ in units],
        [own.sku for own, _ in units],
        [own.centre_id for own, _ in units],
        [quantity for _, quantity in units],
    )
    return shipment_id


def _stored(columns: Mapping[str, Any]) -> list[Any]:
    return [orjson.dumps(value).decode() if name in _JSON else value for name, value in columns.items()]


async def find(uow: UnitOfWork, shipment_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    return await uow.fetchrow(_ONE_LOCKED if lock else _ONE, shipment_id)


_ONE = f"SELECT {_PLAIN} FROM shipments WHERE id = $1"  # noqa: S608
_ONE_LOCKED = f"{_ONE} FOR UPDATE"


async def change(uow: UnitOfWork, shipment_id: UUID, columns: Mapping[str, Any]) -> None:
    """Write columns of a locked shipment, and count its change."""
    sets = "".join(f", {name} = ${number}" for number, name in enumerate(columns, 2))
    await uow.execute(
        f"UPDATE shipments SET version = version + 1{sets} WHERE id = $1",  # noqa: S608
        shipment_id,
        *_stored(columns),
    )


async def note_move(
    uow: UnitOfWork, shipment_id: UUID, before: ShipmentState | None, after: ShipmentState, reason: str | None = None
) -> None:
    """Write down that the caller moved a shipment that is locked, or new."""
    await uow.execute(
        "INSERT INTO shipment_moves (organization_id, shipment_id, number, before, after, actor, reason)"
        " SELECT $1, $2, 1 + count(*), $3, $4, $5, $6 FROM shipment_moves WHERE shipment_id = $2",
        uow.organization_id,
        shipment_id,
        before,
        after,
        uow.caller.name or uow.caller.kind,
        reason,
    )


async def list_in_states(uow: UnitOfWork, order_id: UUID, states: Sequence[ShipmentState]) -> list[dict[str, str]]:
    """Which shipments of an order are in one of these states, oldest first."""
    rows = await uow.fetch(
        "SELECT id, number, state FROM shipments WHERE order_id = $1 AND state = ANY($2) ORDER BY id", order_id, states
    )
    return [{"shipment_id": str(row["id"]), "number": row["number"], "state": row["state"]} for row in rows]


async def cancel_prepared(uow: UnitOfWork, order_id: UUID, prepared: Sequence[ShipmentState], reason: str) -> None:
    """Give up what is prepared for an order whose reservation is locked, and unbind its goods."""
    rows = await uow.fetch(
        "WITH gone AS (SELECT id, state FROM shipments WHERE order_id = $1 AND state = ANY($2) FOR UPDATE)"
        " UPDATE shipments s SET state = 'cancelled', version = version + 1 FROM gone WHERE s.id = gone.id"
        " RETURNING s.id, gone.state AS before",
        order_id,
        prepared,
    )
    for row in rows:
        await note_move(uow, row["id"], row["before"], "cancelled", reason)
    if rows:
        await uow.execute("UPDATE reservation_lines SET bound = 0 WHERE reservation_id = $1 AND bound > 0", order_id)


async def list_units(uow: UnitOfWork, shipment_id: UUID) -> list[tuple[UnitsKey, int]]:
    """What a shipment holds: so many of a SKU from a centre."""
    rows = await uow.fetch(
        "SELECT kit, sku, centre_id, quantity FROM shipment_lines WHERE shipment_id = $1 ORDER BY kit, sku, centre_id",
        shipment_id,
    )
    return [((row["kit"], row["sku"], row["centre_id"]), row["quantity"]) for row in rows]


async def list_rows(
    uow: UnitOfWork,
    order_id: UUID | None,
    state: ShipmentState | None,
    shop_ids: Sequence[UUID] | None,
    before: UUID | None,
    most: int,
) -> list[asyncpg.Record]:
    """Latest first; of these shops, of all where None."""
    return await uow.fetch(
        f"SELECT {_PLAIN} FROM shipments WHERE ($1::uuid IS NULL OR order_id = $1) AND ($2::text IS NULL OR state = $2)"  # noqa: S608
        " AND ($3::uuid[] IS NULL OR shop_id = ANY($3)) AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        order_id,
        state,
        shop_ids,
        before,
        most,
    )


async def shapes(uow: UnitOfWork, rows: Sequence[asyncpg.Record]) -> list[Shipment]:
    """Shipments as clients see them, with one question for all their lines and one for all their moves."""
    ids = [row["id"] for row in rows]
    lines: dict[UUID, list[ShipmentLine]] = {}
    for row in await uow.fetch(_LINES, ids):
        columns = dict(row)
        lines.setdefault(columns.pop("shipment_id"), []).append(ShipmentLine(**columns))
    moves: dict[UUID, list[ShipmentMove]] = {}
    for row in await uow.fetch(_MOVES, ids):
        columns = dict(row)
        moves.setdefault(columns.pop("shipment_id"), []).append(ShipmentMove(**columns))
    patterns = await carriers.list_patterns(uow, sorted({row["carrier"] for row in rows if row["carrier"]}))
    return [
        _shape(row, lines.get(row["id"], []), moves.get(row["id"], []), patterns.get(row["carrier"])) for row in rows
    ]


_LINES = (
    "SELECT l.shipment_id, l.sku, l.quantity, l.returned, c.code AS centre, nullif(l.kit, '') AS kit"
    " FROM shipment_lines l JOIN fulfilment_centres c ON c.id = l.centre_id WHERE l.shipment_id = ANY($1)"
    " ORDER BY l.kit, l.sku, c.code"
)
_MOVES = (
    "SELECT shipment_id, before, after, actor, reason, occurred_at FROM shipment_moves WHERE shipment_id = ANY($1)"
    " ORDER BY shipment_id, number"
)


def _shape(
    row: asyncpg.Record, lines: list[ShipmentLine], history: list[ShipmentMove], pattern: str | None
) -> Shipment:
    columns = dict(row)
    packages = [Package(**package) for package in orjson.loads(columns.pop("packages"))]
    own: list[str] = columns.pop("tracking_numbers")
    theirs = [package.tracking_number for package in packages if package.tracking_number is not None]
    numbers = list(dict.fromkeys([*own, *theirs]))
    tracking = [Tracking(number=number, url=_address(pattern, number)) for number in numbers]
    if columns["tracking_url"] is None and tracking:
        columns["tracking_url"] = tracking[0].url
    parts = {"tracking_numbers": numbers, "tracking": tracking, "packages": packages}
    return Shipment(**columns, **parts, lines=lines, history=history)


def _address(pattern: str | None, number: str) -> str | None:
    return None if pattern is None else pattern.replace(NUMBER, quote(number, safe=""))
