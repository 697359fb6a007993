"""Suppliers, and what each of them supplies."""

from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.errors import (
    NegativeCost,
    SupplierChangedSince,
    SupplierCodeTaken,
    SupplierLinkChangedSince,
    SupplierLinkExists,
    SupplierLinkNotFound,
    SupplierNotFound,
)
from services.inventory.repository import suppliers as stored
from services.inventory.repository.suppliers import LinkKey
from shared.contracts.base import Done, Page
from shared.contracts.inventory.suppliers import (
    ListSupplierLinks,
    Supplier,
    SupplierChange,
    SupplierDraft,
    SupplierLink,
    SupplierLinkChange,
    SupplierLinkDraft,
)
from shared.money import Money, exponent
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, draft: SupplierDraft) -> Supplier:
    """Raises SupplierCodeTaken, UnknownCurrency."""
    exponent(draft.currency)
    columns = draft.model_dump(exclude={"code"})
    if not await stored.add_supplier(uow, draft.code, columns):
        raise SupplierCodeTaken(f"Another supplier has the code '{draft.code}'.")
    found = (await stored.find_suppliers(uow, [draft.code]))[draft.code]
    uow.audit("supplier.create", "supplier", found["id"], after=draft.model_dump(mode="json"))
    return stored.supplier_shape(found)


async def change(
    uow: UnitOfWork, supplier_id: UUID, wanted: SupplierChange, expected_version: int | None = None
) -> Supplier:
    """Raises SupplierNotFound, SupplierChangedSince, UnknownCurrency."""
    row = await stored.find_supplier(uow, supplier_id, lock=True)
    if row is None:
        raise SupplierNotFound("There is no such supplier.")
    if expected_version is not None and row["version"] != expected_version:
        raise SupplierChangedSince(f"The supplier has version {row['version']} now, not {expected_version}.")
    given = wanted.given()
    exponent(given.get("currency", row["currency"]))
    await stored.write_suppliers(uow, {row["code"]: dict(row) | given})
    before = {name: row[name] for name in given}
    uow.audit("supplier.change", "supplier", supplier_id, before=before, after=wanted.model_dump(mode="json"))
    return await get(uow, supplier_id)


async def get(uow: UnitOfWork, supplier_id: UUID) -> Supplier:
    """Raises SupplierNotFound."""
    row = await stored.find_supplier(uow, supplier_id)
    if row is None:
        raise SupplierNotFound("There is no such supplier.")
    return stored.supplier_shape(row)


async def list_page(uow: UnitOfWork, first: int, after: str | None) -> Page[Supplier]:
    position = cursor_values(after, 1)
    rows = await stored.list_suppliers(uow, str(position[0]) if position else None, first + 1)
    following = cursor_for(rows[first - 1]["code"]) if len(rows) > first else None
    return Page(items=[stored.supplier_shape(row) for row in rows[:first]], next=following)


# --- links


async def create_link(uow: UnitOfWork, draft: SupplierLinkDraft) -> SupplierLink:
    """Raises SupplierNotFound, SupplierLinkExists, NegativeCost."""
    supplier = (await stored.find_suppliers(uow, [draft.supplier])).get(draft.supplier)
    if supplier is None:
        raise SupplierNotFound(f"There is no supplier with the code '{draft.supplier}'.")
    key = LinkKey(draft.sku, supplier["id"])
    if await stored.lock_links(uow, [key]):
        raise SupplierLinkExists(f"{draft.supplier} supplies {draft.sku} already; change that link.")
    given = {name: getattr(draft, name) for name in SupplierLinkChange.model_fields}
    await stored.write_links(uow, {key: {**stored.NEW_LINK, **_columns(given)}})
    row = (await stored.lock_links(uow, [key]))[key]
    uow.audit("supplier_link.create", "supplier_link", row["id"], after=draft.model_dump(mode="json"))
    return stored.link_shape(row)


async def change_link(
    uow: UnitOfWork, link_id: UUID, wanted: SupplierLinkChange, expected_version: int | None = None
) -> SupplierLink:
    """Raises SupplierLinkNotFound, SupplierLinkChangedSince, NegativeCost."""
    known = await _get_row(uow, link_id)
    key = LinkKey(known["sku"], known["supplier_id"])
    row = (await stored.lock_links(uow, [key])).get(key)
    if row is None:
        raise SupplierLinkNotFound("There is no such link.")
    if expected_version is not None and row["version"] != expected_version:
        raise SupplierLinkChangedSince(f"The link has version {row['version']} now, not {expected_version}.")
    await stored.write_links(uow, {key: dict(row) | _columns(wanted.given())})
    uow.audit("supplier_link.change", "supplier_link", link_id, after=wanted.model_dump(mode="json"))
    return await get_link(uow, link_id)


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    """Raises NegativeCost."""
    columns = dict(given)
    if "cost" in given:
        cost: Money | None = given["cost"]
        if cost is not None and not 0 <= cost.amount <= _MOST_COST:
            raise NegativeCost("A cost is zero or more, and within reason.")
        columns["cost"] = None if cost is None else cost.amount
        columns["currency"] = None if cost is None else cost.currency
    return columns


_MOST_COST = 10**15


async def remove_link(uow: UnitOfWork, link_id: UUID) -> Done:
    """Raises SupplierLinkNotFound."""
    row = await _get_row(uow, link_id)
    await stored.remove_link(uow, link_id)
    before = {"supplier": row["supplier"], "sku": row["sku"]}
    uow.audit("supplier_link.remove", "supplier_link", link_id, before=before)
    return Done(id=link_id)


async def _get_row(uow: UnitOfWork, link_id: UUID) -> asyncpg.Record:
    row = await stored.find_link(uow, link_id)
    if row is None:
        raise SupplierLinkNotFound("There is no such link.")
    return row


async def get_link(uow: UnitOfWork, link_id: UUID) -> SupplierLink:
    """Raises SupplierLinkNotFound."""
    return stored.link_shape(await _get_row(uow, link_id))


async def list_links(uow: UnitOfWork, message: ListSupplierLinks) -> Page[SupplierLink]:
    """By SKU and supplier."""
    position = cursor_values(message.after, 2)
    after = (str(position[0]), cursor_id(position[1])) if position else None
    skus = None if message.sku is None else [message.sku]
    rows = await stored.list_links(uow, skus, message.supplier, after, message.first + 1)
    page = rows[: message.first]
    following = None
    if len(rows) > message.first:
        following = cursor_for(page[-1]["sku"], str(page[-1]["supplier_id"]))
    return Page(items=[stored.link_shape(row) for row in page], next=following)
