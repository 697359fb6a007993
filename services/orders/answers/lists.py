"""Many orders: listed, counted, written into files."""

from services.orders.use_cases import bulk_actions, exporting, listing, suggesting
from shared.contracts.base import Page
from shared.contracts.orders.bulk import ActOnOrders, StartedOrderAction
from shared.contracts.orders.lists import (
    CountOrders,
    GetOrderExportFile,
    ListOrders,
    OrderCounts,
    OrderExportFile,
    StartOrderExport,
    SuggestOrderSets,
)
from shared.contracts.orders.shapes import OrderSummary
from shared.contracts.platform.shapes import Job
from shared.contracts.search.operators import SuggestedSets
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListOrders, scope=("storefront", "orders:read"))
async def list_orders(message: ListOrders, uow: UnitOfWork) -> Page[OrderSummary]:
    return await listing.list_page(uow, message)


@answers(CountOrders, scope=("storefront", "orders:read"))
async def count_orders(message: CountOrders, uow: UnitOfWork) -> OrderCounts:
    return await listing.count(uow, message)


@answers(SuggestOrderSets, scope="orders:read")
async def suggest_order_sets(message: SuggestOrderSets, uow: UnitOfWork) -> SuggestedSets:
    return await suggesting.suggest(uow, message)


@answers(StartOrderExport, scope="orders:read")
async def start_order_export(message: StartOrderExport, uow: UnitOfWork) -> Job:
    return await exporting.start(uow, message.filter)


@answers(GetOrderExportFile, scope="orders:read")
async def get_order_export_file(message: GetOrderExportFile, uow: UnitOfWork) -> OrderExportFile:
    return await exporting.file(uow, message.job_id)


@answers(ActOnOrders, scope="orders:write")
async def act_on_orders(message: ActOnOrders, uow: UnitOfWork) -> StartedOrderAction:
    return await bulk_actions.begin(uow, message)
