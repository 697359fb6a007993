"""What a merchant does with an order, and what other services must know of it."""

from services.orders.repository import orders
from services.orders.use_cases import lifecycle, line_changes, reading, terms
from shared.contracts.orders.messages import CancelOrder, GetOrderStanding, HoldOrder, ReleaseOrder
from shared.contracts.orders.shapes import Order, OrderStanding
from shared.contracts.orders.terms import GetOrderTerms, OrderTerms, SetOrderTerms
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CancelOrder, scope="orders:write")
async def cancel_order(message: CancelOrder, uow: UnitOfWork) -> Order:
    return await lifecycle.cancel(uow, message.order_id, message.reason, message.expected_version)


@answers(HoldOrder, scope="orders:write")
async def hold_order(message: HoldOrder, uow: UnitOfWork) -> Order:
    return await lifecycle.hold(uow, message.order_id, message.reason, message.expected_version)


@answers(ReleaseOrder, scope="orders:write")
async def release_order(message: ReleaseOrder, uow: UnitOfWork) -> Order:
    return await lifecycle.release(uow, message.order_id, message.expected_version)


@answers(GetOrderTerms, scope="orders:read")
async def get_order_terms(message: GetOrderTerms, uow: UnitOfWork) -> OrderTerms:
    return await terms.get(uow, message.shop)


@answers(SetOrderTerms, scope="orders:write")
async def set_order_terms(message: SetOrderTerms, uow: UnitOfWork) -> OrderTerms:
    return await terms.put(uow, message)


@answers(GetOrderStanding, internal=True)
async def get_order_standing(message: GetOrderStanding, uow: UnitOfWork) -> OrderStanding:
    order = await reading.get_visible(uow, message.order_id)
    return await line_changes.standing(uow, order, await orders.list_lines(uow, order.id))
