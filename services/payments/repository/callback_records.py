"""Queries for callbacks: locked, listed, claimed, written, and their bytes dropped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.payments.errors import CallbackNotFound, PaymentGatewayNotFound
from services.payments.models import Callback, Gateway, Payment
from services.payments.repository import gateway_records
from shared.unit_of_work import UnitOfWork


async def lock_callbacks(uow: UnitOfWork, callback_ids: Sequence[UUID]) -> list[Callback]:
    """Callbacks in the order they came, locked against others who work on them, not against the intake."""
    rows = await uow.fetch(
        f"SELECT {_CALLBACK} FROM callbacks WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",  # noqa: S608
        callback_ids,
    )
    return [Callback(*row) for row in rows]


_CALLBACK = ", ".join(each.name for each in fields(Callback) if each.init)


async def find_callback(uow: UnitOfWork, callback_id: UUID) -> Callback | None:
    """One callback, locked as by `lock_callbacks`."""
    found = await lock_callbacks(uow, [callback_id])
    return found[0] if found else None


async def find_callback_id(uow: UnitOfWork, gateway_id: UUID, identity: bytes) -> UUID | None:
    found: UUID | None = await uow.fetchval(
        "SELECT id FROM callbacks WHERE (gateway_id, identity) = ($1, $2)", gateway_id, identity
    )
    return found


async def get_callback(uow: UnitOfWork, callback_id: UUID) -> tuple[Callback, Gateway]:
    """A callback with its gateway, locked. Raises CallbackNotFound, also beyond the caller's shop limit."""
    callback = await find_callback(uow, callback_id)
    if callback is None:
        raise CallbackNotFound("There is no such callback.")
    try:
        return callback, await gateway_records.get_gateway(uow, callback.gateway_id)
    except PaymentGatewayNotFound:
        raise CallbackNotFound("There is no such callback.") from None


async def list_awaiting_orders(uow: UnitOfWork, order_numbers: Sequence[str]) -> list[UUID]:
    """Callbacks that wait for one of these orders."""
    rows = await uow.fetch("SELECT id FROM callbacks WHERE awaited_order = ANY($1) ORDER BY id", order_numbers)
    return [row["id"] for row in rows]


async def list_awaiting_payments(uow: UnitOfWork, payments: Iterable[Payment]) -> list[UUID]:
    """Callbacks that wait for what else is said about these payments, by whatever name."""
    rows = await uow.fetch(_AWAITING_PAYMENTS, list({payment.id for payment in payments}))
    return [row["id"] for row in rows]


_AWAITING_PAYMENTS = """
WITH names AS (
    SELECT gateway_id, external_id AS name FROM payments WHERE id = ANY($1)
    UNION SELECT gateway_id, name FROM payment_names WHERE payment_id = ANY($1)
)
SELECT c.id FROM names n JOIN callbacks c ON (c.gateway_id, c.awaited_payment) = (n.gateway_id, n.name) ORDER BY c.id
"""


Event = tuple[UUID, str]


async def claim_events(uow: UnitOfWork, claims: Sequence[tuple[Callback, str]]) -> dict[Event, tuple[UUID, bytes]]:
    """Let callbacks stand for the gateways' events, unless others do. Lock the events first.

    Returns, per gateway and event id, the callback that stands for it, and its digest.
    """
    columns = (
        [callback.gateway_id for callback, _ in claims],
        [event_id for _, event_id in claims],
        [callback.id for callback, _ in claims],
        [callback.digest for callback, _ in claims],
    )
    claimed = await uow.fetch(_CLAIM_EVENTS, uow.organization_id, *columns)
    if len(claimed) < len(claims):
        claimed = await uow.fetch(_STANDING_EVENTS, *columns[:2])
    return {(row["gateway_id"], row["event_id"]): (row["callback_id"], row["digest"]) for row in claimed}


_CLAIM_EVENTS = """
INSERT INTO events (organization_id, gateway_id, event_id, callback_id, digest)
SELECT $1, gateway_id, event_id, callback_id, digest FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::bytea[])
    AS c (gateway_id, event_id, callback_id, digest)
ON CONFLICT DO NOTHING RETURNING gateway_id, event_id, callback_id, digest
"""


