"""What `crossdock check` asks."""

from services.inventory.repository import shop_centres
from services.inventory.use_cases import checking
from shared.contracts.base import Page
from shared.contracts.inventory.checks import (
    CheckStock,
    ListStockedOrganizations,
    ListStockOfOrders,
    Organizations,
    StockFinding,
    StockFindings,
    StockOfOrder,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CheckStock, internal=True)
async def check_stock(_message: CheckStock, uow: UnitOfWork) -> StockFindings:
    found = await checking.check(uow)
    return StockFindings(items=[StockFinding(**vars(each)) for each in found])


@answers(ListStockedOrganizations, internal=True, across_tenants=True)
async def list_stocked_organizations(_message: ListStockedOrganizations, uow: UnitOfWork) -> Organizations:
    return Organizations(ids=await shop_centres.list_organizations(uow))


@answers(ListStockOfOrders, internal=True)
async def list_stock_of_orders(message: ListStockOfOrders, uow: UnitOfWork) -> Page[StockOfOrder]:
    return await checking.list_stock_of_orders(uow, message.after)
