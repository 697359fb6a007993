"""Queries of what products are on platforms, for many products and connections at once."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork

_COUNTED = (
    "(SELECT count(*) FROM changes c WHERE c.listing_id = l.id AND c.is_open) AS open_changes,"
    " (SELECT count(*) FROM issues i WHERE i.listing_id = l.id AND i.resolved_at IS NULL) AS open_issues"
)

_PRODUCTS = (
    "SELECT l.connection_id, l.entity, l.product_id, l.external_id, l.sku, l.remote ->> 'status' AS status,"  # noqa: S608
    f" l.remote -> 'price' AS price, {_COUNTED} FROM listings l WHERE l.connection_id = ANY($1)"
    " AND l.product_id = ANY($2) AND l.entity IN ('product', 'variant') AND l.gone_at IS NULL ORDER BY l.id"
)
_STOCK = (
    "SELECT s.connection_id, s.sku, sum(s.quantity)::bigint AS quantity,"  # noqa: S608
    " sum(s.open_changes)::bigint AS open_changes, sum(s.open_issues)::bigint AS open_issues"
    " FROM (SELECT l.connection_id, l.sku,"
    " (coalesce(l.acknowledged -> 'quantity', l.remote -> 'quantity') #>> '{}')::bigint AS quantity,"
    f" {_COUNTED} FROM listings l WHERE l.connection_id = ANY($1) AND l.sku = ANY($2) AND l.entity = 'stock'"
    " AND l.gone_at IS NULL) s GROUP BY s.connection_id, s.sku"
)


async def list_products(
    uow: UnitOfWork, connection_ids: Sequence[UUID], product_ids: Sequence[UUID]
) -> list[asyncpg.Record]:
    """The listings of these products and of their variants, with how many changes and issues of each are open."""
    return await uow.fetch(_PRODUCTS, connection_ids, product_ids)


async def list_stock(uow: UnitOfWork, connection_ids: Sequence[UUID], skus: Sequence[str]) -> list[asyncpg.Record]:
    """What connections have of these SKUs in all places together, what we wrote there since it was read included."""
    return await uow.fetch(_STOCK, connection_ids, skus)
