"""Suppliers and their links, written in sets: one, or a portion of a file."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from shared.contracts.inventory.events import SKUS_PER_EVENT, SupplierLinksChanged
from shared.contracts.inventory.suppliers import Supplier, SupplierLink
from shared.identifiers import new_id
from shared.money import Money
from shared.unit_of_work import UnitOfWork

SUPPLIER_FIELDS = (
    "name",
    "contact_name",
    "contact_email",
    "contact_phone",
    "currency",
    "lead_time_days",
    "is_active",
)
LINK_FIELDS = ("supplier_sku", "cost", "currency", "pack_size", "minimum_quantity", "lead_time_days", "is_primary")
NEW_SUPPLIER: Mapping[str, Any] = dict.fromkeys(SUPPLIER_FIELDS) | {"is_active": True}
NEW_LINK: Mapping[str, Any] = dict.fromkeys(LINK_FIELDS) | {
    "pack_size": 1,
    "minimum_quantity": 1,
    "is_primary": False,
}


class LinkKey(NamedTuple):
    sku: str
    supplier_id: UUID


_SUPPLIER = (
    "SELECT id, code, name, contact_name, contact_email, contact_phone, currency, lead_time_days, is_active, version"
    " FROM suppliers"
)
_LINK = (
    "SELECT l.id, l.supplier_id, p.code AS supplier, l.sku, l.supplier_sku, l.cost, l.currency, l.pack_size,"
    " l.minimum_quantity, l.lead_time_days, l.is_primary, l.version, p.lead_time_days AS supplier_days"
    " FROM supplier_links l JOIN suppliers p ON p.id = l.supplier_id"
)


def supplier_shape(row: asyncpg.Record) -> Supplier:
    return Supplier(**dict(row))


def link_shape(row: asyncpg.Record) -> SupplierLink:
    columns = dict(row)
    cost, currency, days = (columns.pop(name) for name in ("cost", "currency", "supplier_days"))
    if columns["lead_time_days"] is None:
        columns["lead_time_days"] = days
    return SupplierLink(**columns, cost=None if cost is None else Money(amount=cost, currency=currency))


async def find_supplier(uow: UnitOfWork, supplier_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    return await uow.fetchrow(_SUPPLIER_LOCKED if lock else _SUPPLIER_BY_ID, supplier_id)


_SUPPLIER_BY_ID = f"{_SUPPLIER} WHERE id = $1"
_SUPPLIER_LOCKED = f"{_SUPPLIER_BY_ID} FOR UPDATE"


async def find_suppliers(uow: UnitOfWork, codes: Collection[str], *, lock: bool = False) -> dict[str, asyncpg.Record]:
    """By code, locked in this order if asked."""
    rows = await uow.fetch(_BY_CODES_LOCKED if lock else _BY_CODES, list(codes))
    return {row["code"]: row for row in rows}


_BY_CODES = f"{_SUPPLIER} WHERE code = ANY($1) ORDER BY code"
_BY_CODES_LOCKED = f"{_BY_CODES} FOR UPDATE"


async def list_suppliers(uow: UnitOfWork, after: str | None, most: int) -> list[asyncpg.Record]:
    return await uow.fetch(f"{_SUPPLIER} WHERE $1::text IS NULL OR code > $1 ORDER BY code LIMIT $2", after, most)


async def count_suppliers(uow: UnitOfWork) -> int:
    count: int = await uow.fetchval("SELECT count(*) FROM suppliers")
    return count


async def count_active_suppliers(uow: UnitOfWork) -> int:
    count: int = await uow.fetchval("SELECT count(*) FROM suppliers WHERE is_active")
    return count


async def count_links(uow: UnitOfWork, skus: Sequence[str] | None = None, supplier: str | None = None) -> int:
    """How many there are: of these SKUs, of the supplier with this code, or all."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM supplier_links WHERE ($1::text[] IS NULL OR sku = ANY($1))"
        " AND ($2::text IS NULL OR supplier_id IN (SELECT id FROM suppliers WHERE code = $2))",
        skus,
        supplier,
    )
    return count


