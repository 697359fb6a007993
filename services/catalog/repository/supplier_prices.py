"""Prices by who wrote them last: a file leaves alone what the merchant has set, and ends what it said itself."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from shared.unit_of_work import UnitOfWork

PROFILE = "supplier"


async def keep_own(uow: UnitOfWork, price_list_id: UUID) -> set[UUID]:
    """Let the staged rows say nothing of prices that anybody but a supplier's file wrote last; returns their variants.

    What an undo wrote is what was there before, and does not make it anybody's.
    """
    rows = await uow.fetch(_KEEP_OWN, price_list_id, PROFILE)
    return {row["id"] for row in rows}


_KEEP_OWN = """
WITH stored AS (
    SELECT s.id, coalesce(last.cause_id, p.created_cause) AS cause_id
    FROM staged_variants s
    CROSS JOIN LATERAL (SELECT * FROM prices p WHERE (p.price_list_id, p.variant_id) = ($1, s.id)
        AND (p.minimum_quantity, p.centre, p.starts_at) = (1, '', '-infinity') OFFSET 0) p
    LEFT JOIN LATERAL (SELECT c.cause_id FROM changes c JOIN causes w ON w.id = c.cause_id
        WHERE c.subject_id = s.product_id AND c.entity = 'price' AND c.after IS NOT NULL AND w.kind <> 'undo'
            AND c.key @> jsonb_build_object('price_list_id', $1::uuid, 'variant_id', s.id, 'minimum_quantity', 1,
                'centre', '', 'starts_at', '-infinity')
        ORDER BY c.number DESC LIMIT 1) last ON true
    WHERE NOT s.is_new AND (p.price, p.list_price) IS DISTINCT FROM (s.price, s.list_price)
)
UPDATE staged_variants s SET price = NULL, list_price = NULL FROM stored
WHERE s.id = stored.id AND NOT EXISTS (
    SELECT FROM imports i WHERE i.id = stored.cause_id AND $2 IN (i.profile, i.read_as->>'profile'))
RETURNING s.id
"""


async def dated_of_profile(
    uow: UnitOfWork, price_list_id: UUID, products: Mapping[UUID, UUID], profile: str
) -> list[tuple[UUID, datetime]]:
    """Of these variants, with their products, the prices at one piece with a beginning that files of a profile wrote.

    Each by its variant and beginning; those that somebody else has written since are not among them.
    """
    rows = await uow.fetch(_DATED, price_list_id, profile, list(products), list(products.values()))
    return [(row["variant_id"], row["starts_at"]) for row in rows]


_DATED = """
WITH stored AS (
    SELECT p.variant_id, p.starts_at, coalesce(last.cause_id, p.created_cause) AS cause_id
    FROM unnest($3::uuid[], $4::uuid[]) AS asked (variant_id, product_id)
    CROSS JOIN LATERAL (SELECT * FROM prices p WHERE (p.price_list_id, p.variant_id) = ($1, asked.variant_id)
        AND (p.minimum_quantity, p.centre) = (1, '') AND p.starts_at > '-infinity' OFFSET 0) p
    LEFT JOIN LATERAL (SELECT c.cause_id FROM changes c JOIN causes w ON w.id = c.cause_id
        WHERE c.subject_id = asked.product_id AND c.entity = 'price' AND c.after IS NOT NULL AND w.kind <> 'undo'
            AND c.key @> jsonb_build_object('price_list_id', $1::uuid, 'variant_id', asked.variant_id,
                'minimum_quantity', 1, 'centre', '') AND (c.key->>'starts_at')::timestamptz = p.starts_at
        ORDER BY c.number DESC LIMIT 1) last ON true
)
SELECT variant_id, starts_at FROM stored
WHERE EXISTS (SELECT FROM imports i WHERE i.id = stored.cause_id AND $2 IN (i.profile, i.read_as->>'profile'))
"""
