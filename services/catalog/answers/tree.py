"""The tree of categories as a whole."""

from services.catalog.use_cases import categories
from shared.contracts.catalog.categories import Category
from shared.contracts.catalog.tree import CategoryTree, GetCategoryTree, MoveCategory
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetCategoryTree, scope="catalog:read")
async def get_category_tree(message: GetCategoryTree, uow: UnitOfWork) -> CategoryTree:
    items = await categories.read_tree(uow, message.root_id, message.depth, counts=message.counts)
    return CategoryTree(items=items)


@answers(MoveCategory, scope="catalog:write")
async def move_category(message: MoveCategory, uow: UnitOfWork) -> Category:
    return await categories.move(uow, message.category_id, message.parent_id, message.position, message.version)
