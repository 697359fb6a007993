"""What a merchant does for an order that stands: details, lines, notes, refunds."""

from services.orders.use_cases import changing, line_changes, returning
from shared.contracts.orders.aftercare import AddOrderNote, ChangeOrder, RequestOrderRefund
from shared.contracts.orders.line_changes import CancelOrderLines, ChangeOrderLines
from shared.contracts.orders.shapes import Order
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ChangeOrder, scope="orders:write")
async def change_order(message: ChangeOrder, uow: UnitOfWork) -> Order:
    return await changing.change(uow, message)


@answers(ChangeOrderLines, scope="orders:write")
async def change_order_lines(message: ChangeOrderLines, uow: UnitOfWork) -> Order:
    return await line_changes.change(uow, message)


@answers(CancelOrderLines, scope="orders:write")
async def cancel_order_lines(message: CancelOrderLines, uow: UnitOfWork) -> Order:
    return await line_changes.cancel(uow, message)


@answers(AddOrderNote, scope="orders:write")
async def add_order_note(message: AddOrderNote, uow: UnitOfWork) -> Order:
    return await changing.add_note(uow, message)


@answers(RequestOrderRefund, scope="orders:write")
async def request_order_refund(message: RequestOrderRefund, uow: UnitOfWork) -> Order:
    return await returning.request_refund(uow, message)