_STANDING_EVENTS = """
SELECT gateway_id, event_id, callback_id, digest FROM events
JOIN unnest($1::uuid[], $2::text[]) AS c (gateway_id, event_id) USING (gateway_id, event_id)
"""


async def write_attempts(uow: UnitOfWork, callbacks: Sequence[Callback], kind: str, actor: str, at: datetime) -> None:
    """Write what locked callbacks have come to, and with it an attempt of each."""
    await uow.execute(
        _WRITE_ATTEMPTS,
        uow.organization_id,
        [callback.id for callback in callbacks],
        [callback.is_verified for callback in callbacks],
        [callback.status for callback in callbacks],
        [callback.reason for callback in callbacks],
        [callback.detail for callback in callbacks],
        [callback.payment_id for callback in callbacks],
        [callback.awaited_order for callback in callbacks],
        [callback.awaited_payment for callback in callbacks],
        at,
        kind,
        actor,
        [callback.is_accepted for callback in callbacks],
        [callback.fetched for callback in callbacks],
    )


# Locked rows stay where they lie. Joined by their ids, each of them may be compared with each.
_WRITE_ATTEMPTS = """
WITH tried AS (
    UPDATE callbacks c SET is_verified = t.is_verified, status = t.status, reason = t.reason, detail = t.detail,
        payment_id = t.payment_id, awaited_order = t.awaited_order, awaited_payment = t.awaited_payment,
        is_accepted = t.is_accepted, fetched = t.fetched
    FROM (
        SELECT t.*, found.place FROM unnest($2::uuid[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::uuid[],
            $8::text[], $9::text[], $13::boolean[], $14::bytea[])
            AS t (id, is_verified, status, reason, detail, payment_id, awaited_order, awaited_payment, is_accepted,
                fetched)
        CROSS JOIN LATERAL (SELECT ctid AS place FROM callbacks WHERE organization_id = $1 AND id = t.id OFFSET 0) found
    ) t
    WHERE c.ctid = t.place RETURNING c.id, c.status, c.reason, c.detail
)
INSERT INTO callback_attempts (organization_id, callback_id, number, at, kind, actor, status, reason, detail)
SELECT $1, id, (SELECT coalesce(max(number), 0) + 1 FROM callback_attempts a
    WHERE (a.organization_id, a.callback_id) = ($1, tried.id)), $10, $11, $12, status, reason, detail FROM tried
"""


async def note_retry(uow: UnitOfWork, callback_id: UUID, at: datetime, reason: str, detail: str) -> None:
    """Write down that the database refused an attempt. Without the session, which such a refusal leaves unusable."""
    await uow.execute(
        "WITH tried AS (UPDATE callbacks SET status = 'retrying', reason = $3, detail = $4 WHERE id = $1 RETURNING *)"
        " INSERT INTO callback_attempts"
        " (organization_id, callback_id, number, at, kind, actor, status, reason, detail)"
        " SELECT organization_id, id, (SELECT coalesce(max(number), 0) + 1 FROM callback_attempts"
        " WHERE callback_id = $1), $2, 'processing', $5, status, reason, detail FROM tried",
        callback_id,
        at,
        reason,
        detail[:1000],
        uow.caller.name,
    )


async def has_failed_callbacks(uow: UnitOfWork, gateway_id: UUID, reason: str) -> bool:
    return bool(
        await uow.fetchval(
            "SELECT EXISTS (SELECT FROM callbacks WHERE status = 'failed' AND gateway_id = $1 AND reason = $2)",
            gateway_id,
            reason,
        )
    )


_CALLBACKS = """
SELECT c.id, c.gateway_id, g.provider, c.status, c.reason, c.detail, c.event, c.event_id, c.payment_id, c.received_at,
    c.is_verified, c.origin,
    1 + c.repeats + coalesce((SELECT sum(r.deliveries) FROM callback_repeats r WHERE
        (r.organization_id, r.gateway_id, r.identity) = (c.organization_id, c.gateway_id, c.identity)), 0)::int
        AS deliveries,
    coalesce((SELECT json_agg(json_build_object('number', a.number, 'at', a.at, 'kind', a.kind, 'actor', a.actor,
        'status', a.status, 'reason', a.reason, 'detail', a.detail) ORDER BY a.number) FROM callback_attempts a
        WHERE (a.organization_id, a.callback_id) = (c.organization_id, c.id)), '[]') AS attempts
FROM callbacks c JOIN gateways g ON (g.organization_id, g.id) = (c.organization_id, c.gateway_id)
WHERE ($1::uuid[] IS NULL OR g.shop_id = ANY($1))
"""


