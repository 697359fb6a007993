"""How much there is of SKUs in all centres together, and whether one of them runs low."""

from collections.abc import Sequence

import asyncpg

from shared.unit_of_work import UnitOfWork


async def list_standings(uow: UnitOfWork, skus: Sequence[str]) -> list[asyncpg.Record]:
    """`sku`, `available` and `is_low` of those that there is any stock of, or a kit. Kits: what a centre could make."""
    return await uow.fetch(_LIST, list(skus))


# One by one, through the indexes. What is always there counts as one.
_LIST = """
SELECT asked.sku, s.available, s.is_low FROM unnest($1::text[]) AS asked (sku) CROSS JOIN LATERAL (
    SELECT sum(CASE policy WHEN 'always' THEN greatest(on_hand - reserved, 1) ELSE greatest(on_hand - reserved, 0) END)
        AS available,
        bool_or(warning_level IS NOT NULL AND on_hand - reserved <= warning_level) AS is_low
    FROM stock WHERE sku = asked.sku) s
WHERE s.available IS NOT NULL
UNION ALL
SELECT asked.sku, coalesce(k.available, 0), false FROM unnest($1::text[]) AS asked (sku)
JOIN LATERAL (SELECT FROM kits WHERE sku = asked.sku OFFSET 0) kit ON true
CROSS JOIN LATERAL (
    SELECT sum(made) AS available FROM (
        SELECT min(CASE s.policy WHEN 'always' THEN greatest((s.on_hand - s.reserved) / u.quantity, 1)
            ELSE greatest(s.on_hand - s.reserved, 0) / u.quantity END) AS made
        FROM kit_units u JOIN stock s ON s.sku = u.sku WHERE u.kit_sku = asked.sku
        GROUP BY s.centre_id
        HAVING count(*) = (SELECT count(*) FROM kit_units WHERE kit_sku = asked.sku)) of_centre) k
"""


async def list_costs(uow: UnitOfWork, skus: Sequence[str]) -> list[asyncpg.Record]:
    """`sku`, `currency`, and in it what the primary supplier takes for one, or where none is the least of them."""
    return await uow.fetch(_COSTS, list(skus))


_COSTS = """
SELECT asked.sku, l.currency, l.cost FROM unnest($1::text[]) AS asked (sku) CROSS JOIN LATERAL (
    SELECT currency, min(cost) AS cost FROM (
        SELECT cost, currency, is_primary, bool_or(is_primary) OVER () AS has_primary FROM supplier_links
        WHERE sku = asked.sku AND cost IS NOT NULL OFFSET 0
    ) known WHERE is_primary OR NOT has_primary GROUP BY currency) l
"""


async def list_of_centres(uow: UnitOfWork, skus: Sequence[str]) -> list[tuple[str, str, int, int]]:
    """SKU, centre's code, what can be sold there and what is reserved, looked up one by one."""
    rows = await uow.fetch(
        "SELECT asked.sku, c.code, s.available, s.reserved FROM unnest($1::text[]) AS asked (sku) CROSS JOIN LATERAL ("
        " SELECT centre_id, greatest(on_hand - reserved, 0)::integer AS available, reserved FROM stock"
        " WHERE sku = asked.sku OFFSET 0) s JOIN fulfilment_centres c ON c.id = s.centre_id",
        list(skus),
    )
    return [(row["sku"], row["code"], row["available"], row["reserved"]) for row in rows]
