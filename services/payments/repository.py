"""Queries of payments."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from services.payments.errors import CallbackNotFound, PaymentGatewayNotFound, PaymentNotFound, RefundNotFound
from services.payments.models import Base, Callback, Capture, Dispute, Gateway, GatewaySecret, Order, Payment, Refund
from shared.shop_copy import ShopCopy
from shared.unit_of_work import UnitOfWork

T = TypeVar("T", bound=Base)
# A payment as its gateway calls it: the gateway and an id there.
PaymentName = tuple[UUID, str]


async def add(uow: UnitOfWork, row: Base) -> None:
    """Write a new row now, so that what follows in this transaction finds it."""
    session = await uow.session()
    session.add(row)
    await session.flush()


async def write(uow: UnitOfWork, rows: Sequence[Base]) -> None:
    """Write rows of one table without a session, in one statement: new ones are added, known ones overwritten."""
    if rows:
        kind = type(rows[0])
        documents = [{column: getattr(row, column) for column in kind.model_fields} for row in rows]
        # Of asyncpg's own UUIDs orjson knows nothing.
        await uow.execute(_writing(kind), orjson.dumps(documents, default=str).decode())


@cache
def _writing(kind: type[Base]) -> str:
    table, columns = kind.__tablename__, ", ".join(kind.model_fields)
    changes = ", ".join(f"{name} = excluded.{name}" for name in kind.model_fields if name not in _KEY)
    write = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, $1)"  # noqa: S608
    return f"{write} ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {changes}"


_KEY = ("organization_id", "id")


async def _one(uow: UnitOfWork, question: SelectOfScalar[T]) -> T | None:
    return (await (await uow.session()).scalars(question)).one_or_none()


async def _all(uow: UnitOfWork, question: SelectOfScalar[T]) -> Sequence[T]:
    return (await (await uow.session()).scalars(question)).all()


def _locking(question: SelectOfScalar[T]) -> SelectOfScalar[T]:
    """Lock the rows, and read them as they are then: what this transaction read of them before may be old."""
    return question.with_for_update().execution_options(populate_existing=True)


def _seen(uow: UnitOfWork, shop_id: Any) -> ColumnElement[bool]:
    """Whether the caller's shop limit includes a row's shop."""
    limit = uow.caller.shop_ids
    return col(shop_id).is_not(None) if limit is None else col(shop_id).in_(limit)


async def lock_name(uow: UnitOfWork, *parts: object) -> None:
    """Be alone, until this transaction ends, with something that may not have a row yet."""
    await lock_names(uow, [parts])


async def share_name(uow: UnitOfWork, *parts: object) -> None:
    """Keep whoever would be alone with something waiting until this transaction ends; others may share it."""
    name = "\x1f".join(map(str, (uow.organization_id, *parts)))
    await uow.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))", name)


async def lock_names(uow: UnitOfWork, names: Iterable[Sequence[object]]) -> None:
    """As `lock_name`, for several, always in the same order."""
    texts = sorted("\x1f".join(map(str, (uow.organization_id, *parts))) for parts in names)
    if texts:
        await uow.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS n (name)", texts
        )


# --- shops and orders

SHOPS = ShopCopy("parent_id")


async def list_parents(uow: UnitOfWork) -> dict[UUID, UUID | None]:
    """Every shop of the organization with the one above it."""
    return {row["id"]: row["parent_id"] for row in await uow.fetch("SELECT id, parent_id FROM shops")}


async def list_shop_codes(uow: UnitOfWork, shop_ids: set[UUID]) -> dict[UUID, str]:
    rows = await uow.fetch("SELECT id, code FROM shops WHERE id = ANY($1)", list(shop_ids))
    return {row["id"]: row["code"] for row in rows}


async def find_order(uow: UnitOfWork, order_id: UUID, *, for_update: bool = False) -> Order | None:
    question = select(Order).where(Order.id == order_id)
    return await _one(uow, _locking(question) if for_update else question)


async def keep_placed(uow: UnitOfWork, orders: Sequence[tuple[UUID, str, UUID, int, str, datetime | None]]) -> None:
    """Keep orders (id, number, shop, total, currency, since when they are to be paid) that were placed.

    Lock their names first.

    The most an order ever cost is kept: what is heard later may have happened before.
    """
    await uow.execute(
        "INSERT INTO orders (organization_id, id, number, shop_id, total, currency, to_be_paid_since, is_placed)"
        " SELECT $1, o.*, true FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::text[],"
        " $7::timestamptz[]) AS o ON CONFLICT (organization_id, id) DO UPDATE"
        " SET total = greatest(orders.total, excluded.total), currency = excluded.currency, is_placed = true,"
        " to_be_paid_since = excluded.to_be_paid_since",
        uow.organization_id,
        *map(list, zip(*sorted(orders, key=lambda order: order[0]), strict=True)),
    )


async def lock_orders(uow: UnitOfWork, numbers: Collection[str]) -> list[Order]:
    """The orders with these numbers, locked. Lock their names first."""
    if not numbers:
        return []
    rows = await uow.fetch("SELECT * FROM orders WHERE number = ANY($1) ORDER BY id FOR UPDATE", list(numbers))
    return [Order.of(row) for row in rows]


# --- gateways


async def get_gateway(uow: UnitOfWork, gateway_id: UUID, *, for_update: bool = False) -> Gateway:
    """Raises PaymentGatewayNotFound, also for a shop outside the caller's limit."""
    question = select(Gateway).where(Gateway.id == gateway_id, _seen(uow, Gateway.shop_id))
    gateway = await _one(uow, _locking(question) if for_update else question)
    if gateway is None:
        raise PaymentGatewayNotFound("There is no such payment gateway.")
    return gateway


