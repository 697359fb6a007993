"""Whole products, read in sets and written row by row."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlmodel import col, select

from services.catalog.errors import CategoryNotFound, ProductNotFound
from services.catalog.models import ProductRow, VariantRow
from services.catalog.models.attributes import Definition, typed_values
from services.catalog.models.media import together
from services.catalog.repository import attributes, channel_content, offers
from shared.contracts.catalog.shapes import Image, Media, Product, ProductText, Variant
from shared.measures import Dimensions, Weight, WeightUnit
from shared.unit_of_work import UnitOfWork


async def get_row(uow: UnitOfWork, product_id: UUID) -> ProductRow:
    """A product to be changed. Raises ProductNotFound."""
    session = await uow.session()
    row = await session.get(ProductRow, (uow.organization_id, product_id), with_for_update=True)
    if row is None:
        raise ProductNotFound("There is no such product.")
    return row


async def list_variant_rows(uow: UnitOfWork, product_id: UUID) -> list[VariantRow]:
    """A product's variants in their order."""
    question = select(VariantRow).where(col(VariantRow.product_id) == product_id).order_by(col(VariantRow.position))
    return list((await (await uow.session()).scalars(question)).all())


async def replace_categories(uow: UnitOfWork, product_id: UUID, category_ids: Iterable[UUID]) -> None:
    """Raises CategoryNotFound."""
    wanted = list(dict.fromkeys(category_ids))
    known = await uow.fetchval("SELECT count(*) FROM categories WHERE id = ANY($1)", wanted)
    if known != len(wanted):
        raise CategoryNotFound("One of the categories does not exist.")
    await uow.execute(
        "DELETE FROM product_categories WHERE product_id = $1 AND category_id <> ALL ($2)", product_id, wanted
    )
    await uow.execute(
        "INSERT INTO product_categories (organization_id, product_id, category_id) SELECT $1, $2, unnest($3::uuid[])"
        " ON CONFLICT DO NOTHING",
        uow.organization_id,
        product_id,
        wanted,
    )


async def find_by_slug(uow: UnitOfWork, slug: str) -> UUID | None:
    found: UUID | None = await uow.fetchval("SELECT id FROM products WHERE slug = $1", slug)
    return found


async def free_slug(uow: UnitOfWork, wanted: str) -> str:
    """`wanted`, or with the first number behind it that nobody has. Under the catalog's lock it stays free."""
    taken = {row["slug"] for row in await uow.fetch("SELECT slug FROM products WHERE starts_with(slug, $1)", wanted)}
    number = 1
    slug = wanted
    while slug in taken:
        number += 1
        slug = f"{wanted}-{number}"
    return slug


async def owners_of_skus(uow: UnitOfWork, skus: list[str]) -> dict[str, UUID]:
    """The product that has each of these SKUs."""
    return await offers.product_ids_by_sku(uow, skus)


async def sellable_among(uow: UnitOfWork, product_ids: Sequence[UUID]) -> set[UUID]:
    """Those of which a variant has a price in any list, or is sold on request."""
    rows = await uow.fetch(
        "SELECT asked.id FROM unnest($1::uuid[]) AS asked (id) WHERE EXISTS (SELECT FROM variants v"
        " WHERE v.product_id = asked.id AND (v.price_on_request"
        " OR EXISTS (SELECT FROM prices p WHERE p.variant_id = v.id)))",
        list(product_ids),
    )
    return {row["id"] for row in rows}


async def get(uow: UnitOfWork, product_id: UUID) -> Product:
    """Raises ProductNotFound."""
    found = await list_whole(uow, [product_id])
    if not found:
        raise ProductNotFound("There is no such product.")
    return found[0]


async def list_whole(uow: UnitOfWork, product_ids: list[UUID]) -> list[Product]:
    """These products with all that belongs to them, in the order of the ids: at most four statements for any number."""
    rows = {row["id"]: row for row in await offers.list_products(uow, product_ids)}
    variants = await offers.variants_of_products(uow, product_ids)
    category_ids = await offers.category_ids_of_products(uow, product_ids)
    definitions = await attributes.definitions_for(
        uow, [*rows.values(), *(v for each in variants.values() for v in each)]
    )
    return [
        _shape(rows[id_], variants.get(id_, ()), category_ids.get(id_, []), definitions)
        for id_ in product_ids
        if id_ in rows
    ]


def _shape(
    row: asyncpg.Record,
    variants: Iterable[asyncpg.Record],
    category_ids: list[UUID],
    definitions: Mapping[str, Definition],
) -> Product:
    fields = {name: value for name, value in row.items() if name in Product.model_fields}
    alts = orjson.loads(row["alts"])
    gallery = [
        {"alt": None, "preview_url": None, **medium, "alts": alts.get(medium["url"], {})}
        for medium in together(orjson.loads(row["images"]), orjson.loads(row["media"]))
    ]
    fields["attributes"] = typed_values(orjson.loads(row["attributes"]), definitions)
    fields["media"] = [Media.model_construct(**medium) for medium in gallery]
    fields["images"] = [
        Image.model_construct(url=medium["url"], alt=medium["alt"], alts=medium["alts"])
        for medium in gallery
        if medium["kind"] == "image"
    ]
    return Product.model_construct(
        **fields,
        category_ids=category_ids,
        variants=[Variant.model_construct(**variant_fields(v, row["options"], definitions)) for v in variants],
    )


