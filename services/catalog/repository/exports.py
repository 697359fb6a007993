"""Exports as they were asked for, and what they read: some products with all that belongs to them, in sets."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.errors import ExportNotFound
from services.catalog.repository import offers
from services.catalog.repository.categories import BRANCH, step_of
from shared import clock
from shared.impex.writing_products import PricePair
from shared.unit_of_work import UnitOfWork

_EXPORT = (
    "SELECT e.*, s.code AS shop, j.state, j.done, j.total, j.counters, j.error, j.requested_by, j.started_at,"
    " j.finished_at, j.result_files FROM exports e JOIN jobs j ON j.id = e.job_id LEFT JOIN shops s ON s.id = e.shop_id"
)


async def add(
    uow: UnitOfWork,
    export_id: UUID,
    job_id: UUID,
    *,
    group: str,
    file_format: str,
    profile: str,
    zipped: bool,
    shop_id: UUID | None,
    wanted: Mapping[str, Any],
) -> None:
    await uow.execute(
        "INSERT INTO exports (organization_id, id, job_id, item_group, format, profile, zipped, shop_id, filter)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        uow.organization_id,
        export_id,
        job_id,
        group,
        file_format,
        profile,
        zipped,
        shop_id,
        orjson.dumps(wanted).decode(),
    )


async def get(uow: UnitOfWork, export_id: UUID) -> asyncpg.Record:
    """An export with its job. Raises ExportNotFound, also for a shop outside the caller's limit."""
    row = await uow.fetchrow(f"{_EXPORT} WHERE e.id = $1", export_id)
    if row is None or not _is_seen(uow, row):
        raise ExportNotFound("There is no such export.")
    return row


async def list_newest(uow: UnitOfWork, after: UUID | None, first: int) -> list[asyncpg.Record]:
    """Newest first, those of the caller's shops alone."""
    return await uow.fetch(
        f"{_EXPORT} WHERE ($1::uuid IS NULL OR e.id < $1) AND ($2::uuid[] IS NULL OR e.shop_id = ANY($2))"
        " ORDER BY e.id DESC LIMIT $3",
        after,
        uow.caller.shop_limit,
        first,
    )


def _is_seen(uow: UnitOfWork, row: asyncpg.Record) -> bool:
    return uow.caller.shop_ids is None or (row["shop_id"] is not None and uow.caller.sees_shop(row["shop_id"]))


# --- what is read


