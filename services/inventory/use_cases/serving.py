"""Goods came in: those who waited longest have theirs first, and their orders hear of it."""

from collections.abc import Sequence
from uuid import UUID

from services.inventory.models import Place
from services.inventory.repository import queue
from services.inventory.repository.queue import Waiting
from services.inventory.use_cases import ledger
from shared.contracts.inventory.events import BackorderServed
from shared.contracts.inventory.shapes import ShippedLine
from shared.unit_of_work import UnitOfWork


async def serve(uow: UnitOfWork, places: Sequence[Place]) -> None:
    """Take off what of the units waited for in these places is there now, and announce it per order. Safe to repeat.

    Of an order that inventory has not heard of yet nothing is announced: it is not waiting, it is being placed.
    """
    await ledger.lock_places(uow, places)
    served = await queue.list_served(uow, places)
    if not served:
        return
    await queue.write_waiting(uow, served)
    of_orders: dict[UUID, list[Waiting]] = {}
    for unit in served:
        part = Waiting(unit.kit or unit.sku, unit.sku, unit.per_kit, unit.served)
        of_orders.setdefault(unit.reservation_id, []).append(part)
    waiting = await queue.list_waiting(uow, list(of_orders))
    known = await queue.list_known(uow, list(of_orders))
    for order_id, parts in of_orders.items():
        if order_id in known:
            after = _lines(waiting.get(order_id, []))
            before = _lines([*waiting.get(order_id, []), *parts])
            lines = {sku: quantity - after.get(sku, 0) for sku, quantity in before.items()}
            uow.record(BackorderServed(order_id=order_id, lines=_told(lines), waiting=_told(after)))


def _lines(parts: Sequence[Waiting]) -> dict[str, int]:
    """How many of each line wait: of a kit, as many as its scarcest child lets wait."""
    units: dict[tuple[str, str, int], int] = {}
    for part in parts:
        key = part.line_sku, part.sku, part.per_kit
        units[key] = units.get(key, 0) + part.units
    lines: dict[str, int] = {}
    for (line_sku, _, per_kit), missing in units.items():
        lines[line_sku] = max(lines.get(line_sku, 0), -(-missing // per_kit))
    return lines


def _told(lines: dict[str, int]) -> list[ShippedLine]:
    return [ShippedLine(sku=sku, quantity=quantity) for sku, quantity in sorted(lines.items()) if quantity]
