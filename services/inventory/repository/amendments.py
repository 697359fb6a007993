"""Amendments of reservations: what they hold, what they keep back, and what they make of an order's units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.inventory.models import Reserved, ReservedUnits, UnitsKey
from services.inventory.repository import held
from shared.unit_of_work import UnitOfWork


@dataclass
class Amendment:
    """A change that was prepared: units held for it, and units kept back, by what they are and where."""

    held: Reserved
    request: str
    withdrawn: Mapping[UnitsKey, int]


async def add(
    uow: UnitOfWork, amendment_id: UUID, order_id: UUID, shop_id: UUID, request: str, hold_seconds: int
) -> datetime:
    expires_at: datetime = await uow.fetchval(
        "INSERT INTO reservations (organization_id, id, shop_id, state, expires_at, amends, request)"
        " VALUES ($1, $2, $3, 'held', clock_timestamp() + make_interval(secs => $4), $5, $6) RETURNING expires_at",
        uow.organization_id,
        amendment_id,
        shop_id,
        float(hold_seconds),
        order_id,
        request,
    )
    return expires_at


async def lock(uow: UnitOfWork, order_id: UUID, amendment_ids: Sequence[UUID]) -> list[Amendment]:
    """Those of an order's amendments that have not taken effect. The order's reservation is locked by the caller."""
    rows = await uow.fetch(
        "SELECT id, shop_id, state, expires_at, request::text AS request FROM reservations"
        " WHERE amends = $1 AND id = ANY($2) AND state <> 'released' ORDER BY id FOR UPDATE",
        order_id,
        amendment_ids,
    )
    ids = [row["id"] for row in rows]
    units, withdrawn = await held.list_units(uow, ids), await _list_withdrawn(uow, ids)
    return [
        Amendment(
            held=Reserved(row["id"], row["shop_id"], row["state"], row["expires_at"], units.get(row["id"], [])),
            request=row["request"],
            withdrawn=withdrawn.get(row["id"], {}),
        )
        for row in rows
    ]


async def is_applied(uow: UnitOfWork, amendment_id: UUID) -> bool:
    """Whether it took effect."""
    found: bool = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM reservations WHERE id = $1 AND amends IS NOT NULL AND state = 'released')",
        amendment_id,
    )
    return found


async def _list_withdrawn(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, dict[UnitsKey, int]]:
    withdrawn: dict[UUID, dict[UnitsKey, int]] = {}
    for row in await uow.fetch(
        "SELECT amendment_id, kit, sku, centre_id, quantity FROM amendment_withdrawals WHERE amendment_id = ANY($1)",
        ids,
    ):
        key = row["kit"], row["sku"], row["centre_id"]
        withdrawn.setdefault(row["amendment_id"], {})[key] = row["quantity"]
    return withdrawn


async def add_withdrawn(uow: UnitOfWork, amendment_id: UUID, withdrawn: Mapping[UnitsKey, int]) -> None:
    await uow.execute(
        "INSERT INTO amendment_withdrawals (organization_id, amendment_id, kit, sku, centre_id, quantity)"
        " SELECT $1, $2, w.* FROM unnest($3::text[], $4::text[], $5::uuid[], $6::integer[]) AS w",
        uow.organization_id,
        amendment_id,
        [kit for kit, _, _ in withdrawn],
        [sku for _, sku, _ in withdrawn],
        [centre_id for _, _, centre_id in withdrawn],
        list(withdrawn.values()),
    )


async def empty(uow: UnitOfWork, amendment_ids: Sequence[UUID]) -> None:
    """Amendments hold and keep back nothing any more."""
    await uow.execute("DELETE FROM amendment_withdrawals WHERE amendment_id = ANY($1)", amendment_ids)
    await uow.execute("DELETE FROM reservation_lines WHERE reservation_id = ANY($1)", amendment_ids)


async def list_expired(uow: UnitOfWork, most: int) -> list[tuple[UUID, UUID]]:
    """Amendments whose time is over, and the orders they are of."""
    rows = await uow.fetch(
        "SELECT id, amends FROM reservations WHERE state = 'held' AND amends IS NOT NULL"
        " AND expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1",
        most,
    )
    return [(row["id"], row["amends"]) for row in rows]


async def is_over(uow: UnitOfWork, amendment_id: UUID) -> bool:
    """Whether a locked amendment's time is over."""
    over: bool = await uow.fetchval(
        "SELECT expires_at <= clock_timestamp() FROM reservations WHERE id = $1", amendment_id
    )
    return over


async def find_lines_version(uow: UnitOfWork, order_id: UUID) -> int:
    """Of which version of its order a reservation has the lines."""
    version: int = await uow.fetchval("SELECT lines_version FROM reservations WHERE id = $1", order_id)
    return version


async def set_lines_version(uow: UnitOfWork, order_id: UUID, version: int) -> None:
    await uow.execute("UPDATE reservations SET lines_version = $2 WHERE id = $1", order_id, version)


async def write_units(uow: UnitOfWork, order_id: UUID, units: Sequence[ReservedUnits]) -> None:
    """Let a reservation have these units alone. What stays keeps its place among those who wait."""
    await uow.execute(
        _WRITE_UNITS,
        uow.organization_id,
        order_id,
        [u.kit for u in units],
        [u.sku for u in units],
        [u.centre_id for u in units],
        [u.quantity for u in units],
        [u.backordered for u in units],
        [u.shipped for u in units],
        [u.bound for u in units],
        [u.in_stock_only for u in units],
        [u.per_kit for u in units],
    )
    await uow.execute(
        "DELETE FROM reservation_lines l WHERE reservation_id = $1 AND NOT EXISTS ("
        " SELECT FROM unnest($2::text[], $3::text[], $4::uuid[]) AS u (kit, sku, centre_id)"
        " WHERE (u.kit, u.sku, u.centre_id) = (l.kit, l.sku, l.centre_id))",
        order_id,
        [u.kit for u in units],
        [u.sku for u in units],
        [u.centre_id for u in units],
    )


_WRITE_UNITS = """
INSERT INTO reservation_lines (organization_id, reservation_id, kit, sku, centre_id, quantity, backordered, shipped,
    bound, in_stock_only, per_kit)
SELECT $1, $2, u.* FROM unnest($3::text[], $4::text[], $5::uuid[], $6::integer[], $7::integer[], $8::integer[],
    $9::integer[], $10::boolean[], $11::integer[]) AS u
ON CONFLICT (organization_id, reservation_id, kit, sku, centre_id) DO UPDATE SET quantity = excluded.quantity,
    backordered = excluded.backordered, shipped = excluded.shipped, bound = excluded.bound,
    in_stock_only = excluded.in_stock_only
"""
