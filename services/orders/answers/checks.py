"""What `crossdock check` asks."""

from services.orders.use_cases import checking
from shared.contracts.base import Page
from shared.contracts.orders.checks import ListOrdersToCheck, OrderToCheck
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListOrdersToCheck, internal=True)
async def list_orders_to_check(message: ListOrdersToCheck, uow: UnitOfWork) -> Page[OrderToCheck]:
    return await checking.list_orders(uow, message.after)
