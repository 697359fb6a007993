"""Queries of reconciliations: what providers told, and where the ledger says otherwise. Row-level security confines."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.payments.errors import ReconciliationNotFound
from services.payments.models import Order, Payment
from services.payments.notices import Notice, read_notice
from services.payments.repository import payment_records
from shared.contracts.payments.reconciliation import Reconciliation
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Fact:
    """One thing a provider told. `said` is None where it knows no such payment, or what it said is not understood."""

    reference: str
    payment: str
    said: Notice | None
    problem: str | None
    told_at: datetime


# --- reconciliations


async def add(uow: UnitOfWork, values: dict[str, Any]) -> None:
    columns = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await uow.execute(f"INSERT INTO reconciliations ({columns}) VALUES ({places})", *values.values())  # noqa: S608


async def has_scheduled(uow: UnitOfWork, gateway_id: UUID, until: datetime) -> bool:
    found = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM reconciliations WHERE gateway_id = $1 AND until = $2 AND is_scheduled)",
        gateway_id,
        until,
    )
    return bool(found)


async def is_running(uow: UnitOfWork, gateway_id: UUID, source: str) -> bool:
    """Whether the gateway is being reconciled. Lock its name first."""
    found = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM reconciliations r JOIN jobs j ON (j.organization_id, j.id) ="
        " (r.organization_id, r.job_id) WHERE r.gateway_id = $1 AND r.source = $2"
        " AND j.state IN ('queued', 'running'))",
        gateway_id,
        source,
    )
    return bool(found)


_RECONCILIATIONS = """
SELECT r.*, g.provider, j.state, j.error, j.finished_at,
    coalesce((j.counters ->> 'read')::bigint, 0) AS read,
    (SELECT coalesce(json_object_agg(kind, count), '{}') FROM (SELECT d.kind, count(*) FROM differences d
        WHERE (d.organization_id, d.reconciliation_id) = (r.organization_id, r.id) GROUP BY 1) k) AS differences,
    (SELECT count(*) FROM differences d WHERE (d.organization_id, d.reconciliation_id) = (r.organization_id, r.id)
        AND d.state IN ('open', 'waiting')) AS open
FROM reconciliations r JOIN gateways g ON (g.organization_id, g.id) = (r.organization_id, r.gateway_id)
JOIN jobs j ON (j.organization_id, j.id) = (r.organization_id, r.job_id)
WHERE ($1::uuid[] IS NULL OR g.shop_id = ANY($1))
"""


async def list_reconciliations(
    uow: UnitOfWork, gateway_id: UUID | None, before: UUID | None, most: int
) -> list[Reconciliation]:
    """Newest first, of the shops that the caller may see."""
    rows = await uow.fetch(
        f"{_RECONCILIATIONS} AND ($2::uuid IS NULL OR r.gateway_id = $2) AND ($3::uuid IS NULL OR r.id < $3)"
        " ORDER BY r.id DESC LIMIT $4",
        uow.caller.shop_limit,
        gateway_id,
        before,
        most,
    )
    return [_reconciliation(row) for row in rows]


async def get_reconciliation(uow: UnitOfWork, reconciliation_id: UUID) -> Reconciliation:
    """Raises ReconciliationNotFound, also beyond the caller's shop limit."""
    row = await uow.fetchrow(f"{_RECONCILIATIONS} AND r.id = $2", uow.caller.shop_limit, reconciliation_id)
    if row is None:
        raise ReconciliationNotFound("There is no such reconciliation.")
    return _reconciliation(row)


def _reconciliation(row: Any) -> Reconciliation:
    plain = ("id", "gateway_id", "provider", "source", "since", "until", "layout", "file_name", "state", "job_id")
    numbers = ("asked_by", "read", "open", "created_at", "finished_at")
    return Reconciliation(
        **{name: row[name] for name in (*plain, *numbers)},
        scheduled=row["is_scheduled"],
        error=None if row["error"] is None else orjson.loads(row["error"]),
        differences=orjson.loads(row["differences"]),
    )


# --- what providers told


