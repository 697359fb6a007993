"""Categories: the tree and its shops."""

from services.catalog.repository import categories as repository
from services.catalog.use_cases import categories
from shared.contracts.base import Page
from shared.contracts.catalog.categories import Category
from shared.contracts.catalog.messages import (
    AssignCategory,
    CreateCategory,
    GetCategory,
    ListCategories,
    UnassignCategory,
    UpdateCategory,
)
from shared.pagination import cursor_for, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListCategories, scope="catalog:read")
async def list_categories(message: ListCategories, uow: UnitOfWork) -> Page[Category]:
    position = cursor_values(message.after, 2)
    found = await repository.list_by_name(
        uow,
        parent_id=message.parent_id,
        roots_only=message.roots_only,
        after=(str(position[0]), str(position[1])) if position else None,
        first=message.first + 1,
    )
    items = found[: message.first]
    last = items[-1] if len(found) > message.first else None
    return Page(items=items, next=cursor_for(last.name, str(last.id)) if last else None)


@answers(GetCategory, scope="catalog:read")
async def get_category(message: GetCategory, uow: UnitOfWork) -> Category:
    return await repository.get(uow, message.category_id)


@answers(CreateCategory, scope="catalog:write")
async def create_category(message: CreateCategory, uow: UnitOfWork) -> Category:
    return await categories.create(uow, message.draft)


@answers(UpdateCategory, scope="catalog:write")
async def update_category(message: UpdateCategory, uow: UnitOfWork) -> Category:
    return await categories.change(uow, message.category_id, message.change, message.version)


@answers(AssignCategory, scope="catalog:write")
async def assign_category(message: AssignCategory, uow: UnitOfWork) -> Category:
    return await categories.assign(uow, message.category_id, message.shops, message.version, assigned=True)


@answers(UnassignCategory, scope="catalog:write")
async def unassign_category(message: UnassignCategory, uow: UnitOfWork) -> Category:
    return await categories.assign(uow, message.category_id, message.shops, message.version, assigned=False)
