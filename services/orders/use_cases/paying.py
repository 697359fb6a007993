"""What payments tell about an order's money, and what that does to the order. Each fact once, newest wins."""

from dataclasses import dataclass

from services.orders.models import OrderRow
from services.orders.models.payments import OrderPaymentRow
from services.orders.repository import orders
from services.orders.use_cases import lifecycle, timeline
from shared.contracts.orders.events import OrderTotalChanged, RefundWanted
from shared.contracts.payments.events import PaymentChanged
from shared.unit_of_work import UnitOfWork

# Holds for the first end by themselves when the money is right; for the second only when a person says so.
_HOLD = "payment"
_DOUBT = "refund_in_doubt"


@dataclass(frozen=True)
class _Before:
    """What a payment came to before the news."""

    refunded: int = 0
    refund_in_doubt: int | None = None
    disputed: int = 0


async def note(uow: UnitOfWork, event: PaymentChanged) -> None:
    """Take a payment's totals when they are newer than ours. Raises OrderNotFound: the event is then tried again."""
    order = await orders.get_order(uow, event.order_id, lock=True)
    payment = await orders.find_payment(uow, event.payment_id)
    if payment is not None and payment.version >= event.version:
        return
    before = _Before()
    if payment is None:
        payment = OrderPaymentRow.of(order.organization_id, event)
        await orders.add(uow, payment)
    else:
        before = _Before(payment.refunded, payment.refund_in_doubt, payment.disputed)
        payment.take(event)
    await _add_up(uow, order)
    await timeline.note(uow, order, "payment", _told(payment), payment_id=str(payment.payment_id), state=payment.state)
    if payment.disputed > before.disputed:
        detail = f"the payer disputes {order.money(payment.disputed).major} {payment.currency}."
        timeline.alert(uow, order, "dispute", "error", "A payment is disputed", detail)
    await _doubt_refund(uow, order, payment, before)
    await _judge(uow, order, payment)


async def _doubt_refund(uow: UnitOfWork, order: OrderRow, payment: OrderPaymentRow, before: _Before) -> None:
    """Less went back than was said before: whether goods may leave is a person's to say, also once it is explained."""
    if payment.refunded < before.refunded:
        had, has = order.money(before.refunded).major, order.money(payment.refunded).major
        what = f"a refund failed: {had} {payment.currency} had gone back, now it is {has} {payment.currency}."
    elif payment.refund_in_doubt is not None and payment.refund_in_doubt != before.refund_in_doubt:
        had, has = order.money(payment.refunded).major, order.money(payment.refund_in_doubt).major
        what = f"the gateway said that {had} {payment.currency} had gone back, and now that {has} had."
    else:
        return
    if order.status in ("pending", "processing", "partly_shipped"):
        await lifecycle.stop(uow, order, _DOUBT, _as_reason(what))
    elif order.hold_cause == _HOLD:
        order.hold_cause, order.hold_reason = _DOUBT, _as_reason(what)
    timeline.alert(uow, order, _DOUBT, "error", "A refund is not what it was said to be", what)


def _as_reason(what: str) -> str:
    return what[0].upper() + what[1:].rstrip(".")


def _told(payment: OrderPaymentRow) -> str:
    return f"Payment {payment.external_id} ({payment.provider}) is {payment.state.replace('_', ' ')}."


async def _add_up(uow: UnitOfWork, order: OrderRow) -> None:
    await (await uow.session()).flush()
    payments = [p for p in await orders.list_payments(uow, order.id) if p.currency == order.currency]
    order.paid = sum(payment.captured for payment in payments)
    order.refunded = sum(payment.refunded for payment in payments)
    order.touch()


async def _judge(uow: UnitOfWork, order: OrderRow, payment: OrderPaymentRow) -> None:
    """What the order's money now means for it."""
    if order.status in ("cancelled", "returned"):
        _want_refund(uow, order)
    elif payment.currency != order.currency:
        await _stop(uow, order, f"it was paid in {payment.currency}, not in {order.currency}.")
    elif order.paid > 0 and order.refunded >= order.paid:
        # Of goods that have left, what was asked back is meant to be back.
        if order.status != "complete" or order.refunded > order.refund_wanted:
            await _stop(uow, order, "all that was paid went back.")
    elif order.is_paid:
        await _go_on(uow, order)
    elif order.paid > 0 and order.status == "pending":
        paid, total = order.money(order.paid), order.money(order.total)
        await _stop(uow, order, f"only {paid.major} of {total.major} {order.currency} were paid.")
    elif order.status == "pending" and payment.state in ("pending", "authorised"):
        await lifecycle.wait_longer(uow, order)


