"""Changes of stock by hand, the ledger as a sheet, and why a figure is what it is."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.base import Command, Query, Shape
from shared.contracts.inventory.shapes import Quantity, Sku, StockLevel, StockMovement

_NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_NUL)]
Delta = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
Moment = Annotated[AwareDatetime, Field(description="With its offset from UTC.")]
MovementReason = Literal[
    "counted", "adjusted", "moved", "received", "returned", "reserved", "released", "expired", "shipped"
]


class AdjustStock(Command[StockLevel]):
    """Add to, or take from, what is on hand of a SKU, and say why: `reason` stands in the ledger as its note.

    With a `reference` it takes effect once. Refused with `negative_stock` (409) below zero, `reference_reused` (409)
    where the reference stands for another change, `centre_not_found` (404), `is_kit` (409).
    """

    sku: Sku
    centre: Text | None = None
    delta: Delta
    reason: Text
    reference: Text | None = None


class MovedLine(Shape):
    sku: Sku
    quantity: Quantity


class StockMoved(Shape):
    """What both centres have now of what was moved. `repeated`: the reference was moved before, and nothing was now."""

    repeated: bool
    levels: list[StockLevel]


class MoveStock(Command[StockMoved]):
    """Move goods from one centre to another, all lines or none; what is reserved where they lie stays.

    With a `reference` it takes effect once. Refused with `not_enough_to_move` (409, an entry per SKU),
    `reference_reused` (409), `same_centre` (422), `centre_not_found` (404), `is_kit` (409).
    """

    from_centre: Text
    to_centre: Text
    lines: Annotated[list[MovedLine], Field(min_length=1, max_length=1000)]
    reason: Text | None = None
    reference: Text | None = None


class MovementSheet(Shape):
    """Rows of a CSV file with headings; `next` is the cursor of the rows that follow, without headings."""

    csv: str
    next: str | None = None


class GetMovementSheet(Query[MovementSheet]):
    """The ledger as CSV, latest first, some thousand rows at a time. Refused with `centre_not_found` (404)."""

    timeout_seconds = 30.0
    sku: Annotated[str, Field(max_length=200, pattern=_NO_NUL)] | None = None
    centre: Annotated[str, Field(max_length=200, pattern=_NO_NUL)] | None = None
    reason: MovementReason | None = None
    reference: Annotated[str, Field(max_length=200, pattern=_NO_NUL)] | None = None
    from_time: Moment | None = None
    to_time: Moment | None = None
    after: str | None = None


class StockHold(Shape):
    """Units reserved for an order (`reference`, with its `order_id`): held until it is paid, or allocated to it."""

    reference: str
    order_id: UUID | None
    units: int
    state: str | None


class ExplainedStock(Shape):
    """The figures of a SKU in a centre at a moment, and what gives them.

    On hand and reserved are the sums of `movements` changes up to then, of which the latest are here; what is reserved
    is the sum of `holds`, of which the largest thousand are here. `state` of a hold is its reservation's now.
    `adds_up`: whether all of that agrees.
    """

    sku: str
    centre: str
    at: AwareDatetime
    on_hand: int
    reserved: int
    available: int
    movements: int
    by_reason: dict[str, int]
    latest: list[StockMovement]
    holds: list[StockHold]
    adds_up: bool


class ExplainStock(Query[ExplainedStock]):
    """Why a SKU's stock in a centre is what it is, now or `at` a moment: the movements and the orders that give it.

    Of a centre that was removed, too; where its code was given again, `at` says which is meant.
    Refused with `stock_not_found` (404) where the centre never held it, `centre_not_found` (404).
    """

    sku: Sku
    centre: Text
    at: Moment | None = None
