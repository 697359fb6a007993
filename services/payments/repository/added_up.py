"""Numbers that are added up, across tenants."""

from datetime import datetime

from shared.unit_of_work import UnitOfWork


async def add_up_repeats(uow: UnitOfWork, before: datetime) -> None:
    """Let repeats that came `before` be a number at their callback. What somebody works on waits for the next time."""
    await uow.execute(_ADD_UP_REPEATS, before)


_ADD_UP_REPEATS = """
WITH held AS (
    SELECT c.organization_id, c.id, c.gateway_id, c.identity FROM callbacks c
    WHERE (c.organization_id, c.gateway_id, c.identity) IN
        (SELECT organization_id, gateway_id, identity FROM callback_repeats WHERE received_at < $1)
    ORDER BY c.id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM callback_repeats r USING held h WHERE r.received_at < $1
        AND (r.organization_id, r.gateway_id, r.identity) = (h.organization_id, h.gateway_id, h.identity)
    RETURNING h.organization_id, h.id, r.deliveries
)
UPDATE callbacks c SET repeats = c.repeats + g.deliveries
FROM (SELECT organization_id, id, sum(deliveries)::int AS deliveries FROM gone GROUP BY 1, 2) g
WHERE (c.organization_id, c.id) = (g.organization_id, g.id)
"""


async def add_up_overflows(uow: UnitOfWork, before: datetime, forget_before: datetime) -> None:
    """Keep a number for each gateway and day of what came `before`, and none of what is older than `forget_before`."""
    await uow.execute("DELETE FROM callback_overflows WHERE counted_at < $1", forget_before)
    await uow.execute(_ADD_UP_OVERFLOWS, before)


_ADD_UP_OVERFLOWS = """
WITH days AS (
    SELECT organization_id, gateway_id, date_trunc('day', counted_at, 'UTC') AS day FROM callback_overflows
    WHERE counted_at < $1 GROUP BY 1, 2, 3 HAVING count(*) > 1
), gone AS (
    DELETE FROM callback_overflows o USING days d
    WHERE (o.organization_id, o.gateway_id) = (d.organization_id, d.gateway_id)
        AND o.counted_at >= d.day AND o.counted_at < least($1, d.day + interval '1 day')
    RETURNING o.organization_id, o.gateway_id, o.callbacks, d.day
)
INSERT INTO callback_overflows (organization_id, id, gateway_id, callbacks, counted_at)
SELECT organization_id, gen_random_uuid(), gateway_id, least(sum(callbacks), 2147483647)::int, day FROM gone
GROUP BY organization_id, gateway_id, day
"""
