"""Goods on their way out: shipments, from the shelf to the customer's door."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from shared.contracts.base import Change, Command, Page, Query, Shape
from shared.contracts.inventory.shapes import Quantity, Sku
from shared.pagination import First

ShipmentState = Literal["picked", "packed", "shipped", "delivered", "returned", "cancelled"]


def _with_zone(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a moment needs its offset from UTC, like 2026-01-31T12:00:00Z")
    return time


Moment = Annotated[datetime, AfterValidator(_with_zone)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
TrackingNumbers = Annotated[list[Text], Field(max_length=100)]
TrackingUrl = Annotated[
    str, Field(max_length=2000, pattern=r"^https?://", examples=["https://track.example.com/?id=1"])
]
Millimetres = Annotated[int, Field(ge=1, le=100_000)]
Grams = Annotated[int, Field(ge=1, le=100_000_000)]


class Package(Shape):
    """A parcel or pallet of a shipment; its own tracking number is one of the shipment's."""

    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    tracking_number: Text | None = None


Packages = Annotated[list[Package], Field(max_length=100)]


class ShipmentLine(Shape):
    """So many units of a SKU from one centre, maybe as a part of a `kit`; `returned` of them came back."""

    sku: str
    quantity: int
    centre: str
    returned: int = 0
    kit: str | None = None


class ShipmentMove(Shape):
    """Who moved a shipment, and when; the first entry has nothing `before`."""

    before: ShipmentState | None
    after: ShipmentState
    actor: str
    reason: str | None = None
    occurred_at: datetime


class Tracking(Shape):
    """A tracking number, and where its carrier tells about it."""

    number: str
    url: str | None


class Shipment(Shape):
    """Goods of an order that leave together, all of it or a part.

    `tracking_numbers` are the shipment's own and those of its packages. `carrier` is a carrier's code, or a name;
    without a `tracking_url` of its own a shipment has that of its first number, by the carrier's pattern.
    """

    id: UUID
    number: str
    order_id: UUID
    order_number: str
    shop_id: UUID
    state: ShipmentState
    carrier: str | None
    service: str | None
    tracking_numbers: list[str]
    tracking_url: str | None
    tracking: list[Tracking] = []
    lines: list[ShipmentLine]
    packages: list[Package] = []
    history: list[ShipmentMove] = []
    created_at: datetime
    shipped_at: datetime | None
    delivered_at: datetime | None = None
    version: int


class ShipmentLineDraft(Shape):
    sku: Sku
    quantity: Quantity


class ShipmentDraft(Shape):
    """Goods of an order: these lines, or without `lines` all that is still open; with `centre` of that centre alone.

    `state` says how far it is: `shipped` when the goods have left, `picked` or `packed` when they are prepared.
    """

    order_id: UUID
    state: Literal["picked", "packed", "shipped"] = "shipped"
    lines: Annotated[list[ShipmentLineDraft], Field(min_length=1, max_length=1000)] | None = None
    centre: str | None = None
    carrier: Text | None = None
    service: Text | None = None
    tracking_numbers: TrackingNumbers = []
    tracking_url: TrackingUrl | None = None
    packages: Packages = []


class ShipmentChange(Change):
    """How a shipment travels, as far as it is to change: what is left out stays."""

    carrier: Text | None = None
    service: Text | None = None
    tracking_numbers: TrackingNumbers = []
    tracking_url: TrackingUrl | None = None
    packages: Packages = []


class CreateShipment(Command[Shipment]):
    """Prepare or send goods of an order.

    While a shipment is prepared its goods are bound to it: nobody else ships them. When it leaves, stock on hand and
    reserved fall together. Refused with `order_not_ready` (409) while the order is not processing,
    `more_than_allocated` (409), `not_on_hand` (409), `centre_may_not_dispatch` (409), `order_not_found`,
    `centre_not_found` (404).
    """

    shipment: ShipmentDraft


class ChangeShipment(Command[Shipment]):
    """Change carrier, tracking or packages of a shipment.

    Refused with `shipment_not_found` (404), `illegal_shipment_move` (409) once it is cancelled,
    `shipment_changed_since` (412).
    """

    shipment_id: UUID
    change: ShipmentChange
    expected_version: int | None = None


class PackShipment(Command[Shipment]):
    """The goods of a picked shipment are in their packages.

    Refused with `shipment_not_found` (404), `illegal_shipment_move` (409), `shipment_changed_since` (412).
    """

    shipment_id: UUID
    change: ShipmentChange | None = None
    expected_version: int | None = None


class ShipShipment(Command[Shipment]):
    """A prepared shipment left: stock on hand and reserved fall.

    Refused with `shipment_not_found` (404), `illegal_shipment_move` (409), `order_not_ready` (409), `not_on_hand`
    (409), `shipment_changed_since` (412).
    """

    shipment_id: UUID
    change: ShipmentChange | None = None
    expected_version: int | None = None


class DeliverShipment(Command[Shipment]):
    """A shipment arrived, now or at `delivered_at`.

    Refused with `shipment_not_found` (404), `illegal_shipment_move` (409), `impossible_delivery` (422),
    `shipment_changed_since` (412).
    """

    shipment_id: UUID
    delivered_at: Moment | None = None
    expected_version: int | None = None


class CancelShipment(Command[Shipment]):
    """Give a prepared shipment up: its goods can be shipped again.

    Refused with `shipment_not_found` (404), `illegal_shipment_move` (409) once it has left, `shipment_changed_since`
    (412).
    """

    shipment_id: UUID
    reason: Reason | None = None
    expected_version: int | None = None


class GetShipment(Query[Shipment]):
    """One shipment. Refused with `shipment_not_found` (404)."""

    shipment_id: UUID


class ListShipments(Query[Page[Shipment]]):
    """Shipments, latest first, of all orders or of one, in every state or in one."""

    order_id: UUID | None = None
    state: ShipmentState | None = None
    first: First = 50
    after: str | None = None
