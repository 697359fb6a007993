"""The traces that a product's rows left (see shared/history.py)."""

from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork

_CHANGE = (
    "SELECT c.number, c.entity, c.key, c.before, c.after, c.occurred_at, c.cause_id, w.kind, w.actor"
    " FROM changes c JOIN causes w ON w.id = c.cause_id WHERE c.subject_id = $1"
)
_LIST_OF_KEY = "({}.key->>'price_list_id')::uuid"


def _is_seen(price_list_id: str, limit: str) -> str:
    """Whether a price list is of one of these shops; where there is a limit, one that is gone is nobody's."""
    mine = f"SELECT FROM price_lists l WHERE l.id = {price_list_id} AND l.shop_id = ANY({limit})"
    return f"({limit}::uuid[] IS NULL OR EXISTS ({mine}))"


async def list_changes(
    uow: UnitOfWork, product_id: UUID, *, field: str | None, variant_ids: list[UUID] | None, before: int, first: int
) -> list[asyncpg.Record]:
    """Newest first, from the one numbered before `before`; of one field or of these variants, where given.

    Prices, and what channels have of the product, are told of the caller's shops alone.
    """
    return await uow.fetch(
        f"{_CHANGE} AND c.number < $2 AND ($3::text IS NULL OR coalesce(c.after, c.before) ? $3)"
        " AND ($4::uuid[] IS NULL OR (c.entity = 'variant' AND (c.key->>'id')::uuid = ANY($4))"
        " OR (c.key->>'variant_id')::uuid = ANY($4))"
        " AND ($6::uuid[] IS NULL OR c.entity <> 'channel_content' OR (c.key->>'channel_id')::uuid = ANY($6)"
        " OR EXISTS (SELECT FROM connections n WHERE n.id = (c.key->>'channel_id')::uuid AND n.shop_id = ANY($6)))"
        f" AND (c.entity <> 'price' OR {_is_seen(_LIST_OF_KEY.format('c'), '$6')})"
        " ORDER BY c.number DESC LIMIT $5",
        product_id,
        before,
        field,
        variant_ids,
        first,
        uow.caller.shop_limit,
    )


async def has_any(uow: UnitOfWork, product_id: UUID) -> bool:
    """Whether there is, or was, such a product."""
    return bool(
        await uow.fetchval(
            "SELECT EXISTS (SELECT FROM products WHERE id = $1) OR EXISTS (SELECT FROM changes WHERE subject_id = $1)",
            product_id,
        )
    )


async def skus_of(uow: UnitOfWork, product_id: UUID) -> dict[str, str]:
    """The SKU of each variant that a product has, or had at its end, by the variant's id."""
    rows = await uow.fetch(
        "SELECT key->>'id' AS id, before->>'sku' AS sku FROM changes WHERE subject_id = $1 AND entity = 'variant'"
        " AND after IS NULL UNION ALL SELECT id::text, sku FROM variants WHERE product_id = $1",
        product_id,
    )
    return {row["id"]: row["sku"] for row in rows}


async def list_lives(uow: UnitOfWork, product_id: UUID) -> list[asyncpg.Record]:
    """Each thing of a product that ever changed, each time it was made: what it was first, as far as it changed.

    `is_over` tells those that were removed since: of them it is all that they were. Prices of the caller's shops alone.
    """
    return await uow.fetch(_LIVES, product_id, uow.caller.shop_limit)


# What was before the oldest change of a field comes last, and counts.
_LIVES = f"""
WITH traces AS (
    SELECT entity, key, number, before, after, count(*) FILTER (WHERE after IS NULL) OVER (
        PARTITION BY entity, key ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS life
    FROM changes WHERE subject_id = $1 AND entity IN ('product', 'variant', 'price', 'membership')
        AND (entity <> 'price' OR {_is_seen(_LIST_OF_KEY.format("changes"), "$2")})
)
SELECT t.entity, t.key, t.life, bool_or(t.after IS NULL) AS is_over,
    jsonb_object_agg(f.key, f.value ORDER BY t.number DESC) AS first
FROM traces t CROSS JOIN LATERAL jsonb_each(t.before) f GROUP BY t.entity, t.key, t.life
"""  # noqa: S608


async def list_living(uow: UnitOfWork, product_id: UUID) -> list[asyncpg.Record]:
    """The product's rows of the kinds that only remember what made them, as they are now; prices as in `list_lives`."""
    return await uow.fetch(_LIVING, product_id, uow.caller.shop_limit)


_LIVING = f"""
SELECT l.entity, l.key, l.state FROM (
    SELECT 'product' AS entity, jsonb_build_object('id', p.id) AS key, to_jsonb(p) AS state
        FROM products p WHERE p.id = $1
    UNION ALL SELECT 'variant', jsonb_build_object('id', v.id), to_jsonb(v) FROM variants v WHERE v.product_id = $1
    UNION ALL SELECT 'price', jsonb_build_object('price_list_id', r.price_list_id, 'variant_id', r.variant_id,
            'minimum_quantity', r.minimum_quantity, 'centre', r.centre, 'starts_at', r.starts_at), to_jsonb(r)
        FROM variants v JOIN prices r ON r.variant_id = v.id
        WHERE v.product_id = $1 AND {_is_seen("r.price_list_id", "$2")}
    UNION ALL SELECT 'membership', jsonb_build_object('product_id', m.product_id, 'category_id', m.category_id),
            to_jsonb(m)
        FROM product_categories m WHERE m.product_id = $1
) l
"""  # noqa: S608


async def causes_of(uow: UnitOfWork, cause_ids: list[UUID]) -> dict[UUID, asyncpg.Record]:
    rows = await uow.fetch(
        "SELECT id AS cause_id, kind, actor, occurred_at FROM causes WHERE id = ANY($1)", list(set(cause_ids))
    )
    return {row["cause_id"]: row for row in rows}


async def list_variant_ids(uow: UnitOfWork, product_id: UUID, sku: str) -> list[UUID]:
    """The variants of a product that have or had this SKU."""
    rows = await uow.fetch(
        "SELECT id FROM variants WHERE product_id = $1 AND sku = $2 UNION SELECT (key->>'id')::uuid FROM changes"
        " WHERE subject_id = $1 AND entity = 'variant' AND $2 IN (before->>'sku', after->>'sku')",
        product_id,
        sku,
    )
    return [row["id"] for row in rows]
