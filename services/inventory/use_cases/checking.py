"""Proof that stock adds up: balances, promises and reservations against the ledger."""

from dataclasses import dataclass

from services.inventory.repository import order_stock
from services.inventory.shipment_states import LEFT, PREPARED
from shared.contracts.base import Page
from shared.contracts.inventory.checks import StockOfLine, StockOfOrder
from shared.pagination import cursor_for, id_after
from shared.unit_of_work import UnitOfWork

ORDERS_AT_ONCE = 1000


@dataclass(frozen=True)
class Discrepancy:
    """A SKU in a centre whose figures do not agree, and how."""

    sku: str
    centre_id: object
    what: str
    stored: int
    expected: int


async def check(uow: UnitOfWork, most: int = 1000) -> list[Discrepancy]:
    """Every disagreement within one organization; an empty list is the proof.

    On hand and reserved equal the last movement and the sum of all; movements follow each other without a gap; what is
    reserved equals what open reservations hold; incoming equals what open arrivals expect; what of orders has left, is
    bound or is back equals what their shipments and returns say.
    """
    rows = [row for question in (_SUMS, _CHAIN, _HELD, _INCOMING) for row in await uow.fetch(question, most)]
    rows += await order_stock.list_findings(uow, most, LEFT, PREPARED)
    return [Discrepancy(**dict(row)) for row in rows]


async def list_stock_of_orders(uow: UnitOfWork, after: str | None) -> Page[StockOfOrder]:
    """What is held, has left and is back of orders, by the lines that they name."""
    found = await order_stock.list_page(uow, id_after(after), ORDERS_AT_ONCE, LEFT)
    following = cursor_for(str(found[-1].reservation.id)) if len(found) == ORDERS_AT_ONCE else None
    return Page(items=[_by_line(each) for each in found], next=following)


def _by_line(stock: order_stock.OrderStock) -> StockOfOrder:
    reservation = stock.reservation
    reserved = reservation.demand()
    shipped = reservation.lines_made_of((each.goods, each.quantity) for each in stock.sent)
    returned = reservation.lines_made_of((each.goods, each.returned) for each in stock.sent)
    return StockOfOrder(
        order_id=reservation.id,
        state=reservation.state,
        lines=[
            StockOfLine(
                sku=sku, reserved=reserved.get(sku, 0), shipped=shipped.get(sku, 0), returned=returned.get(sku, 0)
            )
            for sku in sorted(reserved.keys() | shipped.keys())
        ],
    )


_SUMS = """
SELECT s.sku, s.centre_id, f.what, f.stored, f.expected::integer
FROM stock s
LEFT JOIN LATERAL (
    SELECT coalesce(sum(on_hand_after - on_hand_before), 0) AS on_hand,
        coalesce(sum(reserved_after - reserved_before), 0) AS reserved, count(*) AS movements
    FROM stock_movements m WHERE (m.sku, m.centre_id) = (s.sku, s.centre_id)) l ON true
CROSS JOIN LATERAL (VALUES ('on_hand', s.on_hand, l.on_hand), ('reserved', s.reserved, l.reserved),
    ('movements', s.version::integer, l.movements)) AS f (what, stored, expected)
WHERE f.stored <> f.expected LIMIT $1
"""

# Each movement is looked at once, beside the one before it: to look that up by its number reads, under row-level
# security, all movements of the SKU for each of them.
_CHAIN = """
SELECT sku, centre_id, 'chain' AS what, on_hand_before AS stored, on_hand_last AS expected
FROM (
    SELECT sku, centre_id, number, on_hand_before, reserved_before, lag(number, 1, 0::bigint) OVER last AS number_last,
        lag(on_hand_after, 1, 0) OVER last AS on_hand_last, lag(reserved_after, 1, 0) OVER last AS reserved_last
    FROM stock_movements WINDOW last AS (PARTITION BY sku, centre_id ORDER BY number)) m
WHERE number <> number_last + 1 OR (on_hand_before, reserved_before) <> (on_hand_last, reserved_last)
LIMIT $1
"""

_HELD = """
SELECT s.sku, s.centre_id, 'held' AS what, s.reserved AS stored, coalesce(h.open, 0)::integer AS expected
FROM stock s
LEFT JOIN (
    SELECT l.sku, l.centre_id, sum(l.quantity - l.shipped) AS open
    FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id
    WHERE r.state IN ('held', 'confirmed') GROUP BY 1, 2) h ON (h.sku, h.centre_id) = (s.sku, s.centre_id)
WHERE s.reserved <> coalesce(h.open, 0) LIMIT $1
"""

_INCOMING = """
SELECT s.sku, s.centre_id, 'incoming' AS what, s.incoming AS stored, coalesce(e.expected, 0)::integer AS expected
FROM stock s
LEFT JOIN (
    SELECT a.sku, a.centre_id, sum(a.quantity - a.received) AS expected
    FROM arrivals a WHERE a.state = 'open' GROUP BY 1, 2) e ON (e.sku, e.centre_id) = (s.sku, s.centre_id)
WHERE s.incoming <> coalesce(e.expected, 0) LIMIT $1
"""
