"""The tree of categories as a whole."""

from services.catalog.repository import categories as repository
from services.catalog.use_cases import categories
from shared.contracts.catalog.categories import Category
from shared.contracts.catalog.tree import (
    CategoryTree,
    FindRootCategories,
    GetCategoryTree,
    KnownCategories,
    MoveCategory,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(FindRootCategories, internal=True)
async def find_root_categories(message: FindRootCategories, uow: UnitOfWork) -> KnownCategories:
    paths = [(name,) for name in message.names]
    known = await repository.known_by_place(uow, paths)
    return KnownCategories(names=[name for (name,) in paths if not repository.place([(name,)], known)[1]])


@answers(GetCategoryTree, scope="catalog:read")
async def get_category_tree(message: GetCategoryTree, uow: UnitOfWork) -> CategoryTree:
    items = await categories.read_tree(uow, message.root_id, message.depth, counts=message.counts)
    return CategoryTree(items=items)


@answers(MoveCategory, scope="catalog:write")
async def move_category(message: MoveCategory, uow: UnitOfWork) -> Category:
    return await categories.move(uow, message.category_id, message.parent_id, message.position, message.version)