@asynccontextmanager
async def one_view(uow: UnitOfWork) -> AsyncIterator[UnitOfWork]:
    """Everything read inside is as it was at one moment. Only before anything else is read."""
    await uow.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    try:
        yield uow
    finally:
        await uow.rollback()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which products. None: whichever; `category_ids` and `assigned_ids` are whole branches."""

    status: list[str] | None = None
    brand: str | None = None
    changed_since: datetime | None = None
    product_ids: list[UUID] | None = None
    category_ids: list[UUID] | None = None
    assigned_ids: list[UUID] | None = None

    def among(self, product_ids: Sequence[UUID]) -> "Wanted":
        """Those of these that are wanted."""
        ids = set(product_ids) if self.product_ids is None else set(product_ids) & set(self.product_ids)
        return replace(self, product_ids=sorted(ids))

    def arguments(self) -> tuple[Any, ...]:
        return (
            self.status,
            self.brand,
            self.changed_since,
            self.product_ids,
            self.category_ids,
            self.assigned_ids,
        )


_STANDS_IN = "EXISTS (SELECT FROM product_categories c WHERE c.product_id = p.id AND c.category_id = ANY({}))"
_IS_WANTED = f"""
($1::text[] IS NULL OR p.status = ANY($1)) AND ($2::text IS NULL OR p.brand = $2)
AND ($3::timestamptz IS NULL OR p.updated_at > $3) AND ($4::uuid[] IS NULL OR p.id = ANY($4))
AND ($5::uuid[] IS NULL OR {_STANDS_IN.format("$5")}) AND ($6::uuid[] IS NULL OR {_STANDS_IN.format("$6")})
"""


async def extent(uow: UnitOfWork, wanted: Wanted) -> tuple[int, UUID | None]:
    """How many products are wanted now, and the last of them."""
    arguments = wanted.arguments()
    number = await uow.fetchval(f"SELECT count(*) FROM products p WHERE {_IS_WANTED}", *arguments)  # noqa: S608
    last = await uow.fetchval(
        f"SELECT p.id FROM products p WHERE {_IS_WANTED} ORDER BY p.id DESC LIMIT 1",  # noqa: S608
        *arguments,
    )
    return number, last


_KEYS = "p.id, p.slug"
_WHOLE = (
    f"{_KEYS}, p.title, p.description_html, p.brand, p.product_type, p.tags, p.status, p.seo_title, p.seo_description,"
    " p.options, p.attributes, p.images, p.content_html, p.featured, p.media, p.alts"
)


async def list_products(
    uow: UnitOfWork, wanted: Wanted, after: UUID | None, last: UUID, first: int, *, whole: bool
) -> list[asyncpg.Record]:
    """Products by id, behind `after` and up to `last`: all of their own columns, or id and slug."""
    # By the key and no further than asked, whatever the statistics say.
    await uow.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    return await uow.fetch(
        f"SELECT {_WHOLE if whole else _KEYS} FROM products p"  # noqa: S608
        f" WHERE ($7::uuid IS NULL OR p.id > $7) AND p.id <= $8 AND {_IS_WANTED} ORDER BY p.id LIMIT $9",
        *wanted.arguments(),
        after,
        last,
        first,
    )


async def variants_of(uow: UnitOfWork, product_ids: list[UUID]) -> dict[UUID, list[asyncpg.Record]]:
    """In their order."""
    rows = await uow.fetch(
        "SELECT v.id, v.product_id, v.sku, v.option_values, v.barcode, v.mpn, v.weight_grams, v.requires_shipping,"
        " v.taxable, v.tax_class, v.image_url, v.barcodes, v.attributes, v.price_on_request, v.weight_value,"
        " v.weight_unit, v.length_value, v.width_value, v.height_value, v.dimension_unit, v.order_minimum,"
        " v.order_maximum, v.order_step FROM unnest($1::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.product_id = asked.id OFFSET 0) v"
        " ORDER BY v.product_id, v.position, v.sku",
        product_ids,
    )
    found: dict[UUID, list[asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(row["product_id"], []).append(row)
    return found


async def texts_of(uow: UnitOfWork, product_ids: list[UUID]) -> dict[UUID, list[asyncpg.Record]]:
    """What products say in other languages."""
    rows = await uow.fetch(
        "SELECT t.* FROM unnest($1::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM product_texts t WHERE t.product_id = asked.id OFFSET 0) t",
        product_ids,
    )
    found: dict[UUID, list[asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(row["product_id"], []).append(row)
    return found


async def languages_of(uow: UnitOfWork, wanted: Wanted) -> dict[str, set[str]]:
    """By language, the fields in which one of these products says something."""
    texts = await uow.fetch(
        "SELECT t.locale, bool_or(t.title <> '') AS title, bool_or(t.description_html <> '') AS description_html,"  # noqa: S608
        " bool_or(t.content_html <> '') AS content_html, bool_or(t.seo_title <> '') AS seo_title,"
        " bool_or(t.seo_description <> '') AS seo_description, bool_or(t.attributes <> '{}') AS attributes,"
        " bool_or(t.option_names <> '{}') AS option_names, bool_or(t.option_values <> '{}') AS option_values"
        f" FROM products p JOIN product_texts t ON t.product_id = p.id WHERE {_IS_WANTED} GROUP BY t.locale",
        *wanted.arguments(),
    )
    found = {row["locale"]: {name for name, is_said in row.items() if is_said is True} for row in texts}
    shown = await uow.fetch(
        "SELECT DISTINCT w.locale, a.url IN (SELECT m ->> 'url' FROM jsonb_array_elements(p.media) m) AS of_media"  # noqa: S608
        " FROM products p CROSS JOIN LATERAL jsonb_each(p.alts) AS a (url, words)"
        " CROSS JOIN LATERAL jsonb_each_text(a.words) AS w (locale, words)"
        f" WHERE p.alts <> '{{}}' AND w.words <> '' AND {_IS_WANTED}",
        *wanted.arguments(),
    )
    for row in shown:
        found.setdefault(row["locale"], set()).add("media_texts" if row["of_media"] else "image_texts")
    return found


async def paths_of(uow: UnitOfWork, product_ids: list[UUID]) -> dict[UUID, list[list[str]]]:
    """Where products stand."""
    memberships = await offers.category_ids_of_products(uow, product_ids)
    paths = await paths_to(uow, {id_ for ids in memberships.values() for id_ in ids})
    return {product_id: [paths[id_] for id_ in ids] for product_id, ids in memberships.items()}


async def paths_to(uow: UnitOfWork, category_ids: set[UUID]) -> dict[UUID, list[str]]:
    """The steps to each of these categories, as an import finds it again."""
    known = await offers.categories_with_ancestors(uow, category_ids)
    return {id_: [step_of(step.slug, step.name) for step in offers.path_of(id_, known)] for id_ in category_ids}


async def tiers_of(uow: UnitOfWork, price_list_id: UUID, variant_ids: list[UUID]) -> list[asyncpg.Record]:
    """The prices of one list by variant and quantity: those without dates, for every centre, as files have them."""
    return await uow.fetch(
        "SELECT p.variant_id, p.minimum_quantity, p.price, p.list_price FROM unnest($2::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM prices p WHERE p.variant_id = asked.id OFFSET 0) p"
        " WHERE p.price_list_id = $1"
        " AND p.price IS NOT NULL AND p.centre = '' AND p.starts_at = '-infinity' AND p.ends_at IS NULL"
        " ORDER BY p.variant_id, p.minimum_quantity",
        price_list_id,
        variant_ids,
    )


async def all_tiers_of(uow: UnitOfWork, price_list_ids: list[UUID], variant_ids: list[UUID]) -> list[asyncpg.Record]:
    """Every price of these lists by variant, list, quantity, centre and beginning."""
    return await uow.fetch(
        "SELECT p.variant_id, p.price_list_id, p.minimum_quantity, p.price, p.list_price, p.centre,"
        " nullif(p.starts_at, '-infinity') AS starts_at, p.ends_at FROM unnest($2::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM prices p WHERE p.variant_id = asked.id OFFSET 0) p"
        " JOIN unnest($1::uuid[]) WITH ORDINALITY AS l (id, place) ON l.id = p.price_list_id"
        " ORDER BY p.variant_id, l.place, p.minimum_quantity, p.centre, p.starts_at",
        price_list_ids,
        variant_ids,
    )


def single_prices(tiers: Iterable[Mapping[str, Any]]) -> dict[UUID, PricePair]:
    """Prices of one piece, which is what a row of products has."""
    return {row["variant_id"]: (row["price"], row["list_price"]) for row in tiers if row["minimum_quantity"] == 1}


async def branch_ids(uow: UnitOfWork, category_id: UUID) -> list[UUID]:
    """A category with all below it."""
    rows = await uow.fetch(f"{BRANCH} SELECT id FROM branch", [category_id])  # noqa: S608
    return [row["id"] for row in rows]


async def sold_category_ids(uow: UnitOfWork, assigned: Iterable[UUID]) -> list[UUID]:
    """Categories that are open now all the way from the root, and assigned themselves or from above."""
    rows = await uow.fetch(
        _SOLD,
        list(assigned),
        clock.now(),
    )
    return [row["id"] for row in rows]


_IS_OPEN = (
    "c.enabled AND (c.valid_from IS NULL OR c.valid_from <= $2) AND (c.valid_until IS NULL OR c.valid_until > $2)"
)
_SOLD = f"""
WITH RECURSIVE tree (id, assigned) AS (
    SELECT c.id, c.id = ANY($1::uuid[]) FROM categories c WHERE c.parent_id IS NULL AND {_IS_OPEN}
    UNION ALL
    SELECT c.id, t.assigned OR c.id = ANY($1) FROM tree t JOIN categories c ON c.parent_id = t.id WHERE {_IS_OPEN}
)
SELECT id FROM tree WHERE assigned
"""  # noqa: S608


async def category_extent(uow: UnitOfWork, within: list[UUID] | None) -> tuple[int, UUID | None]:
    """How many categories there are now, and the last of them."""
    asked = "FROM categories c WHERE $1::uuid[] IS NULL OR c.id = ANY($1)"
    number = await uow.fetchval(f"SELECT count(*) {asked}", within)
    return number, await uow.fetchval(f"SELECT c.id {asked} ORDER BY c.id DESC LIMIT 1", within)


async def list_categories(
    uow: UnitOfWork, within: list[UUID] | None, shop_ids: list[UUID] | None, after: UUID | None, last: UUID, first: int
) -> list[tuple[Sequence[str], asyncpg.Record]]:
    """Categories by id, each with its path and the codes of the shops it is assigned to: of these, or all of them."""
    rows = await uow.fetch(
        "SELECT c.id, c.slug, c.name, c.names, c.slugs, c.enabled, c.valid_from, c.valid_until, c.position,"
        " ARRAY(SELECT s.code FROM shop_categories a JOIN shops s ON s.id = a.shop_id"
        "   WHERE a.category_id = c.id AND NOT s.is_removed AND ($2::uuid[] IS NULL OR s.id = ANY($2)) ORDER BY s.code)"
        " AS shops FROM categories c WHERE ($1::uuid[] IS NULL OR c.id = ANY($1))"
        " AND ($3::uuid IS NULL OR c.id > $3) AND c.id <= $4 ORDER BY c.id LIMIT $5",
        within,
        shop_ids,
        after,
        last,
        first,
    )
    known = await offers.categories_with_ancestors(uow, [row["id"] for row in rows])
    return [([step_of(step.slug, step.name) for step in offers.path_of(row["id"], known)], row) for row in rows]


async def needed_keys(uow: UnitOfWork, keys: Mapping[str, UUID], since: datetime) -> set[str]:
    """Of files, by the export they belong to, those that are still wanted: of one at work, and results since then."""
    rows = await uow.fetch(
        "SELECT e.id, j.finished_at, j.result_files FROM exports e JOIN jobs j ON j.id = e.job_id"
        " WHERE e.id = ANY($1) AND (j.finished_at IS NULL OR j.finished_at > $2)",
        list(set(keys.values())),
        since,
    )
    working = {row["id"] for row in rows if row["finished_at"] is None}
    results = {file["key"] for row in rows for file in orjson.loads(row["result_files"])}
    return {key for key, export_id in keys.items() if export_id in working or key in results}
