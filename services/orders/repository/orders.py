"""Placing orders, and reading what belongs to one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select

from services.orders.errors import OrderNotFound
from services.orders.models import Base, OrderLineRow, OrderRow
from services.orders.models.payments import OrderPaymentRow
from services.orders.models.records import OrderReturnRow, OrderShipmentRow, TimelineRow
from shared.contracts.orders.customers import normalised_email
from shared.contracts.orders.shapes import CustomerDraft
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

# --- placing


@dataclass(frozen=True)
class Placed:
    """An order that is about to be stored, with its lines and the first entry of its timeline."""

    order: OrderRow
    lines: Sequence[OrderLineRow]
    entry: TimelineRow
    shop_code: str

    @property
    def prefix(self) -> str:
        """What its number begins with."""
        return self.shop_code.upper()


async def list_fulfilled(uow: UnitOfWork, keys: Sequence[tuple[UUID, UUID | None, str | None]]) -> set[UUID]:
    """Of orders, named by id, client and idempotency key: those that are there, or whose key was used."""
    if not keys:
        return set()
    rows = await uow.fetch(_LIST_FULFILLED, *map(list, zip(*keys, strict=True)))
    return {row["id"] for row in rows}


# One by one, through the indexes: as a whole it reads all that the tenant has ever ordered.
_LIST_FULFILLED = """
SELECT k.id FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS k (id, client_id, key) CROSS JOIN LATERAL (
    SELECT FROM idempotency i WHERE (i.client_id, i.key) = (k.client_id, k.key)
    UNION ALL SELECT FROM orders o WHERE o.id = k.id LIMIT 1) known
"""


async def is_answered(uow: UnitOfWork, client_id: UUID | None, key: str | None) -> bool:
    """Whether a request with this idempotency key was answered, and is remembered."""
    known: bool = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM idempotency WHERE (client_id, key) = ($1, $2))", client_id, key
    )
    return known


async def ensure_customers(uow: UnitOfWork, customers: Iterable[CustomerDraft]) -> dict[str, UUID]:
    """The customers of these e-mail addresses, by their normal spelling, made where there are none.

    The rows are held against erasure, so that no order comes to somebody who is being forgotten; and all in one order,
    so that nobody waits for each other.
    """
    names = {normalised_email(customer.email): customer.name for customer in customers}
    found: dict[str, UUID] = {}
    while missing := sorted(names.keys() - found.keys()):
        rows = await uow.fetch(_HOLD_CUSTOMERS, missing)
        found |= {row["email"]: row["id"] for row in rows}
        new = [email for email in missing if email not in found]
        if new:
            ids, named = [new_id() for _ in new], [names[email] for email in new]
            rows = await uow.fetch(_ADD_CUSTOMERS, uow.organization_id, ids, new, named)
            found |= {row["email"]: row["id"] for row in rows}
    return found


_HOLD_CUSTOMERS = """
SELECT c.* FROM unnest($1::text[]) AS asked (email) CROSS JOIN LATERAL (
    SELECT email, id FROM customers WHERE email = asked.email FOR KEY SHARE) c