def variant_fields(
    row: Mapping[str, Any], options: Sequence[str], definitions: Mapping[str, Definition]
) -> dict[str, Any]:
    """What a `Variant` says, from its row."""
    fields = {name: value for name, value in row.items() if name in Variant.model_fields}
    return fields | {
        "options": dict(zip(options, row["option_values"], strict=False)),
        "attributes": typed_values(orjson.loads(row["attributes"]), definitions),
        "weight": weight_of(row),
        "dimensions": dimensions_of(row),
        "tax_code": row["tax_class"],
        "order_limits": channel_content.order_limits(row),
    }


def weight_of(row: Mapping[str, Any]) -> Weight | None:
    """As it was given; in grams where nothing else is known."""
    if row["weight_value"] is not None:
        return _weight(str(row["weight_value"]), row["weight_unit"])
    return None if row["weight_grams"] is None else _weight(str(row["weight_grams"]), "g")


@lru_cache(maxsize=10_000)
def _weight(text: str, unit: WeightUnit) -> Weight:
    """Many things weigh the same, and a weight never changes. By its text: 1 and 1.0 are written differently."""
    return Weight.model_construct(value=Decimal(text), unit=unit)


def dimensions_of(row: Mapping[str, Any]) -> Dimensions | None:
    if row["dimension_unit"] is None:
        return None
    sides = {name: row[f"{name}_value"] for name in ("length", "width", "height")}
    return Dimensions.model_construct(**sides, unit=row["dimension_unit"])


async def list_ids(
    uow: UnitOfWork,
    *,
    status: str | None,
    slug: str | None,
    sku: str | None,
    category_id: UUID | None,
    before: UUID | None,
    first: int,
    among: Sequence[UUID] | None = None,
) -> list[UUID]:
    """Ids of products, newest first; without a condition where None."""
    rows = await uow.fetch(
        "SELECT p.id FROM products p WHERE ($1::text IS NULL OR p.status = $1) AND ($2::text IS NULL OR p.slug = $2)"
        " AND ($3::text IS NULL OR p.id = (SELECT v.product_id FROM variants v WHERE v.sku = $3))"
        " AND ($4::uuid IS NULL OR p.id IN (SELECT c.product_id FROM product_categories c WHERE c.category_id = $4))"
        " AND ($5::uuid IS NULL OR p.id < $5) AND ($7::uuid[] IS NULL OR p.id = ANY($7)) ORDER BY p.id DESC LIMIT $6",
        status,
        slug,
        sku,
        category_id,
        before,
        first,
        among,
    )
    return [row["id"] for row in rows]


async def write_text(uow: UnitOfWork, product_id: UUID, text: ProductText) -> bool:
    """Store a product's texts in one locale. Returns whether they differ from what was there."""
    written = await uow.fetchval(
        "INSERT INTO product_texts AS t (organization_id, product_id, locale, title, description_html, seo_title,"
        " seo_description, content_html, attributes, option_names, option_values)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT (organization_id, product_id, locale) DO UPDATE SET title = $4, description_html = $5,"
        " seo_title = $6, seo_description = $7, content_html = $8, attributes = $9, option_names = $10,"
        " option_values = $11 WHERE (t.title, t.description_html, t.seo_title, t.seo_description, t.content_html,"
        " t.attributes, t.option_names, t.option_values)"
        " IS DISTINCT FROM ($4, $5, $6, $7, $8, $9::jsonb, $10::jsonb, $11::jsonb) RETURNING true",
        uow.organization_id,
        product_id,
        text.locale,
        text.title,
        text.description_html,
        text.seo_title,
        text.seo_description,
        text.content_html,
        *(orjson.dumps(getattr(text, name)).decode() for name in _BY_NAME),
    )
    return bool(written)


_BY_NAME = ("attributes", "option_names", "option_values")


async def find_text(uow: UnitOfWork, product_id: UUID, locale: str) -> ProductText | None:
    """What is said of a product in one locale."""
    rows = await uow.fetch("SELECT * FROM product_texts WHERE product_id = $1 AND locale = $2", product_id, locale)
    return _text_shape(rows[0]) if rows else None


async def list_texts(uow: UnitOfWork, product_id: UUID, after: str, first: int) -> list[ProductText]:
    """By locale. Raises ProductNotFound."""
    await get(uow, product_id)
    rows = await uow.fetch(
        "SELECT * FROM product_texts WHERE product_id = $1 AND locale > $2 ORDER BY locale LIMIT $3",
        product_id,
        after,
        first,
    )
    return [_text_shape(row) for row in rows]


def _text_shape(row: asyncpg.Record) -> ProductText:
    fields = {name: row[name] for name in ProductText.model_fields}
    return ProductText.model_construct(**fields | {name: orjson.loads(row[name]) for name in _BY_NAME})
