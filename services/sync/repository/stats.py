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
    return await uow.fetch(_LISTINGS, connection_id)


# Both read the index `listings_walked` alone, which has all of these columns, and group by what they are made of: of
# an expression PostgreSQL takes every row for a group of its own, and sorts them all.
_LISTINGS = """
WITH known AS MATERIALIZED (
    SELECT DISTINCT sku FROM listings WHERE connection_id = $1 AND version > 0 AND entity = 'variant'
        AND product_id IS NOT NULL AND sku IS NOT NULL
), by_sku AS (
    SELECT entity, external_id IS NULL AS waits, gone_at IS NULL AS is_there, count(*) AS linked
    FROM (SELECT entity, external_id, gone_at, sku FROM listings WHERE connection_id = $1 AND version > 0
        AND entity IN ('stock', 'supplier_link') OFFSET 0) l
    WHERE sku IN (SELECT sku FROM known) GROUP BY 1, 2, 3
), counted AS (
    SELECT entity, external_id IS NULL AS waits, gone_at IS NULL AS is_there, count(*) AS count,
        count(*) FILTER (WHERE product_id IS NOT NULL OR order_id IS NOT NULL) AS linked
    FROM listings WHERE connection_id = $1 AND version > 0 GROUP BY 1, 2, 3
)
SELECT c.entity, CASE WHEN c.waits THEN CASE WHEN c.is_there THEN 'waiting' ELSE 'called_off' END
    WHEN c.is_there THEN 'there' ELSE 'gone' END AS state, c.count,
    CASE WHEN c.entity IN ('stock', 'supplier_link') THEN coalesce(s.linked, 0) ELSE c.linked END AS linked
FROM counted c LEFT JOIN by_sku s ON (s.entity, s.waits, s.is_there) = (c.entity, c.waits, c.is_there) ORDER BY 1, 2
"""


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
