"""Orders as the check wants them: every one, with the units of its lines."""

from uuid import UUID

from services.orders.repository import checks
from shared.contracts.base import Page
from shared.contracts.orders.checks import LineToCheck, OrderToCheck
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.unit_of_work import UnitOfWork

ORDERS_AT_ONCE = 1000


async def list_orders(uow: UnitOfWork, after: str | None) -> Page[OrderToCheck]:
    """By id."""
    position = cursor_values(after, 1)
    heads, lines = await checks.list_page(uow, cursor_id(position[0]) if position else None, ORDERS_AT_ONCE)
    of_order: dict[UUID, list[LineToCheck]] = {}
    for line in lines:
        told = LineToCheck(sku=line["sku"], wanted=line["wanted"], shipped=line["shipped"], returned=line["returned"])
        of_order.setdefault(line["order_id"], []).append(told)
    items = [
        OrderToCheck(
            order_id=head["id"], number=head["number"], status=head["status"], lines=of_order.get(head["id"], [])
        )
        for head in heads
    ]
    return Page(items=items, next=cursor_for(str(heads[-1]["id"])) if len(heads) == ORDERS_AT_ONCE else None)
