"""Orders and their lines for the check, many at a time."""

from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


async def list_page(
    uow: UnitOfWork, after: UUID | None, most: int
) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    """Orders by id, and the lines of all of them."""
    heads = await uow.fetch(
        "SELECT id, number, status FROM orders WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2", after, most
    )
    lines = await uow.fetch(
        "SELECT order_id, sku, quantity - cancelled AS wanted, shipped, returned FROM order_lines"
        " WHERE order_id = ANY($1) ORDER BY order_id, sku",
        [head["id"] for head in heads],
    )
    return heads, lines
