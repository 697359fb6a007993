"""One chunk of an import, written in sets.

Rows go by COPY into temporary tables, because COPY is refused on tables with row-level security, and move on from there
by INSERT … SELECT and UPDATE under the policy. Only rows that differ are written (CAT-8).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.repository import further_fields
from services.catalog.repository.further_fields import Further
from shared.unit_of_work import UnitOfWork

_STAGED = {
    "products": """
        id uuid, is_new boolean, slug text, title text, description_html text, brand text, product_type text,
        tags text[], status text, seo_title text, seo_description text, options text[], attributes jsonb, images jsonb
    """,
    "variants": """
        id uuid, is_new boolean, product_id uuid, sku text, sku_generated boolean, position integer,
        option_values text[], option_key text, barcode text, mpn text, weight_grams integer, weight_value numeric,
        weight_unit text, tax_class text, requires_shipping boolean, taxable boolean, image_url text, price bigint,
        list_price bigint
    """,
    "categories": "product_id uuid, category_id uuid",
}
_TABLES = ";".join(
    f"CREATE TEMPORARY TABLE staged_{name} ({columns}) ON COMMIT DROP" for name, columns in _STAGED.items()
)


@dataclass(frozen=True, slots=True)
class KnownVariant:
    id: UUID
    sku: str
    option_values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownProduct:
    id: UUID
    options: tuple[str, ...]
    variants: tuple[KnownVariant, ...]
    has_category: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What the catalog has of the slugs and SKUs in question: products by slug, and SKUs with their product's slug."""

    products: Mapping[str, KnownProduct]
    owners: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Written:
    """Ids of what one statement wrote."""

    inserted: set[UUID]
    updated: set[UUID]


async def owners_of(uow: UnitOfWork, skus: list[str]) -> dict[str, str]:
    """The slug of the product that has each of these SKUs."""
    await uow.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    rows = await uow.fetch(_OWNERS, skus)
    return {row["sku"]: row["slug"] for row in rows}


_OWNERS = (
    "SELECT v.sku, p.slug FROM unnest($1::text[]) AS asked (sku)"
    " CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.sku = asked.sku OFFSET 0) v"
    " CROSS JOIN LATERAL (SELECT * FROM products p WHERE p.id = v.product_id OFFSET 0) p"
)


async def stored_of(uow: UnitOfWork, slugs: list[str], skus: list[str]) -> Stored:
    """What the catalog has under these slugs and SKUs."""
    # The tables may have grown tenfold since a plan was cached.
    await uow.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    products = await uow.fetch(
        "SELECT p.id, p.slug, p.options, EXISTS (SELECT FROM product_categories c WHERE c.product_id = p.id) AS placed"
        " FROM unnest($1::text[]) AS asked (slug)"
        " CROSS JOIN LATERAL (SELECT * FROM products p WHERE p.slug = asked.slug OFFSET 0) p",
        slugs,
    )
    variants: dict[UUID, list[KnownVariant]] = {row["id"]: [] for row in products}
    for row in await uow.fetch(
        "SELECT v.id, v.product_id, v.sku, v.option_values FROM unnest($1::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.product_id = asked.id OFFSET 0) v ORDER BY v.position",
        list(variants),
    ):
        variants[row["product_id"]].append(KnownVariant(row["id"], row["sku"], tuple(row["option_values"])))
    owners = await uow.fetch(_OWNERS, skus)
    return Stored(
        {
            row["slug"]: KnownProduct(row["id"], tuple(row["options"]), tuple(variants[row["id"]]), row["placed"])
            for row in products
        },
        {row["sku"]: row["slug"] for row in owners},
    )


async def places_there(uow: UnitOfWork, slugs: Sequence[str], skus: Sequence[tuple[int, str]]) -> set[int]:
    """Of products with these slugs, and SKUs by the place of their product, the places of which the catalog has any."""
    await uow.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    found: list[int] | None = await uow.fetchval(
        "SELECT array_agg(place) FROM ("
        " SELECT asked.place - 1 AS place FROM unnest($1::text[]) WITH ORDINALITY AS asked (slug, place)"
        " CROSS JOIN LATERAL (SELECT FROM products p WHERE p.slug = asked.slug OFFSET 0) p"
        " UNION ALL SELECT asked.place FROM unnest($2::integer[], $3::text[]) AS asked (place, sku)"
        " CROSS JOIN LATERAL (SELECT FROM variants v WHERE v.sku = asked.sku OFFSET 0) v) there",
        list(slugs),
        [place for place, _ in skus],
        [sku for _, sku in skus],
    )
    return set(found or ())


