"""`crossdock check`: whether stock, its ledger, reservations and orders agree, by asking the services."""

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from deploy import topology
from shared.bus.envelope import service_envelope
from shared.contracts.base import Message
from shared.contracts.inventory.checks import CheckStock, ListOpenReservations, ListStockedOrganizations
from shared.contracts.inventory.messages import GetReservation
from shared.contracts.orders.lists import ListOrders
from shared.contracts.orders.messages import GetOrderStanding
from shared.errors import CrossdockError

# Whose goods are still to leave. The others' reservations are over: what they have not sent is sold to somebody else.
_KEEPING = frozenset({"pending", "processing", "on_hold", "partly_shipped"})
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
        differing = await _compare_orders(process, organization_id)
        if not differing or look == _LOOKS - 1:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return lines + [f"{organization_id}: {line}" for line in differing]


async def _compare_orders(process: topology.Surrounded, organization_id: UUID) -> list[str]:
    lines: list[str] = []
    after: str | None = None
    while True:
        page = await _ask(process, organization_id, ListOpenReservations(after=after))
        for each in page.items:
            status = await _status(process, organization_id, each.order_id)
            if status not in _KEEPING:
                lines.append(f"stock is {each.state} for order {each.order_id}, which is {status or 'not there'}")
        after = page.next
        if after is None:
            return lines + await _orders_without_stock(process, organization_id)


async def _status(process: topology.Surrounded, organization_id: UUID, order_id: UUID) -> str | None:
    try:
        return str((await _ask(process, organization_id, GetOrderStanding(order_id=order_id))).status)
    except CrossdockError as error:
        if error.code == "order_not_found":
            return None
        raise


async def _orders_without_stock(process: topology.Surrounded, organization_id: UUID) -> list[str]:
    lines: list[str] = []
    after: str | None = None
    while True:
        wanted = ListOrders(status=["processing", "partly_shipped"], first=200, after=after)
        page = await _ask(process, organization_id, wanted)
        for order in page.items:
            state = await _reserved(process, organization_id, order.id)
            if state not in _HOLDING:
                lines.append(f"order {order.number} is {order.status}, and its stock is {state or 'not reserved'}")
        after = page.next
        if after is None:
            return lines


async def _reserved(process: topology.Surrounded, organization_id: UUID, order_id: UUID) -> str | None:
    try:
        return str((await _ask(process, organization_id, GetReservation(reservation_id=order_id))).state)
    except CrossdockError as error:
        if error.code == "reservation_not_found":
            return None
        raise


async def _ask(process: topology.Surrounded, organization_id: UUID | None, message: Message[Any]) -> Any:
    envelope = service_envelope("check", organization_id, timeout_seconds=message.timeout_seconds)
    return await process.bus.ask(message, envelope)


async def run(organization_ids: list[UUID] | None) -> list[str]:
    """Check the installation of this environment."""
    async with topology.surrounded(answers_here=True) as process:
        return await check(process, organization_ids)
