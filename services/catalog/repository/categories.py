"""Categories: by their ids, and by their paths, found or made."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from services.catalog.errors import CategoryNotFound
from shared.contracts.catalog.categories import Category
from shared.identifiers import new_id
from shared.impex.keys import is_slug, slug
from shared.unit_of_work import UnitOfWork

Path = tuple[str, ...]

# The categories $1 and everything below them, for a statement to go on from.
BRANCH = (
    "WITH RECURSIVE branch (id) AS (SELECT unnest($1::uuid[]) UNION"
    " SELECT c.id FROM categories c JOIN branch b ON c.parent_id = b.id)"
)


@dataclass(frozen=True, slots=True)
class NewCategory:
    """A category that a path asks for and that is not there."""

    id: UUID
    parent_id: UUID | None
    slug: str
    name: str


def category_slug(name: str) -> str:
    """A slug for any name, also for one without a single letter or digit."""
    return slug(name)[:200].strip("-") or f"category-{hashlib.blake2s(name.encode(), digest_size=4).hexdigest()}"


async def known_by_place(uow: UnitOfWork, paths: Iterable[Path]) -> dict[tuple[UUID | None, str], UUID]:
    """Categories that a step of `paths` may mean: by parent and slug."""
    names = {name for path in paths for name in path}
    return await known_by_slug(uow, list({category_slug(name) for name in names} | set(filter(is_slug, names))))


async def known_by_slug(uow: UnitOfWork, slugs: list[str]) -> dict[tuple[UUID | None, str], UUID]:
    """All categories with one of these slugs, wherever they stand: by parent and slug, its own or that of a language.

    So no path makes a category at an address that a sibling has in some language.
    """
    rows = await uow.fetch(
        "SELECT category_id AS id, parent_id, slug FROM category_slugs WHERE slug = ANY($1)"
        " UNION ALL SELECT id, parent_id, slug FROM categories WHERE slug = ANY($1)",
        slugs,
    )
    return {(row["parent_id"], row["slug"]): row["id"] for row in rows}


def place(
    paths: Iterable[Path], known: Mapping[tuple[UUID | None, str], UUID]
) -> tuple[dict[Path, UUID], list[NewCategory]]:
    """The category at the end of each path, and those that have to be made, parents first.

    A step is the slug of a category, to the letter, or else a name that makes that slug (see `step_of`).
    """
    places = dict(known)
    ends: dict[Path, UUID] = {}
    made: list[NewCategory] = []
    for path in paths:
        parent: UUID | None = None
        for name in path:
            step = category_slug(name)
            found = places.get((parent, name)) or places.get((parent, step))
            if found is None:
                found = places[parent, step] = new_id()
                made.append(NewCategory(found, parent, step, name))
            parent = found
        if parent is not None:
            ends[path] = parent
    return ends, made


class Counted:
    """Counts categories that are made, and in a dry run, whose portions do not see each other, each of them once."""

    def __init__(self, *, is_dry: bool) -> None:
        self._is_dry = is_dry
        self._seen: set[tuple[str, ...]] = set()

    def count(self, new: Iterable[NewCategory]) -> int:
        """How many of these are new; parents come first."""
        keys: dict[UUID | None, tuple[str, ...]] = {}
        for category in new:
            keys[category.id] = (*keys.get(category.parent_id, (str(category.parent_id),)), category.slug)
        fresh = set(keys.values()) - self._seen
        if self._is_dry:
            self._seen |= fresh
        return len(fresh)


def step_of(known_slug: str, name: str) -> str:
    """What a path calls a category so that `place` finds it: its name, or its slug where another would be found."""
    if category_slug(name) == known_slug and (name == known_slug or not is_slug(name)):
        return name
    return known_slug


async def make(uow: UnitOfWork, new: list[NewCategory], shop_id: UUID | None) -> None:
    """Make categories, and assign those that stand at the root to a shop."""
    await uow.execute(
        "INSERT INTO categories (organization_id, id, parent_id, slug, name)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[])",
        uow.organization_id,
        [category.id for category in new],
        [category.parent_id for category in new],
        [category.slug for category in new],
        [category.name for category in new],
    )
    roots = [category.id for category in new if category.parent_id is None]
    if shop_id is not None and roots:
        await assign(uow, shop_id, roots)


async def assign(uow: UnitOfWork, shop_id: UUID, category_ids: list[UUID]) -> None:
    """Sell these categories, and with each its branch, in a shop. Safe to repeat."""
    await uow.execute(
        "INSERT INTO shop_categories (organization_id, shop_id, category_id) SELECT $1, $2, unnest($3::uuid[])"
        " ON CONFLICT DO NOTHING",
        uow.organization_id,
        shop_id,
        category_ids,
    )


async def unassign(uow: UnitOfWork, shop_id: UUID, category_ids: list[UUID]) -> None:
    await uow.execute("DELETE FROM shop_categories WHERE shop_id = $1 AND category_id = ANY($2)", shop_id, category_ids)


async def assigned_above(uow: UnitOfWork, shop_id: UUID, category_id: UUID) -> str | None:
    """The slug of the nearest category above this one that a shop is assigned, where this one itself is not."""
    slug: str | None = await uow.fetchval(
        "WITH RECURSIVE up AS (SELECT id, parent_id, slug, 0 AS distance FROM categories WHERE id = $2"
        " UNION ALL SELECT c.id, c.parent_id, c.slug, distance + 1 FROM up JOIN categories c ON c.id = up.parent_id)"
        " SELECT nullif(up.slug, CASE WHEN up.distance = 0 THEN up.slug END) FROM up JOIN shop_categories s"
        " ON (s.shop_id, s.category_id) = ($1, up.id) ORDER BY up.distance LIMIT 1",
        shop_id,
        category_id,
    )
    return slug


async def having_assignments(uow: UnitOfWork, shop_ids: list[UUID]) -> set[UUID]:
    """Which of these shops have assignments of their own. Who asks this too waits until this transaction ends."""
    await uow.execute("SELECT FROM shops WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", shop_ids)
    rows = await uow.fetch("SELECT DISTINCT shop_id FROM shop_categories WHERE shop_id = ANY($1)", shop_ids)
    return {row["shop_id"] for row in rows}


async def get(uow: UnitOfWork, category_id: UUID) -> Category:
    """Raises CategoryNotFound."""
    rows = await uow.fetch(f"{CATEGORY} WHERE c.id = $1", category_id)
    if not rows:
        raise CategoryNotFound("There is no such category.")
    return shape(uow, rows[0])


async def list_by_name(
    uow: UnitOfWork, *, parent_id: UUID | None, roots_only: bool, after: tuple[str, str] | None, first: int
) -> list[Category]:
    """Categories by name: the children of one, the roots, or all. `after` is name and id of the last one seen."""
    rows = await uow.fetch(
        f"{CATEGORY} WHERE ($1::uuid IS NULL OR c.parent_id = $1) AND (NOT $2 OR c.parent_id IS NULL)"
        " AND ($3::text IS NULL OR (c.name, c.id::text) > ($3, $4)) ORDER BY c.name, c.id::text LIMIT $5",
        parent_id,
        roots_only,
        *(after or (None, "")),
        first,
    )
    return [shape(uow, row) for row in rows]


CATEGORY = (
    "SELECT c.*, ARRAY(SELECT jsonb_build_object('id', s.id, 'code', s.code)::text FROM shop_categories a"
    " JOIN shops s ON s.id = a.shop_id WHERE a.category_id = c.id AND NOT s.is_removed ORDER BY s.code) AS assigned"
    " FROM categories c"
)


def shape(uow: UnitOfWork, row: Mapping[str, Any]) -> Category:
    return Category(
        **{name: row[name] for name in _PLAIN},
        names=orjson.loads(row["names"]),
        slugs=orjson.loads(row["slugs"]),
        shops=list(_seen(uow, row["assigned"])),
    )


_PLAIN = ("id", "parent_id", "slug", "name", "enabled", "valid_from", "valid_until", "position", "version")


def _seen(uow: UnitOfWork, assigned: Iterable[str]) -> Iterable[str]:
    for shop in map(orjson.loads, assigned):
        if uow.caller.sees_shop(UUID(shop["id"])):
            yield shop["code"]
