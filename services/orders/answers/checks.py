"""What `crossdock check` asks."""

from services.orders.use_cases import checking
from shared.contracts.base import Page
from shared.contracts.orders.checks import ListOrderPaymentsToCheck, ListOrdersToCheck, OrderToCheck
from shared.contracts.payments.checks import PaymentToCheck
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListOrdersToCheck, internal=True)
async def list_orders_to_check(message: ListOrdersToCheck, uow: UnitOfWork) -> Page[OrderToCheck]:
    return await checking.list_orders(uow, message.after)


@answers(ListOrderPaymentsToCheck, internal=True)
async def list_order_payments_to_check(message: ListOrderPaymentsToCheck, uow: UnitOfWork) -> Page[PaymentToCheck]:
    return await checking.list_payments(uow, message.after)
