"""Queries of connections and of the orders they bring."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson

from services.orders.errors import ImportedOrderNotFound, OrderConnectionNotFound
from shared.contracts.orders.imported import (
    ListImportedOrders,
    OrderConnectionDraft,
    RemoteOrder,
    imported_order_id,
)
from shared.unit_of_work import UnitOfWork

# --- connections

_CONNECTION = (
    "SELECT c.id, c.shop_id, s.code AS shop, s.currency, s.is_removed, c.name, c.status_map, c.stock_missing,"
    " c.recheck_limit, c.created_at, c.gone_at, c.version FROM order_connections c JOIN shops s ON s.id = c.shop_id"
)
_SEEN = "($1::uuid[] IS NULL OR c.shop_id = ANY($1))"


async def add_connection(uow: UnitOfWork, connection_id: UUID, shop_id: UUID, draft: OrderConnectionDraft) -> bool:
    """False: there is one of this id already, and it stays as it is."""
    status = await uow.execute(
        "INSERT INTO order_connections (organization_id, id, shop_id, name, status_map, stock_missing, recheck_limit)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organization_id, id) DO NOTHING",
        uow.organization_id,
        connection_id,
        shop_id,
        draft.name,
        orjson.dumps(draft.status_map).decode(),
        draft.stock_missing,
        draft.recheck_limit,
    )
    return status.endswith(" 1")


async def get_connection(uow: UnitOfWork, connection_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """A connection of a shop the caller may see. Raises OrderConnectionNotFound."""
    row = await uow.fetchrow(
        f"{_CONNECTION} WHERE {_SEEN} AND c.id = $2{' FOR NO KEY UPDATE OF c' if lock else ''}",
        uow.caller.shop_limit,
        connection_id,
    )
    if row is None:
        raise OrderConnectionNotFound("There is no such connection.")
    return row


async def put_connection(uow: UnitOfWork, connection_id: UUID, values: dict[str, Any]) -> None:
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 2))
    await uow.execute(
        f"UPDATE order_connections SET version = version + 1{', ' * bool(changes)}{changes} WHERE id = $1",  # noqa: S608
        connection_id,
        *values.values(),
    )


async def list_connections(uow: UnitOfWork, before: UUID | None, most: int) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_CONNECTION} WHERE {_SEEN} AND c.gone_at IS NULL AND ($2::uuid IS NULL OR c.id < $2)"
        " ORDER BY c.id DESC LIMIT $3",
        uow.caller.shop_limit,
        before,
        most,
    )


async def list_connections_of(uow: UnitOfWork, shop_id: UUID | None) -> list[asyncpg.Record]:
    """The connections of a shop, or of every shop that the caller may see, oldest first."""
    return await uow.fetch(
        f"{_CONNECTION} WHERE {_SEEN} AND c.gone_at IS NULL AND ($2::uuid IS NULL OR c.shop_id = $2) ORDER BY c.id",
        uow.caller.shop_limit,
        shop_id,
    )


async def note_gone(uow: UnitOfWork, connection_id: UUID) -> None:
    """Safe to repeat."""
    await uow.execute(
        "UPDATE order_connections SET gone_at = now(), version = version + 1 WHERE id = $1 AND gone_at IS NULL",
        connection_id,
    )


# --- orders of connections

_IMPORTED = (
    "SELECT i.id, i.connection_id, i.external_id, i.number, i.status, i.is_paid, i.updated_at, i.state, i.reason,"
    " i.detail, i.order_id, i.checks, i.next_check_at, i.escalated_at, i.received_at, i.acted_at, i.remote"
    " FROM imported_orders i JOIN order_connections c ON c.id = i.connection_id"
)


async def remotes_of(uow: UnitOfWork, order_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Of these orders those that connections brought, as they told them; not where a person was erased from it, nor of
    connections that are gone.
    """
    rows = await uow.fetch(
        "SELECT i.order_id, i.connection_id, i.external_id, i.status, i.is_paid, i.updated_at, i.remote"
        " FROM imported_orders i JOIN order_connections c ON c.id = i.connection_id"
        " WHERE i.order_id = ANY($1) AND c.gone_at IS NULL AND i.remote::text <> '{}'",
        order_ids,
    )
    return {row["order_id"]: row for row in rows}


async def statuses_of(uow: UnitOfWork, order_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The status of each of these orders that there is."""
    rows = await uow.fetch("SELECT id, status FROM orders WHERE id = ANY($1)", order_ids)
    return {row["id"]: row["status"] for row in rows}


Taking = Literal["newer", "different", "new"]


async def receive(
    uow: UnitOfWork, connection_id: UUID, orders: Sequence[RemoteOrder], taking: Taking = "newer"
) -> list[asyncpg.Record]:
    """Keep what is new or newer, in one statement. Returns those: `id`, `external_id`, `is_new`.

    What was imported keeps the content it was imported with; only its status is taken. Of `different` ones, whose time
    is not their own, what says the same as before is left out; of `new` ones everything that is known. Of an order
    whose customer was erased nothing is kept again.
    """
    orders = sorted(orders, key=lambda order: order.external_id)
    return await uow.fetch(
        _RECEIVE + _TAKING[taking] + " RETURNING id, external_id, xmax = 0 AS is_new",
        uow.organization_id,
        connection_id,
        [imported_id(uow, connection_id, order.external_id) for order in orders],
        [order.external_id for order in orders],
        [order.number for order in orders],
        [order.status for order in orders],
        [order.is_paid for order in orders],
        [order.updated_at for order in orders],
        [order.model_dump_json() for order in orders],
    )


def imported_id(uow: UnitOfWork, connection_id: UUID, external_id: str) -> UUID:
    """The id an order of a connection has here: the same each time it comes."""
    return imported_order_id(uow.organization_id, connection_id, external_id)


_RECEIVE = """
INSERT INTO imported_orders AS i (organization_id, connection_id, id, external_id, number, status, is_paid, updated_at,
    remote, state)
SELECT $1, $2, g.id, g.external_id, g.number, g.status, g.is_paid, g.updated_at, g.remote::json, 'waiting'
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::timestamptz[], $9::text[])
    AS g (id, external_id, number, status, is_paid, updated_at, remote)
