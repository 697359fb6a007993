"""What a listener tells the producer about deliveries: done, or failed and why. A lost receipt costs one redelivery."""

from typing import Any
from uuid import UUID

import msgspec

from shared.redis_connection import RedisAddress

MOST_FAILURES = 12


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """`error` None: handled, close the deliveries. Otherwise: why each of them failed."""

    organization_id: UUID
    listener: str
    event_ids: list[UUID]
    error: str | None = None


async def send(redis: Any, address: RedisAddress, producer: str, receipt: Receipt) -> None:
    """Leave a receipt for `producer`. Raises what Redis raises."""
    await redis.rpush(address.receipts(producer), msgspec.msgpack.encode(receipt))


async def receive(redis: Any, address: RedisAddress, producer: str, most: int = 500) -> list[Receipt]:
    """Take receipts. Raises what Redis raises."""
    frames = await redis.lpop(address.receipts(producer), most) or []
    return [msgspec.msgpack.decode(frame, type=Receipt) for frame in frames]


async def close(connection: Any, receipts: list[Receipt]) -> int:
    """Close deliveries that were handled. Returns how many were still open."""
    keys = [(r.organization_id, event_id, r.listener) for r in receipts if r.error is None for event_id in r.event_ids]
    if not keys:
        return 0
    status = await connection.execute(
        "DELETE FROM deliveries d USING unnest($1::uuid[], $2::uuid[], $3::text[]) AS done (organization_id, event_id,"
        " listener) WHERE (d.organization_id, d.event_id, d.listener) = (done.organization_id, done.event_id,"
        " done.listener)",
        *map(list, zip(*keys, strict=True)),
    )
    return int(status.split()[-1])


async def note_failures(connection: Any, receipts: list[Receipt]) -> list[Any]:
    """Count failures, wait longer after each, park at MOST_FAILURES. Returns the rows parked just now."""
    parked = []
    for receipt in receipts:
        if receipt.error is None:
            continue
        parked += await connection.fetch(
            "UPDATE deliveries SET failures = failures + 1, last_error = $4,"
            " next_attempt_at = now() + make_interval(secs => least(600, power(2, failures))) * (0.75 + random() / 2),"
            " parked_at = CASE WHEN failures + 1 >= $5 THEN now() END"
            " WHERE organization_id = $1 AND event_id = ANY($2) AND listener = $3 AND parked_at IS NULL"
            " RETURNING organization_id, event_id, listener, parked_at, last_error",
            receipt.organization_id,
            receipt.event_ids,
            receipt.listener,
            receipt.error[:2000],
            MOST_FAILURES,
        )
    return [row for row in parked if row["parked_at"] is not None]
