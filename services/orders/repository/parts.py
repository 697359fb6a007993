"""Queries for what orders are found by."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


async def list_parts(uow: UnitOfWork, order_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Those of these orders that there are, each with its lines and shipments."""
    return await uow.fetch(_LIST_PARTS, list(order_ids))


# One by one, through the indexes, whatever the planner thinks of a set of ids.
_LIST_PARTS = """
SELECT o.*, l.skus, l.titles, s.shipments FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL (
    SELECT id, shop_id, number, external_number, external_id, placed_at, customer ->> 'email' AS email,
        customer ->> 'name' AS customer_name, shipping_address ->> 'name' AS ship_to,
        shipping_address ->> 'company' AS company, shipping_address ->> 'city' AS city,
        shipping_address ->> 'postal_code' AS postal_code
    FROM orders WHERE id = asked.id OFFSET 0) o
CROSS JOIN LATERAL (
    SELECT array_agg(sku ORDER BY position) AS skus, array_agg(title ORDER BY position) AS titles
    FROM order_lines WHERE order_id = o.id) l
CROSS JOIN LATERAL (
    SELECT array_agg(shipment -> 'tracking_numbers' ORDER BY shipment_id) AS shipments
    FROM order_shipments WHERE order_id = o.id) s
"""


async def list_ids(uow: UnitOfWork, after: UUID | None, most: int) -> list[UUID]:
    """The ids of all orders, in their order."""
    rows = await uow.fetch(
        "SELECT id FROM orders WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after,
        most,
    )
    return [row["id"] for row in rows]