"""
_ADD_CUSTOMERS = """
INSERT INTO customers (organization_id, id, email, name)
SELECT $1, id, email, name FROM unnest($2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY AS c (id, email, name, place)
ORDER BY place ON CONFLICT DO NOTHING RETURNING email, id
"""


async def add_orders(uow: UnitOfWork, placed: Sequence[Placed]) -> dict[UUID, str]:
    """Store new orders under the next numbers of their prefixes, in one statement. Returns the numbers by id.

    The counters' rows are the last thing this transaction locks, so that orders of one shop queue only for the commit.
    """
    # How many of the group come after each under the same prefix: the counter stands at the last one's number.
    counts: dict[str, int] = {}
    later: list[int] = []
    for each in reversed(placed):
        later.append(counts.get(each.prefix, 0))
        counts[each.prefix] = counts.get(each.prefix, 0) + 1
    prefixes = sorted(counts)
    rows = await uow.fetch(
        _ADD_ORDERS,
        uow.organization_id,
        prefixes,
        [counts[prefix] for prefix in prefixes],
        *_columns([(o.prefix, after, *_order_columns(o)) for o, after in zip(placed, reversed(later), strict=True)]),
        *_columns([_line_columns(line) for each in placed for line in each.lines]),
    )
    return {row["id"]: row["number"] for row in rows}


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return list(map(list, zip(*rows, strict=True)))


def _order_columns(placed: Placed) -> tuple[Any, ...]:
    order, entry = placed.order, placed.entry
    return (
        order.id,
        order.shop_id,
        order.client_id,
        order.customer_id,
        order.status,
        order.currency,
        order.total,
        _json(order.customer),
        _json(order.shipping_address),
        order.pay_until,
        order.placed_at,
        order.goods,
        order.line_discount,
        order.line_tax,
        order.discount,
        order.tax,
        order.shipping_price,
        order.included_tax,
        _json(order.discounts),
        _json(order.taxes),
        _json(order.shipping),
        entry.id,
        entry.kind,
        entry.actor,
        entry.text,
    )


def _line_columns(line: OrderLineRow) -> tuple[Any, ...]:
    return (
        line.order_id,
        line.sku,
        line.position,
        line.title,
        line.quantity,
        line.unit_price,
        line.discount,
        line.tax,
        _json(line.discounts),
        _json(line.taxes),
        line.backordered,
    )


_ADD_ORDERS = """
WITH numbered AS (
    INSERT INTO order_numbers AS n (organization_id, prefix, last)
    SELECT $1, prefix, count FROM unnest($2::text[], $3::bigint[]) AS p (prefix, count) ORDER BY prefix
    ON CONFLICT (organization_id, prefix) DO UPDATE SET last = n.last + excluded.last
    RETURNING prefix, last
), new AS (
    SELECT o.*, n.last - o.later AS count FROM numbered n JOIN unnest($4::text[], $5::bigint[], $6::uuid[], $7::uuid[],
        $8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::bigint[], $13::json[], $14::json[], $15::timestamptz[],
        $16::timestamptz[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[],
        $23::bigint[], $24::json[], $25::json[], $26::json[], $27::uuid[], $28::text[], $29::text[], $30::text[])
        AS o (prefix, later, id, shop_id, client_id, customer_id, status, currency, total, customer, shipping_address,
            pay_until, placed_at, goods, line_discount, line_tax, discount, tax, shipping_price, included_tax,
            discounts, taxes, shipping, entry_id, entry_kind, entry_actor, entry_text) USING (prefix)
), placed AS (
    INSERT INTO orders (organization_id, id, number, shop_id, client_id, customer_id, status, currency, total, customer,
        shipping_address, pay_until, placed_at, updated_at, goods, line_discount, line_tax, discount, tax,
        shipping_price, included_tax, discounts, taxes, shipping)
    SELECT $1, id, prefix || '-' || lpad(count::text, greatest(6, length(count::text)), '0'), shop_id, client_id,
        customer_id, status, currency, total, customer, shipping_address, pay_until, placed_at, placed_at, goods,
        line_discount, line_tax, discount, tax, shipping_price, included_tax, discounts, taxes, shipping FROM new
    RETURNING id, number
), lines AS (
    INSERT INTO order_lines (organization_id, order_id, sku, position, title, quantity, unit_price, discount, tax,
        discounts, taxes, backordered)
    SELECT $1, l.* FROM unnest($31::uuid[], $32::text[], $33::integer[], $34::text[], $35::integer[], $36::bigint[],
        $37::bigint[], $38::bigint[], $39::json[], $40::json[], $41::integer[]) AS l
), told AS (
    INSERT INTO order_timeline (organization_id, order_id, id, occurred_at, kind, after, actor, text)
    SELECT $1, id, entry_id, placed_at, entry_kind, status, entry_actor, entry_text FROM new
)
SELECT id, number FROM placed
"""


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


# --- orders


async def get_time(uow: UnitOfWork) -> datetime:
    """What the database's clock says: what is due is due by it alone, whatever clock a process has."""
    now: datetime = await uow.fetchval("SELECT clock_timestamp()")
    return now


async def find_order(uow: UnitOfWork, order_id: UUID, *, lock: bool = False) -> OrderRow | None:
    session = await uow.session()
    return await session.get(OrderRow, (uow.organization_id, order_id), with_for_update=True if lock else None)


async def get_order(uow: UnitOfWork, order_id: UUID, *, lock: bool = False) -> OrderRow:
    """Raises OrderNotFound."""
    order = await find_order(uow, order_id, lock=lock)
    if order is None:
        raise OrderNotFound("There is no such order.")
    return order


async def list_lines(uow: UnitOfWork, order_id: UUID) -> Sequence[OrderLineRow]:
    return await _of_order(uow, OrderLineRow, order_id, "position")


async def list_payments(uow: UnitOfWork, order_id: UUID) -> Sequence[OrderPaymentRow]:
    return await _of_order(uow, OrderPaymentRow, order_id, "payment_id")


async def list_shipments(uow: UnitOfWork, order_id: UUID) -> Sequence[OrderShipmentRow]:
    return await _of_order(uow, OrderShipmentRow, order_id, "shipment_id")


async def list_timeline(uow: UnitOfWork, order_id: UUID) -> Sequence[TimelineRow]:
    return await _of_order(uow, TimelineRow, order_id, "id")


async def _of_order(uow: UnitOfWork, table: type[Any], order_id: UUID, order_by: str) -> Sequence[Any]:
    session = await uow.session()
    return (await session.scalars(select(table).filter_by(order_id=order_id).order_by(getattr(table, order_by)))).all()


async def find_payment(uow: UnitOfWork, payment_id: UUID) -> OrderPaymentRow | None:
    session = await uow.session()
    return await session.get(OrderPaymentRow, (uow.organization_id, payment_id))


async def find_shipment(uow: UnitOfWork, shipment_id: UUID) -> OrderShipmentRow | None:
    session = await uow.session()
    return await session.get(OrderShipmentRow, (uow.organization_id, shipment_id))


async def list_returns(uow: UnitOfWork, order_id: UUID) -> Sequence[OrderReturnRow]:
    return await _of_order(uow, OrderReturnRow, order_id, "return_id")


async def has_return(uow: UnitOfWork, return_id: UUID) -> bool:
    session = await uow.session()
    return await session.get(OrderReturnRow, (uow.organization_id, return_id)) is not None


async def add(uow: UnitOfWork, row: Base) -> None:
    (await uow.session()).add(row)
