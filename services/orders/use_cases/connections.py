"""Connections that bring orders, what they bring, and what people do with what waits."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.orders.errors import (
    ExternalIdTwice,
    ImportedOrderIsSettled,
    OrderConnectionChangedSince,
    OrderConnectionNotFound,
)
from services.orders.repository import imported, shops
from services.orders.repository.imported import Taking
from services.orders.use_cases import absorbing
from services.orders.use_cases.absorbing import TAKE
from shared.bus.envelope import ShopNotFound
from shared.contracts.base import Page
from shared.contracts.inventory.messages import GetAvailability
from shared.contracts.orders.imported import (
    ImportedOrder,
    ImportOrders,
    ListImportedOrders,
    MissingStock,
    MissingStocks,
    OrderConnectionChange,
    OrderConnectionDraft,
    OrderConnectionSettings,
    OrderReceipt,
    OrderReceipts,
    ReceiptOutcome,
    RemoteOrder,
)
from shared.identifiers import new_id
from shared.pagination import cursor_for, cursor_id, cursor_time, cursor_values, id_after, page_by_id
from shared.unit_of_work import UnitOfWork

_AT_ONCE: Iterator[None] = repeat(None)
_MISSING_AT_ONCE = 1000


async def create(uow: UnitOfWork, draft: OrderConnectionDraft) -> OrderConnectionSettings:
    """Raises ShopNotFound."""
    shop = await shops.SHOPS.find_by_code(uow, draft.shop)
    if shop is None or not uow.caller.sees_shop(shop["id"]):
        raise ShopNotFound(f"There is no shop with the code '{draft.shop}'.")
    connection_id = new_id()
    await imported.add_connection(uow, connection_id, shop["id"], draft)
    uow.audit("order_connection.create", "order_connection", connection_id, after=draft.model_dump(mode="json"))
    return await get(uow, connection_id)


async def keep_of_sync(uow: UnitOfWork, connection_id: UUID, draft: OrderConnectionDraft) -> OrderConnectionSettings:
    """A connection of sync's, made when it is first heard of and changed when heard of again. Raises ShopNotFound."""
    shop = await shops.SHOPS.find_by_code(uow, draft.shop)
    if shop is None:
        raise ShopNotFound(f"There is no shop with the code '{draft.shop}'.")
    if await imported.add_connection(uow, connection_id, shop["id"], draft):
        return await get(uow, connection_id)
    known = await get(uow, connection_id)
    different = {
        name: getattr(draft, name)
        for name in ("name", "status_map", "stock_missing", "recheck_limit")
        if getattr(draft, name) != getattr(known, name)
    }
    return await update(uow, connection_id, OrderConnectionChange(**different), None) if different else known


async def update(
    uow: UnitOfWork, connection_id: UUID, change: OrderConnectionChange, expected_version: int | None
) -> OrderConnectionSettings:
    """Raises OrderConnectionNotFound, OrderConnectionChangedSince."""
    row = await imported.get_connection(uow, connection_id, lock=True)
    if expected_version is not None and expected_version != row["version"]:
        raise OrderConnectionChangedSince(
            f"The connection has version {row['version']} now, not {expected_version}; read it again."
        )
    values = change.given()
    before = {name: getattr(_connection(row), name) for name in values}
    uow.audit("order_connection.update", "order_connection", connection_id, before=before, after=dict(values))
    if "status_map" in values:
        for imported_order_id in await imported.wake(uow, connection_id):
            uow.defer(TAKE, {"imported_order_id": str(imported_order_id)}, key=f"map {imported_order_id}")
        values["status_map"] = orjson.dumps(values["status_map"]).decode()
    await imported.put_connection(uow, connection_id, values)
    return await get(uow, connection_id)


async def get(uow: UnitOfWork, connection_id: UUID) -> OrderConnectionSettings:
    """Raises OrderConnectionNotFound."""
    return _connection(await imported.get_connection(uow, connection_id))


async def list_page(uow: UnitOfWork, first: int, after: str | None) -> Page[OrderConnectionSettings]:
    rows = await imported.list_connections(uow, id_after(after), first + 1)
    return page_by_id(rows, first, _connection)


def _connection(row: asyncpg.Record) -> OrderConnectionSettings:
    values = {name: row[name] for name in OrderConnectionSettings.model_fields if name != "status_map"}
    return OrderConnectionSettings(**values, status_map=orjson.loads(row["status_map"]))


# --- what they bring