async def get_gateways(uow: UnitOfWork, gateway_ids: Iterable[UUID]) -> dict[UUID, Gateway]:
    """Gateways of callbacks, by their ids."""
    rows = await uow.fetch("SELECT * FROM gateways WHERE id = ANY($1)", list(set(gateway_ids)))
    return {row["id"]: _gateway(row) for row in rows}


def _gateway(row: Any) -> Gateway:
    documents = {name: orjson.loads(row[name]) for name in ("settings", "allowed_networks")}
    return Gateway.of({**row, **documents})


async def list_gateways(uow: UnitOfWork, shop_id: UUID | None, before: UUID | None, most: int) -> Sequence[Gateway]:
    question = select(Gateway).where(_seen(uow, Gateway.shop_id))
    if shop_id is not None:
        question = question.where(Gateway.shop_id == shop_id)
    if before is not None:
        question = question.where(Gateway.id < before)
    return await _all(uow, question.order_by(col(Gateway.id).desc()).limit(most))


async def list_gateways_of_shop(uow: UnitOfWork, shop_id: UUID) -> Sequence[Gateway]:
    return await _all(uow, _locking(select(Gateway).where(Gateway.shop_id == shop_id)))


async def list_secrets(uow: UnitOfWork, gateway_ids: Sequence[UUID]) -> Sequence[GatewaySecret]:
    """All secrets of these gateways, retired ones too, oldest first."""
    question = select(GatewaySecret).where(col(GatewaySecret.gateway_id).in_(gateway_ids))
    return await _all(uow, question.order_by(col(GatewaySecret.id)))


async def write_credentials(uow: UnitOfWork, gateway_id: UUID, sealed: str, at: datetime) -> None:
    await uow.execute(
        "INSERT INTO gateway_credentials VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, gateway_id)"
        " DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at",
        uow.organization_id,
        gateway_id,
        sealed,
        at,
    )


async def find_credentials(uow: UnitOfWork, gateway_id: UUID) -> str | None:
    found: str | None = await uow.fetchval("SELECT sealed FROM gateway_credentials WHERE gateway_id = $1", gateway_id)
    return found


async def list_gateways_with_credentials(uow: UnitOfWork, gateway_ids: Sequence[UUID]) -> set[UUID]:
    rows = await uow.fetch("SELECT gateway_id FROM gateway_credentials WHERE gateway_id = ANY($1)", gateway_ids)
    return {row["gateway_id"] for row in rows}


async def list_certificates(uow: UnitOfWork) -> dict[str, str]:
    """The certificates that have been fetched, as PEM by their addresses."""
    return {row["url"]: row["pem"] for row in await uow.fetch("SELECT url, pem FROM certificates")}


