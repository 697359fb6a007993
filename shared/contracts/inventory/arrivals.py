"""Goods that are expected, and goods that came in."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Change, Command, Page, Query, Shape
from shared.contracts.inventory.shapes import Quantity, Sku
from shared.contracts.inventory.shipments import Text
from shared.pagination import First

ArrivalState = Literal["open", "received", "closed"]


class ArrivalDraft(Shape):
    """So many units of a SKU are expected in a centre; `reference` names what they were ordered by."""

    sku: Sku
    centre: str
    quantity: Quantity
    expected_on: date | None = None
    reference: Text | None = None


class ArrivalChange(Change):
    """What of an expected arrival is to change: what is left out stays."""

    quantity: Quantity = 1
    expected_on: date | None = None
    reference: Text | None = None


class Arrival(Shape):
    """Units of a SKU that are expected in a centre, and how many have come.

    `state`: *open* more is expected; *received* all came; *closed* the rest will not come. What is open is `incoming`.
    """

    id: UUID
    sku: str
    centre: str
    quantity: int
    received: int
    expected_on: date | None
    reference: str | None
    state: ArrivalState
    created_at: datetime
    version: int


class Arrivals(Shape):
    """Expected arrivals in the order in which they were sent."""

    items: list[Arrival]


class ReceivedLineDraft(Shape):
    """So many units of a SKU came in, against an expected arrival or without."""

    sku: Sku
    quantity: Quantity
    arrival_id: UUID | None = None


class ReceiptDraft(Shape):
    """Goods that came into a centre; `reference` names the delivery."""

    centre: str
    lines: Annotated[list[ReceivedLineDraft], Field(min_length=1, max_length=1000)]
    reference: Text | None = None


class ReceivedLine(Shape):
    sku: str
    quantity: int
    arrival_id: UUID | None


class Receipt(Shape):
    """Goods that came into a centre together."""

    id: UUID
    centre: str
    reference: str | None
    actor: str
    lines: list[ReceivedLine]
    received_at: datetime


class CreateArrivals(Command[Arrivals]):
    """Expect goods, up to 1,000 lines, all or none. Refused with `centre_not_found` (404), `too_much_stock` (409)."""

    arrivals: Annotated[list[ArrivalDraft], Field(min_length=1, max_length=1000)]


class ChangeArrival(Command[Arrival]):
    """Change how many are expected, when, or by which reference.

    Refused with `arrival_not_found` (404), `arrival_over` (409) when nothing more is expected, `less_than_received`
    (409), `too_much_stock` (409), `arrival_changed_since` (412).
    """

    arrival_id: UUID
    change: ArrivalChange
    expected_version: int | None = None


class CloseArrival(Command[Arrival]):
    """Expect no more of it: the rest will not come.

    Refused with `arrival_not_found` (404), `arrival_over` (409), `arrival_changed_since` (412).
    """

    arrival_id: UUID
    expected_version: int | None = None


class GetArrival(Query[Arrival]):
    """One expected arrival. Refused with `arrival_not_found` (404)."""

    arrival_id: UUID


class ListArrivals(Query[Page[Arrival]]):
    """Expected arrivals, latest first; `centre` is a centre's code."""

    sku: str | None = None
    centre: str | None = None
    state: ArrivalState | None = None
    first: First = 50
    after: str | None = None


class ReceiveGoods(Command[Receipt]):
    """Goods came in: stock on hand rises, and the orders that waited longest are served first.

    Against an expected arrival any number may come, also more than was expected. Refused with `centre_not_found`,
    `arrival_not_found` (404), `arrival_differs` (409) for one of another SKU or centre, `arrival_over` (409) for a
    closed one, `too_much_stock` (409).
    """

    receipt: ReceiptDraft


class GetReceipt(Query[Receipt]):
    """One receipt. Refused with `receipt_not_found` (404)."""

    receipt_id: UUID


class ListReceipts(Query[Page[Receipt]]):
    """Receipts, latest first; `centre` is a centre's code."""

    centre: str | None = None
    first: First = 50
    after: str | None = None
