"""Queries for what is kept on a payer. Row-level security confines each to its tenant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from shared.unit_of_work import UnitOfWork


async def list_records(uow: UnitOfWork, order_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Payments of these orders with refunds, and every callback with what it held."""
    rows = await uow.fetch(_RECORDS, order_ids)
    return [orjson.loads(row["record"]) for row in rows]


_RECORDS = """
SELECT json_build_object('id', p.id, 'order_id', p.order_id, 'order_number', p.order_number, 'provider', p.provider,
    'external_id', p.external_id, 'state', p.state, 'currency', p.currency, 'authorised', p.authorised,
    'captured', p.captured, 'refunded', p.refunded, 'disputed', p.disputed, 'created_at', p.created_at,
    'refunds', (SELECT coalesce(json_agg(json_build_object('id', r.id, 'external_id', r.external_id,
        'amount', r.amount, 'state', r.state, 'reason', r.reason, 'created_at', r.created_at) ORDER BY r.id), '[]')
        FROM refunds r WHERE r.payment_id = p.id),
    'callbacks', (SELECT coalesce(json_agg(json_build_object('id', c.id, 'event', c.event, 'received_at', c.received_at,
        'source_address', c.source_address, 'body', encode(c.body, 'escape'),
        'fetched', encode(c.fetched, 'escape')) ORDER BY c.id), '[]')
        FROM callbacks c WHERE c.payment_id = p.id)) AS record
FROM payments p WHERE p.order_id = ANY($1) ORDER BY p.order_id, p.id
"""


async def erase(uow: UnitOfWork, order_ids: Sequence[UUID], now: datetime) -> None:
    """Drop what callbacks of these orders held, and where they came from; that they came and what they did stays.

    What still waits to take effect keeps its bytes until it has.
    """
    await uow.execute(
        "UPDATE callbacks SET body = '', headers = '[]', fetched = NULL, source_address = NULL, body_dropped_at = $2"
        " WHERE payment_id IN (SELECT id FROM payments WHERE order_id = ANY($1)) AND body_dropped_at IS NULL"
        " AND status NOT IN ('received', 'waiting', 'retrying')",
        order_ids,
        now,
    )
