"""The tree of categories as a whole, and a branch's place in it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from services.catalog.errors import TreeTooLarge
from services.catalog.repository import categories
from shared import clock
from shared.contracts.catalog.tree import TreeCategory
from shared.unit_of_work import UnitOfWork

# Beyond it an answer is some ten megabytes.
MOST_CATEGORIES = 20_000


async def read(uow: UnitOfWork, root_id: UUID | None, depth: int | None, *, counts: bool) -> list[TreeCategory]:
    """Each category before its children, these by position, name and id. Raises TreeTooLarge."""
    base = 0 if root_id is None else len(await _above(uow, root_id))
    rows = await uow.fetch(_TREE, root_id, None if depth is None else base + depth, clock.now(), MOST_CATEGORIES + 1)
    if len(rows) > MOST_CATEGORIES:
        raise TreeTooLarge(f"The tree has more than {MOST_CATEGORIES} categories: ask for a branch, or fewer levels.")
    ids = [row["id"] for row in rows]
    own = await _counted(uow, _OWN_PRODUCTS, ids) if counts else None
    branch = await _counted(uow, _BRANCH_PRODUCTS, ids) if counts else None
    return [_shape(uow, row, own, branch) for row in rows]


_OPEN = "c.enabled AND (c.valid_from IS NULL OR c.valid_from <= $3) AND (c.valid_until IS NULL OR c.valid_until > $3)"
# Walked from the roots even for a branch: its path and whether it is open are told from above.
_TREE = f"""
WITH RECURSIVE walk AS (
    SELECT c.id, ARRAY[c.slug] AS path, 0 AS depth, ARRAY[c.id] AS line,
        ARRAY[ROW(c.position, c.name, c.id)] AS place, {_OPEN} AS is_open
    FROM categories c WHERE c.parent_id IS NULL
    UNION ALL
    SELECT c.id, w.path || c.slug, w.depth + 1, w.line || c.id, w.place || ROW(c.position, c.name, c.id),
        w.is_open AND {_OPEN}
    FROM walk w JOIN categories c ON c.parent_id = w.id WHERE $2::integer IS NULL OR w.depth < $2
)
SELECT c.*, w.path, w.depth, w.is_open FROM walk w JOIN ({categories.CATEGORY}) c ON c.id = w.id
WHERE $1::uuid IS NULL OR $1 = ANY (w.line) ORDER BY w.place LIMIT $4
"""  # noqa: S608

_OWN_PRODUCTS = (
    "SELECT p.category_id AS id, count(*) AS products FROM product_categories p WHERE p.category_id = ANY($1)"
    " GROUP BY p.category_id"
)
_BRANCH_PRODUCTS = """
WITH RECURSIVE below AS (
    SELECT id AS top, id FROM unnest($1::uuid[]) AS asked (id)
    UNION ALL SELECT b.top, c.id FROM below b JOIN categories c ON c.parent_id = b.id
)
SELECT b.top AS id, count(DISTINCT p.product_id) AS products
FROM below b JOIN product_categories p ON p.category_id = b.id GROUP BY b.top
"""


async def _counted(uow: UnitOfWork, question: str, ids: list[UUID]) -> dict[UUID, int]:
    return {row["id"]: row["products"] for row in await uow.fetch(question, ids)}


def _shape(
    uow: UnitOfWork, row: Mapping[str, Any], own: Mapping[UUID, int] | None, branch: Mapping[UUID, int] | None
) -> TreeCategory:
    return TreeCategory(
        **dict(categories.shape(uow, row)),
        **{name: row[name] for name in ("path", "depth", "is_open")},
        product_count=None if own is None else own.get(row["id"], 0),
        branch_product_count=None if branch is None else branch.get(row["id"], 0),
    )


async def _above(uow: UnitOfWork, category_id: UUID) -> list[UUID]:
    """What a category stands below, nearest first; without itself."""
    rows = await uow.fetch(
        "WITH RECURSIVE up AS (SELECT id, parent_id, 0 AS distance FROM categories WHERE id = $1"
        " UNION ALL SELECT c.id, c.parent_id, distance + 1 FROM up JOIN categories c ON c.id = up.parent_id)"
        " SELECT id FROM up WHERE distance > 0 ORDER BY distance",
        category_id,
    )
    return [row["id"] for row in rows]


async def line_above(uow: UnitOfWork, category_id: UUID | None) -> list[UUID]:
    """A category and what it stands below, nearest first; nothing for the root."""
    return [] if category_id is None else [category_id, *await _above(uow, category_id)]


async def height(uow: UnitOfWork, category_id: UUID) -> int:
    """How many levels a branch has."""
    return int(
        await uow.fetchval(
            "WITH RECURSIVE down AS (SELECT id, 1 AS level FROM categories WHERE id = $1"
            " UNION ALL SELECT c.id, level + 1 FROM down JOIN categories c ON c.parent_id = down.id)"
            " SELECT max(level) FROM down",
            category_id,
        )
    )


async def sibling_slugs(uow: UnitOfWork, parent_id: UUID | None, but: UUID | None) -> dict[UUID, dict[str, str]]:
    """By sibling its slugs by locale, its own under the empty one. `but` is left out."""
    rows = await uow.fetch(
        "SELECT id, slug, slugs FROM categories WHERE parent_id IS NOT DISTINCT FROM $1 AND id IS DISTINCT FROM $2",
        parent_id,
        but,
    )
    return {row["id"]: {**orjson.loads(row["slugs"]), "": row["slug"]} for row in rows}


async def place(uow: UnitOfWork, category_id: UUID, parent_id: UUID | None, position: int | None) -> None:
    """Put a category below `parent_id`, behind `position` siblings or all; they make room."""
    rows = await uow.fetch(
        "SELECT id FROM categories WHERE parent_id IS NOT DISTINCT FROM $1 AND id <> $2 ORDER BY position, name, id",
        parent_id,
        category_id,
    )
    order = [row["id"] for row in rows]
    order.insert(len(order) if position is None else position, category_id)
    await uow.execute(
        "UPDATE categories c SET parent_id = $2, position = s.position - 1, version = version + 1"
        " FROM unnest($1::uuid[]) WITH ORDINALITY AS s (id, position)"
        " WHERE c.id = s.id AND (c.parent_id IS DISTINCT FROM $2 OR c.position <> s.position - 1)",
        order,
        parent_id,
    )
