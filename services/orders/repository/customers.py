"""Queries of customers. Row-level security confines each to its tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.orders.errors import CustomerNotFound
from shared.contracts.orders.customers import CustomerAddress, NewCustomer, normalised_email
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork

_COLUMNS = "id, email, name, phone, customer_group, notes, created_by, created_at, updated_at, erased_at, version"


@dataclass(frozen=True)
class Sight:
    """Which customers a caller may see: all, or those it made, and those that bought through it or in its shops."""

    caller_id: UUID | None
    own_only: bool
    shop_ids: list[UUID] | None

    @classmethod
    def of(cls, uow: UnitOfWork) -> "Sight":
        caller = uow.caller
        return cls(caller.id, not caller.holds("orders:read"), caller.shop_limit)

    @property
    def is_whole(self) -> bool:
        return not self.own_only and self.shop_ids is None

    @property
    def arguments(self) -> tuple[UUID | None, bool, list[UUID] | None]:
        return self.caller_id, self.own_only, self.shop_ids


# $1, $2, $3 are the arguments of a Sight.
_SEEN = (
    "(NOT $2::boolean AND $3::uuid[] IS NULL OR c.created_by = $1::uuid OR EXISTS (SELECT FROM orders o"
    " WHERE o.customer_id = c.id AND (NOT $2 OR o.client_id = $1) AND ($3 IS NULL OR o.shop_id = ANY($3))))"
)


async def add(uow: UnitOfWork, customer: NewCustomer) -> UUID | None:
    """Store a customer. Returns its id, or None where somebody has the e-mail address."""
    customer_id = new_id()
    added = await uow.fetchval(
        "INSERT INTO customers (organization_id, id, email, name, phone, customer_group, notes, created_by)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (organization_id, email) DO NOTHING RETURNING id",
        uow.organization_id,
        customer_id,
        customer.email,
        customer.name,
        customer.phone,
        customer.customer_group,
        customer.notes,
        uow.caller.id,
    )
    if added is None:
        return None
    await put_addresses(uow, customer_id, customer.addresses)
    return customer_id


async def get(uow: UnitOfWork, customer_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """A customer that the caller may see. Raises CustomerNotFound."""
    row = await uow.fetchrow(
        f"SELECT {_COLUMNS} FROM customers c WHERE {_SEEN} AND c.id = $4{' FOR UPDATE' if lock else ''}",  # noqa: S608
        *Sight.of(uow).arguments,
        customer_id,
    )
    if row is None:
        raise CustomerNotFound("There is no such customer.")
    return row


async def find_id(uow: UnitOfWork, email: str) -> UUID | None:
    """The id of whom the caller may see by this e-mail address."""
    found: UUID | None = await uow.fetchval(
        f"SELECT id FROM customers c WHERE {_SEEN} AND c.email = $4",  # noqa: S608
        *Sight.of(uow).arguments,
        email,
    )
    return found


async def list_groups(uow: UnitOfWork, emails: Sequence[str]) -> dict[str, str]:
    """The groups that customers buy in, by their e-mail addresses; without those that are in none."""
    rows = await uow.fetch(_LIST_GROUPS, emails)
    return {row["email"]: row["customer_group"] for row in rows if row["customer_group"] is not None}


_LIST_GROUPS = """
SELECT c.* FROM unnest($1::text[]) AS asked (email) CROSS JOIN LATERAL (
    SELECT email, customer_group FROM customers WHERE email = asked.email OFFSET 0) c
"""


async def list_page(
    uow: UnitOfWork, email: str | None, customer_group: str | None, before: UUID | None, most: int
) -> list[asyncpg.Record]:
    """Customers that the caller may see and that are not erased, newest first."""
    conditions = ["erased_at IS NULL"]
    arguments: list[Any] = [*Sight.of(uow).arguments, most]
    for condition, value in (("email =", email), ("customer_group =", customer_group), ("c.id <", before)):
        if value is not None:
            arguments.append(value)
            conditions.append(f"{condition} ${len(arguments)}")
    return await uow.fetch(
        f"SELECT {_COLUMNS} FROM customers c WHERE {_SEEN} AND {' AND '.join(conditions)}"  # noqa: S608
        " ORDER BY id DESC LIMIT $4",
        *arguments,
    )


async def list_addresses(uow: UnitOfWork, customer_ids: Sequence[UUID]) -> dict[UUID, list[CustomerAddress]]:
    """The addresses of each of these customers, in their order."""
    rows = await uow.fetch(
        "SELECT customer_id, kind, is_default, address FROM customer_addresses WHERE customer_id = ANY($1)"
        " ORDER BY customer_id, position",
        customer_ids,
    )
    found: dict[UUID, list[CustomerAddress]] = {customer_id: [] for customer_id in customer_ids}
    for row in rows:
        address = orjson.loads(row["address"])
        found[row["customer_id"]].append(CustomerAddress(**address, kind=row["kind"], is_default=row["is_default"]))
    return found


async def put(uow: UnitOfWork, customer_id: UUID, values: dict[str, Any], now: datetime) -> None:
    """Write these columns of a locked customer, and count the change. Raises asyncpg.UniqueViolationError."""
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 3))
    await uow.execute(
        f"UPDATE customers SET updated_at = $2, version = version + 1{', ' * bool(changes)}{changes} WHERE id = $1",  # noqa: S608
        customer_id,
        now,
        *values.values(),
    )


async def put_addresses(uow: UnitOfWork, customer_id: UUID, addresses: Sequence[CustomerAddress]) -> None:
    """Let these be all addresses of a customer."""
    await uow.execute("DELETE FROM customer_addresses WHERE customer_id = $1", customer_id)
    await uow.execute(
        "INSERT INTO customer_addresses (organization_id, customer_id, position, kind, is_default, address)"
        " SELECT $1, $2, a.position, a.kind, a.is_default, a.address::json"
        " FROM unnest($3::text[], $4::boolean[], $5::text[]) WITH ORDINALITY"
        " AS a (kind, is_default, address, position)",
        uow.organization_id,
        customer_id,
        [address.kind for address in addresses],
        [address.is_default for address in addresses],
        [stored_address(address) for address in addresses],
    )


def stored_address(address: CustomerAddress) -> str:
    return address.model_dump_json(exclude={"kind", "is_default"}, exclude_none=True)


# --- what orders know of a customer


async def list_order_ids(
    uow: UnitOfWork, customer_id: UUID, after: tuple[datetime, UUID] | None, most: int
) -> list[asyncpg.Record]:
    """Orders of a customer, latest first."""
    return await uow.fetch(
        "SELECT id, placed_at FROM orders WHERE customer_id = $1"
        " AND ($2::timestamptz IS NULL OR (placed_at, id) < ($2, $3::uuid))"
        " ORDER BY placed_at DESC, id DESC LIMIT $4",
        customer_id,
        *(after or (None, None)),
        most,
    )


async def list_open_numbers(uow: UnitOfWork, customer_id: UUID) -> list[str]:
    """The numbers of a customer's orders of which something is still to come."""
    rows = await uow.fetch(
        "SELECT number FROM orders WHERE customer_id = $1"
        " AND status IN ('pending', 'processing', 'partly_shipped', 'on_hold') ORDER BY placed_at LIMIT 100",
        customer_id,
    )
    return [row["number"] for row in rows]


