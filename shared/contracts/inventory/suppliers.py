"""Suppliers, and what each of them supplies."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Change, Command, Done, Page, Query, Shape
from shared.contracts.inventory.messages import Code, Name
from shared.contracts.inventory.shapes import Quantity, Sku
from shared.contracts.inventory.shipments import Text
from shared.money import Money
from shared.pagination import First

Days = Annotated[int, Field(ge=0, le=3650)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$", examples=["sales@example.com"])]


class Supplier(Shape):
    """Who supplies goods. `currency` is the one that is bought in, `lead_time_days` from order to arrival."""

    id: UUID
    code: str
    name: str
    contact_name: str | None
    contact_email: str | None
    contact_phone: str | None
    currency: str
    lead_time_days: int | None
    is_active: bool
    version: int


class SupplierDraft(Shape):
    code: Code
    name: Name
    contact_name: Text | None = None
    contact_email: Email | None = None
    contact_phone: Text | None = None
    currency: Currency
    lead_time_days: Days | None = None
    is_active: bool = True


class SupplierChange(Change):
    """What of a supplier is to change: what is left out stays."""

    name: Name = ""
    contact_name: Text | None = None
    contact_email: Email | None = None
    contact_phone: Text | None = None
    currency: Currency = ""
    lead_time_days: Days | None = None
    is_active: bool = True


class SupplierLink(Shape):
    """What a supplier takes for a SKU, by which name, and in which quantities.

    At most one link of a SKU is the primary one. `lead_time_days` is the supplier's own where the link has none.
    """

    id: UUID
    supplier_id: UUID
    supplier: str
    sku: str
    supplier_sku: str | None
    cost: Money | None
    pack_size: int
    minimum_quantity: int
    lead_time_days: int | None
    is_primary: bool
    version: int


class SupplierLinkDraft(Shape):
    """`supplier` is a supplier's code. Ordered are whole packs, and at least the minimum."""

    supplier: Code
    sku: Sku
    supplier_sku: Text | None = None
    cost: Money | None = None
    pack_size: Quantity = 1
    minimum_quantity: Quantity = 1
    lead_time_days: Days | None = None
    is_primary: bool = False


class SupplierLinkChange(Change):
    """What of a link is to change: what is left out stays."""

    supplier_sku: Text | None = None
    cost: Money | None = None
    pack_size: Quantity = 1
    minimum_quantity: Quantity = 1
    lead_time_days: Days | None = None
    is_primary: bool = False


class CreateSupplier(Command[Supplier]):
    """Add a supplier. Refused with `supplier_code_taken` (409), `unknown_currency` (422)."""

    supplier: SupplierDraft


class ChangeSupplier(Command[Supplier]):
    """Change a supplier.

    Refused with `supplier_not_found` (404), `unknown_currency` (422), `supplier_changed_since` (412).
    """

    supplier_id: UUID
    change: SupplierChange
    expected_version: int | None = None


class GetSupplier(Query[Supplier]):
    """One supplier. Refused with `supplier_not_found` (404)."""

    supplier_id: UUID


class ListSuppliers(Query[Page[Supplier]]):
    """The merchant's suppliers in the order of their codes."""

    first: First = 50
    after: str | None = None


class CreateSupplierLink(Command[SupplierLink]):
    """Say that a supplier supplies a SKU. A new primary link takes the place of the one before.

    Refused with `supplier_link_exists` (409), `supplier_not_found` (404), `negative_cost` (422).
    """

    link: SupplierLinkDraft


class ChangeSupplierLink(Command[SupplierLink]):
    """Change what a supplier takes for a SKU. A new primary link takes the place of the one before.

    Refused with `supplier_link_not_found` (404), `negative_cost` (422), `supplier_link_changed_since` (412).
    """

    link_id: UUID
    change: SupplierLinkChange
    expected_version: int | None = None


class RemoveSupplierLink(Command[Done]):
    """The supplier no longer supplies the SKU. Refused with `supplier_link_not_found` (404)."""

    link_id: UUID


class GetSupplierLink(Query[SupplierLink]):
    """One link. Refused with `supplier_link_not_found` (404)."""

    link_id: UUID


class ListSupplierLinks(Query[Page[SupplierLink]]):
    """Who supplies what, by SKU and supplier; of one SKU, or of one supplier by its code."""

    sku: str | None = None
    supplier: str | None = None
    first: First = 50
    after: str | None = None