async def keep_facts(uow: UnitOfWork, reconciliation_id: UUID, facts: Iterable[Fact]) -> None:
    """Keep what was told until it is compared; the same told again takes its place."""
    rows = list({fact.reference: fact for fact in facts}.values())
    said = [fact.said for fact in rows]
    await uow.execute(
        _KEEP_FACTS,
        uow.organization_id,
        reconciliation_id,
        [fact.reference for fact in rows],
        [fact.payment for fact in rows],
        [
            orjson.dumps([fact.payment] if each is None else [each.payment, *each.aliases]).decode()
            for fact, each in zip(rows, said, strict=True)
        ],
        [each is None or each.speaks_of_payment for each in said],
        [None if each is None else orjson.dumps(each.written()).decode() for each in said],
        [fact.problem for fact in rows],
        [fact.told_at for fact in rows],
    )


_KEEP_FACTS = """
INSERT INTO reconciliation_facts
    (organization_id, reconciliation_id, reference, payment, names, speaks_of_payment, said, problem, told_at)
SELECT $1, $2, reference, payment, ARRAY(SELECT json_array_elements_text(names::json)), speaks, said::json, problem, at
FROM unnest($3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::text[], $9::timestamptz[])
    AS f (reference, payment, names, speaks, said, problem, at)
ON CONFLICT (organization_id, reconciliation_id, reference) DO UPDATE SET payment = excluded.payment,
    names = excluded.names, speaks_of_payment = excluded.speaks_of_payment, said = excluded.said,
    problem = excluded.problem, told_at = excluded.told_at
"""


async def list_facts(uow: UnitOfWork, reconciliation_id: UUID, after: str, payments: int) -> list[Fact]:
    """All that was told of the next payments behind `after`, in the order of the payments' names."""
    rows = await uow.fetch(
        "SELECT * FROM reconciliation_facts WHERE reconciliation_id = $1 AND payment IN (SELECT DISTINCT payment"
        " FROM reconciliation_facts WHERE reconciliation_id = $1 AND payment > $2 ORDER BY payment LIMIT $3)"
        " ORDER BY payment, reference",
        reconciliation_id,
        after,
        payments,
    )
    return [Fact(row["reference"], row["payment"], said_of(row), row["problem"], row["told_at"]) for row in rows]


async def drop_facts(uow: UnitOfWork, reconciliation_id: UUID) -> None:
    await uow.execute("DELETE FROM reconciliation_facts WHERE reconciliation_id = $1", reconciliation_id)


async def drop_left_facts(uow: UnitOfWork, gateway_id: UUID) -> None:
    """Drop what reconciliations of this gateway left behind that came to their end otherwise than they should."""
    await uow.execute(
        "DELETE FROM reconciliation_facts f USING reconciliations r JOIN jobs j ON (j.organization_id, j.id) ="
        " (r.organization_id, r.job_id) WHERE (f.organization_id, f.reconciliation_id) = (r.organization_id, r.id)"
        " AND r.gateway_id = $1 AND j.state IN ('succeeded', 'failed', 'cancelled')",
        gateway_id,
    )


async def list_untold(
    uow: UnitOfWork, reconciliation: Reconciliation, after: UUID | None, most: int
) -> Sequence[tuple[UUID, str]]:
    """Payments first heard of in the period, with money in, of which the provider told nothing: id and name there."""
    rows = await uow.fetch(
        _UNTOLD,
        reconciliation.id,
        reconciliation.gateway_id,
        reconciliation.since,
        reconciliation.until,
        after,
        most,
    )
    return [(row["id"], row["external_id"]) for row in rows]


_UNTOLD = """
WITH told AS (SELECT DISTINCT unnest(names) AS name FROM reconciliation_facts
    WHERE reconciliation_id = $1 AND speaks_of_payment)
SELECT p.id, p.external_id FROM payments p
WHERE p.gateway_id = $2 AND p.created_at >= $3 AND p.created_at < $4 AND p.captured > 0
    AND ($5::uuid IS NULL OR p.id > $5)
    AND NOT EXISTS (SELECT FROM told WHERE told.name = p.external_id)
    AND NOT EXISTS (SELECT FROM told JOIN payment_names n USING (name)
        WHERE n.gateway_id = p.gateway_id AND n.payment_id = p.id)
ORDER BY p.id LIMIT $6
"""


