"""Many customers at a time, as a file brings them. Row-level security confines each to its tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from services.orders.repository.customers import stored_address
from shared.contracts.orders.customers import CustomerAddress, NewCustomer
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


class CustomerRow(NamedTuple):
    """What a file says of a customer; None says nothing. `address` is the default shipping address, as it is stored."""

    email: str
    name: str | None
    phone: str | None
    customer_group: str | None
    notes: str | None
    address: str | None

    @classmethod
    def of(cls, customer: NewCustomer, address: CustomerAddress | None) -> "CustomerRow":
        return cls(
            customer.email,
            customer.name,
            customer.phone,
            customer.customer_group,
            customer.notes,
            None if address is None else stored_address(address),
        )


@dataclass(frozen=True)
class Written:
    """Whose customers were made, and whose were changed, by e-mail address."""

    inserted: set[str]
    updated: set[str]


async def find_known(uow: UnitOfWork, emails: Sequence[str]) -> dict[str, asyncpg.Record]:
    rows = await uow.fetch(
        "SELECT email, name, phone, customer_group, notes FROM customers WHERE email = ANY($1)", emails
    )
    return {row["email"]: row for row in rows}


_WITH_ADDRESS = (
    "SELECT c.id, c.email, c.name, c.phone, c.customer_group, c.notes, c.version, a.address::text AS address"
    " FROM customers c LEFT JOIN customer_addresses a ON (a.organization_id, a.customer_id) = (c.organization_id, c.id)"
    " AND a.kind = 'shipping' AND a.is_default WHERE c.erased_at IS NULL"
)


async def lock(uow: UnitOfWork, emails: Sequence[str]) -> dict[str, asyncpg.Record]:
    """Those of these that there are, by e-mail address, with their default shipping address, locked in one order."""
    rows = await uow.fetch(f"{_WITH_ADDRESS} AND c.email = ANY($1) ORDER BY c.email FOR UPDATE OF c", emails)
    return {row["email"]: row for row in rows}


async def lock_by_id(uow: UnitOfWork, ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """As `lock`, by id."""
    return await uow.fetch(f"{_WITH_ADDRESS} AND c.id = ANY($1) ORDER BY c.email FOR UPDATE OF c", ids)


async def remove_unnamed(uow: UnitOfWork, ids: Sequence[UUID]) -> set[UUID]:
    """Remove locked customers that no order names, with their addresses; returns whom."""
    rows = await uow.fetch(
        "SELECT c.id FROM customers c WHERE c.id = ANY($1)"
        " AND NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)",
        ids,
    )
    going = [row["id"] for row in rows]
    await uow.execute("DELETE FROM customer_addresses WHERE customer_id = ANY($1)", going)
    await uow.execute("DELETE FROM customers WHERE id = ANY($1)", going)
    return set(going)


async def put_back(uow: UnitOfWork, rows: Sequence[Mapping[str, Any]], readdressed: Sequence[UUID]) -> None:
    """Let locked customers be as these rows say; of those `readdressed` the default shipping address, too, or none."""
    fields = ("id", "name", "phone", "customer_group", "notes")
    await uow.execute(_PUT_BACK, *([row[name] for row in rows] for name in fields))
    addresses = {row["id"]: row["address"] for row in rows if row["id"] in set(readdressed)}
    without = [id_ for id_, address in addresses.items() if address is None]
    await uow.execute(
        "DELETE FROM customer_addresses WHERE customer_id = ANY($1) AND kind = 'shipping' AND is_default", without
    )
    given = {id_: address for id_, address in addresses.items() if address is not None}
    await uow.fetch(_CHANGE_ADDRESSES, list(given), list(given.values()))


_PUT_BACK = """
UPDATE customers c SET name = g.name, phone = g.phone, customer_group = g.customer_group, notes = g.notes,
    version = c.version + 1, updated_at = now()
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS g (id, name, phone, customer_group, notes)
WHERE c.id = g.id
"""


async def count(uow: UnitOfWork, group: str | None) -> int:
    """How many customers there are that are not erased: in a group, or in all."""
    found: int = await uow.fetchval(
        "SELECT count(*) FROM customers WHERE erased_at IS NULL AND ($1::text IS NULL OR customer_group = $1)", group
    )
    return found


async def list_with_address(uow: UnitOfWork, after: str | None, first: int, group: str | None) -> list[asyncpg.Record]:
    """Customers that are not erased, by e-mail address, each with its default shipping address as JSON."""
    return await uow.fetch(
        "SELECT c.email, c.name, c.phone, c.customer_group, c.notes, a.address FROM (SELECT * FROM customers"
        " WHERE erased_at IS NULL AND ($1::text IS NULL OR email > $1) AND ($3::text IS NULL OR customer_group = $3)"
        " ORDER BY email LIMIT $2) c"
        " LEFT JOIN customer_addresses a ON a.customer_id = c.id AND a.kind = 'shipping' AND a.is_default"
        " ORDER BY c.email",
        after,
        first,
        group,
    )


async def write(uow: UnitOfWork, rows: Sequence[CustomerRow]) -> Written:
    """Make those that there are not, and change the others where the rows say something else."""
    # In one order, so that two files at once wait for each other and do not lock crosswise.
    rows = sorted(rows)
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in CustomerRow._fields]
    ids = [new_id() for _ in rows]
    made = await uow.fetch(_INSERT, uow.organization_id, *columns[:5], ids, uow.caller.id)
    inserted = {row["email"] for row in made}
    changed = await uow.fetch(_UPDATE, *columns[:5], list(inserted))
    addressed = await _put_addresses(uow, [row for row in rows if row.address is not None])
    await uow.execute(_COUNT_CHANGE, list(addressed - {row["email"] for row in changed} - inserted))
    return Written(inserted, ({row["email"] for row in changed} | addressed) - inserted)


_INSERT = """
INSERT INTO customers (organization_id, id, email, name, phone, customer_group, notes, created_by)
SELECT $1, g.id, g.email, g.name, g.phone, g.customer_group, g.notes, $8
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[])
    AS g (email, name, phone, customer_group, notes, id)
