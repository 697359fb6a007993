"""The tree of categories as a whole: read at once, and branches moved in it."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Command, Query, Shape
from shared.contracts.catalog.categories import Category


class TreeCategory(Category):
    """A category in its place: `path` holds the slugs from the root, `depth` is 0 at the root.

    `is_open`: it and all above it are enabled and within their dates now, so that its products may be sold.
    `product_count` are those that stand in it, `branch_product_count` those in it or anywhere below, each once.
    """

    path: list[str]
    depth: int
    is_open: bool
    product_count: int | None
    branch_product_count: int | None


class CategoryTree(Shape):
    """A tree as a list: each category directly before its children, these by position and name."""

    items: list[TreeCategory]


class KnownCategories(Shape):
    """Those of the names asked for that a category at the root has, or has as its slug."""

    names: list[str]


class FindRootCategories(Query[KnownCategories]):
    """Which of these names are categories at the root, as files and platforms name them. Internal."""

    names: list[str]


class GetCategoryTree(Query[CategoryTree]):
    """All your categories at once, or one branch (`root_id`), to a `depth` of so many levels below its root.

    Without `counts`, products are not counted. Raises category_not_found, tree_too_large.
    """

    root_id: UUID | None = None
    depth: Annotated[int, Field(ge=0, le=100)] | None = None
    counts: bool = True


class MoveCategory(Command[Category]):
    """Move a category with its branch below another, or to the root (`parent_id` null).

    `position` counts its siblings from 0; without it, it becomes the last of them. With `version`, only if the
    category still has that one.
    Raises category_not_found, category_below_itself, category_too_deep, slug_taken, category_changed_since.
    """

    category_id: UUID
    parent_id: UUID | None
    position: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    version: int | None = None
