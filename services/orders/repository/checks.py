"""Orders and their lines for the check, many at a time."""

from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


async def list_page(
    uow: UnitOfWork, after: UUID | None, most: int
) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    """Orders by id, and the lines of all of them."""
    heads = await uow.fetch(
        "SELECT o.id, o.number, o.status, o.paid, o.refunded, p.captured, p.refunded AS back FROM orders o"
        " LEFT JOIN LATERAL (SELECT sum(captured)::bigint AS captured, sum(refunded)::bigint AS refunded"
        "   FROM order_payments p WHERE (p.order_id, p.currency) = (o.id, o.currency)) p ON true"
        " WHERE $1::uuid IS NULL OR o.id > $1 ORDER BY o.id LIMIT $2",
        after,
        most,
    )
    lines = await uow.fetch(
        "SELECT order_id, sku, quantity - cancelled AS wanted, shipped, returned FROM order_lines"
        " WHERE order_id = ANY($1) ORDER BY order_id, sku",
        [head["id"] for head in heads],
    )
    return heads, lines


async def list_payments(uow: UnitOfWork, after: UUID | None, most: int) -> list[asyncpg.Record]:
    """What is known of payments, by their id."""
    return await uow.fetch(
        "SELECT p.payment_id AS id, o.number AS order_number, p.currency, p.captured, p.refunded, p.disputed, p.version"
        " FROM order_payments p JOIN orders o ON o.id = p.order_id WHERE $1::uuid IS NULL OR p.payment_id > $1"
        " ORDER BY p.payment_id LIMIT $2",
        after,
        most,
    )