Row = tuple[Any, ...]
Rows = Iterable[Row]


async def stage(uow: UnitOfWork, *, products: Rows, variants: Rows, categories: Rows, in_full: bool = False) -> None:
    """Make the temporary tables and fill them with rows as wide as they are; `in_full` with the further columns."""
    await uow.execute(_TABLES)
    if in_full:
        await uow.execute(further_fields.TABLES)
    # Few rows meet many: each by index. Of tables without statistics the planner would rather read all of a tenant's.
    await uow.execute(
        "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
    )
    connection = await uow.connection()
    staged = {"products": products, "variants": variants, "categories": categories}
    for name, rows in staged.items():
        # By their names: the driver remembers what all columns of a table were when it last was there.
        columns = _columns(name, in_full=in_full)
        await connection.copy_records_to_table(f"staged_{name}", columns=columns, records=rows)


def _columns(name: str, *, in_full: bool) -> list[str]:
    plain = [column.split()[0] for column in _STAGED[name].split(",")]
    return [*plain, *further_fields.STAGED.get(name, {})] if in_full else plain


async def write_products(uow: UnitOfWork, *, has_known: bool, in_full: bool = False) -> Written:
    """New products, and known ones whose own fields differ. An empty cell leaves what is stored."""
    further = further_fields.OF_PRODUCTS if in_full else {}
    inserted = await uow.fetch(_insert_products(further), uow.organization_id)
    updated = await _updated(uow, _update_products(further)) if has_known else []
    return Written({row["id"] for row in inserted}, {row["id"] for row in updated})


async def _updated(uow: UnitOfWork, statement: str) -> list[asyncpg.Record]:
    """What an UPDATE by ids wrote. Its rows are found by index, and then joined in sets with all that are staged."""
    await uow.execute("SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off")
    rows = await uow.fetch(statement)
    await uow.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = on")
    return rows


def _insert_products(further: Mapping[str, Further]) -> str:
    return f"""
INSERT INTO products (organization_id, id, slug, title, description_html, brand, product_type, tags, status, seo_title,
    seo_description, options, attributes, images{_names(further)})
SELECT $1, id, slug, title, coalesce(description_html, ''), brand, product_type, coalesce(tags, '{{}}'),
    coalesce(status, 'active'), seo_title, seo_description, coalesce(options, '{{}}'), attributes,
    coalesce(images, '[]'){_made(further)}
FROM staged_products WHERE is_new RETURNING id
"""  # noqa: S608


def _names(further: Mapping[str, Further]) -> str:
    return "".join(f", {name}" for name in further)


def _made(further: Mapping[str, Further]) -> str:
    return "".join(f", {field.made}" for field in further.values())


def _difference(table: str, columns: Sequence[str], said: Sequence[str], also: str, returning: str) -> str:
    """An UPDATE of the rows whose staged columns say something else; a staged null says nothing."""
    assignments = ", ".join(f"{column} = {value}" for column, value in zip(columns, said, strict=True))
    stored = ", ".join(f"t.{column}" for column in columns)
    known = f"ARRAY(SELECT id FROM staged_{table} WHERE NOT is_new)"  # noqa: S608
    return (
        f"UPDATE {table} t SET {assignments}{also} FROM staged_{table} s WHERE t.id = ANY({known}) AND t.id = s.id"  # noqa: S608
        f" AND NOT s.is_new AND ({stored}) IS DISTINCT FROM ({', '.join(said)}) RETURNING t.{returning}"
    )


_PRODUCT_COLUMNS = (
    *("title", "description_html", "brand", "product_type", "tags", "status", "seo_title", "seo_description"),
    *("options", "images"),
)


def _update_products(further: Mapping[str, Further]) -> str:
    said = (f"coalesce(s.{column}, t.{column})" for column in _PRODUCT_COLUMNS)
    return _difference(
        "products",
        (*_PRODUCT_COLUMNS, "attributes", *further),
        (*said, "t.attributes || s.attributes", *(field.said for field in further.values())),
        ", version = t.version + 1, updated_at = now()",
        "id",
    )


