"""Queries of reconciliations: what providers told, and where the ledger says otherwise. Row-level security confines."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.payments import repository
from services.payments.errors import DifferenceNotFound, ReconciliationNotFound
from services.payments.models import Order, Payment
from services.payments.notices import Notice, read_notice
from shared import clock
from shared.contracts.payments.reconciliation import Difference, Reconciliation
from shared.identifiers import new_id
from shared.money import Money
from shared.unit_of_work import UnitOfWork

OPEN = ("open", "waiting")


@dataclass(frozen=True)
class Fact:
    """One thing a provider told. `said` is None where it knows no such payment, or what it said is not understood."""

    reference: str
    payment: str
    said: Notice | None
    problem: str | None
    told_at: datetime


@dataclass(frozen=True)
class Found:
    """A difference to be written. Amounts in minor units of `currency`."""

    fact: Fact
    kind: str
    there: int
    here: int
    detail: str
    payment: Payment | None
    is_repairable: bool = True
    order: Order | None = None

    @property
    def order_number(self) -> str | None:
        if self.order is not None:
            return self.order.number
        holder = self.payment or self.fact.said
        return None if holder is None else holder.order_number

    @property
    def currency(self) -> str | None:
        holder = self.fact.said or self.order or self.payment
        return None if holder is None else holder.currency


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
        repository.shop_limit(uow),
        gateway_id,
        before,
        most,
    )
    return [_reconciliation(row) for row in rows]


async def get_reconciliation(uow: UnitOfWork, reconciliation_id: UUID) -> Reconciliation:
    """Raises ReconciliationNotFound, also beyond the caller's shop limit."""
    row = await uow.fetchrow(f"{_RECONCILIATIONS} AND r.id = $2", repository.shop_limit(uow), reconciliation_id)
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
    return [Fact(row["reference"], row["payment"], _said(row), row["problem"], row["told_at"]) for row in rows]


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
    owners = await repository.list_owners(uow, [(gateway_id, name) for name in called]) if called else {}
    ids = list({payment_id for payment_id, _ in owners.values()})
    rows = await uow.fetch("SELECT * FROM payments WHERE id = ANY($1)", ids)
    payments = {row["id"]: Payment.of(row) for row in rows}
    numbers = list({each.order_number for each in said if each.order_number is not None})
    orders = await uow.fetch("SELECT * FROM orders WHERE number = ANY($1) AND is_placed", numbers)
    return Known(
        payments={name: payments[owner] for (_, name), (owner, _) in owners.items()},
        refunds=_by_payment(await repository.list_refunds_of(uow, ids)),
        captures=_by_payment(await repository.list_captures_of(uow, ids)),
        disputes=_by_payment(await repository.list_disputes_of(uow, ids)),
        orders={row["number"]: Order.of(row) for row in orders},
    )


def _by_payment(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.payment_id].append(row)
    return found


# --- differences


async def add_differences(uow: UnitOfWork, reconciliation_id: UUID, gateway_id: UUID, found: Sequence[Found]) -> None:
    """Write what was found. The same differences of earlier reconciliations are superseded."""
    if not found:
        return
    now = clock.now()
    rows = [_document(reconciliation_id, gateway_id, each) for each in found]
    table = orjson.dumps([row | {"organization_id": uow.organization_id} for row in rows], default=str).decode()
    await uow.execute(_ADD_DIFFERENCES, table, now)
    await uow.execute(
        "UPDATE differences d SET state = 'superseded', changed_at = $4 FROM unnest($2::text[], $3::text[])"
        " AS f (kind, reference) WHERE d.gateway_id = $1 AND d.kind = f.kind AND d.reference = f.reference"
        " AND d.state = 'open' AND d.reconciliation_id <> $5",
        gateway_id,
        [each.kind for each in found],
        [each.fact.reference for each in found],
        now,
        reconciliation_id,
    )


