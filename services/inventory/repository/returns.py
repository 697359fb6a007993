"""Returns, and what of shipments is still out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.models import Goods
from shared.contracts.inventory.returns import GoodsReturn, ReturnLine
from shared.contracts.inventory.shipments import ShipmentState
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


@dataclass
class SentUnits:
    """Units of a SKU that left a centre with a shipment, and how many of them are back."""

    shipment_id: UUID
    order_number: str
    kit: str
    sku: str
    centre_id: UUID
    quantity: int
    returned: int

    @property
    def goods(self) -> Goods:
        return self.kit, self.sku

    @property
    def out(self) -> int:
        return self.quantity - self.returned


@dataclass(frozen=True)
class BackUnits:
    """Units of a SKU that are back from a shipment, in the stock of a centre or in none."""

    shipment_id: UUID
    sku: str
    quantity: int
    restocked_to: UUID | None
    kit: str = ""


async def lock_sent(uow: UnitOfWork, order_id: UUID, left: Sequence[ShipmentState]) -> list[SentUnits]:
    """All that left of an order, oldest shipments first; its shipments are locked, and its reservation is."""
    await uow.fetch("SELECT id FROM shipments WHERE order_id = $1 ORDER BY id FOR UPDATE", order_id)
    rows = await uow.fetch(
        "SELECT l.shipment_id, s.order_number, l.kit, l.sku, l.centre_id, l.quantity, l.returned FROM shipments s"
        " JOIN shipment_lines l ON l.shipment_id = s.id WHERE s.order_id = $1 AND s.state = ANY($2)"
        " ORDER BY s.id, l.kit, l.sku, l.centre_id",
        order_id,
        left,
    )
    return [SentUnits(**dict(row)) for row in rows]


async def write_sent(uow: UnitOfWork, units: Sequence[SentUnits]) -> None:
    """Write what of these units is back."""
    await uow.execute(
        "UPDATE shipment_lines l SET returned = u.returned"
        " FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::integer[])"
        " AS u (shipment_id, kit, sku, centre_id, returned)"
        " WHERE (l.shipment_id, l.kit, l.sku, l.centre_id) = (u.shipment_id, u.kit, u.sku, u.centre_id)",
        [each.shipment_id for each in units],
        [each.kit for each in units],
        [each.sku for each in units],
        [each.centre_id for each in units],
        [each.returned for each in units],
    )


async def add(
    uow: UnitOfWork, order_id: UUID, order_number: str, shop_id: UUID, reason: str | None, units: Sequence[BackUnits]
) -> UUID:
    """A return of an order whose reservation is locked: nobody else numbers one of it now."""
    return_id = new_id()
    count = await uow.fetchval("SELECT count(*) FROM returns WHERE order_id = $1", order_id)
    await uow.execute(
        "INSERT INTO returns (organization_id, id, number, order_id, order_number, shop_id, reason, actor)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        uow.organization_id,
        return_id,
        f"{order_number}-R{count + 1}",
        order_id,
        order_number,
        shop_id,
        reason,
        uow.caller.name or uow.caller.kind,
    )
    await uow.execute(
        "INSERT INTO return_lines (organization_id, return_id, number, shipment_id, sku, quantity, restocked_to)"
        " SELECT $1, $2, u.number, u.shipment_id, u.sku, u.quantity, u.restocked_to"
        " FROM unnest($3::uuid[], $4::text[], $5::integer[], $6::uuid[])"
        " WITH ORDINALITY AS u (shipment_id, sku, quantity, restocked_to, number)",
        uow.organization_id,
        return_id,
        [each.shipment_id for each in units],
        [each.sku for each in units],
        [each.quantity for each in units],
        [each.restocked_to for each in units],
    )
    return return_id


_PLAIN = "id, number, order_id, order_number, shop_id, reason, actor, returned_at"


async def find(uow: UnitOfWork, return_id: UUID) -> asyncpg.Record | None:
    return await uow.fetchrow(f"SELECT {_PLAIN} FROM returns WHERE id = $1", return_id)  # noqa: S608


async def list_rows(
    uow: UnitOfWork, order_id: UUID | None, shop_ids: Sequence[UUID] | None, before: UUID | None, most: int
) -> list[asyncpg.Record]:
    """Latest first; of these shops, of all where None."""
    return await uow.fetch(
        f"SELECT {_PLAIN} FROM returns WHERE ($1::uuid IS NULL OR order_id = $1)"  # noqa: S608
        " AND ($2::uuid[] IS NULL OR shop_id = ANY($2)) AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        order_id,
        shop_ids,
        before,
        most,
    )


async def shapes(uow: UnitOfWork, rows: Sequence[asyncpg.Record]) -> list[GoodsReturn]:
    """Returns as clients see them, with one question for all their lines."""
    lines: dict[UUID, list[ReturnLine]] = {}
    for row in await uow.fetch(
        "SELECT l.return_id, l.sku, l.quantity, l.shipment_id, c.code AS restocked_to FROM return_lines l"
        " LEFT JOIN fulfilment_centres c ON c.id = l.restocked_to WHERE l.return_id = ANY($1)"
        " ORDER BY l.return_id, l.number",
        [row["id"] for row in rows],
    ):
        columns: dict[str, Any] = dict(row)
        lines.setdefault(columns.pop("return_id"), []).append(ReturnLine(**columns))
    return [GoodsReturn(**dict(row), lines=lines[row["id"]]) for row in rows]
