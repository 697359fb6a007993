"""What an order remembers of what happened to it."""

from typing import Any

from services.orders.models import OrderRow
from services.orders.models.records import TimelineRow
from services.orders.repository import orders
from shared.bus.envelope import Caller
from shared.contracts.orders.events import OrderDetailsChanged, OrderMoved
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.contracts.platform.shapes import Severity
from shared.unit_of_work import UnitOfWork


def entry(uow: UnitOfWork, order: OrderRow, kind: str, text: str, **members: Any) -> TimelineRow:
    """An entry in the caller's name."""
    return TimelineRow(
        organization_id=order.organization_id,
        order_id=order.id,
        kind=kind,
        actor=actor(uow.caller),
        text=text,
        **members,
    )


def actor(caller: Caller) -> str:
    """What somebody is called in the timeline."""
    return caller.name or caller.kind


async def note(
    uow: UnitOfWork, order: OrderRow, kind: str, text: str, *, reason: str | None = None, **data: Any
) -> None:
    """Write down something that moved no status, of a locked order: what is read of it has changed."""
    order.touch()
    await orders.add(uow, entry(uow, order, kind, text, reason=reason, data=data))


async def moved(
    uow: UnitOfWork, order: OrderRow, before: str, text: str, *, reason: str | None = None, **data: Any
) -> None:
    """Write down that the status moved, and announce it."""
    told = {"before": before, "after": order.status, "reason": reason, "data": data}
    await orders.add(uow, entry(uow, order, "moved", text, **told))
    uow.record(
        OrderMoved(
            order_id=order.id,
            number=order.number,
            shop_id=order.shop_id,
            before=before,
            after=order.status,
            version=order.version,
        )
    )


def found_otherwise(uow: UnitOfWork, order: OrderRow) -> None:
    """Announce that a changed order is found by something else than before."""
    changed = OrderDetailsChanged(order_id=order.id, number=order.number, shop_id=order.shop_id, version=order.version)
    uow.record(changed)


def alert(uow: UnitOfWork, order: OrderRow, what: str, severity: Severity, title: str, detail: str) -> None:
    """Call for a person. One order and one `what` are one alert, however often."""
    uow.record(
        AlertRaised(
            service=uow.service,
            cause=_cause(order, what),
            severity=severity,
            title=title,
            detail=f"Order {order.number}: {detail}",
            shop_id=order.shop_id,
            subject_kind="order",
            subject_id=str(order.id),
        )
    )


def clear_alert(uow: UnitOfWork, order: OrderRow, what: str) -> None:
    uow.record(AlertCleared(service=uow.service, cause=_cause(order, what)))


def _cause(order: OrderRow, what: str) -> str:
    return f"orders.{what}.{order.id}"
