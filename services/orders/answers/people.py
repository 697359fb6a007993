"""Customers: kept, found, told of all that is known of them, forgotten."""

from services.orders.use_cases import customers, privacy
from shared.contracts.base import Page
from shared.contracts.orders.customers import (
    CreateCustomer,
    Customer,
    CustomerExport,
    EraseCustomer,
    ExportCustomer,
    GetCustomer,
    ListCustomers,
    UpdateCustomer,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateCustomer, scope=("storefront", "orders:write"))
async def create_customer(message: CreateCustomer, uow: UnitOfWork) -> Customer:
    return await customers.create(uow, message.customer)


@answers(UpdateCustomer, scope=("storefront", "orders:write"))
async def update_customer(message: UpdateCustomer, uow: UnitOfWork) -> Customer:
    return await customers.update(uow, message.customer_id, message.change, message.expected_version)


@answers(GetCustomer, scope=("storefront", "orders:read"))
async def get_customer(message: GetCustomer, uow: UnitOfWork) -> Customer:
    return await customers.get(uow, message.customer_id)


@answers(ListCustomers, scope=("storefront", "orders:read"))
async def list_customers(message: ListCustomers, uow: UnitOfWork) -> Page[Customer]:
    return await customers.list_page(uow, message)


@answers(ExportCustomer, scope="orders:read")
async def export_customer(message: ExportCustomer, uow: UnitOfWork) -> CustomerExport:
    return await privacy.export(uow, message)


@answers(EraseCustomer, scope="orders:write")
async def erase_customer(message: EraseCustomer, uow: UnitOfWork) -> Customer:
    return await privacy.erase(uow, message)
