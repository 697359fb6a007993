"""What needs a person: one alert per cause, cleared when the cause is gone."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from services.payments.models import Callback, Gateway, Order, Payment, Refund
from services.payments.repository import callback_records, common
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.errors import CrossdockError
from shared.money import Money
from shared.unit_of_work import UnitOfWork

_SERVICE = "payments"
CLEAR = "payments.clear_alert"


async def callback_failed(uow: UnitOfWork, callback: Callback, gateway: Gateway) -> None:
    """One alert per gateway and reason, however many callbacks fail for it."""
    # Whoever looks whether the cause is gone waits until this failure can be seen.
    await common.share_name(uow, *_cause_name(callback.gateway_id, callback.reason))
    uow.record(
        AlertRaised(
            service=_SERVICE,
            cause=_callback_cause(callback.gateway_id, callback.reason),
            severity="error",
            title=f"A callback of {gateway.provider} could not be processed ({callback.reason})",
            detail=callback.detail or "",
            shop_id=gateway.shop_id,
            subject_kind="callback",
            subject_id=str(callback.id),
            data={"gateway_id": str(gateway.id), "event": callback.event, "reason": callback.reason},
        )
    )


def callback_recovered(uow: UnitOfWork, callback: Callback, reason: str) -> None:
    """Have looked, once this is committed, whether the gateway has any callback left that failed for `reason`.

    Not before: of two that recover at the same moment neither would see the other.
    """
    uow.defer(CLEAR, {"gateway_id": str(callback.gateway_id), "reason": reason})


async def clear_callbacks(uow: UnitOfWork, gateway_id: UUID, reason: str) -> None:
    """Clear the alert unless a callback of the gateway is failed for `reason`."""
    await common.lock_name(uow, *_cause_name(gateway_id, reason))
    if not await callback_records.has_failed_callbacks(uow, gateway_id, reason):
        uow.record(AlertCleared(service=_SERVICE, cause=_callback_cause(gateway_id, reason)))


def _cause_name(gateway_id: UUID, reason: str | None) -> tuple[object, ...]:
    return "alert", gateway_id, reason


def _callback_cause(gateway_id: UUID, reason: str | None) -> str:
    return f"payments.callback.{gateway_id}.{reason}"


def refund_to_be_made(uow: UnitOfWork, payment: Payment, refund: Refund, *, not_sent: str | None = None) -> None:
    """One alert per refund until it is settled; why it was `not_sent` makes it one that people alone can make."""
    if not_sent is None:
        title = f"A refund is to be made for order {payment.order_number}"
        why = f" at {payment.provider}: {refund.reason}"
    else:
        title = f"A refund for order {payment.order_number} could not be sent to {payment.provider}"
        why = f": {not_sent}"
    uow.record(
        AlertRaised(
            service=_SERVICE,
            cause=f"payments.refund.{refund.id}",
            severity="warning" if not_sent is None else "error",
            title=title,
            detail=f"{_text(refund.amount, payment)}{why}",
            shop_id=payment.shop_id,
            subject_kind="refund",
            subject_id=str(refund.id),
            data={"order_id": str(payment.order_id), "payment_id": str(payment.id)},
        )
    )


def refund_settled(uow: UnitOfWork, refund: Refund) -> None:
    uow.record(AlertCleared(service=_SERVICE, cause=f"payments.refund.{refund.id}"))


def _text(amount: int, of: Order | Payment) -> str:
    """An amount in its order's or payment's currency, which whatever has amounts has."""
    assert of.currency is not None
    return Money(amount=amount, currency=of.currency).text


def watch_order_sum(uow: UnitOfWork, order: Order, payments: Iterable[Payment], *, may_be_over: bool) -> None:
    """Tell when an order was paid more than once over, until what is too much has gone back or was never captured.

    `may_be_over`: less is captured than before, or the order costs more.
    """
    paid = [payment for payment in payments if payment.currency == order.currency]
    captured = sum(payment.captured for payment in paid)
    if order.total is None or (captured <= order.total and not may_be_over):
        return
    cause = f"payments.overpaid.{order.id}"
    if captured - sum(payment.refunded for payment in paid) <= order.total:
        uow.record(AlertCleared(service=_SERVICE, cause=cause))
        return
    uow.record(
        AlertRaised(
            service=_SERVICE,
            cause=cause,
            severity="error",
            title=f"Order {order.number} was paid more than its total",
            detail=f"{_text(captured, order)} came in for a total of {_text(order.total, order)}.",
            shop_id=order.shop_id,
            subject_kind="order",
            subject_id=str(order.id),
        )
    )


def not_reconciled(uow: UnitOfWork, gateway: Gateway, error: CrossdockError) -> None:
    """One alert per gateway, until it was reconciled again."""
    uow.record(
        AlertRaised(
            service=_SERVICE,
            cause=f"payments.reconciliation.{gateway.id}",
            severity="error",
            title=f"Payments could not be compared with {gateway.provider} ({error.code})",
            detail=error.detail,
            shop_id=gateway.shop_id,
            subject_kind="payment_gateway",
            subject_id=str(gateway.id),
            data={"reason": error.code},
        )
    )


def reconciled(uow: UnitOfWork, gateway: Gateway) -> None:
    uow.record(AlertCleared(service=_SERVICE, cause=f"payments.reconciliation.{gateway.id}"))


def watch_differences(uow: UnitOfWork, gateway: Gateway, counts: Mapping[str, int]) -> None:
    """Tell how many differences of a gateway are open, by kind, until none is."""
    cause = f"payments.differences.{gateway.id}"
    if not counts:
        uow.record(AlertCleared(service=_SERVICE, cause=cause))
        return
    uow.record(
        AlertRaised(
            service=_SERVICE,
            cause=cause,
            severity="warning",
            title=f"{sum(counts.values())} payments differ between {gateway.provider} and the ledger",
            detail=", ".join(f"{kind}: {count}" for kind, count in counts.items()),
            shop_id=gateway.shop_id,
            subject_kind="payment_gateway",
            subject_id=str(gateway.id),
            data=dict(counts),
        )
    )
