"""What a shop's offers are made of, read in sets: a handful of statements for 200 products.

Members of a set are looked up one by one, by index: OFFSET 0 holds PostgreSQL to that. While statistics are behind, it
would rather read all of a tenant's rows (measured after an import of 20,000 rows: 12 ms as a join, 600 with `= ANY`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson

from services.catalog.repository.categories import BRANCH
from shared import clock
from shared.unit_of_work import UnitOfWork

# What is said of a product in a language; see `texts_of_products`.
Texts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the tree a category stands, and whether it is enabled and within its dates."""

    id: UUID
    parent_id: UUID | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class KnownCategory(Place):
    """A category as offers need it."""

    slug: str
    slugs: dict[str, str]
    name: str
    names: dict[str, str]
    position: int


P = TypeVar("P", bound=Place)


async def list_products(uow: UnitOfWork, product_ids: list[UUID]) -> list[asyncpg.Record]:
    return await uow.fetch(
        "SELECT p.* FROM unnest($1::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM products p WHERE p.id = asked.id OFFSET 0) p"
        " ORDER BY p.id",
        product_ids,
    )


async def texts_of_products(uow: UnitOfWork, product_ids: list[UUID], locales: list[str]) -> dict[UUID, Texts]:
    """For each product what is said of it in these locales, text by text in the first that has it."""
    rows = await uow.fetch(
        "SELECT t.* FROM unnest($1::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM product_texts t WHERE t.product_id = asked.id OFFSET 0) t"
        " WHERE t.locale = ANY($2::text[]) ORDER BY array_position($2::text[], t.locale) DESC",
        product_ids,
        locales,
    )
    texts: dict[UUID, Texts] = {}
    for row in rows:
        _overlay(texts.setdefault(row["product_id"], {}), row)
    return texts


def _overlay(texts: Texts, row: asyncpg.Record) -> None:
    """Let `row`, of a nearer locale, have its say."""
    texts |= {name: row[name] for name in WORDS if row[name] is not None}
    for name in _WORDS_BY_NAME:
        texts[name] = texts.get(name, {}) | (orjson.loads(row[name]) if row[name] != "{}" else {})


WORDS = ("title", "description_html", "content_html", "seo_title", "seo_description")
_WORDS_BY_NAME = ("attributes", "option_names", "option_values")


async def variants_of_products(uow: UnitOfWork, product_ids: list[UUID]) -> dict[UUID, list[asyncpg.Record]]:
    return _grouped(
        await uow.fetch(
            "SELECT v.* FROM unnest($1::uuid[]) AS asked (id)"
            " CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.product_id = asked.id OFFSET 0) v"
            " ORDER BY v.product_id, v.position, v.sku",
            product_ids,
        )
    )


async def category_ids_of_products(uow: UnitOfWork, product_ids: list[UUID]) -> dict[UUID, list[UUID]]:
    rows = await uow.fetch(
        "SELECT c.product_id, c.category_id FROM unnest($1::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM product_categories c WHERE c.product_id = asked.id OFFSET 0) c"
        " ORDER BY c.category_id",
        product_ids,
    )
    return {product_id: [row["category_id"] for row in members] for product_id, members in _grouped(rows).items()}


async def categories_with_ancestors(uow: UnitOfWork, category_ids: Iterable[UUID]) -> dict[UUID, KnownCategory]:
    """These categories and everything above them."""
    rows = await uow.fetch(
        f"{_UP} SELECT {_PLACE}, slug, slugs, name, names, position FROM up",  # noqa: S608
        list(category_ids),
        clock.now(),
    )
    return {
        row["id"]: KnownCategory(**{**row, "slugs": orjson.loads(row["slugs"]), "names": orjson.loads(row["names"])})
        for row in rows
    }


async def places_with_ancestors(uow: UnitOfWork, category_ids: Iterable[UUID]) -> dict[UUID, Place]:
    """Where these categories stand, and everything above them."""
    rows = await uow.fetch(f"{_UP} SELECT {_PLACE} FROM up", list(category_ids), clock.now())  # noqa: S608
    return {row["id"]: Place(*row.values()) for row in rows}


