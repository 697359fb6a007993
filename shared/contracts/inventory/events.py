"""What inventory announces."""

from datetime import datetime
from uuid import UUID

from shared.contracts.base import Event, Shape
from shared.contracts.inventory.shapes import ReturnedUnits, ShippedLine
from shared.contracts.inventory.shipments import ShipmentState

SKUS_PER_EVENT = 1000


class StockChanged(Event):
    """What can be sold of these SKUs (up to 1,000) may have changed: ask."""

    skus: list[str]
    # Those of them that may have come into stock, gone out of it, or become low or plenty; None: any of them may have.
    crossed: list[str] | None = None


class SupplierLinksChanged(Event):
    """What suppliers take for these SKUs (up to 1,000) may have changed."""

    skus: list[str]


class ReservationExpired(Event):
    """A reservation ran out unconfirmed, or late: its stock can be sold again."""

    order_id: UUID


class ReservationFailed(Event):
    """A confirmation came after the reservation had run out, and the stock is no longer there."""

    order_id: UUID
    skus: list[str]


class ShipmentShipped(Event):
    """Goods left. `lines` are of this shipment alone."""

    shipment_id: UUID
    order_id: UUID
    number: str
    carrier: str | None
    service: str | None = None
    tracking_numbers: list[str]
    tracking_url: str | None = None
    lines: list[ShippedLine]
    shipped_at: datetime
    version: int = 1


class ShipmentChanged(Event):
    """A shipment that had left was delivered or returned, or is followed otherwise: this is what holds now.

    `version` grows with every change of one shipment.
    """

    shipment_id: UUID
    order_id: UUID
    number: str
    state: ShipmentState
    carrier: str | None
    service: str | None
    tracking_numbers: list[str]
    tracking_url: str | None
    delivered_at: datetime | None = None
    version: int


class GoodsReturned(Event):
    """Goods that had left came back. `lines` are of this return alone, one per SKU.

    `shipment_ids` are the shipments they had left with. Together an order's returns never exceed what was shipped.
    """

    return_id: UUID
    order_id: UUID
    number: str
    shipment_ids: list[UUID] = []
    lines: list[ReturnedUnits]
    reason: str | None = None
    returned_at: datetime


class BackorderServed(Event):
    """Goods an order waited for are there now: so many more units of its lines can be shipped.

    `waiting` is what of the order is still not there, after this.
    """

    order_id: UUID
    lines: list[ShippedLine]
    waiting: list[ShippedLine] = []


class CrossedLevel(Shape):
    """A SKU in a centre that came down to its warning level, or (`is_low` false) is above it again."""

    sku: str
    centre_id: UUID
    available: int
    warning_level: int | None
    ideal_level: int | None = None
    is_low: bool


class StockLevelCrossed(Event):
    """Of these (up to 1,000) what can be sold came down to the warning level, or recovered."""

    levels: list[CrossedLevel]
