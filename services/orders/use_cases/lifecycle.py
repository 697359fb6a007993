"""Orders are held, released and cancelled; what stock says about them."""

from datetime import datetime
from uuid import UUID

from services.orders.errors import IllegalTransition
from services.orders.models import OrderRow
from services.orders.repository import orders
from services.orders.settings import settings
from services.orders.use_cases import goods, reading, terms, timeline
from services.orders.use_cases.placement import CANCEL_UNPAID
from shared.contracts.inventory.messages import ReserveLine, ReserveStock
from shared.contracts.orders.events import OrderCancelled, OrderDueLater
from shared.contracts.orders.shapes import Order
from shared.unit_of_work import UnitOfWork


async def cancel(uow: UnitOfWork, order_id: UUID, reason: str, expected_version: int | None = None) -> Order:
    """Cancel an order of which nothing has left. Raises OrderNotFound, OrderChangedSince, IllegalTransition."""
    order = await reading.get_visible(uow, order_id, lock=True)
    order.check_version(expected_version)
    before = order.status
    await end(uow, order, reason)
    uow.audit(
        "order.cancel", "order", order.id, before={"status": before}, after={"status": "cancelled"}, reason=reason
    )
    return await reading.whole(uow, order)


async def end(uow: UnitOfWork, order: OrderRow, reason: str) -> None:
    """Cancel a locked order: its stock returns and its money goes back by the event. Raises IllegalTransition."""
    before = order.status
    order.cancel(reason)
    await timeline.moved(uow, order, before, f"Cancelled: {reason}", reason=reason)
    uow.record(OrderCancelled(order_id=order.id, number=order.number, shop_id=order.shop_id, reason=reason))


async def hold(uow: UnitOfWork, order_id: UUID, reason: str, expected_version: int | None = None) -> Order:
    """A person stops an order. Raises OrderNotFound, OrderChangedSince, IllegalTransition."""
    order = await reading.get_visible(uow, order_id, lock=True)
    order.check_version(expected_version)
    before = order.status
    await stop(uow, order, "person", reason)
    uow.audit("order.hold", "order", order.id, before={"status": before}, after={"status": "on_hold"}, reason=reason)
    return await reading.whole(uow, order)


async def stop(uow: UnitOfWork, order: OrderRow, cause: str, reason: str) -> None:
    """Put a locked order on hold. Raises IllegalTransition."""
    before = order.status
    order.hold(cause, reason)
    await timeline.moved(uow, order, before, f"On hold: {reason}", reason=reason, cause=cause)


async def release(uow: UnitOfWork, order_id: UUID, expected_version: int | None = None) -> Order:
    """Let an order on hold go on; its stock is reserved again first, where it had run out.

    Raises OrderNotFound, OrderChangedSince, IllegalTransition, and inventory's `insufficient_stock`.
    """
    async with uow.beforehand() as earlier:
        stopped = await reading.get_visible(earlier, order_id)
        stopped.check_version(expected_version)
        _require_on_hold(stopped)
        lines = [
            ReserveLine(sku=line.sku, quantity=line.wanted)
            for line in await orders.list_lines(earlier, order_id)
            if line.wanted
        ]
        shop_id = stopped.shop_id
    reservation = await uow.ask(ReserveStock(order_id=order_id, shop_id=shop_id, lines=lines))
    order = await reading.get_visible(uow, order_id, lock=True)
    order.check_version(expected_version)
    _require_on_hold(order)
    missing = {line.sku: line.backordered for line in reservation.lines}
    for line in await orders.list_lines(uow, order_id):
        line.backordered = min(missing.get(line.sku, 0), line.wanted - line.shipped)
    await go_on(uow, order, "Released.")
    uow.audit("order.release", "order", order.id, before={"status": "on_hold"}, after={"status": order.status})
    return await reading.whole(uow, order)


