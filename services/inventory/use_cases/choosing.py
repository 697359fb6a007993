"""Which units of an order may go into a shipment now: never more than it has open, never what is not there for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.inventory.errors import CentreMayNotDispatch, MoreThanAllocated, NotOnHand, OrderNotReady
from services.inventory.models import Goods, Reserved, ReservedUnits, UnitsKey
from services.inventory.repository import held, queue, shop_centres
from services.inventory.use_cases import amending, centres, reservations
from services.inventory.use_cases.ledger import Ledger
from shared.contracts.inventory.shipments import ShipmentDraft
from shared.contracts.orders.shapes import OrderStanding
from shared.unit_of_work import UnitOfWork

_READY = ("processing", "partly_shipped")


async def lock_ready(uow: UnitOfWork, order: OrderStanding) -> Reserved:
    """The locked reservation of an order that may be shipped; orders has told us, maybe before its event did.

    Raises OrderNotReady.
    """
    if order.status not in _READY:
        raise OrderNotReady(f"Order {order.number} is {order.status}; only a processing order is shipped.")
    await reservations.keep(uow, order.order_id, order.shop_id, (), until=None)
    await amending.apply(uow, order)
    reservation = await held.find_reservation(uow, order.order_id, lock=True)
    if reservation is None or reservation.state in ("released", "expired"):
        raise OrderNotReady(f"No stock is reserved for order {order.number}.")
    return reservation


async def list_free(uow: UnitOfWork, reservation: Reserved, centre: str | None) -> list[ReservedUnits]:
    """Units that are in no shipment, of one centre if asked; those of centres that may not dispatch for the shop stay.

    Raises CentreNotFound, CentreMayNotDispatch.
    """
    parts = [units for units in reservation.units if units.free]
    if centre is not None:
        centre_id = await centres.get_id(uow, centre)
        parts = [units for units in parts if units.centre_id == centre_id]
    serving = await shop_centres.list_serving(uow, reservation.shop_id) or []
    barred = {s.centre_id for s in serving if not s.dispatches}
    allowed = [units for units in parts if units.centre_id not in barred]
    if parts and not allowed:
        raise CentreMayNotDispatch("The goods lie in a centre that may not dispatch for this shop; move them first.")
    return allowed


def wanted(draft: ShipmentDraft, parts: Sequence[ReservedUnits], reservation: Reserved) -> dict[Goods, int]:
    """Units of the lines named, or of all that are free. Raises MoreThanAllocated where nothing is.

    A line names what the order does, a kit whole; or a kit's child by itself.
    """
    units: dict[Goods, int] = {}
    named = [(part.goods, part.free) for part in parts]
    if draft.lines is not None:
        named = [goods for line in draft.lines for goods in _named(line.sku, line.quantity, reservation)]
    for goods, quantity in named:
        units[goods] = units.get(goods, 0) + quantity
    if not units:
        raise MoreThanAllocated("Nothing of this order is left to ship.")
    return units


def _named(sku: str, quantity: int, reservation: Reserved) -> list[tuple[Goods, int]]:
    lacking = reservation.lacking(sku, quantity)
    if lacking:
        return [((sku, child), units) for child, units in lacking.items() if units]
    kits = [units.kit for units in reservation.units if units.sku == sku]
    return [((kits[0] if kits and "" not in kits else "", sku), quantity)]


async def list_there(
    uow: UnitOfWork, reservation: Reserved, parts: Sequence[ReservedUnits], locked: Ledger
) -> dict[UnitsKey, int]:
    """How many of these units are on hand for this order. Where nothing is missing, all of them are."""
    short = [part for part in parts if locked.stock[part.place].backordered]
    there = {part.key: part.free for part in parts}
    if short:
        places = sorted({part.place for part in short})
        there |= dict.fromkeys((part.key for part in short), 0) | await queue.list_there(uow, reservation.id, places)
    return there


def choose(
    units: Mapping[Goods, int], parts: Sequence[ReservedUnits], there: Mapping[UnitsKey, int]
) -> list[tuple[ReservedUnits, int]]:
    """Parts and how many units of each. Raises MoreThanAllocated, NotOnHand, each with an entry per SKU."""
    chosen: list[tuple[ReservedUnits, int]] = []
    excess: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for (kit, sku), quantity in sorted(units.items()):
        own = [part for part in parts if part.goods == (kit, sku)]
        told = {"sku": sku, "requested": quantity} | ({"kit": kit} if kit else {})
        is_free = sum(part.free for part in own)
        taken = _take(quantity, own, there)
        on_hand = sum(amount for _, amount in taken)
        if is_free < quantity:
            excess.append(told | {"open": is_free})
        elif on_hand < quantity:
            missing.append(told | {"on_hand": on_hand})
        chosen += taken
    if excess:
        raise MoreThanAllocated("More is to leave than the order has open here.", excess)
    if missing:
        raise NotOnHand("Not all of it is on hand.", missing)
    return chosen


def _take(
    quantity: int, parts: Sequence[ReservedUnits], there: Mapping[UnitsKey, int]
) -> list[tuple[ReservedUnits, int]]:
    taken: list[tuple[ReservedUnits, int]] = []
    for part in parts:
        amount = min(quantity, there[part.key])
        if amount:
            taken.append((part, amount))
            quantity -= amount
    return taken