async def add_supplier(uow: UnitOfWork, code: str, columns: Mapping[str, Any]) -> bool:
    """Whether it was added: not where the code is taken, also at this moment."""
    status = await uow.execute(
        "INSERT INTO suppliers (organization_id, id, code, name, contact_name, contact_email, contact_phone, currency,"
        " lead_time_days, is_active) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        " ON CONFLICT (organization_id, code) DO NOTHING",
        uow.organization_id,
        new_id(),
        code,
        *(columns[name] for name in SUPPLIER_FIELDS),
    )
    return status.endswith(" 1")


async def write_suppliers(uow: UnitOfWork, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Make or change suppliers by their codes. What is written counts as a change."""
    ordered = sorted(rows.items())
    await uow.execute(
        _WRITE_SUPPLIERS,
        uow.organization_id,
        [new_id() for _ in ordered],
        [code for code, _ in ordered],
        *([row[name] for _, row in ordered] for name in SUPPLIER_FIELDS),
    )


_WRITE_SUPPLIERS = """
INSERT INTO suppliers (organization_id, id, code, name, contact_name, contact_email, contact_phone, currency,
    lead_time_days, is_active)
SELECT $1, s.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::integer[], $10::boolean[]) AS s
ON CONFLICT (organization_id, code) DO UPDATE SET name = excluded.name, contact_name = excluded.contact_name,
    contact_email = excluded.contact_email, contact_phone = excluded.contact_phone, currency = excluded.currency,
    lead_time_days = excluded.lead_time_days, is_active = excluded.is_active, version = suppliers.version + 1
"""


# --- links


async def find_link(uow: UnitOfWork, link_id: UUID) -> asyncpg.Record | None:
    return await uow.fetchrow(f"{_LINK} WHERE l.id = $1", link_id)


async def lock_links(uow: UnitOfWork, keys: Collection[LinkKey]) -> dict[LinkKey, asyncpg.Record]:
    """Those of these links that are there. Until this transaction ends nobody else writes links of the organization.

    Rows alone cannot be locked: two who make a SKU's first primary link at once must meet somewhere.
    """
    await uow.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"inventory.supplier_links.{uow.organization_id}"
    )
    rows = await uow.fetch(
        _LINKS_BY_KEY,
        [key.sku for key in keys],
        [key.supplier_id for key in keys],
    )
    return {LinkKey(row["sku"], row["supplier_id"]): row for row in rows}


_LINKS_BY_KEY = f"{_LINK} WHERE (l.sku, l.supplier_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"  # noqa: S608


async def list_links(
    uow: UnitOfWork, skus: Sequence[str] | None, supplier: str | None, after: tuple[str, UUID] | None, most: int
) -> list[asyncpg.Record]:
    return await uow.fetch(
        f"{_LINK} WHERE ($1::text[] IS NULL OR l.sku = ANY($1)) AND ($2::text IS NULL OR p.code = $2)"
        " AND ($3::text IS NULL OR (l.sku, l.supplier_id) > ($3, $4::uuid)) ORDER BY l.sku, l.supplier_id LIMIT $5",
        skus,
        supplier,
        *(after or (None, None)),
        most,
    )


async def write_links(uow: UnitOfWork, rows: Mapping[LinkKey, Mapping[str, Any]]) -> None:
    """Make or change locked links. A primary one takes the place of the one before."""
    ordered = sorted(rows.items())
    primary = {key.sku: key.supplier_id for key, row in ordered if row["is_primary"]}
    await uow.execute(
        "UPDATE supplier_links l SET is_primary = false, version = version + 1"
        " FROM unnest($1::text[], $2::uuid[]) AS p (sku, supplier_id)"
        " WHERE l.sku = p.sku AND l.supplier_id <> p.supplier_id AND l.is_primary",
        list(primary),
        list(primary.values()),
    )
    await uow.execute(
        _WRITE_LINKS,
        uow.organization_id,
        [new_id() for _ in ordered],
        [key.supplier_id for key, _ in ordered],
        [key.sku for key, _ in ordered],
        *([row[name] for _, row in ordered] for name in LINK_FIELDS),
    )
    _announce(uow, [key.sku for key, _ in ordered])


def _announce(uow: UnitOfWork, skus: Sequence[str]) -> None:
    each_once = list(dict.fromkeys(skus))
    for start in range(0, len(each_once), SKUS_PER_EVENT):
        uow.record(SupplierLinksChanged(skus=each_once[start : start + SKUS_PER_EVENT]))


_WRITE_LINKS = """
INSERT INTO supplier_links (organization_id, id, supplier_id, sku, supplier_sku, cost, currency, pack_size,
    minimum_quantity, lead_time_days, is_primary)
