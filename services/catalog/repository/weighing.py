"""What an import would take away: counted in sets, before anything is written."""

from collections.abc import Sequence
from uuid import UUID

from shared.unit_of_work import UnitOfWork


async def count_prices_of_skus(uow: UnitOfWork, price_list_id: UUID, skus: Sequence[str], *, above_zero: bool) -> int:
    """How many of these SKUs have a price in a list where products' files write theirs: of any kind, or above zero."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM unnest($2::text[]) AS asked (sku)"
        " CROSS JOIN LATERAL (SELECT id FROM variants v WHERE v.sku = asked.sku OFFSET 0) v"
        " CROSS JOIN LATERAL (SELECT price_list_id, price FROM prices p WHERE p.variant_id = v.id"
        " AND p.minimum_quantity = 1 AND p.centre = '' AND p.starts_at = '-infinity' OFFSET 0) p"
        " WHERE p.price_list_id = $1 AND (NOT $3 OR p.price > 0)",
        price_list_id,
        list(skus),
        above_zero,
    )
    return count


async def count_open_categories(uow: UnitOfWork, closed: Sequence[UUID]) -> tuple[int, int]:
    """How many categories are open, and how many of them would not be with `closed`: these, and what is below them.

    Open is what is enabled and within its dates, as everything above it is.
    """
    row = await uow.fetchrow(_OPEN, list(closed))
    assert row is not None
    return row["there"], row["gone"]


_IS_OPEN = "enabled AND (valid_from IS NULL OR valid_from <= now()) AND (valid_until IS NULL OR valid_until > now())"
_OPEN = f"""
WITH RECURSIVE open AS (
    SELECT id, id = ANY($1::uuid[]) AS is_closed FROM categories WHERE parent_id IS NULL AND {_IS_OPEN}
    UNION ALL
    SELECT c.id, o.is_closed OR c.id = ANY($1::uuid[]) FROM categories c JOIN open o ON c.parent_id = o.id
    WHERE {_IS_OPEN}
)
SELECT count(*) AS there, count(*) FILTER (WHERE is_closed) AS gone FROM open
"""  # noqa: S608
