"""What a person changes about an order, its lines apart: whom to ask, where it goes, how, and at what price."""

from typing import Any

from services.orders.errors import OrderNotChangeable
from services.orders.models import OrderRow, totals
from services.orders.models.totals import Charges
from services.orders.repository import orders
from services.orders.use_cases import paying, reading, timeline
from shared.contracts.orders.aftercare import AddOrderNote, ChangeOrder, OrderChange
from shared.contracts.orders.customers import normalised_email
from shared.contracts.orders.shapes import Order
from shared.unit_of_work import UnitOfWork

_CHARGES = ("shipping", "discounts", "taxes")
_PERSONAL = ("customer", "shipping_address")
CHANGEABLE = ("pending", "processing", "partly_shipped", "on_hold")


async def change(uow: UnitOfWork, message: ChangeOrder) -> Order:
    """Change the details of an order of which something is still to leave.

    Raises OrderNotFound, OrderChangedSince, OrderNotChangeable, and what adding up raises.
    """
    order = await reading.get_visible(uow, message.order_id, lock=True)
    order.check_version(message.expected_version)
    require_changeable(order)
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


def require_changeable(order: OrderRow) -> None:
    """Raises OrderNotChangeable once all of it has left, or it is over."""
    if order.status not in CHANGEABLE:
        raise OrderNotChangeable(f"An order that is {order.status} stands as it is.")


async def _take(uow: UnitOfWork, order: OrderRow, change: OrderChange) -> None:
    given = change.given()
    if change.customer is not None:
        order.customer = change.customer.model_dump()
        customers = await orders.ensure_customers(uow, [change.customer])
        order.customer_id = customers[normalised_email(change.customer.email)]
    if change.shipping_address is not None:
        order.shipping_address = change.shipping_address.model_dump()
    if any(name in given for name in _CHARGES):
        known = order.charges()
        order.charge(Charges(**{name: given.get(name, getattr(known, name)) for name in _CHARGES}))
        await add_up(uow, order)


async def add_up(uow: UnitOfWork, order: OrderRow) -> None:
    """Let a locked order cost what its lines and charges come to. Raises what adding up raises."""
    lines = await orders.list_lines(uow, order.id)
    order.come_to(totals.of_order(order.currency, [line.sums() for line in lines], order.charges()))


def _details(order: OrderRow) -> dict[str, Any]:
    names = (*_PERSONAL, *_CHARGES, "total")
    return {name: getattr(order, name) for name in names}


async def _tell(uow: UnitOfWork, order: OrderRow, differences: dict[str, Any], reason: str | None) -> None:
    named = ", ".join(name.replace("_", " ") for name in differences)
    # What a person was called and lived before is not kept where nobody would look for it when they are forgotten.
    told = {name: values for name, values in differences.items() if name not in _PERSONAL}
    await timeline.note(uow, order, "changed", f"Changed: {named}.", reason=reason, **told)
    before, after = ({name: values[side] for name, values in told.items()} for side in ("before", "after"))
    uow.audit(
        "order.change", "order", order.id, before=before, after=after | {"changed": list(differences)}, reason=reason
    )


async def add_note(uow: UnitOfWork, message: AddOrderNote) -> Order:
    """Write a person's words on the timeline. Raises OrderNotFound, OrderChangedSince."""
    order = await reading.get_visible(uow, message.order_id, lock=True)
    order.check_version(message.expected_version)
    await timeline.note(uow, order, "note", message.text)
    return await reading.whole(uow, order)