@dataclass(frozen=True)
class Erased:
    """What takes the place of a person."""

    email: str
    name: str = "Erased"
    line: str = "Erased"


async def erase_orders(uow: UnitOfWork, customer_id: UUID, erased: Erased, actor: str, now: datetime) -> list[UUID]:
    """Replace the person in all orders of a customer, and say so in their timelines. Returns the orders' ids."""
    rows = await uow.fetch(
        _ERASE_ORDERS,
        customer_id,
        orjson.dumps({"email": erased.email, "name": erased.name}).decode(),
        erased.line,
        now,
    )
    order_ids = [row["id"] for row in rows]
    await uow.execute(
        "UPDATE order_timeline SET text = $2 WHERE order_id = ANY($1) AND kind = 'note'", order_ids, erased.line
    )
    await uow.execute(
        "INSERT INTO order_timeline (organization_id, order_id, id, occurred_at, kind, actor, text)"
        " SELECT $1, e.order_id, e.id, $4, 'erased', $5, 'Who the customer was has been erased.'"
        " FROM unnest($2::uuid[], $3::uuid[]) AS e (order_id, id)",
        uow.organization_id,
        order_ids,
        [new_id() for _ in order_ids],
        now,
        actor,
    )
    return order_ids


_ERASE_ORDERS = """
UPDATE orders SET customer = $2::json, version = version + 1, updated_at = $4,
    shipping_address = CASE WHEN shipping_address IS NOT NULL THEN json_build_object(
        'line1', $3::text, 'city', $3::text, 'country', shipping_address ->> 'country') END
WHERE customer_id = $1 RETURNING id
"""


async def list_waiting(uow: UnitOfWork, email: str) -> list[str]:
    """What orders of connections that wait are called there, which somebody of this e-mail address has placed."""
    waiting = await _list_of(uow, "imported_orders", "remote", email, "state IN ('waiting', 'set_aside')")
    rows = await uow.fetch(
        "SELECT coalesce(number, external_id) AS number FROM imported_orders WHERE id = ANY($1)"
        " ORDER BY received_at, id LIMIT 100",
        waiting,
    )
    return [row["number"] for row in rows]


async def erase_imported(uow: UnitOfWork, email: str, order_ids: Sequence[UUID]) -> list[UUID]:
    """Drop what connections told of somebody, also of whose orders (`order_ids`) when the address was another.

    That the orders came, and what became of them, stays. Returns which told of the address, also those that are no
    orders here: under the id that they would have.
    """
    told = await _list_of(uow, "imported_orders", "remote", email)
    await uow.execute(
        "UPDATE imported_orders SET remote = '{}', detail = NULL,"
        " state = CASE WHEN order_id IS NULL THEN 'given_up' ELSE state END,"
        " reason = CASE WHEN order_id IS NULL THEN 'erased' END"
        " WHERE id = ANY($1) OR order_id = ANY($2)",
        told,
        list(order_ids),
    )
    return told


async def erase_quotes(uow: UnitOfWork, email: str) -> None:
    """Drop what was quoted to somebody of this e-mail address, however it was written."""
    await uow.execute("DELETE FROM quotes WHERE id = ANY($1)", await _list_of(uow, "quotes", "quote", email))


async def _list_of(uow: UnitOfWork, table: str, column: str, email: str, condition: str = "true") -> list[UUID]:
    """The ids of rows whose JSON names somebody of this normal e-mail address, however it is written there.

    The database is asked for what may be it: beyond ASCII it knows neither small letters nor which are the same.
    """
    written = f"({column} #>> '{{customer,email}}')"
    rows = await uow.fetch(
        f"SELECT id, {written} AS email FROM {table} WHERE {condition}"  # noqa: S608
        f" AND (lower({written}) = $1 OR octet_length({written}) > char_length({written}))",
        email,
    )
    return [row["id"] for row in rows if normalised_email(row["email"]) == email]
