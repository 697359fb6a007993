"""Reservations and the units they hold."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from services.inventory.models import Reserved, ReservedUnits, Sourced, SourcingRule
from shared.unit_of_work import UnitOfWork


class HeardOrder(NamedTuple):
    """What is said of an order that was placed. `until`: when its payment is due; None: nothing is to be paid."""

    id: UUID
    number: str
    status: str
    placed_at: datetime
    until: datetime | None


async def add_reservation(uow: UnitOfWork, order_id: UUID, shop_id: UUID, hold_seconds: int) -> datetime | None:
    """Make a held reservation without units; None: the id is taken. Waits for a twin that makes it at the same time."""
    return await uow.fetchval(
        "INSERT INTO reservations (organization_id, id, shop_id, state, expires_at)"
        " VALUES ($1, $2, $3, 'held', clock_timestamp() + make_interval(secs => $4))"
        " ON CONFLICT DO NOTHING RETURNING expires_at",
        uow.organization_id,
        order_id,
        shop_id,
        float(hold_seconds),
    )


async def add_reservations(uow: UnitOfWork, rows: Sequence[tuple[UUID, UUID, int]]) -> dict[UUID, datetime]:
    """Make held reservations (id, shop, seconds) without units. Returns the ends of those whose id was not taken.

    Waits for twins that are being made; rows must come in the order of their ids.
    """
    made = await uow.fetch(
        "INSERT INTO reservations (organization_id, id, shop_id, state, expires_at)"
        " SELECT $1, id, shop_id, 'held', clock_timestamp() + make_interval(secs => seconds)"
        " FROM unnest($2::uuid[], $3::uuid[], $4::float8[]) WITH ORDINALITY AS r (id, shop_id, seconds, place)"
        " ORDER BY place ON CONFLICT DO NOTHING RETURNING id, expires_at",
        uow.organization_id,
        *map(list, zip(*rows, strict=True)),
    )
    return {row["id"]: row["expires_at"] for row in made}


async def remove_reservations(uow: UnitOfWork, reservation_ids: Sequence[UUID]) -> None:
    """Take back reservations of this transaction that hold nothing."""
    if reservation_ids:
        await uow.execute("DELETE FROM reservations WHERE id = ANY($1)", reservation_ids)


async def hold_anew(uow: UnitOfWork, reservation: Reserved, hold_seconds: int) -> datetime:
    """Let a hold run from now, never shorter than it does. Returns its end."""
    return await uow.fetchval(
        "UPDATE reservations SET state = 'held', changed_at = now(),"
        " expires_at = greatest(expires_at, clock_timestamp() + make_interval(secs => $2))"
        " WHERE id = $1 RETURNING expires_at",
        reservation.id,
        float(hold_seconds),
    )


async def hold_until(uow: UnitOfWork, reservation_id: UUID, expires_at: datetime) -> None:
    await uow.execute(
        "UPDATE reservations SET state = 'held', expires_at = $2, changed_at = now() WHERE id = $1",
        reservation_id,
        expires_at,
    )


async def lengthen(uow: UnitOfWork, placed: Sequence[HeardOrder]) -> set[UUID]:
    """Keep what is said of orders whose stock is held, until their ends, never shorter than it is. Returns which are.

    What was heard of an order's status later stays.
    """
    if not placed:
        return set()
    ordered = sorted(placed)
    found = {row["id"] for row in await uow.fetch(_LOCK_HELD, [order.id for order in ordered])}
    held = [order for order in ordered if order.id in found]
    if held:
        await uow.execute(_LENGTHEN, *map(list, zip(*held, strict=True)))
    return found


# One by one, in the order given. The state is looked at outside: within, all that is held may be read for each of them.
_LOCK_HELD = """
SELECT r.id FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL (
    SELECT id, state FROM reservations WHERE id = asked.id OFFSET 0 FOR UPDATE) r
WHERE r.state = 'held'
"""
# Locked rows stay where they lie. Joined by their keys, all reservations are read while statistics are behind.
_LENGTHEN = """
UPDATE reservations r SET expires_at = greatest(r.expires_at, o.until), changed_at = now(), order_number = o.number,
    order_status = coalesce(r.order_status, o.status), placed_at = o.placed_at
