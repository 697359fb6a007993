"""The tree of categories over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.catalog import messages, tree
from shared.contracts.catalog.categories import Category, CategoryChange, CategoryDraft
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["catalog"])

After = Annotated[str | None, Query(description="The `next` of the page before.")]


class ShopCodes(Shape):
    """Shops by their codes."""

    shops: Annotated[list[str], Field(min_length=1, max_length=200)]


class CategoryPlace(Shape):
    """Where a category is to stand: below another (null: at the root), behind so many siblings (left out: last)."""

    parent_id: UUID | None
    position: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


@router.get("/categories")
async def list_categories(
    ask: Ask, parent_id: UUID | None = None, roots_only: bool = False, first: First = 50, after: After = None
) -> Page[Category]:
    """Your categories by name: all, the roots, or the children of one."""
    return await ask(messages.ListCategories(parent_id=parent_id, roots_only=roots_only, first=first, after=after))


# Before the route that would take `tree` for an id.
@router.get("/categories/tree")
async def get_category_tree(
    ask: Ask,
    root_id: UUID | None = None,
    depth: Annotated[int | None, Query(ge=0, le=100)] = None,
    counts: bool = True,
) -> tree.CategoryTree:
    """All your categories at once, each directly before its children; or a branch, or so many levels.

    `product_count` are the products in a category, `branch_product_count` those in it or below it, each once. With
    `counts=false` they are not counted, which is faster.
    """
    return await ask(tree.GetCategoryTree(root_id=root_id, depth=depth, counts=counts))


@router.get("/categories/{category_id}")
async def get_category(category_id: UUID, ask: Ask, response: Response) -> Category:
    """One category with the shops it is assigned to. Its `ETag` goes into `If-Match` when you change it."""
    return tagged(await ask(messages.GetCategory(category_id=category_id)), response)


@router.post("/categories", status_code=201)
async def create_category(draft: CategoryDraft, ask: Ask, response: Response) -> Category:
    """Create a category, below another or at the root, and sell it in shops."""
    category = await ask(messages.CreateCategory(draft=draft))
    response.headers["Location"] = f"/v1/categories/{category.id}"
    return tagged(category, response)


@router.patch("/categories/{category_id}")
async def update_category(
    category_id: UUID, change: CategoryChange, ask: Ask, response: Response, version: ExpectedVersion
) -> Category:
    """Change what is given: names, slugs, dates, whether it is enabled. With `If-Match`, only if nobody else did (412).

    Null takes a date away. A new slug is its address from now on, in all shops.
    """
    message = messages.UpdateCategory(category_id=category_id, change=change, version=version)
    return tagged(await ask(message), response)


@router.post("/categories/{category_id}/move")
async def move_category(
    category_id: UUID, place: CategoryPlace, ask: Ask, response: Response, version: ExpectedVersion
) -> Category:
    """Move a category with everything below it to another place in the tree. Its siblings make room.

    It cannot stand below itself or below what stands below it.
    """
    message = tree.MoveCategory(
        category_id=category_id, parent_id=place.parent_id, position=place.position, version=version
    )
    return tagged(await ask(message), response)


@router.post("/categories/{category_id}/assign")
async def assign_category(
    category_id: UUID, body: ShopCodes, ask: Ask, response: Response, version: ExpectedVersion
) -> Category:
    """Sell a category with everything below it in these shops."""
    message = messages.AssignCategory(category_id=category_id, shops=body.shops, version=version)
    return tagged(await ask(message), response)


@router.post("/categories/{category_id}/unassign")
async def unassign_category(
    category_id: UUID, body: ShopCodes, ask: Ask, response: Response, version: ExpectedVersion
) -> Category:
    """Stop selling a category with everything below it in these shops."""
    message = messages.UnassignCategory(category_id=category_id, shops=body.shops, version=version)
    return tagged(await ask(message), response)
