"""What search asks of orders."""

from services.orders.repository import parts
from services.orders.use_cases import telling_parts
from shared.contracts.orders.parts import GetOrderParts, ListOrderIds, OrderIds, OrderParts
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetOrderParts, internal=True)
async def get_order_parts(message: GetOrderParts, uow: UnitOfWork) -> OrderParts:
    return await telling_parts.tell(uow, message.order_ids)


@answers(ListOrderIds, internal=True)
async def list_order_ids(message: ListOrderIds, uow: UnitOfWork) -> OrderIds:
    return OrderIds(ids=await parts.list_ids(uow, message.after, message.first))