def _require_on_hold(order: OrderRow) -> None:
    if order.status != "on_hold":
        raise IllegalTransition(f"Only an order on hold can be released; an order that is {order.status} cannot.")


async def go_on(uow: UnitOfWork, order: OrderRow, text: str) -> None:
    """Let a locked order on hold go on from where it was; an unpaid one has its whole time to pay again."""
    cause = order.hold_cause
    order.release()
    if order.status == "pending":
        order.pay_until = await terms.due_from(uow, order.shop_id, await orders.get_time(uow))
        await wait_for_payment(uow, order, order.pay_until)
    await timeline.moved(uow, order, "on_hold", text)
    await goods.catch_up(uow, order, await orders.list_lines(uow, order.id))
    timeline.clear_alert(uow, order, str(cause))


async def wait_for_payment(uow: UnitOfWork, order: OrderRow, until: datetime) -> None:
    """Look at the order again when its payment is due."""
    key = f"{order.id}@{until.isoformat()}"
    uow.defer(CANCEL_UNPAID, {"order_id": str(order.id)}, due_at=until, key=key)


async def wait_longer(uow: UnitOfWork, order: OrderRow) -> None:
    """A payment of a locked pending order is on its way: neither the order nor its stock ends before it can arrive."""
    until = order.placed_at + settings().pay_extension
    if order.pay_until is None or order.pay_until >= until:
        return
    before, order.pay_until = order.pay_until, until
    await wait_for_payment(uow, order, until)
    uow.record(OrderDueLater(order_id=order.id, number=order.number, shop_id=order.shop_id, pay_until=until))
    text = "A payment is on its way: the order waits longer for it."
    await timeline.note(uow, order, "due_later", text, before=before.isoformat(), after=until.isoformat())


async def cancel_unpaid(uow: UnitOfWork, order_id: UUID) -> None:
    """The time to pay is over: cancel an order that is still pending; one that is authorised needs a person."""
    order = await orders.find_order(uow, order_id, lock=True)
    if order is None or order.status != "pending" or order.pay_until is None:
        return
    if order.pay_until > await orders.get_time(uow):
        await wait_for_payment(uow, order, order.pay_until)
        return
    payments = await orders.list_payments(uow, order_id)
    if sum(payment.authorised for payment in payments if payment.state == "authorised") >= order.total:
        await stop(uow, order, "payment", "The payment is authorised and was not captured in time")
        detail = "its payment is authorised; capture it, or cancel the order."
        timeline.alert(uow, order, "payment", "warning", "A payment waits to be captured", detail)
        return
    await end(uow, order, "Its payment did not arrive in time")


async def stop_for_stock(uow: UnitOfWork, order_id: UUID, skus: list[str]) -> None:
    """The reservation ran out before the order's event came, and the stock is gone: a person decides."""
    order = await orders.find_order(uow, order_id, lock=True)
    # Holding it makes inventory try once more, and fail once more.
    if order is None or order.hold_cause == "stock":
        return
    named = ", ".join(skus) or "its goods"
    if order.status in ("pending", "processing"):
        await stop(uow, order, "stock", f"No longer in stock: {named}")
    else:
        await timeline.note(uow, order, "stock", f"Nothing is reserved: {named} is no longer in stock.")
    if not order.has_left and order.status != "cancelled":
        detail = f"{named} is no longer in stock; find it and release the order, or cancel it."
        timeline.alert(uow, order, "stock", "error", "An order lost its stock", detail)


async def note_expired(uow: UnitOfWork, order_id: UUID) -> None:
    """A hold ran out. It is only late, unless the time to pay is over as well: then the order ends."""
    order = await orders.find_order(uow, order_id, lock=True)
    if order is None or order.status != "pending":
        return
    if order.pay_until is not None and order.pay_until <= await orders.get_time(uow):
        await cancel_unpaid(uow, order_id)
    else:
        await timeline.note(uow, order, "stock", "The hold on its stock ran out before it was known to be placed.")
