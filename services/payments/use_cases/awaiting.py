"""Callbacks that wait: for their order, or for what else is said about their payment. What arrives wakes them."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from services.payments.arrivals import PROCESS
from services.payments.models import Order, Payment
from services.payments.repository import callback_records, common, order_records, payment_records
from services.payments.use_cases import alerting, refunding
from shared.contracts.orders.events import OrderCancelled, OrderPlaced, OrderTotalChanged
from shared.unit_of_work import UnitOfWork


async def wake_for_payments(uow: UnitOfWork, payments: Iterable[Payment]) -> None:
    """Look again at callbacks that spoke of these payments before they were ready for them."""
    _wake(uow, await callback_records.list_awaiting_payments(uow, payments))


async def remember_orders(uow: UnitOfWork, events: Sequence[OrderPlaced]) -> None:
    """Keep what is to be paid for orders, and look again at the callbacks that waited for them.

    Whoever looks for one of them at this moment either finds it or is found waiting.
    """
    numbers = [event.number for event in events]
    await common.lock_names(uow, (("order", number) for number in numbers))
    placed = {
        e.order_id: (
            e.order_id,
            e.number,
            e.shop_id,
            e.total.amount,
            e.total.currency,
            # What was paid elsewhere, as in another shop's system, is placed in another status.
            e.placed_at if e.status == "pending" else None,
        )
        for e in events
    }
    await order_records.keep_placed(uow, list(placed.values()))
    _wake(uow, await callback_records.list_awaiting_orders(uow, numbers))


async def remember_total(uow: UnitOfWork, event: OrderTotalChanged) -> None:
    """Keep the most an order ever cost: what was paid when it cost more was right. What was too much may fit now."""
    order = await _get_copy(uow, event)
    order.may_cost(event.total)
    await common.add(uow, order)
    payments = await payment_records.lock_payments(uow, [order.id])
    if payments:
        alerting.watch_order_sum(uow, order, payments, may_be_over=True)
    _wake(uow, await callback_records.list_awaiting_orders(uow, [event.number]))


async def cancel_order(uow: UnitOfWork, event: OrderCancelled) -> None:
    """Remember the cancellation, and ask for what was paid to go back."""
    order = await _get_copy(uow, event)
    order.is_cancelled = True
    await common.add(uow, order)
    await refunding.request(uow, event.order_id, reason=f"The order was cancelled: {event.reason}")


async def _get_copy(uow: UnitOfWork, event: OrderCancelled | OrderTotalChanged) -> Order:
    """The order's copy, locked: whoever looks for it at this moment either finds it or is found waiting."""
    await common.lock_name(uow, "order", event.number)
    order = await order_records.find_order(uow, event.order_id, for_update=True)
    return order or Order(
        organization_id=uow.organization_id, id=event.order_id, number=event.number, shop_id=event.shop_id
    )


def _wake(uow: UnitOfWork, callback_ids: list[UUID]) -> None:
    for callback_id in callback_ids:
        uow.defer(PROCESS, {"callback_id": str(callback_id)}, key=str(callback_id))