_UP = (
    "WITH RECURSIVE up AS (SELECT c.* FROM categories c WHERE c.id = ANY($1)"
    " UNION SELECT c.* FROM up JOIN categories c ON c.id = up.parent_id)"
)
_PLACE = (
    "id, parent_id, enabled AND (valid_from IS NULL OR valid_from <= $2)"
    " AND (valid_until IS NULL OR valid_until > $2) AS is_open"
)


def path_of(category_id: UUID, known: Mapping[UUID, P]) -> list[P]:
    """A category with what stands above it, from the root down."""
    path = []
    step: UUID | None = category_id
    while step is not None:
        path.append(known[step])
        step = known[step].parent_id
    return path[::-1]


def assigned_paths(category_ids: Iterable[UUID], known: Mapping[UUID, P], assigned: set[UUID]) -> list[list[P]]:
    """The paths of those categories that a shop sells: open all the way, and assigned themselves or from above."""
    paths = [path_of(category_id, known) for category_id in category_ids]
    return [path for path in paths if all(c.is_open for c in path) and any(c.id in assigned for c in path)]


async def assigned_category_ids(uow: UnitOfWork, shop_id: UUID) -> set[UUID]:
    rows = await uow.fetch("SELECT category_id FROM shop_categories WHERE shop_id = $1", shop_id)
    return {row["category_id"] for row in rows}


async def variants_by_sku(uow: UnitOfWork, skus: list[str]) -> dict[str, asyncpg.Record]:
    """Variants as lines need them, each with what its product is called and where that stands."""
    rows = await uow.fetch(
        "SELECT v.id, v.sku, v.product_id, v.option_values, v.weight_grams, v.tax_class, v.price_on_request,"
        " v.order_minimum, v.order_maximum, v.order_step, p.title, p.status,"
        " ARRAY(SELECT c.category_id FROM product_categories c WHERE c.product_id = v.product_id ORDER BY 1)"
        " AS category_ids FROM unnest($1::text[]) AS asked (sku)"
        " CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.sku = asked.sku OFFSET 0) v"
        " CROSS JOIN LATERAL (SELECT * FROM products p WHERE p.id = v.product_id OFFSET 0) p",
        skus,
    )
    return {row["sku"]: row for row in rows}


async def product_ids_by_sku(uow: UnitOfWork, skus: list[str]) -> dict[str, UUID]:
    rows = await uow.fetch(
        "SELECT v.sku, v.product_id FROM unnest($1::text[]) AS asked (sku)"
        " CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.sku = asked.sku OFFSET 0) v",
        skus,
    )
    return {row["sku"]: row["product_id"] for row in rows}


async def list_product_ids(uow: UnitOfWork, after: UUID | None, first: int) -> list[UUID]:
    rows = await uow.fetch(
        "SELECT id FROM products WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2", after, first
    )
    return [row["id"] for row in rows]


async def list_product_ids_in(uow: UnitOfWork, category_ids: list[UUID], after: UUID | None, first: int) -> list[UUID]:
    """Products in these categories or below them, also those that stand there in a channel alone."""
    rows = await uow.fetch(
        f"{BRANCH} SELECT product_id FROM product_categories JOIN branch ON branch.id = category_id"  # noqa: S608
        " WHERE $2::uuid IS NULL OR product_id > $2"
        " UNION SELECT product_id FROM channel_product_categories JOIN branch ON branch.id = category_id"
        " WHERE $2::uuid IS NULL OR product_id > $2 ORDER BY product_id LIMIT $3",
        category_ids,
        after,
        first,
    )
    return [row["product_id"] for row in rows]


def _grouped(rows: Iterable[asyncpg.Record]) -> dict[UUID, list[asyncpg.Record]]:
    groups: dict[UUID, list[asyncpg.Record]] = {}
    for row in rows:
        groups.setdefault(row["product_id"], []).append(row)
    return groups