SELECT $1, l.* FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::integer[],
    $9::integer[], $10::integer[], $11::boolean[]) AS l
ON CONFLICT (organization_id, sku, supplier_id) DO UPDATE SET supplier_sku = excluded.supplier_sku,
    cost = excluded.cost, currency = excluded.currency, pack_size = excluded.pack_size,
    minimum_quantity = excluded.minimum_quantity, lead_time_days = excluded.lead_time_days,
    is_primary = excluded.is_primary, version = supplier_links.version + 1
"""


async def list_primary(uow: UnitOfWork, skus: Sequence[str]) -> list[LinkKey]:
    """The primary links of these SKUs."""
    rows = await uow.fetch("SELECT sku, supplier_id FROM supplier_links WHERE is_primary AND sku = ANY($1)", skus)
    return [LinkKey(row["sku"], row["supplier_id"]) for row in rows]


async def codes_of(uow: UnitOfWork, supplier_ids: Collection[UUID]) -> dict[UUID, str]:
    rows = await uow.fetch("SELECT id, code FROM suppliers WHERE id = ANY($1)", list(supplier_ids))
    return {row["id"]: row["code"] for row in rows}


async def list_links_of(
    uow: UnitOfWork, supplier_ids: Collection[UUID], after: tuple[str, UUID] | None, most: int
) -> list[asyncpg.Record]:
    """What these suppliers supply, by SKU and supplier."""
    return await uow.fetch(
        f"{_LINK} WHERE l.supplier_id = ANY($1) AND ($2::text IS NULL OR (l.sku, l.supplier_id) > ($2, $3::uuid))"
        " ORDER BY l.sku, l.supplier_id LIMIT $4",
        list(supplier_ids),
        *(after or (None, None)),
        most,
    )


async def count_links_of(uow: UnitOfWork, codes: Collection[str], named: Collection[tuple[str, str]] | None) -> int:
    """How many links suppliers with these codes have: of those named, by code and SKU, or of all."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM supplier_links l JOIN suppliers s ON s.id = l.supplier_id WHERE s.code = ANY($1)"
        " AND ($2 OR (s.code, l.sku) IN (SELECT * FROM unnest($3::text[], $4::text[])))",
        list(codes),
        named is None,
        *([each[n] for each in named or ()] for n in (0, 1)),
    )
    return count


async def remove_links(uow: UnitOfWork, keys: Collection[LinkKey]) -> None:
    await uow.execute(
        "DELETE FROM supplier_links WHERE (sku, supplier_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))",
        [key.sku for key in keys],
        [key.supplier_id for key in keys],
    )
    _announce(uow, sorted({key.sku for key in keys}))


async def remove_unused_suppliers(uow: UnitOfWork, codes: Sequence[str]) -> set[str]:
    """Remove locked suppliers that supply nothing; returns their codes."""
    rows = await uow.fetch(
        "DELETE FROM suppliers s WHERE code = ANY($1)"
        " AND NOT EXISTS (SELECT FROM supplier_links l WHERE l.supplier_id = s.id) RETURNING code",
        codes,
    )
    return {row["code"] for row in rows}


async def remove_link(uow: UnitOfWork, link_id: UUID) -> bool:
    sku = await uow.fetchval("DELETE FROM supplier_links WHERE id = $1 RETURNING sku", link_id)
    if sku is not None:
        _announce(uow, [sku])
    return sku is not None
