"""An order's status follows its goods: what has left, what came back, and what is no longer wanted."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.orders.models import OrderLineRow, OrderRow
from services.orders.use_cases import timeline
from shared.contracts.orders.shapes import OrderStatus
from shared.unit_of_work import UnitOfWork


async def follow(
    uow: UnitOfWork, order: OrderRow, lines: Sequence[OrderLineRow], kind: str, text: str, **told: Any
) -> None:
    """Move a locked order to where its lines are, and write down why; where it does not move, write that down alone."""
    moved = False
    for after in _reached(lines):
        before = order.status
        if order.follow(after):
            await timeline.moved(uow, order, before, text, **told)
            moved = True
    if not moved:
        await timeline.note(uow, order, kind, text, **told)


async def catch_up(uow: UnitOfWork, order: OrderRow, lines: Sequence[OrderLineRow]) -> None:
    """Move a locked order on that was on hold while its goods moved."""
    for after in _reached(lines):
        before = order.status
        if order.status != after and order.follow(after):
            await timeline.moved(uow, order, before, f"Its goods were {after.replace('_', ' ')} meanwhile.")


def _reached(lines: Sequence[OrderLineRow]) -> Iterator[OrderStatus]:
    """What its lines make of an order, in the order of its life."""
    if not any(line.shipped for line in lines):
        return
    if not all(line.is_done for line in lines):
        yield "partly_shipped"
        return
    yield "complete"
    if all(line.returned >= line.shipped for line in lines):
        yield "returned"
