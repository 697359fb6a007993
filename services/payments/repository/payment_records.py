"""Queries for payments, and for refunds, captures and disputes of them."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import asyncpg
from sqlmodel import col, select

from services.payments.errors import PaymentNotFound, RefundNotFound
from services.payments.models import Capture, Dispute, Payment, Refund
from services.payments.repository import common
from shared.unit_of_work import UnitOfWork

# A payment as its gateway calls it: the gateway and an id there.
PaymentName = tuple[UUID, str]


async def get_payment(uow: UnitOfWork, payment_id: UUID) -> Payment:
    """Raises PaymentNotFound."""
    payment = await common.find_one(
        uow, select(Payment).where(Payment.id == payment_id, common.is_seen(uow, Payment.shop_id))
    )
    if payment is None:
        raise PaymentNotFound("There is no such payment.")
    return payment


async def find_payment_called(uow: UnitOfWork, gateway_id: UUID, name: str) -> Payment | None:
    """The payment that has this id at its gateway, or is known by it, too."""
    owners = await list_owners(uow, [(gateway_id, name)])
    return (
        await common.find_one(uow, select(Payment).where(Payment.id == owners[gateway_id, name][0])) if owners else None
    )


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
    question = select(Payment).where(common.is_seen(uow, Payment.shop_id))
    for column, wanted in ((Payment.order_id, order_id), (Payment.gateway_id, gateway_id), (Payment.state, state)):
        if wanted is not None:
            question = question.where(col(column) == wanted)
    if before is not None:
        question = question.where(Payment.id < before)
    return await common.find_all(uow, question.order_by(col(Payment.id).desc()).limit(most))


async def get_refund(uow: UnitOfWork, refund_id: UUID) -> Refund:
    """Raises RefundNotFound."""
    refund = await common.find_one(uow, select(Refund).where(Refund.id == refund_id))
    if refund is None:
        raise RefundNotFound("There is no such refund.")
    return refund


async def list_refunds_of(uow: UnitOfWork, payment_ids: Sequence[UUID]) -> list[Refund]:
    if not payment_ids:
        return []
    rows = await uow.fetch("SELECT * FROM refunds WHERE payment_id = ANY($1) ORDER BY id", payment_ids)
    return [Refund.of(row) for row in rows]


async def lock_refunds_of(uow: UnitOfWork, payment_ids: Sequence[UUID]) -> list[Refund]:
    """The refunds of payments, locked against notes of how they are sent. Lock the payments first."""
    rows = await uow.fetch("SELECT * FROM refunds WHERE payment_id = ANY($1) ORDER BY id FOR UPDATE", payment_ids)
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
    question = question.where(common.is_seen(uow, Payment.shop_id))
    if order_id is not None:
        question = question.where(Payment.order_id == order_id)
    if state is not None:
        question = question.where(Refund.state == state)
    if before is not None:
        question = question.where(Refund.id < before)
    rows = await (await uow.session()).execute(question.order_by(col(Refund.id).desc()).limit(most))
    return [(refund, payment) for refund, payment in rows]


async def list_to_check(uow: UnitOfWork, after: UUID | None, most: int) -> list[asyncpg.Record]:
    """Payments of all shops with their totals, by id."""
    return await uow.fetch(
        "SELECT id, order_number, currency, captured, refunded, disputed, version FROM payments"
        " WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after,
        most,
    )
