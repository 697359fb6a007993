"""Rows of a bulk update judged and written by the database, all of them at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from services.inventory.models import Place
from shared.unit_of_work import UnitOfWork


class BulkRows(NamedTuple):
    """Rows that can be applied, by column. No two of a call are for the same SKU and centre."""

    skus: Sequence[str]
    centre_ids: Sequence[UUID]
    on_hand: Sequence[int | None]
    deltas: Sequence[int | None]
    references: Sequence[str | None]
    as_of: Sequence[datetime | None]
    policies: Sequence[str | None]
    movement_ids: Sequence[UUID]


async def look_up_by_keys(uow: UnitOfWork) -> None:
    """Look rows up by their keys from here on, however few rows of a table the planner believes there are."""
    await uow.execute("SET LOCAL enable_seqscan = off")


async def lock(uow: UnitOfWork, places: Sequence[Place]) -> None:
    """Lock stock in the order in which everybody does, and read nothing."""
    await uow.execute(_LOCK, [sku for sku, _ in places], [centre_id for _, centre_id in places])


_LOCK = """
SELECT count(*)
FROM (SELECT * FROM unnest($1::text[], $2::uuid[]) AS p (sku, centre_id) ORDER BY sku, centre_id) p
CROSS JOIN LATERAL (SELECT FROM stock s WHERE (s.sku, s.centre_id) = (p.sku, p.centre_id) FOR UPDATE) locked
"""


async def apply(uow: UnitOfWork, rows: BulkRows, counted_at: datetime) -> list[asyncpg.Record]:
    """Judge and write rows. One record per row, in their order, of what became of it.

    Their stock is locked already: what others did meanwhile is seen, and stays. `counted_at` is when a count was made
    that does not say it.
    """
    # `unnest` fills up with nulls what is shorter than the others: a column of nothing need not be sent.
    columns = (() if column.count(None) == len(column) else column for column in rows)
    done = await uow.fetch(_APPLY, uow.organization_id, counted_at, *columns)
    by_number = {record["number"]: record for record in done}
    return [by_number[number] for number in range(1, len(done) + 1)]


# `verdict` is a status of StockRowResult, or the code of a failure. The rules are those of `models.Stock`; the table's
# constraints hold them as well.
_APPLY = """
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($3::text[], $4::uuid[], $5::integer[], $6::integer[], $7::text[], $8::timestamptz[],
        $9::text[], $10::uuid[]) WITH ORDINALITY
        AS w (sku, centre_id, counted, delta, reference, as_of, wanted_policy, movement_id, number)
), known AS (
    SELECT w.*, s.place, s.on_hand AS before, s.reserved, s.policy AS policy_before, s.version, s.backordered,
        s.warning_level, s.ideal_level, s.counted_at, m.repeated
    -- One by one: of a tenant's first stock the planner knows nothing, and would read all of it for every row.
    FROM wanted w
    CROSS JOIN LATERAL (SELECT *, ctid AS place FROM stock o WHERE (o.sku, o.centre_id) = (w.sku, w.centre_id)
        LIMIT 1) s
    LEFT JOIN LATERAL (SELECT o.on_hand_after - o.on_hand_before AS repeated FROM stock_movements o
        WHERE w.reference IS NOT NULL AND (o.sku, o.centre_id, o.reference) = (w.sku, w.centre_id, w.reference)
            AND o.reason IN ('counted', 'adjusted', 'moved') LIMIT 1) m ON true
), judged AS (
    SELECT *, CASE
        WHEN repeated IS NOT NULL AND delta <> repeated THEN 'reference_reused'
        WHEN repeated IS NOT NULL THEN 'repeated'
        WHEN counted IS NOT NULL AND as_of < counted_at THEN 'superseded'
        WHEN before + delta::bigint < 0 THEN 'negative_stock'
        WHEN before + delta::bigint > 2000000000 THEN 'too_much_stock'
        WHEN counted = before OR delta = 0 THEN 'unchanged'
        ELSE 'applied' END AS verdict
    FROM known
), effects AS (
    SELECT *, CASE WHEN verdict IN ('applied', 'unchanged') THEN coalesce(counted, before + delta) ELSE before END
            AS after,
        verdict = 'applied' OR (verdict = 'unchanged' AND reference IS NOT NULL) AS moves,
        CASE WHEN verdict IN ('applied', 'unchanged') THEN coalesce(wanted_policy, policy_before) ELSE policy_before END
            AS policy_after
    FROM judged
), written AS (
    UPDATE stock s SET on_hand = e.after, backordered = greatest(e.reserved - e.after, 0), policy = e.policy_after,
        counted_at = CASE WHEN e.counted IS NULL THEN s.counted_at ELSE coalesce(e.as_of, $2) END,
        version = e.version + e.moves::integer, updated_at = now()
    FROM effects e
    -- Locked rows stay where they lie.
    WHERE s.ctid = e.place AND verdict IN ('applied', 'unchanged')
        AND (e.moves OR e.counted IS NOT NULL OR e.policy_after <> e.policy_before)
), moved AS (
    INSERT INTO stock_movements (organization_id, id, sku, centre_id, number, reason, reference, on_hand_before,
        on_hand_after, reserved_before, reserved_after)
    SELECT $1, movement_id, sku, centre_id, version + 1, CASE WHEN counted IS NULL THEN 'adjusted' ELSE 'counted' END,
        reference, before, after, reserved, reserved
    FROM effects WHERE moves
)
SELECT number, verdict, before, after, reserved, policy_before, policy_after, backordered, warning_level, ideal_level
FROM effects
"""
