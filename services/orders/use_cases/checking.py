"""Orders as the check wants them: every one, with the units of its lines; and what was told of their payments."""

from uuid import UUID

from services.orders.repository import checks
from shared.contracts.base import Page
from shared.contracts.orders.checks import LineToCheck, OrderToCheck
from shared.contracts.payments.checks import PaymentToCheck
from shared.pagination import cursor_for, id_after, page_by_id
from shared.unit_of_work import UnitOfWork

ORDERS_AT_ONCE = 1000
PAYMENTS_AT_ONCE = 1000


async def list_orders(uow: UnitOfWork, after: str | None) -> Page[OrderToCheck]:
    """By id."""
    heads, lines = await checks.list_page(uow, id_after(after), ORDERS_AT_ONCE)
    of_order: dict[UUID, list[LineToCheck]] = {}
    for line in lines:
        told = LineToCheck(sku=line["sku"], wanted=line["wanted"], shipped=line["shipped"], returned=line["returned"])
        of_order.setdefault(line["order_id"], []).append(told)
    items = [
        OrderToCheck(
            order_id=head["id"],
            number=head["number"],
            status=head["status"],
            lines=of_order.get(head["id"], []),
            paid=head["paid"],
            refunded=head["refunded"],
            by_payments=None if head["captured"] is None else (head["captured"], head["back"]),
        )
        for head in heads
    ]
    return Page(items=items, next=cursor_for(str(heads[-1]["id"])) if len(heads) == ORDERS_AT_ONCE else None)


async def list_payments(uow: UnitOfWork, after: str | None) -> Page[PaymentToCheck]:
    """By the id of the payment."""
    rows = await checks.list_payments(uow, id_after(after), PAYMENTS_AT_ONCE + 1)
    return page_by_id(rows, PAYMENTS_AT_ONCE, lambda row: PaymentToCheck(**row))
