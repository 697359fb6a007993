"""Counts of what a connection has, and how its feeds have gone."""

from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork

# So many of a feed's latest runs say how fast it is.
_RUNS_LOOKED_AT = 10


async def count_listings(uow: UnitOfWork, connection_id: UUID) -> list[asyncpg.Record]:
    """`entity`, `state`, `count` and `linked`: of stock levels and supplier links, those whose SKU is of a variant that
    is linked.
    """
    return await uow.fetch(
        "WITH known AS MATERIALIZED (SELECT DISTINCT sku FROM listings WHERE connection_id = $1 AND entity = 'variant'"
        " AND product_id IS NOT NULL AND sku IS NOT NULL)"
        " SELECT l.entity, CASE WHEN l.external_id IS NULL THEN CASE WHEN l.gone_at IS NULL THEN 'waiting'"
        " ELSE 'called_off' END WHEN l.gone_at IS NULL THEN 'there' ELSE 'gone' END AS state, count(*) AS count,"
        " count(CASE WHEN l.entity IN ('stock', 'supplier_link') THEN k.sku"
        " ELSE coalesce(l.product_id, l.order_id)::text END) AS linked"
        " FROM listings l LEFT JOIN known k ON k.sku = l.sku WHERE l.connection_id = $1 GROUP BY 1, 2 ORDER BY 1, 2",
        connection_id,
    )


async def count_changes(uow: UnitOfWork, connection_id: UUID) -> list[asyncpg.Record]:
    """`direction`, `kind`, `state` and `count`."""
    return await uow.fetch(
        "SELECT direction, kind, state, count(*) AS count FROM changes WHERE connection_id = $1"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        connection_id,
    )


async def count_issues(uow: UnitOfWork, connection_id: UUID) -> dict[str, int]:
    """Open ones by class."""
    rows = await uow.fetch(
        "SELECT class, count(*) AS count FROM issues WHERE connection_id = $1 AND resolved_at IS NULL GROUP BY 1",
        connection_id,
    )
    return {row["class"]: row["count"] for row in rows}


async def list_feeds(uow: UnitOfWork, connection_id: UUID) -> list[asyncpg.Record]:
    """Each feed with its latest run, the latest that succeeded, what was done since, and how fast it is."""
    return await uow.fetch(
        _FEEDS,
        connection_id,
        _RUNS_LOOKED_AT,
    )


_FEEDS = """
SELECT f.kind, f.is_enabled, f.next_run_at, last.created_at AS last_run_at, last.state AS last_state,
    last.counters AS last_counters, success.finished_at AS last_success_at, lately.records_per_second,
    (SELECT count(*) FROM executions e JOIN jobs j ON j.id = e.id WHERE e.feed_id = f.id AND j.state = 'failed'
        AND (success.created_at IS NULL OR e.created_at > success.created_at)) AS failures
FROM feeds f
LEFT JOIN LATERAL (
    SELECT e.created_at, j.state, j.counters FROM executions e JOIN jobs j ON j.id = e.id
    WHERE e.feed_id = f.id ORDER BY e.created_at DESC LIMIT 1
) last ON true
LEFT JOIN LATERAL (
    SELECT e.created_at, j.finished_at FROM executions e JOIN jobs j ON j.id = e.id
    WHERE e.feed_id = f.id AND j.state = 'succeeded' ORDER BY e.created_at DESC LIMIT 1
) success ON true
LEFT JOIN LATERAL (
    SELECT (sum(r.done) / nullif(sum(extract(epoch FROM r.finished_at - r.started_at)), 0))::float8
        AS records_per_second
    FROM (SELECT j.done, j.started_at, j.finished_at FROM executions e JOIN jobs j ON j.id = e.id
        WHERE e.feed_id = f.id AND j.finished_at IS NOT NULL AND j.done > 0 ORDER BY e.created_at DESC LIMIT $2) r
) lately ON true
WHERE f.connection_id = $1 ORDER BY f.kind
"""
