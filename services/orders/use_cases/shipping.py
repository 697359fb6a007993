"""Goods of an order left: its lines, its status and how to follow them."""

from services.orders.errors import ShipmentNotKnown
from services.orders.models import OrderRow
from services.orders.models.records import OrderShipmentRow
from services.orders.repository import orders
from services.orders.use_cases import goods, timeline
from shared.contracts.inventory.events import BackorderServed, ShipmentChanged, ShipmentShipped
from shared.contracts.orders.shapes import OrderShipment, OrderShipmentLine
from shared.unit_of_work import UnitOfWork


async def note(uow: UnitOfWork, event: ShipmentShipped) -> None:
    """Write down a shipment, once. Raises OrderNotFound: the event is then tried again."""
    order = await orders.get_order(uow, event.order_id, lock=True)
    if await orders.find_shipment(uow, event.shipment_id) is not None:
        return
    shipped = {line.sku: line.quantity for line in event.lines}
    lines = await orders.list_lines(uow, order.id)
    beyond = sum(line.ship(shipped.get(line.sku, 0)) for line in lines)
    strangers = set(shipped) - {line.sku for line in lines}
    await orders.add(uow, _row(order, event))
    before = order.status
    await goods.follow(uow, order, lines, "shipped", _told(event), shipment_id=str(event.shipment_id))
    if event.tracking_numbers:
        timeline.found_otherwise(uow, order)
    if before in ("cancelled", "returned", "pending") or beyond or strangers:
        detail = f"goods left ({event.number}) that were not to leave as the order stood: it was {before}."
        timeline.alert(uow, order, "shipment", "error", "Goods left against the order", detail)


async def note_changed(uow: UnitOfWork, event: ShipmentChanged) -> None:
    """What holds of a shipment now, unless something newer is known.

    Raises OrderNotFound, ShipmentNotKnown: the event is then tried again.
    """
    order = await orders.get_order(uow, event.order_id, lock=True)
    row = await orders.find_shipment(uow, event.shipment_id)
    if row is None:
        raise ShipmentNotKnown(f"Nobody told yet that shipment {event.number} left.")
    known = OrderShipment.model_validate(row.shipment)
    if known.version >= event.version:
        return
    news = event.model_dump(include=_CHANGING)
    row.shipment = known.model_copy(update=news).model_dump(mode="json")
    text = f"Shipment {event.number} is {event.state}." if event.state != known.state else None
    await timeline.note(uow, order, "shipment", text or f"Shipment {event.number} is followed otherwise.")
    if event.tracking_numbers != known.tracking_numbers:
        timeline.found_otherwise(uow, order)


_CHANGING = {"state", "carrier", "service", "tracking_numbers", "tracking_url", "delivered_at", "version"}


async def note_served(uow: UnitOfWork, event: BackorderServed) -> None:
    """Write down that goods an order waited for are there. Raises OrderNotFound: the event is then tried again."""
    order = await orders.get_order(uow, event.order_id, lock=True)
    waits = {line.sku: line.quantity for line in event.waiting}
    for line in await orders.list_lines(uow, order.id):
        line.wait_for(waits.get(line.sku, 0))
    there = ", ".join(f"{line.quantity} of {line.sku}" for line in event.lines)
    waiting = ", ".join(f"{line.quantity} of {line.sku}" for line in event.waiting)
    text = f"Goods it waited for are there: {there}." + (f" It still waits for {waiting}." if waiting else "")
    await timeline.note(uow, order, "backorder_served", text, waiting=waits)


def _told(event: ShipmentShipped) -> str:
    tracking = ", ".join(event.tracking_numbers)
    return f"Shipment {event.number} left" + (f" ({tracking})." if tracking else ".")


def _row(order: OrderRow, event: ShipmentShipped) -> OrderShipmentRow:
    shape = OrderShipment(
        shipment_id=event.shipment_id,
        number=event.number,
        carrier=event.carrier,
        service=event.service,
        tracking_numbers=event.tracking_numbers,
        tracking_url=event.tracking_url,
        lines=[OrderShipmentLine(sku=line.sku, quantity=line.quantity) for line in event.lines],
        shipped_at=event.shipped_at,
        version=event.version,
    )
    return OrderShipmentRow(
        organization_id=order.organization_id,
        shipment_id=event.shipment_id,
        order_id=order.id,
        shipment=shape.model_dump(mode="json"),
        shipped_at=event.shipped_at,
    )