async def keep_certificates(uow: UnitOfWork, pems: Mapping[str, str], at: datetime) -> None:
    await uow.execute(
        "INSERT INTO certificates SELECT $1, url, pem, $4 FROM unnest($2::text[], $3::text[]) AS c (url, pem)"
        " ON CONFLICT (organization_id, url) DO UPDATE SET pem = excluded.pem, fetched_at = excluded.fetched_at",
        uow.organization_id,
        list(pems),
        list(pems.values()),
        at,
    )


async def count_uncollected(uow: UnitOfWork, gateway_ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = await uow.fetch(
        "SELECT gateway_id, sum(callbacks)::int AS callbacks FROM callback_overflows WHERE gateway_id = ANY($1)"
        " GROUP BY 1",
        list(gateway_ids),
    )
    return {row["gateway_id"]: row["callbacks"] for row in rows}


# --- payments, refunds, disputes


async def get_payment(uow: UnitOfWork, payment_id: UUID) -> Payment:
    """Raises PaymentNotFound."""
    payment = await _one(uow, select(Payment).where(Payment.id == payment_id, _seen(uow, Payment.shop_id)))
    if payment is None:
        raise PaymentNotFound("There is no such payment.")
    return payment


async def find_payment_called(uow: UnitOfWork, gateway_id: UUID, name: str) -> Payment | None:
    """The payment that has this id at its gateway, or is known by it, too."""
    owners = await list_owners(uow, [(gateway_id, name)])
    return await _one(uow, select(Payment).where(Payment.id == owners[gateway_id, name][0])) if owners else None


async def list_owners(uow: UnitOfWork, names: Collection[PaymentName]) -> dict[PaymentName, tuple[UUID, str]]:
    """Which payments these gateways and ids mean, and the numbers of their orders, where they are known."""
    rows = await uow.fetch(_OWNERS, [gateway_id for gateway_id, _ in names], [external_id for _, external_id in names])
    return {(row["gateway_id"], row["name"]): (row["id"], row["order_number"]) for row in rows}


_OWNERS = """
WITH sought AS (SELECT * FROM unnest($1::uuid[], $2::text[]) AS n (gateway_id, name))
SELECT s.gateway_id, s.name, p.id, p.order_number FROM sought s
JOIN payments p ON (p.gateway_id, p.external_id) = (s.gateway_id, s.name)
UNION ALL
SELECT s.gateway_id, s.name, p.id, p.order_number FROM sought s
JOIN payment_names o ON (o.gateway_id, o.name) = (s.gateway_id, s.name) JOIN payments p ON p.id = o.payment_id
"""


async def add_names(uow: UnitOfWork, names: Mapping[PaymentName, UUID]) -> None:
    """Let payments be known by these names, too."""
    if names:
        await uow.execute(
            "INSERT INTO payment_names (organization_id, gateway_id, name, payment_id)"
            " SELECT $1, gateway_id, name, payment_id FROM unnest($2::uuid[], $3::text[], $4::uuid[])"
            " AS n (gateway_id, name, payment_id) ON CONFLICT DO NOTHING",
            uow.organization_id,
            [gateway_id for gateway_id, _ in names],
            [name for _, name in names],
            list(names.values()),
        )


async def lock_payments(uow: UnitOfWork, order_ids: Sequence[UUID]) -> list[Payment]:
    """The payments of orders, locked. Lock the orders first."""
    if not order_ids:
        return []
    rows = await uow.fetch("SELECT * FROM payments WHERE order_id = ANY($1) ORDER BY id FOR UPDATE", order_ids)
    return [Payment.of(row) for row in rows]


async def list_payments(
    uow: UnitOfWork,
    *,
    order_id: UUID | None,
    gateway_id: UUID | None,
    state: str | None,
    before: UUID | None,
    most: int,
) -> Sequence[Payment]:
    question = select(Payment).where(_seen(uow, Payment.shop_id))
    for column, wanted in ((Payment.order_id, order_id), (Payment.gateway_id, gateway_id), (Payment.state, state)):
        if wanted is not None:
            question = question.where(col(column) == wanted)
    if before is not None:
        question = question.where(Payment.id < before)
    return await _all(uow, question.order_by(col(Payment.id).desc()).limit(most))


async def get_refund(uow: UnitOfWork, refund_id: UUID, *, for_update: bool = True) -> Refund:
    """Raises RefundNotFound."""
    question = select(Refund).where(Refund.id == refund_id)
    refund = await _one(uow, _locking(question) if for_update else question)
    if refund is None:
        raise RefundNotFound("There is no such refund.")
    return refund


async def list_refunds_of(uow: UnitOfWork, payment_ids: Sequence[UUID]) -> list[Refund]:
    if not payment_ids:
        return []
    rows = await uow.fetch("SELECT * FROM refunds WHERE payment_id = ANY($1) ORDER BY id", payment_ids)
    return [Refund.of(row) for row in rows]


async def list_captures_of(uow: UnitOfWork, payment_ids: Sequence[UUID]) -> list[Capture]:
    if not payment_ids:
        return []
    rows = await uow.fetch("SELECT * FROM captures WHERE payment_id = ANY($1) ORDER BY id", payment_ids)
    return [Capture.of(row) for row in rows]


async def list_disputes_of(uow: UnitOfWork, payment_ids: Sequence[UUID]) -> list[Dispute]:
    if not payment_ids:
        return []
    rows = await uow.fetch("SELECT * FROM disputes WHERE payment_id = ANY($1) ORDER BY id", payment_ids)
    return [Dispute.of(row) for row in rows]


async def list_refunds(
    uow: UnitOfWork, *, order_id: UUID | None, state: str | None, before: UUID | None, most: int
) -> Sequence[tuple[Refund, Payment]]:
    question = select(Refund, Payment).join(Payment, col(Payment.id) == col(Refund.payment_id))
    question = question.where(_seen(uow, Payment.shop_id))
    if order_id is not None:
        question = question.where(Payment.order_id == order_id)
    if state is not None:
        question = question.where(Refund.state == state)
    if before is not None:
        question = question.where(Refund.id < before)
    rows = await (await uow.session()).execute(question.order_by(col(Refund.id).desc()).limit(most))
    return [(refund, payment) for refund, payment in rows]


# --- callbacks


async def lock_callbacks(uow: UnitOfWork, callback_ids: Sequence[UUID]) -> list[Callback]:
    """Callbacks in the order they came, locked against others who work on them, not against the intake."""
    rows = await uow.fetch(
        f"SELECT {_CALLBACK} FROM callbacks WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",  # noqa: S608
        callback_ids,
    )
    return [Callback(*row) for row in rows]


_CALLBACK = ", ".join(each.name for each in fields(Callback))


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
        return callback, await get_gateway(uow, callback.gateway_id)
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
    """Let callbacks stand for the gateways' events, unless others do.

    Returns, per gateway and event id, the callback that stands for it, and its digest.
    """
    # In one order everywhere: two workers that claim the same events wait for each other, and never in a circle.
    sorted_claims = sorted(claims, key=lambda claim: (claim[0].gateway_id, claim[1]))
    columns = (
        [callback.gateway_id for callback, _ in sorted_claims],
        [event_id for _, event_id in sorted_claims],
        [callback.id for callback, _ in sorted_claims],
        [callback.digest for callback, _ in sorted_claims],
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


_WRITE_ATTEMPTS = """
WITH tried AS (
    UPDATE callbacks c SET is_verified = t.is_verified, status = t.status, reason = t.reason, detail = t.detail,
        payment_id = t.payment_id, awaited_order = t.awaited_order, awaited_payment = t.awaited_payment,
        is_accepted = t.is_accepted, fetched = t.fetched
    FROM unnest($2::uuid[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::text[],
        $13::boolean[], $14::bytea[])
        AS t (id, is_verified, status, reason, detail, payment_id, awaited_order, awaited_payment, is_accepted, fetched)
    WHERE c.organization_id = $1 AND c.id = t.id RETURNING c.id, c.status, c.reason, c.detail
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
    row = await uow.fetchrow(_CALLBACKS + "AND c.id = $2", shop_limit(uow), callback_id)
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


def shop_limit(uow: UnitOfWork) -> list[UUID] | None:
    """The shops the caller is confined to; None for all."""
    return None if uow.caller.shop_ids is None else list(uow.caller.shop_ids)


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


# --- numbers that are added up, across tenants


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
