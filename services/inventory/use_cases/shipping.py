"""Shipments: goods are bound while one is prepared, and leave stock with it, never more than an order has open.

A reservation is locked before its shipments are, and these before stock is.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.errors import (
    ImpossibleDelivery,
    NotOnHand,
    ShipmentChangedSince,
    ShipmentNotFound,
)
from services.inventory.models import Place, Reserved, ReservedUnits
from services.inventory.repository import held
from services.inventory.repository import shipments as stored
from services.inventory.shipment_states import LEFT, require_move
from services.inventory.use_cases import choosing, ledger, readdressing
from services.inventory.use_cases.ledger import Ledger
from services.inventory.use_cases.stock_rows import CLOCK_SKEW
from shared import clock
from shared.contracts.base import Page
from shared.contracts.inventory.events import ShipmentChanged, ShipmentShipped
from shared.contracts.inventory.shapes import ShippedLine
from shared.contracts.inventory.shipments import (
    ListShipments,
    Shipment,
    ShipmentChange,
    ShipmentDraft,
    ShipmentState,
)
from shared.contracts.orders.shapes import OrderStanding
from shared.pagination import cursor_for, id_after
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, draft: ShipmentDraft, order: OrderStanding) -> Shipment:
    """Prepare or send what the order has open, or the lines named.

    Raises OrderNotReady, AddressChanging, MoreThanAllocated, NotOnHand, CentreMayNotDispatch, CentreNotFound,
    InsufficientStock.
    """
    reservation = await choosing.lock_ready(uow, order)
    await readdressing.refuse_while_held(uow, order)
    parts = await choosing.list_free(uow, reservation, draft.centre)
    wanted = choosing.wanted(draft, parts, reservation)
    parts = [units for units in parts if units.goods in wanted]
    locked = await ledger.lock_places(uow, [units.place for units in parts])
    chosen = choosing.choose(wanted, parts, await choosing.list_there(uow, reservation, parts, locked))
    left: list[ShippedLine] = []
    if draft.state == "shipped":
        left = await _leave(uow, reservation, chosen, locked)
    else:
        for units, quantity in chosen:
            units.bound += quantity
        await held.write_shipped(uow, reservation.id, [units for units, _ in chosen])
    return await _store(uow, draft, order, chosen, left)


async def _leave(
    uow: UnitOfWork, reservation: Reserved, leaving: Sequence[tuple[ReservedUnits, int]], locked: Ledger
) -> list[ShippedLine]:
    """Units leave, and with them their promise. What has nothing open any more is over.

    Returns what left in the words of the order: a kit with the shipment that made it whole.
    """
    before = reservation.shipped_lines()
    for units, quantity in leaving:
        locked.note(locked.stock[units.place].ship(quantity, reservation.reference))
        units.shipped += quantity
    await locked.write(uow)
    await held.write_shipped(uow, reservation.id, [units for units, _ in leaving])
    if not any(units.open for units in reservation.units):
        await held.set_states(uow, [reservation.id], "shipped")
    left = {sku: quantity - before[sku] for sku, quantity in reservation.shipped_lines().items()}
    return [ShippedLine(sku=sku, quantity=quantity) for sku, quantity in left.items() if quantity]


async def _store(
    uow: UnitOfWork,
    draft: ShipmentDraft,
    order: OrderStanding,
    units: Sequence[tuple[ReservedUnits, int]],
    left: list[ShippedLine],
) -> Shipment:
    columns = {
        "order_id": order.order_id,
        "order_number": order.number,
        "shop_id": order.shop_id,
        "state": draft.state,
        **draft.model_dump(include=set(ShipmentChange.model_fields)),
    }
    if draft.state == "shipped":
        columns["shipped_at"] = clock.now()
    shipment_id = await stored.add(uow, columns, units)
    await stored.note_move(uow, shipment_id, None, draft.state)
    shipment = await get(uow, shipment_id)
    uow.audit("shipment.create", "shipment", shipment_id, after=shipment.model_dump(mode="json"))
    if draft.state == "shipped":
        uow.record(_departure(shipment, left))
    return shipment


async def find_order_id(uow: UnitOfWork, shipment_id: UUID, after: ShipmentState) -> UUID:
    """Whose goods a shipment holds, if it can go on to `after`. Raises ShipmentNotFound, IllegalShipmentMove."""
    row = await _get_row(uow, shipment_id)
    require_move(row["number"], row["state"], after)
    order_id: UUID = row["order_id"]
    return order_id


async def send(
    uow: UnitOfWork,
    shipment_id: UUID,
    change: ShipmentChange | None,
    order: OrderStanding,
    expected_version: int | None = None,
) -> Shipment:
    """Let a prepared shipment leave.

    Raises ShipmentNotFound, ShipmentChangedSince, IllegalShipmentMove, OrderNotReady, NotOnHand.
    """
    reservation = await choosing.lock_ready(uow, order)
    before = await _lock(uow, shipment_id, expected_version)
    require_move(before["number"], before["state"], "shipped")
    leaving = await _bound_units(uow, reservation, shipment_id)
    locked = await ledger.lock_places(uow, [units.place for units, _ in leaving])
    _require_on_hand(leaving, locked)
    for units, quantity in leaving:
        units.bound -= quantity
    left = await _leave(uow, reservation, leaving, locked)
    shipment = await _move(uow, before, "shipped", _given(change) | {"shipped_at": clock.now()})
    uow.record(_departure(shipment, left))
    return shipment


async def _bound_units(uow: UnitOfWork, reservation: Reserved, shipment_id: UUID) -> list[tuple[ReservedUnits, int]]:
    by_key = {units.key: units for units in reservation.units}
    return [(by_key[key], quantity) for key, quantity in await stored.list_units(uow, shipment_id)]


def _require_on_hand(leaving: Sequence[tuple[ReservedUnits, int]], locked: Ledger) -> None:
    """A count may have found fewer than were bound. Raises NotOnHand."""
    wanted: dict[Place, int] = {}
    for units, quantity in leaving:
        wanted[units.place] = wanted.get(units.place, 0) + quantity
    missing = []
    for (sku, centre_id), quantity in wanted.items():
        most = locked.stock[sku, centre_id].can_ship()
        if most is not None and most < quantity:
            missing.append({"sku": sku, "requested": quantity, "on_hand": most})
    if missing:
        raise NotOnHand("Not all of it is on hand.", missing)


async def pack(
    uow: UnitOfWork, shipment_id: UUID, change: ShipmentChange | None, expected_version: int | None = None
) -> Shipment:
    """Raises ShipmentNotFound, ShipmentChangedSince, IllegalShipmentMove."""
    before = await _lock(uow, shipment_id, expected_version)
    require_move(before["number"], before["state"], "packed")
    return await _move(uow, before, "packed", _given(change))


async def deliver(
    uow: UnitOfWork, shipment_id: UUID, delivered_at: datetime | None, expected_version: int | None = None
) -> Shipment:
    """Raises ShipmentNotFound, ShipmentChangedSince, IllegalShipmentMove, ImpossibleDelivery."""
    before = await _lock(uow, shipment_id, expected_version)
    require_move(before["number"], before["state"], "delivered")
    moment = max(clock.now(), before["shipped_at"]) if delivered_at is None else delivered_at
    if moment < before["shipped_at"] or moment > clock.now() + CLOCK_SKEW:
        raise ImpossibleDelivery(f"The shipment left at {before['shipped_at'].isoformat()}.")
    shipment = await _move(uow, before, "delivered", {"delivered_at": moment})
    uow.record(_news(shipment))
    return shipment


async def cancel(
    uow: UnitOfWork, shipment_id: UUID, reason: str | None, expected_version: int | None = None
) -> Shipment:
    """Give a prepared shipment up: its goods may be what an older order waits for.

    Raises ShipmentNotFound, ShipmentChangedSince, IllegalShipmentMove.
    """
    order_id = await find_order_id(uow, shipment_id, "cancelled")
    reservation = await held.find_reservation(uow, order_id, lock=True)
    before = await _lock(uow, shipment_id, expected_version)
    require_move(before["number"], before["state"], "cancelled")
    assert reservation is not None
    freed = await _bound_units(uow, reservation, shipment_id)
    for units, quantity in freed:
        units.bound -= quantity
    await held.write_shipped(uow, order_id, [units for units, _ in freed])
    ledger.leave_serving(uow, [units.place for units, _ in freed])
    return await _move(uow, before, "cancelled", {}, reason)


async def change(
    uow: UnitOfWork, shipment_id: UUID, wanted: ShipmentChange, expected_version: int | None = None
) -> Shipment:
    """Carrier, tracking, packages. Raises ShipmentNotFound, ShipmentChangedSince, IllegalShipmentMove."""
    before = await _lock(uow, shipment_id, expected_version)
    if before["state"] == "cancelled":
        require_move(before["number"], "cancelled", "shipped")
    await stored.change(uow, shipment_id, _given(wanted))
    shipment = await get(uow, shipment_id)
    uow.audit("shipment.change", "shipment", shipment_id, after=wanted.model_dump(mode="json"))
    if shipment.state in LEFT:
        uow.record(_news(shipment))
    return shipment


async def note_returned(uow: UnitOfWork, shipment_id: UUID, *, whole: bool) -> None:
    """Goods of a locked shipment came back; the last of them, where that is the `whole` of it."""
    row = await _get_row(uow, shipment_id)
    if whole:
        uow.record(_news(await _move(uow, row, "returned", {})))
    else:
        await stored.change(uow, shipment_id, {})


def _given(wanted: ShipmentChange | None) -> dict[str, Any]:
    return {} if wanted is None else wanted.model_dump()


async def _move(
    uow: UnitOfWork, before: asyncpg.Record, after: ShipmentState, columns: dict[str, Any], reason: str | None = None
) -> Shipment:
    await stored.change(uow, before["id"], columns | {"state": after})
    await stored.note_move(uow, before["id"], before["state"], after, reason)
    known = {"state": before["state"], "version": before["version"]}
    uow.audit(f"shipment.{after}", "shipment", before["id"], before=known, after={"state": after}, reason=reason)
    return await get(uow, before["id"])


def _departure(shipment: Shipment, left: list[ShippedLine]) -> ShipmentShipped:
    assert shipment.shipped_at is not None
    return ShipmentShipped(
        shipment_id=shipment.id,
        order_id=shipment.order_id,
        number=shipment.number,
        carrier=shipment.carrier,
        service=shipment.service,
        tracking_numbers=shipment.tracking_numbers,
        tracking_url=shipment.tracking_url,
        lines=left,
        shipped_at=shipment.shipped_at,
        version=shipment.version,
    )


def _news(shipment: Shipment) -> ShipmentChanged:
    return ShipmentChanged(
        shipment_id=shipment.id,
        order_id=shipment.order_id,
        number=shipment.number,
        state=shipment.state,
        carrier=shipment.carrier,
        service=shipment.service,
        tracking_numbers=shipment.tracking_numbers,
        tracking_url=shipment.tracking_url,
        delivered_at=shipment.delivered_at,
        version=shipment.version,
    )


async def get(uow: UnitOfWork, shipment_id: UUID) -> Shipment:
    """Raises ShipmentNotFound, also for one of a shop the caller may not see."""
    return (await stored.shapes(uow, [await _get_row(uow, shipment_id)]))[0]


async def _get_row(uow: UnitOfWork, shipment_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    row = await stored.find(uow, shipment_id, lock=lock)
    if row is None or not uow.caller.sees_shop(row["shop_id"]):
        raise ShipmentNotFound("There is no such shipment.")
    return row


async def _lock(uow: UnitOfWork, shipment_id: UUID, expected_version: int | None) -> asyncpg.Record:
    row = await _get_row(uow, shipment_id, lock=True)
    if expected_version is not None and row["version"] != expected_version:
        raise ShipmentChangedSince(f"The shipment has version {row['version']} now, not {expected_version}.")
    return row


async def list_page(uow: UnitOfWork, message: ListShipments) -> Page[Shipment]:
    """Latest first, of the shops the caller may see."""
    rows = await stored.list_rows(
        uow,
        message.order_id,
        message.state,
        uow.caller.shop_limit,
        id_after(message.after),
        message.first + 1,
    )
    page = rows[: message.first]
    following = cursor_for(str(page[-1]["id"])) if len(rows) > message.first else None
    return Page(items=await stored.shapes(uow, page), next=following)
