"""Shapes of fulfilment centres, stock, reservations and shipments."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Shape

StockPolicy = Literal["standard", "backorder", "preorder", "always", "showroom"]
CentreKind = Literal["building", "store", "supplier", "reserve", "defect"]
ReservationState = Literal["held", "confirmed", "released", "expired", "shipped"]

# What every service takes for a SKU and for a number of units.
Sku = Annotated[str, Field(min_length=1, max_length=200)]
Quantity = Annotated[int, Field(ge=1, le=1_000_000)]


# Why no unit of a SKU can be had, as refused reservations say it, too.
NotSold = Literal["no_centre", "not_stocked", "not_on_sale"]


class Availability(Shape):
    """Whether and how much of a SKU one shop can sell now: on hand minus reserved over its centres, never negative.

    With a policy of backorder, preorder or always, `available` holds even when `available_quantity` is 0. `not_sold`:
    no centre sells for the shop, none of them ever held it, or its policy or dates forbid it everywhere.
    `everywhere` is what all centres have together, where no more can be sold at a time than one has.
    """

    sku: str
    available: bool
    available_quantity: int
    policy: StockPolicy = "standard"
    available_from: date | None = None
    available_until: date | None = None
    restock_date: date | None = None
    not_sold: NotSold | None = None
    everywhere: int | None = None


class Availabilities(Shape):
    """One entry per asked SKU, known or not; `as_of` is the database's clock."""

    items: list[Availability]
    as_of: datetime


class ReservedPart(Shape):
    """So many units of a line from one centre; for `backordered` of them the order waits until goods come in.

    Of a kit's line, units of the child `sku`; otherwise null.
    """

    centre_id: UUID
    centre_code: str
    quantity: int
    backordered: int = 0
    shipped: int = 0
    sku: str | None = None


class ReservedLine(Shape):
    """So many of a SKU that the order names, and where they come from."""

    sku: str
    quantity: int
    parts: list[ReservedPart]

    @property
    def backordered(self) -> int:
        """How many of them were not there when they were reserved; of a kit, as many as its scarcest part."""
        missing: dict[str | None, int] = {}
        for part in self.parts:
            missing[part.sku] = missing.get(part.sku, 0) + part.backordered
        return min(max(missing.values(), default=0), self.quantity)


class Reservation(Shape):
    """Stock held for an order. `id` is the order's id. Unconfirmed it ends at `expires_at`, by the database's clock."""

    id: UUID
    shop_id: UUID
    state: ReservationState
    lines: list[ReservedLine]
    expires_at: datetime | None


class ShippedLine(Shape):
    sku: str
    quantity: int


class ReturnedUnits(Shape):
    """So many units of a SKU came back; `restocked` of them lie in a centre again, the others are gone."""

    sku: str
    quantity: int
    restocked: int


class CentreAssignment(Shape):
    """Whether a centre counts towards what a shop can sell, and may dispatch for it; lowest `preference` first."""

    shop_id: UUID
    shop: str
    preference: int
    counts: bool
    dispatches: bool


class FulfilmentCentre(Shape):
    """Where goods lie. One is the default; sub-shops use their parent's centres until they have their own."""

    id: UUID
    code: str
    name: str
    kind: CentreKind
    is_default: bool
    shops: list[CentreAssignment] = []
    version: int


class StockLevel(Shape):
    """One SKU in one centre. `available` is on hand minus reserved, never negative.

    `backordered` units are promised and not there: sold on backorder, or missing since a count found fewer.
    """

    sku: str
    centre: str
    centre_id: UUID
    on_hand: int
    reserved: int
    available: int
    backordered: int
    incoming: int
    policy: StockPolicy
    available_from: date | None = None
    available_until: date | None = None
    restock_date: date | None = None
    warning_level: int | None = None
    ideal_level: int | None = None
    counted_at: datetime | None = None
    updated_at: datetime
    version: int


class StockMovement(Shape):
    """One line of the ledger. Stock on hand and reserved always equal the sums of their changes.

    `reason`: counted, adjusted, moved, received, returned, reserved, released, expired or shipped; `reference` names
    what caused it, `note` says why in a person's words.
    """

    id: UUID
    sku: str
    centre: str
    number: int
    reason: str
    reference: str | None
    note: str | None = None
    on_hand_before: int
    on_hand_after: int
    reserved_before: int
    reserved_after: int
    occurred_at: datetime


StockRowStatus = Literal["applied", "unchanged", "repeated", "superseded", "failed"]


class StockRowResult(Shape):
    """What became of one row; `row` counts from 1.

    *repeated*: its reference was applied before; *superseded*: a later count is known; *failed*: see `code`.
    """

    row: int
    status: StockRowStatus
    sku: str | None = None
    centre: str | None = None
    on_hand: int | None = None
    reserved: int | None = None
    available: int | None = None
    code: str | None = None
    message: str | None = None


class StockUpdated(Shape):
    """How many rows took effect, and each row's result in the order they came."""

    rows: int
    applied: int
    unchanged: int
    failed: int
    results: list[StockRowResult]