async def receive(uow: UnitOfWork, message: ImportOrders) -> OrderReceipts:
    """Keep what is new or newer, and have it looked at. Raises OrderConnectionNotFound, ExternalIdTwice."""
    connection = await imported.get_connection(uow, message.connection_id)
    if connection["gone_at"] is not None:
        raise OrderConnectionNotFound("The connection was deleted: nothing comes by it any more.")
    external_ids = [order.external_id for order in message.orders]
    doubled = sorted({each for each in external_ids if external_ids.count(each) > 1})
    if doubled:
        raise ExternalIdTwice(
            f"The order {doubled[0]} is in the message twice.", [{"external_id": each} for each in doubled]
        )
    rows = await keep(uow, message.connection_id, message.orders)
    return OrderReceipts(
        items=[
            OrderReceipt(
                id=imported.imported_id(uow, message.connection_id, external_id),
                external_id=external_id,
                outcome=_outcome(rows.get(external_id)),
            )
            for external_id in external_ids
        ]
    )


async def keep(
    uow: UnitOfWork,
    connection_id: UUID,
    orders: Sequence[RemoteOrder],
    taking: Taking = "newer",
    due: Iterator[datetime | None] = _AT_ONCE,
) -> dict[str, asyncpg.Record]:
    """Keep orders of a connection, each once, and leave a task for what is new of them. Returns these by their ids.

    `due` has a time for each of these tasks, or None for at once.
    """
    rows = {row["external_id"]: row for row in await imported.receive(uow, connection_id, orders, taking)}
    for order in orders:
        row = rows.get(order.external_id)
        if row is not None:
            key = f"{row['id']} {order.updated_at.isoformat()}"
            uow.defer(TAKE, {"imported_order_id": str(row["id"])}, due_at=next(due), key=key)
    return rows


def _outcome(row: asyncpg.Record | None) -> ReceiptOutcome:
    if row is None:
        return "unchanged"
    return "taken" if row["is_new"] else "updated"


# --- what people do


async def get_imported(uow: UnitOfWork, imported_order_id: UUID) -> ImportedOrder:
    """Raises ImportedOrderNotFound."""
    return shape(await imported.get(uow, imported_order_id))


async def list_imported(uow: UnitOfWork, message: ListImportedOrders) -> Page[ImportedOrder]:
    position = cursor_values(message.after, 2)
    before = (cursor_time(position[0]), cursor_id(position[1])) if position else None
    rows = await imported.list_page(uow, message, before)
    following = None
    if len(rows) > message.first:
        last = rows[message.first - 1]
        following = cursor_for(last["received_at"].isoformat(), str(last["id"]))
    return Page(items=[shape(row) for row in rows[: message.first]], next=following)


async def retry(uow: UnitOfWork, imported_order_id: UUID) -> ImportedOrder:
    """Look again, in a moment, as if it had just come. Raises ImportedOrderNotFound, ImportedOrderIsSettled."""
    row = await _waiting(uow, imported_order_id)
    values: dict[str, Any] = {"state": "waiting", "checks": 0, "next_check_at": None, "escalated_at": None}
    await absorbing.put(uow, imported_order_id, values)
    uow.defer(TAKE, {"imported_order_id": str(imported_order_id)}, key=f"retry {imported_order_id}")
    uow.audit("imported_order.retry", "imported_order", imported_order_id, before={"state": row["state"]})
    return await get_imported(uow, imported_order_id)


async def give_up(uow: UnitOfWork, imported_order_id: UUID, reason: str) -> ImportedOrder:
    """Raises ImportedOrderNotFound, ImportedOrderIsSettled."""
    row = await _waiting(uow, imported_order_id)
    await absorbing.put(uow, imported_order_id, {"state": "given_up", "detail": reason, "next_check_at": None})
    absorbing.clear_alert(uow, row)
    uow.audit("imported_order.give_up", "imported_order", imported_order_id, reason=reason)
    return await get_imported(uow, imported_order_id)


async def _waiting(uow: UnitOfWork, imported_order_id: UUID) -> asyncpg.Record:
    row = await imported.get(uow, imported_order_id, lock=True)
    if row["state"] == "imported":
        raise ImportedOrderIsSettled("The order is imported; what is done with it is done there.")
    if row["reason"] == "erased":
        raise ImportedOrderIsSettled("What the order held was erased with its customer.")
    return row


def shape(row: asyncpg.Record) -> ImportedOrder:
    return ImportedOrder(**{name: row[name] for name in ImportedOrder.model_fields})


async def list_missing_stock(uow: UnitOfWork, connection_id: UUID) -> MissingStocks:
    """What the connection's orders on hold wait for, and how much of it can be had. Raises OrderConnectionNotFound."""
    async with uow.beforehand() as earlier:
        connection = await imported.get_connection(earlier, connection_id)
        rows = await imported.list_missing(earlier, connection_id, _MISSING_AT_ONCE)
    if not rows:
        return MissingStocks(items=[])
    asked = GetAvailability(shop_id=connection["shop_id"], skus=[row["sku"] for row in rows])
    there = {each.sku: each.available_quantity for each in (await uow.ask(asked)).items}
    return MissingStocks(items=[_missing(row, there.get(row["sku"], 0)) for row in rows])


def _missing(row: asyncpg.Record, available: int) -> MissingStock:
    return MissingStock(**row, available=available, lacking=max(row["waiting"] - available, 0))
