"""Suppliers, and what each of them supplies."""

from services.inventory.use_cases import suppliers
from shared.contracts.base import Done, Page
from shared.contracts.inventory.suppliers import (
    ChangeSupplier,
    ChangeSupplierLink,
    CreateSupplier,
    CreateSupplierLink,
    GetSupplier,
    GetSupplierLink,
    ListSupplierLinks,
    ListSuppliers,
    RemoveSupplierLink,
    Supplier,
    SupplierLink,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateSupplier, scope="inventory:write")
async def create_supplier(message: CreateSupplier, uow: UnitOfWork) -> Supplier:
    return await suppliers.create(uow, message.supplier)


@answers(ChangeSupplier, scope="inventory:write")
async def change_supplier(message: ChangeSupplier, uow: UnitOfWork) -> Supplier:
    return await suppliers.change(uow, message.supplier_id, message.change, message.expected_version)


@answers(GetSupplier, scope="inventory:read")
async def get_supplier(message: GetSupplier, uow: UnitOfWork) -> Supplier:
    return await suppliers.get(uow, message.supplier_id)


@answers(ListSuppliers, scope="inventory:read")
async def list_suppliers(message: ListSuppliers, uow: UnitOfWork) -> Page[Supplier]:
    return await suppliers.list_page(uow, message.first, message.after)


@answers(CreateSupplierLink, scope="inventory:write")
async def create_supplier_link(message: CreateSupplierLink, uow: UnitOfWork) -> SupplierLink:
    return await suppliers.create_link(uow, message.link)


@answers(ChangeSupplierLink, scope="inventory:write")
async def change_supplier_link(message: ChangeSupplierLink, uow: UnitOfWork) -> SupplierLink:
    return await suppliers.change_link(uow, message.link_id, message.change, message.expected_version)


@answers(RemoveSupplierLink, scope="inventory:write")
async def remove_supplier_link(message: RemoveSupplierLink, uow: UnitOfWork) -> Done:
    return await suppliers.remove_link(uow, message.link_id)


@answers(GetSupplierLink, scope="inventory:read")
async def get_supplier_link(message: GetSupplierLink, uow: UnitOfWork) -> SupplierLink:
    return await suppliers.get_link(uow, message.link_id)


@answers(ListSupplierLinks, scope="inventory:read")
async def list_supplier_links(message: ListSupplierLinks, uow: UnitOfWork) -> Page[SupplierLink]:
    return await suppliers.list_links(uow, message)
