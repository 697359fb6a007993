"""Goods of an order came back, and money is asked back for them."""

from collections.abc import Mapping, Sequence

from services.orders.errors import NotReturned, RefundExceedsPaid
from services.orders.models import OrderLineRow, OrderRow
from services.orders.models.records import OrderReturnRow
from services.orders.repository import orders
from services.orders.use_cases import goods, paying, reading, timeline
from shared.contracts.inventory.events import GoodsReturned
from shared.contracts.orders.aftercare import RefundDraft, RequestOrderRefund
from shared.contracts.orders.shapes import Order
from shared.unit_of_work import UnitOfWork


async def note(uow: UnitOfWork, event: GoodsReturned) -> None:
    """Write down what came back, once. Raises OrderNotFound: the event is then tried again."""
    order = await orders.get_order(uow, event.order_id, lock=True)
    if await orders.has_return(uow, event.return_id):
        return
    returned = {line.sku: line.quantity for line in event.lines}
    lines = await orders.list_lines(uow, order.id)
    beyond = sum(line.take_back(returned.get(line.sku, 0)) for line in lines)
    strangers = set(returned) - {line.sku for line in lines}
    await orders.add(uow, _row(order, event))
    units = ", ".join(f"{line.quantity} of {line.sku}" for line in event.lines)
    text = f"Goods came back ({event.number}): {units}."
    await goods.follow(uow, order, lines, "returned", text, reason=event.reason, return_id=str(event.return_id))
    if beyond or strangers:
        detail = f"goods came back ({event.number}) that are not the order's."
        timeline.alert(uow, order, "return", "error", "Goods came back against the order", detail)


def _row(order: OrderRow, event: GoodsReturned) -> OrderReturnRow:
    return OrderReturnRow(
        organization_id=order.organization_id,
        return_id=event.return_id,
        order_id=order.id,
        number=event.number,
        lines=[line.model_dump() for line in event.lines],
        reason=event.reason,
        returned_at=event.returned_at,
    )


async def request_refund(uow: UnitOfWork, message: RequestOrderRefund) -> Order:
    """Ask for an amount, or for what returned units cost, to go back; for each unit once, and never more than was paid.

    Raises OrderNotFound, OrderChangedSince, NotReturned, RefundExceedsPaid.
    """
    order = await reading.get_visible(uow, message.order_id, lock=True)
    order.check_version(message.expected_version)
    amount = await _wanted(uow, order, message.refund)
    if not 0 < amount <= order.refundable:
        left = order.money(order.refundable)
        raise RefundExceedsPaid(
            f"At most {left.major} {left.currency} can still be asked back.", [{"refundable": left.model_dump()}]
        )
    await paying.give_back(uow, order, amount, message.refund.reason)
    after = {"amount": amount, "currency": order.currency}
    uow.audit("order.request_refund", "order", order.id, after=after, reason=message.refund.reason)
    return await reading.whole(uow, order)


async def _wanted(uow: UnitOfWork, order: OrderRow, refund: RefundDraft) -> int:
    if refund.amount is not None:
        return order.in_minor_units(refund.amount)
    units: dict[str, int] = {}
    for line in refund.lines or ():
        units[line.sku] = units.get(line.sku, 0) + line.quantity
    lines = await orders.list_lines(uow, order.id)
    amount = _price_of(order, lines, units)
    for row in lines:
        row.refunded += units.get(row.sku, 0)
    return amount


def _price_of(order: OrderRow, lines: Sequence[OrderLineRow], units: Mapping[str, int]) -> int:
    """What these returned units cost, with their part of the order's own discount and tax. Raises NotReturned."""
    by_sku = {line.sku: line for line in lines}
    wrong = [
        {"sku": sku, "requested": quantity, "returned": 0 if line is None else line.returned - line.refunded}
        for sku, quantity in units.items()
        if (line := by_sku.get(sku)) is None or line.returned - line.refunded < quantity
    ]
    if wrong:
        raise NotReturned("Money goes back by line for what came back, once.", wrong)
    return sum(order.price_back(by_sku[sku], quantity) for sku, quantity in units.items())