async def list_unpaid(
    uow: UnitOfWork,
    reconciliation: Reconciliation,
    shop_ids: Collection[UUID],
    before: datetime,
    after: UUID | None,
    most: int,
) -> list[Order]:
    """Orders of the period that wait for a payment, placed `before`, of which neither we nor the provider know one."""
    rows = await uow.fetch(
        _UNPAID,
        reconciliation.id,
        reconciliation.gateway_id,
        list(shop_ids),
        reconciliation.since,
        before,
        after,
        most,
    )
    return [Order.of(row) for row in rows]


# An order of a shop with two gateways is told of once.
_UNPAID = """
WITH told AS (SELECT DISTINCT said ->> 'order_number' AS number FROM reconciliation_facts
    WHERE reconciliation_id = $1 AND speaks_of_payment
    AND coalesce(said ->> 'captured', said ->> 'captures', said ->> 'authorised') IS NOT NULL)
SELECT o.* FROM orders o WHERE o.shop_id = ANY($3) AND o.to_be_paid_since >= $4 AND o.to_be_paid_since < $5
    AND NOT o.is_cancelled AND o.total > 0 AND ($6::uuid IS NULL OR o.id > $6)
    AND NOT EXISTS (SELECT FROM payments p WHERE p.order_id = o.id AND (p.captured > 0 OR p.authorised > 0))
    AND NOT EXISTS (SELECT FROM told WHERE told.number = o.number)
    AND NOT EXISTS (SELECT FROM differences d WHERE d.kind = 'order_not_paid' AND d.order_number = o.number
        AND d.state = 'open' AND d.gateway_id <> $2)
ORDER BY o.id LIMIT $7
"""


async def find_order_id(uow: UnitOfWork, number: str) -> UUID | None:
    found: UUID | None = await uow.fetchval("SELECT id FROM orders WHERE number = $1", number)
    return found


async def list_settled_orders(uow: UnitOfWork, numbers: Collection[str]) -> set[str]:
    """Which of these orders are cancelled, or have a payment by now."""
    rows = await uow.fetch(
        "SELECT o.number FROM orders o WHERE o.number = ANY($1) AND (o.is_cancelled OR EXISTS (SELECT FROM payments p"
        " WHERE p.order_id = o.id AND (p.captured > 0 OR p.authorised > 0)))",
        list(numbers),
    )
    return {row["number"] for row in rows}


# --- the ledger's side


@dataclass(frozen=True)
class Known:
    """What the ledger knows of some payments, by their names at the gateway."""

    payments: dict[str, Payment]
    refunds: dict[UUID, list[Any]]
    captures: dict[UUID, list[Any]]
    disputes: dict[UUID, list[Any]]
    orders: dict[str, Order]


async def read_known(uow: UnitOfWork, gateway_id: UUID, said: Collection[Notice], names: Iterable[str] = ()) -> Known:
    """Look up, without locks, all that notices and names speak of."""
    called = {name for each in said for name in (each.payment, *each.aliases)} | set(names)
    owners = await payment_records.list_owners(uow, [(gateway_id, name) for name in called]) if called else {}
    ids = list({payment_id for payment_id, _ in owners.values()})
    rows = await uow.fetch("SELECT * FROM payments WHERE id = ANY($1)", ids)
    payments = {row["id"]: Payment.of(row) for row in rows}
    numbers = list({each.order_number for each in said if each.order_number is not None})
    orders = await uow.fetch("SELECT * FROM orders WHERE number = ANY($1) AND is_placed", numbers)
    return Known(
        payments={name: payments[owner] for (_, name), (owner, _) in owners.items()},
        refunds=_by_payment(await payment_records.list_refunds_of(uow, ids)),
        captures=_by_payment(await payment_records.list_captures_of(uow, ids)),
        disputes=_by_payment(await payment_records.list_disputes_of(uow, ids)),
        orders={row["number"]: Order.of(row) for row in orders},
    )


def _by_payment(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.payment_id].append(row)
    return found


def said_of(row: Any) -> Notice | None:
    """What a row says was told; None where it could not be understood."""
    return None if row["said"] is None else read_notice(orjson.loads(row["said"]))
