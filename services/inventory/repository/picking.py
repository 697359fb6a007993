"""What is to be picked in a centre."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from services.inventory.repository.queue import QUEUE
from shared.contracts.inventory.picking import PickingStatus
from shared.unit_of_work import UnitOfWork

# Orders whose goods may leave, now or after a hold; nobody told us yet where others stand.
_OPEN = f"""
WITH units AS (
    SELECT w.reservation_id, w.sku, w.free, w.there, r.order_number, r.shop_id, r.order_status = 'on_hold' AS is_held,
        coalesce(r.placed_at, r.created_at) AS placed_at
    FROM ({QUEUE.format(which="l.centre_id = $1")}) w JOIN reservations r ON r.id = w.reservation_id
    WHERE w.free > 0 AND r.state = 'confirmed' AND r.order_status IN ('processing', 'partly_shipped', 'on_hold')
        AND ($2::uuid[] IS NULL OR r.shop_id = ANY($2))
)
"""  # noqa: S608


async def list_orders(
    uow: UnitOfWork,
    centre_id: UUID,
    shop_ids: Sequence[UUID] | None,
    status: PickingStatus | None,
    after: tuple[datetime, UUID] | None,
    most: int,
) -> list[asyncpg.Record]:
    """Oldest first; `skus`, `free` and `there` are lists of equal length, by SKU."""
    return await uow.fetch(_ORDERS, centre_id, shop_ids, status, *(after or (None, None)), most)


_ORDERS = f"""{_OPEN}, orders AS (
    SELECT reservation_id, order_number, shop_id, placed_at,
        CASE WHEN is_held THEN 'on_hold' WHEN sum(there) = 0 THEN 'backorder' WHEN sum(there) < sum(free) THEN 'partial'
            ELSE 'in_stock' END AS status,
        array_agg(sku ORDER BY sku) AS skus, array_agg(free ORDER BY sku) AS free,
        array_agg(there ORDER BY sku) AS there
    FROM (SELECT reservation_id, order_number, shop_id, placed_at, is_held, sku, sum(free)::integer AS free,
            sum(there)::integer AS there FROM units GROUP BY 1, 2, 3, 4, 5, 6) u
    GROUP BY reservation_id, order_number, shop_id, placed_at, is_held
)
SELECT o.reservation_id, o.order_number, o.placed_at, o.status, o.skus, o.free, o.there, s.code AS shop
FROM orders o JOIN shops s ON s.id = o.shop_id
WHERE ($3::text IS NULL OR o.status = $3)
    AND ($4::timestamptz IS NULL OR (o.placed_at, o.reservation_id) > ($4, $5::uuid))
ORDER BY o.placed_at, o.reservation_id LIMIT $6
"""  # noqa: S608


async def list_skus(
    uow: UnitOfWork, centre_id: UUID, shop_ids: Sequence[UUID] | None, after: str | None, most: int
) -> list[asyncpg.Record]:
    return await uow.fetch(_SKUS, centre_id, shop_ids, after, most)


_SKUS = f"""{_OPEN}
SELECT sku, coalesce(sum(there) FILTER (WHERE NOT is_held), 0)::integer AS there,
    coalesce(sum(free - there) FILTER (WHERE NOT is_held), 0)::integer AS waiting,
    coalesce(sum(free) FILTER (WHERE is_held), 0)::integer AS on_hold, count(DISTINCT reservation_id) AS orders
FROM units WHERE $3::text IS NULL OR sku > $3 GROUP BY sku ORDER BY sku LIMIT $4
"""  # noqa: S608
