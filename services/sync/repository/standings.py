"""How products and orders stand on connections; and which of them stand otherwise than was told (`touched`)."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork

TELL = "tell_what_was_touched"


async def list_standings(
    uow: UnitOfWork, product_ids: Sequence[UUID], order_ids: Sequence[UUID]
) -> list[asyncpg.Record]:
    """One for each of these and each connection that has to do with it; `categories` are JSON lists, one per record."""
    return [
        *(await uow.fetch(_STANDINGS.format(key="product_id"), list(product_ids)) if product_ids else []),
        *(await uow.fetch(_STANDINGS.format(key="order_id"), list(order_ids)) if order_ids else []),
    ]


# What the platform was last seen to have while that waits to be dealt with here; else what both sides agree on, which
# also is what we wrote there since.
_NOW = (
    "CASE WHEN EXISTS (SELECT FROM changes g WHERE g.listing_id = l.id AND g.is_open AND g.direction = 'in'"
    " AND g.field = '{0}') THEN l.remote -> '{0}' ELSE coalesce(l.acknowledged -> '{0}', l.remote -> '{0}') END"
)
_STANDINGS = f"""
SELECT r.id, r.connection_id, c.platform, bool_or(r.is_there) AS is_listed,
    bool_or(r.is_there AND coalesce(r.status, 'active') = 'active') AS is_published,
    array_agg(r.categories) FILTER (WHERE r.is_there AND jsonb_typeof(r.categories) = 'array') AS categories,
    bool_or(r.has_update) AS has_pending_update, bool_or(r.waits) AS has_pending_create,
    bool_or(r.has_issue) AS has_issues
FROM (
    SELECT l.{{key}} AS id, l.connection_id,
        l.entity IN ('product', 'order') AND l.external_id IS NOT NULL AND l.gone_at IS NULL AS is_there,
        CASE WHEN l.entity = 'product' THEN {_NOW.format("status")} END #>> '{{{{}}}}' AS status,
        CASE WHEN l.entity = 'product' THEN {_NOW.format("categories")} END AS categories,
        l.external_id IS NULL AND l.gone_at IS NULL AS waits,
        l.external_id IS NOT NULL AND EXISTS (SELECT FROM changes g WHERE g.listing_id = l.id AND g.is_open
            AND (g.direction = 'out' OR l.entity = 'order')) AS has_update,
        EXISTS (SELECT FROM issues i WHERE i.listing_id = l.id AND i.resolved_at IS NULL)
            OR l.entity = 'variant' AND EXISTS (SELECT FROM listings s JOIN issues i ON i.listing_id = s.id
            WHERE s.connection_id = l.connection_id AND s.sku = l.sku AND s.entity = 'stock'
            AND i.resolved_at IS NULL) AS has_issue
    FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL (
        SELECT * FROM listings WHERE {{key}} = asked.id OFFSET 0
    ) l
) r JOIN connections c ON c.id = r.connection_id
GROUP BY r.id, r.connection_id, c.platform
"""  # noqa: S608


# --- what is yet to be told


def tell_soon(uow: UnitOfWork) -> None:
    """What this transaction touches is told right after it. Where nobody says so, the clock finds it."""
    uow.defer(TELL, {}, key="touched")


async def leave_telling(uow: UnitOfWork) -> None:
    """Leave a task for each organization of which something is yet to be told. Across tenants."""
    await uow.execute(_LEAVE, TELL)


# From one organization to the next along the key, however many rows each has.
_LEAVE = """
WITH RECURSIVE o AS (
    (SELECT organization_id FROM touched ORDER BY organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.organization_id FROM touched t WHERE t.organization_id > o.organization_id
        ORDER BY t.organization_id LIMIT 1) FROM o WHERE o.organization_id IS NOT NULL
)
INSERT INTO tasks (organization_id, id, kind, payload, due_at, unique_key)
SELECT organization_id, gen_random_uuid(), $1, '{}'::json, now(), 'touched' FROM o WHERE organization_id IS NOT NULL
ON CONFLICT DO NOTHING
"""


async def take_touched(uow: UnitOfWork, most: int) -> list[asyncpg.Record]:
    """Up to `most` that are yet to be told, `kind` and `record_id`, some of them several times: they are told now."""
    return await uow.fetch(
        # Materialized: looked at once for each row of a plan, the limit would be one of each look.
        "WITH taken AS MATERIALIZED (SELECT organization_id, id FROM touched ORDER BY id LIMIT $1"
        " FOR UPDATE SKIP LOCKED) DELETE FROM touched t USING taken s"
        " WHERE (t.organization_id, t.id) = (s.organization_id, s.id) RETURNING t.kind, t.record_id",
        most,
    )
