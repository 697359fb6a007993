"""Events leave with the transaction that made them true: one row each, and one open delivery per listener."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.base import Event
from shared.messaging.subscriptions import LIVE, NOBODY, SUBSCRIPTIONS
from shared.security import SEALED

# Until then a delivery counts as on its way; the sweeper sends it again after.
FIRST_REDELIVERY_SECONDS = 5.0


class SentEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event on the wire. `occurred_at` is seconds since the epoch by the database's clock."""

    id: UUID
    name: str
    payload: bytes
    occurred_at: float
    traceparent: str | None = None


@dataclass(frozen=True)
class Announcement:
    """What one commit leaves to be sent: per listener, the events in the order they were recorded."""

    producer: str
    organization_id: UUID
    sent_at: float
    for_listener: dict[str, list[SentEvent]] = field(default_factory=dict)


async def write(
    connection: Any,
    producer: str,
    organization_id: UUID,
    events: Sequence[tuple[UUID, Event]],
    traceparent: str | None,
) -> Announcement:
    """Write events and their deliveries in one statement, inside the open transaction."""
    rows = [(id_, event.wire_name, event.model_dump_json(context=SEALED)) for id_, event in events]
    pairs = [(id_, listener) for id_, event in events for listener in SUBSCRIPTIONS.get(type(event), ())]
    sent_at = await connection.fetchval(
        _WRITE,
        organization_id,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        traceparent,
        [event_id for event_id, _ in pairs],
        [listener for _, listener in pairs],
        FIRST_REDELIVERY_SECONDS,
    )
    announcement = Announcement(producer, organization_id, sent_at)
    sent = {id_: SentEvent(id_, name, payload.encode(), sent_at, traceparent) for id_, name, payload in rows}
    for event_id, listener in pairs:
        announcement.for_listener.setdefault(listener, []).append(sent[event_id])
    for event_id, event in events:
        if type(event) in LIVE and type(event) not in SUBSCRIPTIONS:
            announcement.for_listener.setdefault(NOBODY, []).append(sent[event_id])
    return announcement


_WRITE = """
WITH events AS (
    INSERT INTO outbox (organization_id, id, name, payload, traceparent)
    SELECT $1, id, name, payload::json, $5
    FROM unnest($2::uuid[], $3::text[], $4::text[]) AS e (id, name, payload)
), listeners AS (
    INSERT INTO deliveries (organization_id, event_id, listener, next_attempt_at)
    SELECT $1, event_id, listener, now() + make_interval(secs => $8)
    FROM unnest($6::uuid[], $7::text[]) AS d (event_id, listener)
)
SELECT extract(epoch FROM now())::float8
"""
