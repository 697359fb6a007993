"""Goods that come back."""

from services.inventory.use_cases import returning
from shared.contracts.base import Page
from shared.contracts.inventory.returns import CreateReturn, GetReturn, GoodsReturn, ListReturns
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateReturn, scope="inventory:write")
async def create_return(message: CreateReturn, uow: UnitOfWork) -> GoodsReturn:
    return await returning.create(uow, message.goods)


@answers(GetReturn, scope="inventory:read")
async def get_return(message: GetReturn, uow: UnitOfWork) -> GoodsReturn:
    return await returning.get(uow, message.return_id)


@answers(ListReturns, scope="inventory:read")
async def list_returns(message: ListReturns, uow: UnitOfWork) -> Page[GoodsReturn]:
    return await returning.list_page(uow, message)