ON CONFLICT (organization_id, email) DO NOTHING RETURNING email
"""
_UPDATE = """
UPDATE customers c SET name = coalesce(g.name, c.name), phone = coalesce(g.phone, c.phone),
    customer_group = coalesce(g.customer_group, c.customer_group), notes = coalesce(g.notes, c.notes),
    version = c.version + 1, updated_at = now()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS g (email, name, phone, customer_group, notes)
WHERE c.email = g.email AND c.email <> ALL($6)
    AND (coalesce(g.name, c.name), coalesce(g.phone, c.phone), coalesce(g.customer_group, c.customer_group),
        coalesce(g.notes, c.notes)) IS DISTINCT FROM (c.name, c.phone, c.customer_group, c.notes)
RETURNING c.email
"""
_COUNT_CHANGE = "UPDATE customers SET version = version + 1, updated_at = now() WHERE email = ANY($1)"


async def _put_addresses(uow: UnitOfWork, rows: Sequence[CustomerRow]) -> set[str]:
    """Let these be the default shipping addresses. Returns whose is another than before."""
    if not rows:
        return set()
    given = [row.email for row in rows], [row.address for row in rows]
    # Held, so that whoever changes a customer at this moment does not meet us among its addresses.
    held = await uow.fetch("SELECT id, email FROM customers WHERE email = ANY($1) ORDER BY email FOR UPDATE", given[0])
    ids: dict[str, UUID] = {row["email"]: row["id"] for row in held}
    owners = [ids.get(email) for email in given[0]]
    changed = await uow.fetch(_CHANGE_ADDRESSES, owners, given[1])
    added = await uow.fetch(_ADD_ADDRESSES, uow.organization_id, owners, given[1])
    touched = {row["customer_id"] for row in (*changed, *added)}
    return {email for email, customer_id in ids.items() if customer_id in touched}


_CHANGE_ADDRESSES = """
UPDATE customer_addresses a SET address = g.address::json
FROM unnest($1::uuid[], $2::text[]) AS g (customer_id, address)
WHERE a.customer_id = g.customer_id AND a.kind = 'shipping' AND a.is_default AND a.address::text <> g.address
RETURNING a.customer_id
"""
_ADD_ADDRESSES = """
INSERT INTO customer_addresses (organization_id, customer_id, position, kind, is_default, address)
SELECT $1, g.customer_id, 1 + (SELECT coalesce(max(position), 0) FROM customer_addresses a
    WHERE a.customer_id = g.customer_id), 'shipping', true, g.address::json
FROM unnest($2::uuid[], $3::text[]) AS g (customer_id, address)
WHERE g.customer_id IS NOT NULL AND NOT EXISTS (SELECT FROM customer_addresses a
    WHERE a.customer_id = g.customer_id AND a.kind = 'shipping' AND a.is_default)
RETURNING customer_id
"""
