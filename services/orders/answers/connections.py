"""Connections that bring orders, what they bring, and what waits."""

from services.orders.use_cases import connections
from shared.contracts.base import Page
from shared.contracts.orders.imported import (
    CreateOrderConnection,
    GetImportedOrder,
    GetOrderConnection,
    GiveUpImportedOrder,
    ImportedOrder,
    ImportOrders,
    KeepOrderConnection,
    ListImportedOrders,
    ListMissingStock,
    ListOrderConnections,
    MissingStocks,
    OrderConnectionSettings,
    OrderReceipts,
    RetryImportedOrder,
    UpdateOrderConnection,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateOrderConnection, scope="orders:write")
async def create_order_connection(message: CreateOrderConnection, uow: UnitOfWork) -> OrderConnectionSettings:
    return await connections.create(uow, message.connection)


@answers(KeepOrderConnection, internal=True)
async def keep_order_connection(message: KeepOrderConnection, uow: UnitOfWork) -> OrderConnectionSettings:
    return await connections.keep_of_sync(uow, message.connection_id, message.connection)


@answers(UpdateOrderConnection, scope="orders:write")
async def update_order_connection(message: UpdateOrderConnection, uow: UnitOfWork) -> OrderConnectionSettings:
    return await connections.update(uow, message.connection_id, message.change, message.expected_version)


@answers(GetOrderConnection, scope="orders:read")
async def get_order_connection(message: GetOrderConnection, uow: UnitOfWork) -> OrderConnectionSettings:
    return await connections.get(uow, message.connection_id)


@answers(ListOrderConnections, scope="orders:read")
async def list_order_connections(message: ListOrderConnections, uow: UnitOfWork) -> Page[OrderConnectionSettings]:
    return await connections.list_page(uow, message.first, message.after)


@answers(ImportOrders, scope="orders:write")
async def import_orders(message: ImportOrders, uow: UnitOfWork) -> OrderReceipts:
    return await connections.receive(uow, message)


@answers(GetImportedOrder, scope="orders:read")
async def get_imported_order(message: GetImportedOrder, uow: UnitOfWork) -> ImportedOrder:
    return await connections.get_imported(uow, message.imported_order_id)


@answers(ListImportedOrders, scope="orders:read")
async def list_imported_orders(message: ListImportedOrders, uow: UnitOfWork) -> Page[ImportedOrder]:
    return await connections.list_imported(uow, message)


@answers(RetryImportedOrder, scope="orders:write")
async def retry_imported_order(message: RetryImportedOrder, uow: UnitOfWork) -> ImportedOrder:
    return await connections.retry(uow, message.imported_order_id)


@answers(GiveUpImportedOrder, scope="orders:write")
async def give_up_imported_order(message: GiveUpImportedOrder, uow: UnitOfWork) -> ImportedOrder:
    return await connections.give_up(uow, message.imported_order_id, message.reason)


@answers(ListMissingStock, internal=True)
async def list_missing_stock(message: ListMissingStock, uow: UnitOfWork) -> MissingStocks:
    return await connections.list_missing_stock(uow, message.connection_id)
