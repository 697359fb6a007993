"""Queries of differences between providers and the ledger. Row-level security confines each to its tenant."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.payments.errors import DifferenceNotFound
from services.payments.models import Order, Payment
from services.payments.repository.reconciliation_records import Fact, said_of
from shared import clock
from shared.contracts.payments.reconciliation import Difference
from shared.identifiers import new_id
from shared.money import Money
from shared.unit_of_work import UnitOfWork

OPEN = ("open", "waiting")


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


async def add_differences(uow: UnitOfWork, reconciliation_id: UUID, gateway_id: UUID, found: Sequence[Found]) -> None:
    """Write what was found. What earlier reconciliations found of the same is superseded, also as another kind."""
    if not found:
        return
    now = clock.now()
    rows = [_document(reconciliation_id, gateway_id, each) for each in found]
    table = orjson.dumps([row | {"organization_id": uow.organization_id} for row in rows], default=str).decode()
    await uow.execute(_ADD_DIFFERENCES, table, now)
    await uow.execute(
        "UPDATE differences SET state = 'superseded', changed_at = $3 WHERE gateway_id = $1 AND reference = ANY($2)"
        " AND state = 'open' AND reconciliation_id <> $4",
        gateway_id,
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


async def remove_superseded(uow: UnitOfWork, before: datetime) -> None:
    """Remove differences that were superseded `before`, some at a time: a later one says the same. Across tenants."""
    await uow.execute(
        "DELETE FROM differences WHERE (organization_id, id) IN (SELECT organization_id, id FROM differences"
        " WHERE state = 'superseded' AND changed_at < $1 ORDER BY changed_at LIMIT 50000)",
        before,
    )


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
        "is_repairable": found.is_repairable and (said is not None or found.order is not None),
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
        uow.caller.shop_limit,
        *(wanted.get(name) for name in ("reconciliation_id", "gateway_id", "kind", "state")),
        before,
        most,
    )


async def get_difference(uow: UnitOfWork, difference_id: UUID, *, for_update: bool = False) -> Any:
    """Raises DifferenceNotFound, also beyond the caller's shop limit."""
    lock = " FOR UPDATE OF d" if for_update else ""
    row = await uow.fetchrow(f"{_DIFFERENCES} AND d.id = $2{lock}", uow.caller.shop_limit, difference_id)
    if row is None:
        raise DifferenceNotFound("There is no such difference.")
    return row


_REPAIRABLE = (
    "FROM differences WHERE reconciliation_id = $1 AND ($2::text IS NULL OR kind = $2) AND state IN ('open', 'waiting')"
    " AND is_repairable AND said IS NOT NULL"
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


def fact_of(row: Any) -> Fact:
    """What a difference was found by."""
    return Fact(row["reference"], row["payment"], said_of(row), None, row["told_at"])


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
