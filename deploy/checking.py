"""`crossdock check`: whether stock, its ledger, reservations, orders and payments agree, by asking the services.

Inventory says of itself what does not add up there. Orders and inventory are then read side by side, both by the id of
the order, a thousand at a time: which orders hold stock, and of each line how much is allocated, has left, and is back.
So are orders and payments: what an order was told of each of its payments, and whether what it says is their sum.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeVar
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
from shared.contracts.orders.checks import LineToCheck, ListOrderPaymentsToCheck, ListOrdersToCheck, OrderToCheck
from shared.contracts.payments.checks import ListPaymentsToCheck, PaymentToCheck

A = TypeVar("A")
B = TypeVar("B")

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
        differing += [line async for line in _compare_payments(process, organization_id)]
        if not differing or look == _LOOKS - 1:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return lines + [f"{organization_id}: {line}" for line in differing]


async def _compare_orders(process: topology.Surrounded, organization_id: UUID) -> AsyncIterator[str]:
    """Both lists come by the id of the order, so that each is read once."""
    orders = _pages(process, organization_id, ListOrdersToCheck())
    stocks = _pages(process, organization_id, ListStockOfOrders())
    async for order, stock in _side_by_side(orders, stocks, lambda order: order.order_id, lambda stock: stock.order_id):
        lines = _without_stock(order) if stock is None else _differences(order, stock)
        for line in (*lines, *(() if order is None else _sums_that_differ(order))):
            yield line


async def _compare_payments(process: topology.Surrounded, organization_id: UUID) -> AsyncIterator[str]:
    known = _pages(process, organization_id, ListOrderPaymentsToCheck())
    payments = _pages(process, organization_id, ListPaymentsToCheck())
    async for told, payment in _side_by_side(known, payments, lambda told: told.id, lambda payment: payment.id):
        for line in _payments_that_differ(told, payment):
            yield line


async def _side_by_side(
    ones: AsyncIterator[A], others: AsyncIterator[B], id_of_one: Callable[[A], UUID], id_of_other: Callable[[B], UUID]
) -> AsyncIterator[tuple[A | None, B | None]]:
    """What two lists in the order of their ids have of each id; None where one has nothing of it."""
    one, other = await anext(ones, None), await anext(others, None)
    while one is not None or other is not None:
        order = 0
        if one is None or other is None:
            order = 1 if one is None else -1
        elif id_of_one(one) != id_of_other(other):
            order = -1 if id_of_one(one) < id_of_other(other) else 1
        yield one if order <= 0 else None, other if order >= 0 else None
        one = await anext(ones, None) if order <= 0 else one
        other = await anext(others, None) if order >= 0 else other


async def _pages(process: topology.Surrounded, organization_id: UUID, message: Any) -> AsyncIterator[Any]:
    while True:
        page = await _ask(process, organization_id, message)
        for item in page.items:
            yield item
        if page.next is None:
            return
        message = message.model_copy(update={"after": page.next})


def _without_stock(order: OrderToCheck | None) -> Iterator[str]:
    """What was imported as complete never had stock here; what is to leave must have."""
    if order is not None and order.status in _NEEDING:
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


def _sums_that_differ(order: OrderToCheck) -> Iterator[str]:
    said = order.paid, order.refunded
    for what, has, comes_to in zip(("paid", "refunded"), said, order.by_payments or said, strict=True):
        if has != comes_to:
            yield f"order {order.number}: {has} is {what}, and its payments come to {comes_to}"


def _payments_that_differ(told: PaymentToCheck | None, payment: PaymentToCheck | None) -> Iterator[str]:
    """Of the same version both know the same."""
    if told is None or payment is None:
        there = told or payment
        assert there is not None
        who = "payments" if payment is None else "its order"
        yield f"payment {there.id} of order {there.order_number} is not known to {who}"
        return
    for what in ("version", "captured", "refunded", "disputed"):
        said, is_so = getattr(told, what), getattr(payment, what)
        if said != is_so:
            yield f"order {told.order_number}: {what} of payment {payment.id} is {is_so}, not {said} as it was told"


async def _ask(process: topology.Surrounded, organization_id: UUID | None, message: Message[Any]) -> Any:
    envelope = service_envelope("check", organization_id, timeout_seconds=message.timeout_seconds)
    return await process.bus.ask(message, envelope)


async def run(organization_ids: list[UUID] | None) -> list[str]:
    """Check the installation of this environment."""
    async with topology.surrounded(answers_here=True) as process:
        return await check(process, organization_ids)