async def _go_on(uow: UnitOfWork, order: OrderRow) -> None:
    before = order.status
    if order.status == "pending":
        order.move("processing")
        await timeline.moved(uow, order, before, "Its payment arrived.")
    elif order.status == "on_hold" and order.hold_cause == _HOLD and await _has_one_currency(uow, order):
        await lifecycle.go_on(uow, order, "Its payment is complete.")
    if order.paid - order.refunded > order.total:
        surplus = order.money(order.paid - order.refunded - order.total)
        detail = f"{surplus.major} {surplus.currency} more were paid than it costs."
        timeline.alert(uow, order, "overpaid", "warning", "More was paid than is due", detail)


async def _has_one_currency(uow: UnitOfWork, order: OrderRow) -> bool:
    payments = await orders.list_payments(uow, order.id)
    return all(payment.currency == order.currency or not payment.captured for payment in payments)


async def _stop(uow: UnitOfWork, order: OrderRow, what: str) -> None:
    """A person must look at the money. What has left cannot be stopped any more; the alert remains."""
    if order.status in ("pending", "processing", "partly_shipped"):
        await lifecycle.stop(uow, order, _HOLD, _as_reason(what))
    timeline.alert(uow, order, _HOLD, "error", "An order's payment is not as it should be", what)


def _want_refund(uow: UnitOfWork, order: OrderRow) -> None:
    """Money for an order that will not be fulfilled goes back: asked once for each amount."""
    amount = order.want_refund()
    if not amount:
        return
    money = order.money(amount)
    _ask_back(uow, order, amount, f"The order is {order.status}")
    detail = f"{money.major} {money.currency} came in although it is {order.status}; a refund was requested."
    timeline.alert(uow, order, "refund", "warning", "Money came in for an order that is over", detail)


def _ask_back(uow: UnitOfWork, order: OrderRow, amount: int, reason: str) -> None:
    uow.record(
        RefundWanted(
            order_id=order.id, number=order.number, shop_id=order.shop_id, amount=order.money(amount), reason=reason
        )
    )


async def give_back(uow: UnitOfWork, order: OrderRow, amount: int, reason: str) -> None:
    """Ask for a part of a locked order's price to go back."""
    order.give_back(amount)
    _ask_back(uow, order, amount, reason)
    money = order.money(amount)
    text = f"{money.major} {money.currency} were asked to go back: {reason}"
    await timeline.note(uow, order, "refund", text, reason=reason, amount=money.model_dump())


async def settle_total(uow: UnitOfWork, order: OrderRow, before: int) -> None:
    """A locked order costs something else than `before`: it goes on when that is paid, and waits when it is not.

    What was paid beyond it is asked to go back.
    """
    uow.record(
        OrderTotalChanged(
            order_id=order.id,
            number=order.number,
            shop_id=order.shop_id,
            total=order.money(order.total),
            version=order.version,
        )
    )
    if order.is_paid:
        await _go_on_at(uow, order)
    elif order.total > before and (order.paid or order.status != "pending"):
        paid, total = order.money(order.paid), order.money(order.total)
        await _stop(uow, order, f"only {paid.major} of {total.major} {order.currency} were paid.")
    surplus = order.want_refund() if order.paid else 0
    if surplus:
        _ask_back(uow, order, surplus, "The order costs less than was paid")


async def _go_on_at(uow: UnitOfWork, order: OrderRow) -> None:
    if order.status == "pending":
        order.move("processing")
        await timeline.moved(uow, order, "pending", "What it costs now is paid.")
    elif order.status == "on_hold" and order.hold_cause == _HOLD and await _has_one_currency(uow, order):
        await lifecycle.go_on(uow, order, "What it costs now is paid.")
