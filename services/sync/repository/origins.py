"""Queries of what other connections have of our products: what came here by them, and what is about to."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


async def list_others(uow: UnitOfWork, connection_id: UUID) -> list[asyncpg.Record]:
    """All other connections: id and settings."""
    return await uow.fetch("SELECT id, settings FROM connections WHERE id <> $1 ORDER BY id", connection_id)


async def list_records(
    uow: UnitOfWork, connection_ids: Sequence[UUID], product_ids: Sequence[UUID]
) -> list[asyncpg.Record]:
    """What these connections have of these products and their variants."""
    return await uow.fetch(
        "SELECT id, connection_id, entity, product_id, sku, acknowledged, sent, is_source FROM listings"
        " WHERE product_id = ANY($2) AND connection_id = ANY($1) AND entity IN ('product', 'variant')"
        " AND gone_at IS NULL AND external_id IS NOT NULL",
        list(connection_ids),
        list(product_ids),
    )


async def list_arriving(uow: UnitOfWork, connection_ids: Sequence[UUID], skus: Sequence[str]) -> list[asyncpg.Record]:
    """Variants with these SKUs that are about to be taken from these connections: `connection_id` and `sku`.

    Whether one becomes new here, or is one of ours, shows when it was taken.
    """
    return await uow.fetch(
        "SELECT l.connection_id, l.sku FROM listings l JOIN connections c ON c.id = l.connection_id"
        " JOIN changes g ON g.listing_id = l.id AND g.direction = 'in' AND g.kind = 'insert' AND g.state = 'queued'"
        " WHERE l.connection_id = ANY($1) AND l.sku = ANY($2) AND l.entity = 'variant' AND l.gone_at IS NULL"
        " AND l.product_id IS NULL AND c.matches_seen_at IS NOT NULL",
        list(connection_ids),
        list(skus),
    )


async def note_sources(uow: UnitOfWork, listing_ids: Sequence[UUID]) -> None:
    """What these are here was made of them."""
    await uow.execute("UPDATE listings SET is_source = true WHERE id = ANY($1)", list(listing_ids))


async def forget_sent(uow: UnitOfWork, fields: Sequence[tuple[UUID, str]]) -> None:
    """The platform has other values in these fields than we wrote last, and they are here now."""
    await uow.execute(
        "UPDATE listings l SET sent = l.sent - f.names, became = l.became - f.names FROM (SELECT k.id,"
        " array_agg(k.field) AS names FROM unnest($1::uuid[], $2::text[]) AS k (id, field) GROUP BY k.id) AS f"
        " WHERE l.id = f.id AND l.sent ?| f.names",
        [listing_id for listing_id, _ in fields],
        [field for _, field in fields],
    )