FROM (
    SELECT o.*, found.place FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
        AS o (id, number, status, placed_at, until)
    CROSS JOIN LATERAL (SELECT ctid AS place FROM reservations WHERE id = o.id OFFSET 0) found
) o WHERE r.ctid = o.place
"""


async def set_states(uow: UnitOfWork, reservation_ids: Sequence[UUID], state: str) -> None:
    """Let reservations be in a state that has no end."""
    await uow.execute(
        "UPDATE reservations SET state = $2, expires_at = NULL, changed_at = now() WHERE id = ANY($1)",
        reservation_ids,
        state,
    )


async def find_reservation(uow: UnitOfWork, order_id: UUID, *, lock: bool = False) -> Reserved | None:
    """A reservation with its units, locked if asked."""
    row = await uow.fetchrow(
        _RESERVATION_LOCKED if lock else _RESERVATION,
        order_id,
    )
    if row is None:
        return None
    units = await list_units(uow, [order_id])
    return Reserved(**dict(row), units=units.get(order_id, []))


_RESERVATION = "SELECT id, shop_id, state, expires_at FROM reservations WHERE id = $1"


_RESERVATION_LOCKED = f"{_RESERVATION} FOR UPDATE"


async def hold_shipments(uow: UnitOfWork, order_id: UUID, version: int, seconds: int) -> datetime:
    """Let who knows no newer version of an order begin no shipment of it. Its reservation is locked. Until when."""
    expires_at: datetime = await uow.fetchval(
        "WITH own AS (SELECT clock_timestamp() + make_interval(secs => $3) AS until)"
        " UPDATE reservations SET shipments_held_for = greatest(shipments_held_for, $2),"
        " shipments_held_until = greatest(shipments_held_until, own.until) FROM own WHERE id = $1 RETURNING own.until",
        order_id,
        version,
        float(seconds),
    )
    return expires_at


async def are_shipments_held(uow: UnitOfWork, order_id: UUID, version: int) -> bool:
    """Whether who knows this version of an order begins no shipment of it now."""
    are_held: bool = await uow.fetchval(
        "SELECT shipments_held_for >= $2 AND coalesce(shipments_held_until > clock_timestamp(), false)"
        " FROM reservations WHERE id = $1",
        order_id,
        version,
    )
    return are_held


async def list_units(uow: UnitOfWork, order_ids: Sequence[UUID]) -> dict[UUID, list[ReservedUnits]]:
    """Reserved units per reservation, by SKU."""
    units: dict[UUID, list[ReservedUnits]] = {}
    for row in await uow.fetch(
        "SELECT reservation_id, sku, centre_id, quantity, backordered, shipped, in_stock_only, bound, kit, per_kit"
        " FROM reservation_lines WHERE reservation_id = ANY($1) ORDER BY kit, sku, centre_id",
        order_ids,
    ):
        columns = dict(row)
        units.setdefault(columns.pop("reservation_id"), []).append(ReservedUnits(**columns))
    return units


async def lock_expired(uow: UnitOfWork, most: int) -> list[Reserved]:
    """Holds whose time is over, as far as nobody else has them in hand."""
    rows = await uow.fetch(
        "SELECT id, shop_id, state, expires_at FROM reservations WHERE state = 'held' AND amends IS NULL"
        " AND expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        most,
    )
    units = await list_units(uow, [row["id"] for row in rows])
    return [Reserved(**dict(row), units=units.get(row["id"], [])) for row in rows]


async def list_organizations_with_expired(uow: UnitOfWork) -> list[UUID]:
    """Across tenants: who has holds whose time is over."""
    rows = await uow.fetch(
        "SELECT DISTINCT organization_id FROM reservations WHERE state = 'held' AND expires_at <= clock_timestamp()"
    )
    return [row["organization_id"] for row in rows]


async def remove_units(uow: UnitOfWork, order_id: UUID) -> None:
    await uow.execute("DELETE FROM reservation_lines WHERE reservation_id = $1", order_id)


async def add_units(uow: UnitOfWork, order_id: UUID, sourced: Sourced, rule: SourcingRule) -> None:
    """Units of an order, and why they come from where they come from."""
    await uow.execute(
        _ADD_UNITS,
        uow.organization_id,
        order_id,
        rule.strategy,
        rule.splitting,
        orjson.dumps(sourced.explained).decode(),
        *map(list, zip(*(_columns(units) for units in sourced.units), strict=True)),
    )


def _columns(u: ReservedUnits) -> tuple[Any, ...]:
    return u.sku, u.centre_id, u.quantity, u.backordered, u.in_stock_only, u.kit, u.per_kit


_ADD_UNITS = """
WITH explained AS (
    INSERT INTO reservation_sourcing (organization_id, reservation_id, strategy, splitting, lines)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, reservation_id) DO UPDATE
    SET strategy = excluded.strategy, splitting = excluded.splitting, lines = excluded.lines
)
INSERT INTO reservation_lines
    (organization_id, reservation_id, sku, centre_id, quantity, backordered, in_stock_only, kit, per_kit)
