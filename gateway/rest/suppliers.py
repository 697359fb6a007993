"""Suppliers and what they supply, over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page
from shared.contracts.inventory import suppliers as messages
from shared.contracts.inventory.suppliers import (
    Supplier,
    SupplierChange,
    SupplierDraft,
    SupplierLink,
    SupplierLinkChange,
    SupplierLinkDraft,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["suppliers"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


@router.get("/suppliers")
async def list_suppliers(ask: Ask, first: First = 50, after: Cursor = None) -> Page[Supplier]:
    """Suppliers by code."""
    return await ask(messages.ListSuppliers(first=first, after=after))


@router.post("/suppliers", status_code=201)
async def create_supplier(draft: SupplierDraft, ask: Ask, response: Response) -> Supplier:
    """Add a supplier. Many at once come as an import of the group `suppliers`."""
    supplier = await ask(messages.CreateSupplier(supplier=draft))
    response.headers["Location"] = f"/v1/suppliers/{supplier.id}"
    return tagged(supplier, response)


@router.get("/suppliers/{supplier_id}")
async def get_supplier(supplier_id: UUID, ask: Ask, response: Response) -> Supplier:
    """One supplier."""
    return tagged(await ask(messages.GetSupplier(supplier_id=supplier_id)), response)


@router.patch("/suppliers/{supplier_id}")
async def change_supplier(
    supplier_id: UUID, change: SupplierChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Supplier:
    """Change a supplier. What is left out stays."""
    message = messages.ChangeSupplier(supplier_id=supplier_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.get("/supplier-links")
async def list_supplier_links(
    ask: Ask, sku: str | None = None, supplier: str | None = None, first: First = 50, after: Cursor = None
) -> Page[SupplierLink]:
    """Who supplies what; of one SKU, or of one supplier by its code."""
    return await ask(messages.ListSupplierLinks(sku=sku, supplier=supplier, first=first, after=after))


@router.post("/supplier-links", status_code=201)
async def create_supplier_link(draft: SupplierLinkDraft, ask: Ask, response: Response) -> SupplierLink:
    """Say that a supplier supplies a SKU: by which name, at which cost, in which packs.

    A new primary link takes the place of the SKU's primary one. Many at once come as an import of the group
    `supplier-links`.
    """
    link = await ask(messages.CreateSupplierLink(link=draft))
    response.headers["Location"] = f"/v1/supplier-links/{link.id}"
    return tagged(link, response)


@router.get("/supplier-links/{link_id}")
async def get_supplier_link(link_id: UUID, ask: Ask, response: Response) -> SupplierLink:
    """What one supplier takes for one SKU."""
    return tagged(await ask(messages.GetSupplierLink(link_id=link_id)), response)


@router.patch("/supplier-links/{link_id}")
async def change_supplier_link(
    link_id: UUID, change: SupplierLinkChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> SupplierLink:
    """Change what a supplier takes for a SKU. What is left out stays."""
    message = messages.ChangeSupplierLink(link_id=link_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.delete("/supplier-links/{link_id}", status_code=204)
async def remove_supplier_link(link_id: UUID, ask: Ask) -> None:
    """The supplier no longer supplies the SKU."""
    await ask(messages.RemoveSupplierLink(link_id=link_id))
