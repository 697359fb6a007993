"""`crossdock check`: whether stock, its ledger, reservations and orders agree, by asking the services.

Inventory says of itself what does not add up there. Orders and inventory are then read side by side, both by the id of
the order, a thousand at a time: which orders hold stock, and of each line how much is allocated, has left, and is back.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any
from uuid import UUID

from deploy import topology
from shared.bus.envelope import service_envelope
from shared.contracts.base import Message
from shared.contracts.inventory.checks import (
    CheckStock,
    ListStockedOrganizations,
    ListStockOfOrders,
    StockOfLine,
    StockOfOrder,
)
from shared.contracts.orders.checks import LineToCheck, ListOrdersToCheck, OrderToCheck

# Whose goods are still to leave. The others' reservations are over: what they have not sent is sold to somebody else.
_KEEPING = frozenset({"pending", "processing", "on_hold", "partly_shipped"})
_NEEDING = frozenset({"processing", "partly_shipped"})
_HOLDING = frozenset({"held", "confirmed"})
# Events may be on their way: what differs is looked at again.
_LOOKS = 3
_PAUSE_SECONDS = 2.0


async def check(process: topology.Surrounded, organization_ids: Iterable[UUID] | None = None) -> list[str]:
    """Everything that does not agree, one line each; for these organizations, or for all."""
    if organization_ids is None:
        organization_ids = (await _ask(process, None, ListStockedOrganizations())).ids
    return [line for id_ in organization_ids for line in await _check_one(process, id_)]


async def _check_one(process: topology.Surrounded, organization_id: UUID) -> list[str]:
    found = (await _ask(process, organization_id, CheckStock())).items
    lines = [
        f"{organization_id}: {each.sku} in {each.centre_id}: {each.what} is {each.stored}, not {each.expected}"
        for each in found
    ]
    for look in range(_LOOKS):
        differing = [line async for line in _compare_orders(process, organization_id)]
        if not differing or look == _LOOKS - 1:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return lines + [f"{organization_id}: {line}" for line in differing]


async def _compare_orders(process: topology.Surrounded, organization_id: UUID) -> AsyncIterator[str]:
    """Both lists come by the id of the order, so that each is read once."""
    orders = _pages(process, organization_id, ListOrdersToCheck())
    order: OrderToCheck | None = await anext(orders, None)
    async for stock in _pages(process, organization_id, ListStockOfOrders()):
        while order is not None and order.order_id < stock.order_id:
            for line in _without_stock(order):
                yield line
            order = await anext(orders, None)
        is_same = order is not None and order.order_id == stock.order_id
        for line in _differences(order if is_same else None, stock):
            yield line
        if is_same:
            order = await anext(orders, None)
    while order is not None:
        for line in _without_stock(order):
            yield line
        order = await anext(orders, None)


async def _pages(process: topology.Surrounded, organization_id: UUID, message: Any) -> AsyncIterator[Any]:
    while True:
        page = await _ask(process, organization_id, message)
        for item in page.items:
            yield item
        if page.next is None:
            return
        message = message.model_copy(update={"after": page.next})


def _without_stock(order: OrderToCheck) -> Iterator[str]:
    """What was imported as complete never had stock here; what is to leave must have."""
    if order.status in _NEEDING:
        yield f"order {order.number} is {order.status}, and its stock is not reserved"


def _differences(order: OrderToCheck | None, stock: StockOfOrder) -> Iterator[str]:
    status = None if order is None else order.status
    if stock.state == "confirmed" and status not in _KEEPING:
        yield f"stock is {stock.state} for order {stock.order_id}, which is {status or 'not there'}"
    if order is None:
        return
    if order.status in _NEEDING and stock.state not in _HOLDING:
        yield f"order {order.number} is {order.status}, and its stock is {stock.state}"
    yield from _lines_that_differ(order, stock)


def _lines_that_differ(order: OrderToCheck, stock: StockOfOrder) -> Iterator[str]:
    """Line by line: what is allocated while it is kept, what left with shipments, what came back."""
    ordered = {line.sku: line for line in order.lines}
    held = {line.sku: line for line in stock.lines}
    is_kept = order.status in _KEEPING and stock.state in _HOLDING
    for sku in sorted(ordered.keys() | held.keys()):
        line = ordered.get(sku) or LineToCheck(sku=sku, wanted=0, shipped=0, returned=0)
        goods = held.get(sku) or StockOfLine(sku=sku, reserved=0, shipped=0, returned=0)
        for what, said, found in (
            ("allocated", line.wanted, goods.reserved if is_kept else line.wanted),
            ("shipped", line.shipped, goods.shipped),
            ("returned", line.returned, goods.returned),
        ):
            if said != found:
                yield f"order {order.number}: of {sku} {found} are {what}, not {said} as its line says"


async def _ask(process: topology.Surrounded, organization_id: UUID | None, message: Message[Any]) -> Any:
    envelope = service_envelope("check", organization_id, timeout_seconds=message.timeout_seconds)
    return await process.bus.ask(message, envelope)


async def run(organization_ids: list[UUID] | None) -> list[str]:
    """Check the installation of this environment."""
    async with topology.surrounded(answers_here=True) as process:
        return await check(process, organization_ids)