_ADD_DIFFERENCES = """
INSERT INTO differences (organization_id, id, reconciliation_id, gateway_id, kind, reference, payment, payment_id,
    order_number, currency, amount_there, amount_here, detail, is_repairable, said, told_at, state, created_at,
    changed_at, looked_at)
SELECT organization_id, id, reconciliation_id, gateway_id, kind, reference, payment, payment_id, order_number, currency,
    amount_there, amount_here, detail, is_repairable, said, told_at, 'open', $2, $2, $2
FROM json_populate_recordset(NULL::differences, $1) ON CONFLICT DO NOTHING
"""


def _document(reconciliation_id: UUID, gateway_id: UUID, found: Found) -> dict[str, Any]:
    said, payment = found.fact.said, found.payment
    return {
        "id": new_id(),
        "reconciliation_id": reconciliation_id,
        "gateway_id": gateway_id,
        "kind": found.kind,
        "reference": found.fact.reference,
        "payment": found.fact.payment,
        "payment_id": None if payment is None else payment.id,
        "order_number": found.order_number,
        "currency": found.currency,
        "amount_there": found.there,
        "amount_here": found.here,
        "detail": found.detail[:1000],
        "is_repairable": found.is_repairable and said is not None,
        "said": None if said is None else said.written(),
        "told_at": found.fact.told_at,
    }


_DIFFERENCES = """
SELECT d.* FROM differences d JOIN gateways g ON (g.organization_id, g.id) = (d.organization_id, d.gateway_id)
WHERE ($1::uuid[] IS NULL OR g.shop_id = ANY($1))
"""


async def list_differences(uow: UnitOfWork, wanted: dict[str, Any], before: UUID | None, most: int) -> list[Any]:
    """Rows, newest first; `wanted` are columns with the values they must have, None for any."""
    return await uow.fetch(
        f"{_DIFFERENCES} AND ($2::uuid IS NULL OR d.reconciliation_id = $2) AND ($3::uuid IS NULL OR d.gateway_id = $3)"
        " AND ($4::text IS NULL OR d.kind = $4) AND ($5::text IS NULL OR d.state = $5)"
        " AND ($6::uuid IS NULL OR d.id < $6) ORDER BY d.id DESC LIMIT $7",
        repository.shop_limit(uow),
        *(wanted.get(name) for name in ("reconciliation_id", "gateway_id", "kind", "state")),
        before,
        most,
    )


async def get_difference(uow: UnitOfWork, difference_id: UUID, *, for_update: bool = False) -> Any:
    """Raises DifferenceNotFound, also beyond the caller's shop limit."""
    lock = " FOR UPDATE OF d" if for_update else ""
    row = await uow.fetchrow(f"{_DIFFERENCES} AND d.id = $2{lock}", repository.shop_limit(uow), difference_id)
    if row is None:
        raise DifferenceNotFound("There is no such difference.")
    return row


_REPAIRABLE = (
    "FROM differences WHERE reconciliation_id = $1 AND ($2::text IS NULL OR kind = $2) AND state IN ('open', 'waiting')"
    " AND is_repairable"
)


async def count_repairable(uow: UnitOfWork, reconciliation_id: UUID, kind: str | None) -> dict[str, int]:
    rows = await uow.fetch(f"SELECT kind, count(*)::int AS count {_REPAIRABLE} GROUP BY 1", reconciliation_id, kind)
    return {row["kind"]: row["count"] for row in rows}


async def list_repairable(
    uow: UnitOfWork, reconciliation_id: UUID, kind: str | None, after: UUID | None, most: int
) -> list[UUID]:
    """Ids, in the order in which they were found: a payment before its refunds."""
    rows = await uow.fetch(
        f"SELECT id {_REPAIRABLE} AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4",
        reconciliation_id,
        kind,
        after,
        most,
    )
    return [row["id"] for row in rows]


async def list_to_look_at(uow: UnitOfWork, gateway_id: UUID, most: int) -> list[Any]:
    """Open differences of payments, those first that were looked at longest ago."""
    return await uow.fetch(
        "SELECT * FROM differences WHERE gateway_id = $1 AND state IN ('open', 'waiting') AND payment IN"
        " (SELECT payment FROM differences WHERE gateway_id = $1 AND state IN ('open', 'waiting')"
        " ORDER BY looked_at LIMIT $2)",
        gateway_id,
        most,
    )


