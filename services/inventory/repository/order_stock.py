"""Orders' stock as a whole, for the check: what is held, what left and what came back, many orders at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

import asyncpg

from services.inventory.models import Goods, Reserved, ReservedUnits
from shared.contracts.inventory.shapes import ReservationState
from shared.contracts.inventory.shipments import ShipmentState
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class SentGoods:
    """Units that left with an order's shipments, and how many of them are back."""

    goods: Goods
    quantity: int
    returned: int


@dataclass(frozen=True)
class OrderStock:
    """A reservation with its units, and what of it left."""

    reservation: Reserved
    sent: Sequence[SentGoods] = field(default_factory=list)


async def list_page(uow: UnitOfWork, after: UUID | None, most: int, left: Sequence[ShipmentState]) -> list[OrderStock]:
    """By order; `left` are the states of shipments whose goods are gone. Three questions, whatever their number."""
    heads = await uow.fetch(
        "SELECT id, shop_id, state, expires_at FROM reservations"
        " WHERE amends IS NULL AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2",
        after,
        most,
    )
    ids = [head["id"] for head in heads]
    units = await uow.fetch(
        "SELECT reservation_id AS order_id, sku, centre_id, quantity, shipped, kit, per_kit FROM reservation_lines"
        " WHERE reservation_id = ANY($1) ORDER BY reservation_id, kit, sku, centre_id",
        ids,
    )
    sent = await uow.fetch(
        "SELECT s.order_id, l.kit, l.sku, sum(l.quantity)::integer AS quantity, sum(l.returned)::integer AS returned"
        " FROM shipments s JOIN shipment_lines l ON l.shipment_id = s.id"
        " WHERE s.order_id = ANY($1) AND s.state = ANY($2) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        ids,
        left,
    )
    units_of, sent_of = dict(_by_order(units)), dict(_by_order(sent))
    return [_stock(head, units_of.get(head["id"], ()), sent_of.get(head["id"], ())) for head in heads]


def _by_order(rows: Sequence[asyncpg.Record]) -> Iterator[tuple[UUID, list[asyncpg.Record]]]:
    for order_id, group in groupby(rows, key=lambda row: row["order_id"]):
        yield order_id, list(group)


def _stock(head: asyncpg.Record, units: Sequence[asyncpg.Record], sent: Sequence[asyncpg.Record]) -> OrderStock:
    held = [ReservedUnits(**{name: value for name, value in row.items() if name != "order_id"}) for row in units]
    state: ReservationState = head["state"]
    reservation = Reserved(head["id"], head["shop_id"], state, head["expires_at"], held)
    gone = [SentGoods((row["kit"], row["sku"]), row["quantity"], row["returned"]) for row in sent]
    return OrderStock(reservation, gone)


async def list_findings(
    uow: UnitOfWork, most: int, left: Sequence[ShipmentState], prepared: Sequence[ShipmentState]
) -> list[asyncpg.Record]:
    """Units of orders of which their shipments, or returns, say something else: so many of each kind at most."""
    return [
        *await uow.fetch(_SHIPPED, most, left),
        *await uow.fetch(_BOUND, most, prepared),
        *await uow.fetch(_RETURNED, most),
    ]


_SHIPPED = """
SELECT coalesce(l.sku, s.sku) AS sku, coalesce(l.centre_id, s.centre_id) AS centre_id,
    'shipped of order ' || coalesce(l.order_id, s.order_id) AS what,
    coalesce(l.units, 0)::integer AS stored, coalesce(s.units, 0)::integer AS expected
FROM (SELECT reservation_id AS order_id, sku, centre_id, sum(shipped) AS units FROM reservation_lines
    WHERE shipped > 0 GROUP BY 1, 2, 3) l
FULL JOIN (SELECT h.order_id, n.sku, n.centre_id, sum(n.quantity) AS units FROM shipments h
    JOIN shipment_lines n ON n.shipment_id = h.id WHERE h.state = ANY($2) GROUP BY 1, 2, 3) s
    ON s.order_id = l.order_id AND s.sku = l.sku AND s.centre_id = l.centre_id
WHERE coalesce(l.units, 0) <> coalesce(s.units, 0) LIMIT $1
"""

# What is bound belongs to shipments that are being prepared, or is kept back for a change of the order.
_BOUND = """
SELECT l.sku, l.centre_id, 'bound of order ' || l.order_id AS what, l.units::integer AS stored,
    coalesce(s.units, 0)::integer AS expected
FROM (SELECT n.reservation_id AS order_id, n.sku, n.centre_id, sum(n.bound) AS units FROM reservation_lines n
    JOIN reservations r ON r.id = n.reservation_id WHERE r.state IN ('held', 'confirmed') GROUP BY 1, 2, 3) l
LEFT JOIN (SELECT order_id, sku, centre_id, sum(units) AS units FROM (
        SELECT h.order_id, n.sku, n.centre_id, n.quantity AS units FROM shipments h
            JOIN shipment_lines n ON n.shipment_id = h.id WHERE h.state = ANY($2)
        UNION ALL
        SELECT a.amends, w.sku, w.centre_id, w.quantity FROM reservations a
            JOIN amendment_withdrawals w ON w.amendment_id = a.id WHERE a.state = 'held') each
    GROUP BY 1, 2, 3) s
    ON s.order_id = l.order_id AND s.sku = l.sku AND s.centre_id = l.centre_id
WHERE l.units <> coalesce(s.units, 0) LIMIT $1
"""

_RETURNED = """
SELECT l.sku, l.centre_id, 'returned of shipment ' || h.number AS what, l.units::integer AS stored,
    coalesce(r.units, 0)::integer AS expected
FROM (SELECT shipment_id, sku, min(centre_id::text)::uuid AS centre_id, sum(returned) AS units FROM shipment_lines
    GROUP BY 1, 2) l
JOIN shipments h ON h.id = l.shipment_id
LEFT JOIN (SELECT shipment_id, sku, sum(quantity) AS units FROM return_lines GROUP BY 1, 2) r
    ON (r.shipment_id, r.sku) = (l.shipment_id, l.sku)
WHERE l.units <> coalesce(r.units, 0) LIMIT $1
"""