SELECT $1, $2, u.* FROM unnest($6::text[], $7::uuid[], $8::integer[], $9::integer[], $10::boolean[], $11::text[],
    $12::integer[]) AS u
"""


async def add_all_units(uow: UnitOfWork, taken: Sequence[tuple[UUID, Sourced, SourcingRule]]) -> None:
    """Units of several new reservations, and why they come from where they come from."""
    units = [(id_, *_columns(part)) for id_, sourced, _ in taken for part in sourced.units]
    await uow.execute(
        _ADD_ALL_UNITS,
        uow.organization_id,
        [id_ for id_, _, _ in taken],
        [rule.strategy for _, _, rule in taken],
        [rule.splitting for _, _, rule in taken],
        [orjson.dumps(sourced.explained).decode() for _, sourced, _ in taken],
        *map(list, zip(*units, strict=True)),
    )


_ADD_ALL_UNITS = """
WITH explained AS (
    INSERT INTO reservation_sourcing (organization_id, reservation_id, strategy, splitting, lines)
    SELECT $1, r.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::json[]) AS r
)
INSERT INTO reservation_lines
    (organization_id, reservation_id, sku, centre_id, quantity, backordered, in_stock_only, kit, per_kit)
SELECT $1, u.* FROM unnest($6::uuid[], $7::text[], $8::uuid[], $9::integer[], $10::integer[], $11::boolean[],
    $12::text[], $13::integer[]) AS u
"""


async def find_sourcing(uow: UnitOfWork, order_id: UUID) -> asyncpg.Record | None:
    """Why a reservation's units come from where they come from, as it was when they were taken last."""
    return await uow.fetchrow(
        "SELECT strategy, splitting, lines::text AS lines FROM reservation_sourcing WHERE reservation_id = $1", order_id
    )


async def write_shipped(uow: UnitOfWork, order_id: UUID, units: Sequence[ReservedUnits]) -> None:
    """Write what of these units has left and what is bound."""
    await uow.execute(
        "UPDATE reservation_lines l SET shipped = u.shipped, bound = u.bound"
        " FROM unnest($2::text[], $3::text[], $4::uuid[], $5::integer[], $6::integer[])"
        " AS u (kit, sku, centre_id, shipped, bound)"
        " WHERE l.reservation_id = $1 AND (l.kit, l.sku, l.centre_id) = (u.kit, u.sku, u.centre_id)",
        order_id,
        [u.kit for u in units],
        [u.sku for u in units],
        [u.centre_id for u in units],
        [u.shipped for u in units],
        [u.bound for u in units],
    )


async def note_placed(uow: UnitOfWork, placed: Sequence[HeardOrder]) -> None:
    """Keep what is said of orders that have a reservation, whatever becomes of it; a status heard of later stays."""
    if not placed:
        return
    await uow.execute(
        "UPDATE reservations r SET order_number = o.number, order_status = coalesce(order_status, o.status),"
        " placed_at = o.placed_at"
        " FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) AS o (id, number, status, placed_at)"
        " WHERE r.id = o.id",
        *map(list, zip(*(each[:4] for each in placed), strict=True)),
    )


async def note_moved(uow: UnitOfWork, order_id: UUID, number: str, status: str, version: int) -> None:
    """Keep where an order stands, unless something newer is known."""
    await uow.execute(
        "UPDATE reservations SET order_number = $2, order_status = $3, order_version = $4"
        " WHERE id = $1 AND coalesce(order_version, -1) < $4",
        order_id,
        number,
        status,
        version,
    )