_MEANT = """
AND ($2::text IS NULL OR c.status = $2) AND ($3::uuid IS NULL OR c.gateway_id = $3)
AND ($4::uuid IS NULL OR g.shop_id = $4) AND ($5::text IS NULL OR c.reason = $5)
AND ($6::timestamptz IS NULL OR c.received_at >= $6) AND ($7::timestamptz IS NULL OR c.received_at < $7)
"""


@dataclass(frozen=True)
class Meant:
    """Which callbacks are meant, of those whose shops the caller may see."""

    shop_ids: list[UUID] | None
    status: str | None = None
    gateway_id: UUID | None = None
    shop_id: UUID | None = None
    reason: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    @property
    def values(self) -> tuple[Any, ...]:
        return self.shop_ids, self.status, self.gateway_id, self.shop_id, self.reason, self.since, self.before


async def list_callbacks(uow: UnitOfWork, meant: Meant, before: UUID | None, most: int) -> list[Any]:
    """Rows of callbacks without their bytes, newest first."""
    return await uow.fetch(
        f"{_CALLBACKS} {_MEANT} AND ($8::uuid IS NULL OR c.id < $8) ORDER BY c.id DESC LIMIT $9",
        *meant.values,
        before,
        most,
    )


_OF_MEANT = (
    "FROM callbacks c JOIN gateways g ON (g.organization_id, g.id) = (c.organization_id, c.gateway_id)"
    f" WHERE ($1::uuid[] IS NULL OR g.shop_id = ANY($1)) {_MEANT} AND c.status NOT IN ('processed', 'rejected')"
)


async def count_unsettled(uow: UnitOfWork, meant: Meant) -> tuple[int, UUID | None]:
    """How many are meant that somebody can still do something with, and the newest of them."""
    # UUIDs have no maximum in PostgreSQL before 18; their order is that of their text.
    row = await uow.fetchrow(
        f"SELECT count(*)::int AS count, max(c.id::text)::uuid AS newest {_OF_MEANT}", *meant.values
    )
    assert row is not None
    return row["count"], row["newest"]


async def list_unsettled(uow: UnitOfWork, meant: Meant, after: UUID | None, newest: UUID, most: int) -> list[UUID]:
    """Their ids, oldest first, up to the newest."""
    rows = await uow.fetch(
        f"SELECT c.id {_OF_MEANT} AND ($8::uuid IS NULL OR c.id > $8) AND c.id <= $9 ORDER BY c.id LIMIT $10",
        *meant.values,
        after,
        newest,
        most,
    )
    return [row["id"] for row in rows]


async def get_callback_row(uow: UnitOfWork, callback_id: UUID) -> Any:
    """One row as in the list. Raises CallbackNotFound."""
    row = await uow.fetchrow(_CALLBACKS + "AND c.id = $2", uow.caller.shop_limit, callback_id)
    if row is None:
        raise CallbackNotFound("There is no such callback.")
    return row


async def get_callback_content(uow: UnitOfWork, callback_id: UUID) -> Any:
    """The bytes, headers, source and verdict of a callback that is known to be there."""
    return await uow.fetchrow(
        "SELECT body, headers, source_address, is_verified, body_dropped_at, is_accepted, part, fetched, origin"
        " FROM callbacks WHERE id = $1",
        callback_id,
    )


async def drop_bytes(uow: UnitOfWork, statuses: Sequence[str], before: datetime, at: datetime) -> None:
    """Drop the bytes of callbacks with these statuses that came `before`, some at a time. Across tenants."""
    await uow.execute(
        "UPDATE callbacks SET body = '', headers = '[]', fetched = NULL, body_dropped_at = $3"
        " WHERE (organization_id, id) IN (SELECT organization_id, id FROM callbacks WHERE status = ANY($1)"
        " AND body_dropped_at IS NULL AND received_at < $2 ORDER BY received_at LIMIT 50000)",
        list(statuses),
        before,
        at,
    )
