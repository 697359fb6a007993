"""The picking list of a centre: what no shipment has taken yet, and how much of it is there for whom."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from services.inventory.repository import picking
from services.inventory.use_cases import centres
from shared import clock
from shared.contracts.base import Page
from shared.contracts.inventory.picking import (
    GetPickingFile,
    ListOrdersToPick,
    ListSkusToPick,
    OrderToPick,
    PickingFile,
    PickingLine,
    SkuToPick,
)
from shared.impex.writing_guard import guarded
from shared.pagination import cursor_for, cursor_id, cursor_time, cursor_values
from shared.unit_of_work import UnitOfWork

MOST_ROWS = 10_000


async def list_orders(uow: UnitOfWork, message: ListOrdersToPick) -> Page[OrderToPick]:
    """Oldest first. Raises CentreNotFound."""
    position = cursor_values(message.after, 2)
    after = (cursor_time(position[0]), cursor_id(position[1])) if position else None
    centre_id = await centres.get_id(uow, message.centre)
    rows = await picking.list_orders(uow, centre_id, uow.caller.shop_limit, message.status, after, message.first + 1)
    page = rows[: message.first]
    following = None
    if len(rows) > message.first:
        following = cursor_for(page[-1]["placed_at"].isoformat(), str(page[-1]["reservation_id"]))
    return Page(items=[_order(row, message.centre) for row in page], next=following)


async def list_skus(uow: UnitOfWork, message: ListSkusToPick) -> Page[SkuToPick]:
    """Raises CentreNotFound."""
    position = cursor_values(message.after, 1)
    centre_id = await centres.get_id(uow, message.centre)
    after = str(position[0]) if position else None
    rows = await picking.list_skus(uow, centre_id, uow.caller.shop_limit, after, message.first + 1)
    page = rows[: message.first]
    following = cursor_for(page[-1]["sku"]) if len(rows) > message.first else None
    return Page(items=[SkuToPick(**dict(row), centre=message.centre) for row in page], next=following)


async def write_file(uow: UnitOfWork, message: GetPickingFile) -> PickingFile:
    """Raises CentreNotFound."""
    centre_id = await centres.get_id(uow, message.centre)
    if message.by == "sku":
        found = await picking.list_skus(uow, centre_id, uow.caller.shop_limit, None, MOST_ROWS + 1)
        headings = ["sku", "to_pick", "waiting", "on_hold", "orders"]
        rows = [[row["sku"], row["there"], row["waiting"], row["on_hold"], row["orders"]] for row in found]
    else:
        orders = await picking.list_orders(uow, centre_id, uow.caller.shop_limit, message.status, None, MOST_ROWS + 1)
        headings = ["order", "placed_at", "shop", "status", "sku", "quantity", "to_pick"]
        rows = [cells for row in orders for cells in _cells(_order(row, message.centre))]
    return PickingFile(
        name=f"picking-{message.centre}-{clock.now():%Y%m%dT%H%M%S}.csv",
        content=_csv(headings, rows[:MOST_ROWS]),
        rows=min(len(rows), MOST_ROWS),
        is_cut=len(rows) > MOST_ROWS,
    )


def _order(row: Any, centre: str) -> OrderToPick:
    units = zip(row["skus"], row["free"], row["there"], strict=True)
    return OrderToPick(
        order_id=row["reservation_id"],
        order_number=row["order_number"],
        shop=row["shop"],
        centre=centre,
        placed_at=row["placed_at"],
        status=row["status"],
        lines=[PickingLine(sku=sku, quantity=free, there=there) for sku, free, there in units],
    )


def _cells(order: OrderToPick) -> Iterable[list[Any]]:
    is_held = order.status == "on_hold"
    for line in order.lines:
        to_pick = 0 if is_held else line.there
        told = order.order_number or str(order.order_id)
        yield [told, order.placed_at.isoformat(), order.shop, order.status, line.sku, line.quantity, to_pick]


def _csv(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(headings)
    for row in rows:
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])
    return file.getvalue()