async def write_variants(uow: UnitOfWork, *, has_known: bool, in_full: bool = False) -> tuple[Written, set[UUID]]:
    """New variants, and known ones that differ; and the products they belong to."""
    inserted = await uow.fetch(_insert_variants(further_fields.OF_VARIANTS if in_full else {}), uow.organization_id)
    statement = _UPDATE_VARIANTS_IN_FULL if in_full else _UPDATE_VARIANTS
    updated = await _updated(uow, statement) if has_known else []
    product_ids = {row["product_id"] for rows in (inserted, updated) for row in rows}
    return Written({row["id"] for row in inserted}, {row["id"] for row in updated}), product_ids


def _insert_variants(further: Mapping[str, Further]) -> str:
    return f"""
INSERT INTO variants (organization_id, id, product_id, sku, sku_generated, position, option_values, option_key, barcode,
    mpn, weight_grams, weight_value, weight_unit, tax_class, requires_shipping, taxable, image_url{_names(further)})
SELECT $1, id, product_id, sku, sku_generated, position, option_values, option_key, barcode, mpn, weight_grams,
    weight_value, weight_unit, tax_class, coalesce(requires_shipping, true), coalesce(taxable, true),
    image_url{_made(further)}
FROM staged_variants WHERE is_new RETURNING id, product_id
"""  # noqa: S608


_VARIANT_COLUMNS = (
    *("option_values", "option_key", "barcode", "mpn", "weight_grams", "tax_class", "requires_shipping"),
    *("taxable", "image_url"),
)


def _update_variants(further: Mapping[str, Further]) -> str:
    fields = {**further_fields.OF_WEIGHTS, **further}
    said = (f"coalesce(s.{column}, t.{column})" for column in _VARIANT_COLUMNS)
    return _difference(
        "variants",
        (*_VARIANT_COLUMNS, *fields),
        (*said, *(field.said for field in fields.values())),
        "",
        "id, t.product_id",
    )


_UPDATE_VARIANTS_IN_FULL = _update_variants(further_fields.OF_VARIANTS)
_UPDATE_VARIANTS = _update_variants({})


async def write_categories(uow: UnitOfWork) -> set[UUID]:
    """Put products into the categories the file names; they stay in those they are in. Returns the products moved."""
    rows = await uow.fetch(
        "INSERT INTO product_categories (organization_id, product_id, category_id)"
        " SELECT DISTINCT $1::uuid, product_id, category_id FROM staged_categories ON CONFLICT DO NOTHING"
        " RETURNING product_id",
        uow.organization_id,
    )
    return {row["product_id"] for row in rows}


async def write_prices(uow: UnitOfWork, price_list_id: UUID, *, has_list_price: bool) -> Written:
    """Prices by variant. Without a column for list prices those that are stored stay."""
    rows = await uow.fetch(_WRITE_PRICES, uow.organization_id, price_list_id, has_list_price)
    new = {row["variant_id"] for row in rows if row["is_new"]}
    return Written(new, {row["variant_id"] for row in rows} - new)


# A row that this statement inserted has no xmax yet; one that it updated has its own.
_WRITE_PRICES = """
INSERT INTO prices AS t (organization_id, price_list_id, variant_id, minimum_quantity, price, list_price)
SELECT $1, $2, id, 1, price, list_price FROM staged_variants WHERE price IS NOT NULL
ON CONFLICT (organization_id, variant_id, price_list_id, minimum_quantity, centre, starts_at) DO UPDATE
SET price = excluded.price, list_price = CASE WHEN $3 THEN excluded.list_price ELSE t.list_price END
WHERE t.price IS DISTINCT FROM excluded.price OR ($3 AND t.list_price IS DISTINCT FROM excluded.list_price)
RETURNING variant_id, xmax = 0 AS is_new
"""


async def count_change(uow: UnitOfWork, product_ids: set[UUID]) -> None:
    """A product whose variants or categories changed has changed."""
    await uow.execute(
        "UPDATE products p SET version = p.version + 1, updated_at = now() FROM unnest($1::uuid[]) AS changed (id)"
        " WHERE p.id = changed.id",
        list(product_ids),
    )
