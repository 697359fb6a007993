"""Customers: kept once per e-mail address, changed, found."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.orders.errors import CustomerChangedSince, CustomerErased, CustomerExists, NotForStorefronts
from services.orders.repository import customers as book
from shared import clock
from shared.contracts.base import Page
from shared.contracts.orders.customers import (
    Customer,
    CustomerAddress,
    CustomerChange,
    ListCustomers,
    NewCustomer,
)
from shared.pagination import cursor_for, id_after
from shared.unit_of_work import UnitOfWork

_OF_THE_MERCHANT = ("customer_group", "notes")


async def create(uow: UnitOfWork, customer: NewCustomer) -> Customer:
    """Raises CustomerExists, NotForStorefronts."""
    _check_rights(uow, customer.model_dump(exclude_none=True))
    customer_id = await book.add(uow, customer)
    if customer_id is None:
        raise await _exists(uow, customer.email)
    _audit(uow, "customer.create", customer_id, customer.model_fields_set)
    return await get(uow, customer_id)


async def update(uow: UnitOfWork, customer_id: UUID, change: CustomerChange, expected_version: int | None) -> Customer:
    """Raises CustomerNotFound, CustomerExists, CustomerErased, CustomerChangedSince, NotForStorefronts."""
    values = change.given()
    _check_rights(uow, values)
    row = await book.get(uow, customer_id, lock=True)
    check_version(row, expected_version)
    if row["erased_at"] is not None:
        raise CustomerErased("The customer was erased; make a new one.")
    addresses = values.pop("addresses", None)
    try:
        async with uow.savepoint():
            await book.put(uow, customer_id, values, clock.now())
    except asyncpg.UniqueViolationError:
        raise await _exists(uow, change.email) from None
    if addresses is not None:
        await book.put_addresses(uow, customer_id, addresses)
    _audit(uow, "customer.update", customer_id, change.model_fields_set)
    return await get(uow, customer_id)


def check_version(row: asyncpg.Record, expected: int | None) -> None:
    """Raises CustomerChangedSince; None expects nothing."""
    if expected is not None and expected != row["version"]:
        raise CustomerChangedSince(f"The customer has version {row['version']} now, not {expected}; read it again.")


def _check_rights(uow: UnitOfWork, values: dict[str, Any]) -> None:
    if not uow.caller.holds("orders:write") and any(name in values for name in _OF_THE_MERCHANT):
        raise NotForStorefronts("A storefront sets neither 'customer_group' nor 'notes': leave them out.")


async def _exists(uow: UnitOfWork, email: str) -> CustomerExists:
    known = await book.find_id(uow, email)
    return CustomerExists(
        "One e-mail address is one customer; change the one there is.",
        [] if known is None else [{"customer_id": str(known)}],
    )


def _audit(uow: UnitOfWork, action: str, customer_id: UUID, fields: set[str]) -> None:
    """The audit log keeps for ever: it learns which fields, never what they say of somebody."""
    uow.audit(action, "customer", customer_id, after={"fields": sorted(fields)})


async def get(uow: UnitOfWork, customer_id: UUID) -> Customer:
    """Raises CustomerNotFound."""
    row = await book.get(uow, customer_id)
    addresses = await book.list_addresses(uow, [customer_id])
    return shape(uow, row, addresses[customer_id])


async def list_page(uow: UnitOfWork, message: ListCustomers) -> Page[Customer]:
    before = id_after(message.after)
    rows = await book.list_page(uow, message.email, message.customer_group, before, message.first + 1)
    page = rows[: message.first]
    addresses = await book.list_addresses(uow, [row["id"] for row in page])
    following = cursor_for(str(page[-1]["id"])) if len(rows) > message.first else None
    return Page(items=[shape(uow, row, addresses[row["id"]]) for row in page], next=following)


def shape(uow: UnitOfWork, row: asyncpg.Record, addresses: Sequence[CustomerAddress]) -> Customer:
    """A customer as the caller may see it."""
    hidden = () if uow.caller.holds("orders:read") else ("notes",)
    values = {name: row[name] for name in Customer.model_fields if name != "addresses" and name not in hidden}
    return Customer(**dict.fromkeys(hidden), **values, addresses=list(addresses))