ON CONFLICT (organization_id, connection_id, external_id) DO """
_NEWER = """UPDATE SET status = excluded.status,
    is_paid = excluded.is_paid, updated_at = excluded.updated_at,
    number = CASE WHEN i.order_id IS NULL THEN excluded.number ELSE i.number END,
    remote = CASE WHEN i.order_id IS NULL THEN excluded.remote ELSE i.remote END,
    checks = 0, escalated_at = NULL
WHERE i.updated_at < excluded.updated_at AND i.reason IS DISTINCT FROM 'erased'"""
_DIFFERENT = """ AND ((i.status, i.is_paid) IS DISTINCT FROM (excluded.status, excluded.is_paid) OR i.order_id IS NULL
    AND i.remote::jsonb - 'updated_at' IS DISTINCT FROM excluded.remote::jsonb - 'updated_at')"""
_TAKING: dict[Taking, str] = {"newer": _NEWER, "different": _NEWER + _DIFFERENT, "new": "NOTHING"}


async def find_known(uow: UnitOfWork, connection_id: UUID, external_ids: Sequence[str]) -> dict[str, asyncpg.Record]:
    """What is known of orders of a connection, by their ids there."""
    rows = await uow.fetch(
        "SELECT external_id, status, is_paid, order_id FROM imported_orders"
        " WHERE connection_id = $1 AND external_id = ANY($2)",
        connection_id,
        external_ids,
    )
    return {row["external_id"]: row for row in rows}


async def find(uow: UnitOfWork, imported_order_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    return await uow.fetchrow(
        f"{_IMPORTED} WHERE {_SEEN} AND i.id = $2{' FOR NO KEY UPDATE OF i' if lock else ''}",
        uow.caller.shop_limit,
        imported_order_id,
    )


async def get(uow: UnitOfWork, imported_order_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """Raises ImportedOrderNotFound."""
    row = await find(uow, imported_order_id, lock=lock)
    if row is None:
        raise ImportedOrderNotFound("There is no such order of a connection.")
    return row


async def put(uow: UnitOfWork, imported_order_id: UUID, values: dict[str, Any]) -> asyncpg.Record:
    """Returns what can be told of it now."""
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 2))
    row = await uow.fetchrow(
        f"UPDATE imported_orders SET version = version + 1, {changes} WHERE id = $1"  # noqa: S608
        " RETURNING connection_id, external_id, state, reason, detail, escalated_at, version",
        imported_order_id,
        *values.values(),
    )
    assert row is not None
    return row


async def list_page(
    uow: UnitOfWork, message: ListImportedOrders, before: tuple[datetime, UUID] | None
) -> list[asyncpg.Record]:
    """One more than a page, latest received first."""
    conditions: list[str] = [_SEEN]
    arguments: list[Any] = [uow.caller.shop_limit, message.first + 1]
    wanted: tuple[tuple[str, Any], ...] = (
        ("i.connection_id =", message.connection_id),
        ("i.state =", message.state),
        ("i.external_id =", message.external_id),
    )
    for condition, value in wanted:
        if value is not None:
            arguments.append(value)
            conditions.append(f"{condition} ${len(arguments)}")
    if before is not None:
        arguments += before
        conditions.append(f"(i.received_at, i.id) < (${len(arguments) - 1}, ${len(arguments)})")
    order = "ORDER BY i.received_at DESC, i.id DESC LIMIT $2"
    return await uow.fetch(f"{_IMPORTED} WHERE {' AND '.join(conditions)} {order}", *arguments)


async def wake(uow: UnitOfWork, connection_id: UUID) -> list[UUID]:
    """Those of a connection that are set aside, or left out, because of their status."""
    rows = await uow.fetch(
        "UPDATE imported_orders SET checks = 0, escalated_at = NULL WHERE connection_id = $1"
        " AND (state = 'ignored' OR state = 'set_aside' AND reason IN ('status', 'unknown_status')) RETURNING id",
        connection_id,
    )
    return [row["id"] for row in rows]


async def mark_order(uow: UnitOfWork, order_id: UUID, row: asyncpg.Record) -> None:
    """Say of an order where it came from."""
    await uow.execute(
        "UPDATE orders SET connection_id = $2, external_id = $3, external_number = $4 WHERE id = $1",
        order_id,
        row["connection_id"],
        row["external_id"],
        row["number"],
    )


async def list_missing(uow: UnitOfWork, connection_id: UUID, most: int) -> list[asyncpg.Record]:
    """`sku`, `orders` and `waiting` units of the orders that are on hold for want of stock, the most first."""
    return await uow.fetch(
        "SELECT l.sku, count(*) AS orders, sum(l.quantity - l.cancelled - l.shipped)::integer AS waiting"
        " FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.connection_id = $1 AND o.status = 'on_hold'"
        " AND o.hold_cause = 'stock' AND l.quantity > l.cancelled + l.shipped"
        " GROUP BY l.sku ORDER BY waiting DESC, l.sku LIMIT $2",
        connection_id,
        most,
    )
