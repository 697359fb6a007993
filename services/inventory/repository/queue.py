"""Who waits for goods, in the order in which they are served: those whose units were taken first come first.

Units bound to shipments are set aside already; what else is on hand goes to the others one after the other.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from services.inventory.models import Place, UnitsKey
from shared.unit_of_work import UnitOfWork

# `free`: units neither shipped nor bound; `there`: those of them that are on hand when all before are served.
QUEUE = """
SELECT q.*, CASE WHEN s.policy = 'always' THEN q.free
    ELSE greatest(least(q.free, s.on_hand - q.all_bound - q.before), 0) END::integer AS there
FROM (
    SELECT l.reservation_id, l.kit, l.per_kit, l.sku, l.centre_id,
        least(l.backordered, l.quantity - l.shipped - l.bound) AS backordered,
        l.quantity - l.shipped - l.bound AS free,
        sum(l.bound) OVER (PARTITION BY l.sku, l.centre_id) AS all_bound,
        coalesce(sum(l.quantity - l.shipped - l.bound) OVER (PARTITION BY l.sku, l.centre_id
            ORDER BY l.taken_at, l.reservation_id, l.kit ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id
    WHERE l.shipped < l.quantity AND r.state IN ('held', 'confirmed') AND {which}
) q JOIN stock s ON (s.sku, s.centre_id) = (q.sku, q.centre_id)
"""
_AT_PLACES = QUEUE.format(which="(l.sku, l.centre_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))")


async def list_there(uow: UnitOfWork, reservation_id: UUID, places: Sequence[Place]) -> dict[UnitsKey, int]:
    """How many of a reservation's free units are on hand for it. The places' stock is locked."""
    rows = await uow.fetch(
        f"{_AT_PLACES} WHERE q.reservation_id = $3",
        [sku for sku, _ in places],
        [centre_id for _, centre_id in places],
        reservation_id,
    )
    return {(row["kit"], row["sku"], row["centre_id"]): row["there"] for row in rows}


class Served(NamedTuple):
    """Of the units of an order that waited in a place, so many are there now and so many still wait."""

    reservation_id: UUID
    kit: str
    per_kit: int
    sku: str
    centre_id: UUID
    served: int
    waiting: int


async def list_served(uow: UnitOfWork, places: Sequence[Place]) -> list[Served]:
    """Who waits in these places for less than was last written, in the order of serving. Their stock is locked."""
    rows = await uow.fetch(
        _SERVED,
        [sku for sku, _ in places],
        [centre_id for _, centre_id in places],
    )
    return [Served(**dict(row)) for row in rows]


_SERVED = f"""
SELECT w.reservation_id, w.kit, w.per_kit, w.sku, w.centre_id, w.backordered - (w.free - w.there) AS served,
    w.free - w.there AS waiting
FROM ({_AT_PLACES}) w WHERE w.backordered > w.free - w.there ORDER BY w.sku, w.centre_id, w.before
"""  # noqa: S608


async def write_waiting(uow: UnitOfWork, served: Sequence[Served]) -> None:
    await uow.execute(
        "UPDATE reservation_lines l SET backordered = w.waiting"
        " FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::integer[])"
        " AS w (reservation_id, kit, sku, centre_id, waiting)"
        " WHERE (l.reservation_id, l.kit, l.sku, l.centre_id) = (w.reservation_id, w.kit, w.sku, w.centre_id)",
        [each.reservation_id for each in served],
        [each.kit for each in served],
        [each.sku for each in served],
        [each.centre_id for each in served],
        [each.waiting for each in served],
    )


class Waiting(NamedTuple):
    """So many units of a SKU are missing for a line of an order, of which one takes `per_kit`."""

    line_sku: str
    sku: str
    per_kit: int
    units: int


async def list_waiting(uow: UnitOfWork, order_ids: Sequence[UUID]) -> dict[UUID, list[Waiting]]:
    """What orders still wait for, all centres together."""
    waiting: dict[UUID, list[Waiting]] = {}
    for row in await uow.fetch(
        "SELECT reservation_id, coalesce(nullif(kit, ''), sku) AS line_sku, sku, per_kit,"
        " sum(least(backordered, quantity - shipped - bound))::integer AS units"
        " FROM reservation_lines WHERE reservation_id = ANY($1) AND backordered > 0 AND shipped + bound < quantity"
        " GROUP BY 1, 2, 3, 4",
        order_ids,
    ):
        columns = dict(row)
        waiting.setdefault(columns.pop("reservation_id"), []).append(Waiting(**columns))
    return waiting


async def list_known(uow: UnitOfWork, order_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these orders that were announced to inventory."""
    rows = await uow.fetch("SELECT id FROM reservations WHERE id = ANY($1) AND order_status IS NOT NULL", order_ids)
    return {row["id"] for row in rows}