async def note_looked_at(uow: UnitOfWork, looked_at: Collection[UUID], matched: Collection[UUID]) -> None:
    """Write down that differences were looked at again, and which of them are none any more."""
    await uow.execute(
        "UPDATE differences SET looked_at = $3, state = CASE WHEN id = ANY($2) THEN 'matched' ELSE state END,"
        " changed_at = CASE WHEN id = ANY($2) THEN $3 ELSE changed_at END"
        " WHERE id = ANY($1) AND state IN ('open', 'waiting')",
        list(looked_at),
        list(matched),
        clock.now(),
    )


async def settle(
    uow: UnitOfWork, difference_id: UUID, state: str, *, callback_id: UUID | None = None, reason: str | None = None
) -> Any:
    """Write what became of a locked difference; the row as it is then."""
    return await uow.fetchrow(
        "UPDATE differences SET state = $2, callback_id = coalesce($3, callback_id), reason = coalesce($4, reason),"
        " changed_at = $5 WHERE id = $1 RETURNING *",
        difference_id,
        state,
        callback_id,
        reason,
        clock.now(),
    )


async def count_open(uow: UnitOfWork, gateway_id: UUID) -> dict[str, int]:
    rows = await uow.fetch(
        "SELECT kind, count(*)::int AS count FROM differences WHERE gateway_id = $1 AND state IN ('open', 'waiting')"
        " GROUP BY 1 ORDER BY 1",
        gateway_id,
    )
    return {row["kind"]: row["count"] for row in rows}


async def add_callback(uow: UnitOfWork, gateway_id: UUID, identity: bytes, event: str, body: bytes) -> UUID:
    """The callback that brings this in; the same one however often it is asked for."""
    added = await uow.fetchval(
        "INSERT INTO callbacks (organization_id, id, gateway_id, identity, digest, event, body, headers, received_at,"
        " is_verified, status, origin)"
        " VALUES ($1, $2, $3, $4, $4, $5, $6, '[]', $7, true, 'received', 'reconciliation')"
        " ON CONFLICT DO NOTHING RETURNING id",
        uow.organization_id,
        new_id(),
        gateway_id,
        identity,
        event,
        body,
        clock.now(),
    )
    found: UUID | None = added or await repository.find_callback_id(uow, gateway_id, identity)
    assert found is not None
    return found


async def note_sending(uow: UnitOfWork, refund_id: UUID, at: datetime) -> None:
    """A requested refund is being sent from now on. Lock its payment first."""
    await uow.execute("UPDATE refunds SET sending_since = $2 WHERE id = $1", refund_id, at)


async def note_sent(uow: UnitOfWork, refund_id: UUID, external_id: str) -> None:
    """The provider calls what was made of a request by this name."""
    await uow.execute("UPDATE refunds SET sent_as = $2 WHERE id = $1", refund_id, external_id)


async def note_not_sent(uow: UnitOfWork, refund_id: UUID, why: str) -> None:
    await uow.execute("UPDATE refunds SET sending_error = $2 WHERE id = $1", refund_id, why[:1000])


def fact_of(row: Any) -> Fact:
    """What a difference was found by."""
    return Fact(row["reference"], row["payment"], _said(row), None, row["told_at"])


def _said(row: Any) -> Notice | None:
    return None if row["said"] is None else read_notice(orjson.loads(row["said"]))


def difference(row: Any) -> Difference:
    plain = ("id", "reconciliation_id", "gateway_id", "kind", "state", "reference", "payment", "payment_id", "detail")
    times = ("order_number", "callback_id", "reason", "told_at", "created_at", "changed_at")
    currency = row["currency"]
    return Difference(
        **{name: row[name] for name in (*plain, *times)},
        repairable=row["is_repairable"],
        amount_there=None if currency is None else Money(amount=row["amount_there"], currency=currency),
        amount_here=None if currency is None else Money(amount=row["amount_here"], currency=currency),
    )
