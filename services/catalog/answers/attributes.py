"""Attributes: defined, changed, removed."""

from services.catalog.repository import attributes as repository
from services.catalog.use_cases import attributes
from shared.contracts.base import Done, Page
from shared.contracts.catalog.attributes import (
    Attribute,
    DefineAttribute,
    GetAttribute,
    ListAttributes,
    RemoveAttribute,
    UpdateAttribute,
)
from shared.pagination import cursor_for, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListAttributes, scope="catalog:read")
async def list_attributes(message: ListAttributes, uow: UnitOfWork) -> Page[Attribute]:
    position = cursor_values(message.after, 1) or ("",)
    found = await repository.list_by_code(uow, str(position[0]), message.first + 1)
    items = found[: message.first]
    return Page(items=items, next=cursor_for(items[-1].code) if len(found) > message.first else None)


@answers(GetAttribute, scope="catalog:read")
async def get_attribute(message: GetAttribute, uow: UnitOfWork) -> Attribute:
    return await repository.get(uow, message.attribute_id)


@answers(DefineAttribute, scope="catalog:write")
async def define_attribute(message: DefineAttribute, uow: UnitOfWork) -> Attribute:
    return await attributes.define(uow, message.draft)


@answers(UpdateAttribute, scope="catalog:write")
async def update_attribute(message: UpdateAttribute, uow: UnitOfWork) -> Attribute:
    return await attributes.change(uow, message.attribute_id, message.change, message.version)


@answers(RemoveAttribute, scope="catalog:write")
async def remove_attribute(message: RemoveAttribute, uow: UnitOfWork) -> Done:
    await attributes.remove(uow, message.attribute_id, message.version)
    return Done(id=message.attribute_id)
