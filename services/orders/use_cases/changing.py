"""What a person changes about an order, its lines apart: whom to ask, where it goes, how, and at what price.

Where it goes changes only while nothing is prepared for the old address: inventory is asked to begin no shipment of the
order as it stands; we commit while that lasts a minute longer, and only to the version that was told there.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.orders.errors import HoldRanOut, OrderNotChangeable
from services.orders.models import OrderRow, totals
from services.orders.models.totals import Charges, OrderSum
from services.orders.repository import orders
from services.orders.use_cases import paying, reading, timeline
from services.orders.use_cases.placement import LEAST_HOLD
from shared.contracts.inventory.amendments import HoldShipments
from shared.contracts.orders.aftercare import AddOrderNote, ChangeOrder, OrderChange
from shared.contracts.orders.customers import normalised_email
from shared.contracts.orders.shapes import Order, ShippingAddress
from shared.errors import CarriedError
from shared.unit_of_work import ConcurrentChange, UnitOfWork

_CHARGES = ("shipping", "discounts", "taxes")
_PERSONAL = ("customer", "shipping_address")
# For how long inventory begins no shipment while we have not committed; what we commit ends it.
HOLD_SECONDS = 120
CHANGEABLE = ("pending", "processing", "partly_shipped", "on_hold")


@dataclass(frozen=True)
class Held:
    """Which version of an order inventory begins no shipment of, and until when; for ever where it has no goods."""

    version: int
    until: datetime | None


async def change(uow: UnitOfWork, message: ChangeOrder) -> Order:
    """Change the details of an order of which something is still to leave.

    Raises OrderNotFound, OrderChangedSince, OrderNotChangeable, HoldRanOut, ConcurrentChange, and what adding up and
    inventory (`HoldShipments`) raise.
    """
    return await commit(uow, message, await _hold_shipments(uow, message))


async def _hold_shipments(uow: UnitOfWork, message: ChangeOrder) -> Held | None:
    """None where the order goes where it went; or where this was answered before, as opening our transaction finds."""
    if message.change.shipping_address is None:
        return None
    async with uow.beforehand() as earlier:
        if await orders.is_answered(earlier, uow.caller.id, uow.envelope.idempotency_key):
            return None
        order = await reading.get_visible(earlier, message.order_id)
        order.check_version(message.expected_version)
        require_changeable(order)
        if not _goes_elsewhere(order, message.change):
            return None
        # What cannot be committed is refused before anything waits for it.
        if (charges := _charges(order, message.change)) is not None:
            await _sum(earlier, order, charges)
        version = order.version
    wanted = HoldShipments(order_id=message.order_id, version=version, hold_seconds=HOLD_SECONDS)
    try:
        return Held(version, (await uow.ask(wanted)).expires_at)
    except CarriedError as error:
        if error.code == "reservation_closed":
            raise OrderNotChangeable("All goods of the order have left, or were given back.") from error
        raise


def _goes_elsewhere(order: OrderRow, change: OrderChange) -> bool:
    known = None if order.shipping_address is None else ShippingAddress(**order.shipping_address)
    return change.shipping_address is not None and change.shipping_address != known


async def commit(uow: UnitOfWork, message: ChangeOrder, held: Held | None) -> Order:
    """What `change` does once nothing is prepared for the old address, and raises of its own."""
    order = await reading.get_visible(uow, message.order_id, lock=True)
    order.check_version(message.expected_version)
    require_changeable(order)
    if _goes_elsewhere(order, message.change):
        await _require_held(uow, order, held)
    before = _details(order)
    total_before = order.total
    await _take(uow, order, message.change)
    differences = {
        name: {"before": before[name], "after": now} for name, now in _details(order).items() if now != before[name]
    }
    if differences:
        await _tell(uow, order, differences, message.change.reason)
    if order.total != total_before:
        await paying.settle_total(uow, order, total_before)
    return await reading.whole(uow, order)


async def _require_held(uow: UnitOfWork, order: OrderRow, held: Held | None) -> None:
    """Raises ConcurrentChange, HoldRanOut. A shipment may have been begun for an order that has moved on since."""
    if held is None or held.version != order.version:
        raise ConcurrentChange("The order changed at the same moment; read it again.")
    if held.until is not None and await orders.get_time(uow) + LEAST_HOLD >= held.until:
        raise HoldRanOut("Shipments were held too long ago to change the address safely; send the request again.")


def require_changeable(order: OrderRow) -> None:
    """Raises OrderNotChangeable once all of it has left, or it is over."""
    if order.status not in CHANGEABLE:
        raise OrderNotChangeable(f"An order that is {order.status} stands as it is.")


async def _take(uow: UnitOfWork, order: OrderRow, change: OrderChange) -> None:
    if change.customer is not None:
        order.customer = change.customer.model_dump()
        customers = await orders.ensure_customers(uow, [change.customer])
        order.customer_id = customers[normalised_email(change.customer.email)]
    if change.shipping_address is not None:
        order.shipping_address = change.shipping_address.model_dump()
    if (charges := _charges(order, change)) is not None:
        whole = await _sum(uow, order, charges)
        order.charge(charges)
        order.come_to(whole)


def _charges(order: OrderRow, change: OrderChange) -> Charges | None:
    """What it costs and saves beside its lines afterwards; None where that stays."""
    given, known = change.given(), order.charges()
    if not any(name in given for name in _CHARGES):
        return None
    return Charges(**{name: given.get(name, getattr(known, name)) for name in _CHARGES})


async def _sum(uow: UnitOfWork, order: OrderRow, charges: Charges) -> OrderSum:
    """What its lines and these charges come to. Raises what adding up raises."""
    lines = await orders.list_lines(uow, order.id)
    return totals.of_order(order.currency, [line.sums() for line in lines], charges)


def _details(order: OrderRow) -> dict[str, Any]:
    names = (*_PERSONAL, *_CHARGES, "total")
    return {name: getattr(order, name) for name in names}


async def _tell(uow: UnitOfWork, order: OrderRow, differences: dict[str, Any], reason: str | None) -> None:
    named = ", ".join(name.replace("_", " ") for name in differences)
    # What a person was called and lived before is not kept where nobody would look for it when they are forgotten.
    told = {name: values for name, values in differences.items() if name not in _PERSONAL}
    await timeline.note(uow, order, "changed", f"Changed: {named}.", reason=reason, **told)
    before, after = ({name: values[side] for name, values in told.items()} for side in ("before", "after"))
    if len(told) < len(differences):
        timeline.found_otherwise(uow, order)
    uow.audit(
        "order.change", "order", order.id, before=before, after=after | {"changed": list(differences)}, reason=reason
    )


async def add_note(uow: UnitOfWork, message: AddOrderNote) -> Order:
    """Write a person's words on the timeline. Raises OrderNotFound, OrderChangedSince."""
    order = await reading.get_visible(uow, message.order_id, lock=True)
    order.check_version(message.expected_version)
    await timeline.note(uow, order, "note", message.text)
    return await reading.whole(uow, order)
