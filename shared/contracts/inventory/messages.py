"""What inventory is asked by other services; the doors' messages follow below."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Command, Done, Page, Query, Shape
from shared.contracts.inventory.ledger import Moment, MovementReason
from shared.contracts.inventory.shapes import (
    Availabilities,
    Availability,
    CentreKind,
    FulfilmentCentre,
    Reservation,
    Sku,
    StockLevel,
    StockMovement,
    StockPolicy,
    StockUpdated,
)
from shared.contracts.platform.imports import ImportConflict
from shared.money import Money
from shared.pagination import First

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["store"])]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Level = Annotated[int, Field(ge=0, le=1_000_000_000)]
ShortText = Annotated[str, Field(min_length=1, max_length=200)]


class GetAvailability(Query[Availabilities]):
    """What one shop can sell of these SKUs (up to 1,000). Internal."""

    shop_id: UUID
    skus: list[str]


class KnownCentres(Shape):
    """Those of the codes asked for that a fulfilment centre has."""

    codes: list[str]


class FindCentres(Query[KnownCentres]):
    """Which of these codes are fulfilment centres. Internal."""

    codes: list[str]


class StockPortion(Shape):
    """Some of the stock: SKU, centre's code, on hand and policy of each place. `next` is where more begins."""

    rows: list[tuple[str, str, int, StockPolicy]]
    next: str | None = None


class ReadStock(Query[StockPortion]):
    """Stock for a file, of these SKUs or all, in a centre or all, up to 2,000 places at a time. Internal."""

    timeout_seconds = 60.0
    skus: list[str] | None = None
    centre: str | None = None
    first: Annotated[int, Field(ge=1, le=2000)] = 2000
    after: str | None = None


class CountedStock(Shape):
    """How many places have stock: of what is asked for."""

    places: int


class CountStock(Query[CountedStock]):
    """How many SKUs in centres there are, of these SKUs or all, in a centre or all. Internal."""

    skus: list[str] | None = None
    centre: str | None = None


class StockTakenBack(Shape):
    """What became of stock that a file of products had counted. `next` is the part of the file that follows.

    `is_known` is false where nothing is kept any more of what was before it.
    """

    is_known: bool
    restored: int = 0
    conflicts: list[ImportConflict] = []
    next: int | None = None


class TakeBackFileStock(Command[StockTakenBack]):
    """Take back what an import of products counted: the part behind `after`. What is still to come is not taken.

    Where stock moved since, it stays. Asked again, it answers the same. Internal.
    """

    timeout_seconds = 60.0
    import_id: UUID
    after: int | None = None


class CountStocked(Query[CountedStock]):
    """How many SKUs have something on hand where files of products count, in the default centre. Internal.

    Of these SKUs, up to 10,000, or of all.
    """

    skus: Annotated[list[str], Field(max_length=10_000)] | None = None


class StockStanding(Shape):
    """What can be sold of a SKU in all centres together, and whether one of them came down to its warning level."""

    sku: str
    available: int
    is_low: bool


class SupplyCost(Shape):
    """What the primary supplier of a SKU takes for one; where none is, the least that any of them takes."""

    sku: str
    cost: Money


class StockStandings(Shape):
    """Of those SKUs that there is any stock of; and of those that suppliers have told a price of, in each currency."""

    items: list[StockStanding]
    costs: list[SupplyCost] = []


class GetStockStandings(Query[StockStandings]):
    """How much there is of these SKUs (up to 1,000) in all. Internal: search asks."""

    skus: Annotated[list[str], Field(max_length=1000)]


class CentreStock(Shape):
    """Stock in single centres: SKU, the centre's code, what can be sold (never below zero), what is reserved."""

    rows: list[tuple[str, str, int, int]]


class GetCentreStock(Query[CentreStock]):
    """Stock of these SKUs (up to 2,000) in each centre that has any. Internal: sync asks."""

    skus: Annotated[list[str], Field(max_length=2000)]


class ReserveLine(Shape):
    """`in_stock_only`: nothing is promised beyond what is there, whatever the stock's policy (*always* goods are).

    None leaves it as it was said when this order's stock was reserved first; false where it never was.
    """

    sku: str
    quantity: int
    in_stock_only: bool | None = None


class ReserveStock(Command[Reservation]):
    """Hold stock for an order, all lines or none; the same id again finds the same reservation. Internal.

    Refused with `insufficient_stock` (409) and one entry per line in `errors`: `{sku, requested, available, reason}`;
    with `reservation_differs` (409) when the id holds other lines; with `reservation_closed` (409) after a release.
    """

    order_id: UUID
    shop_id: UUID
    lines: list[ReserveLine]
    hold_seconds: int = 300


class ShortLine(Shape):
    """A SKU of an order of which there is not enough: how much of what it wants there is, and why no more."""

    sku: str
    available: int
    reason: str


class SourcedUnits(Shape):
    """So many units of a SKU that a centre would give for a line; for a kit, of one of its children.

    `beyond_stock` of them are promised and not there.
    """

    line_sku: str
    sku: str
    centre: str
    quantity: int
    beyond_stock: int = 0


class WeighedOrder(Shape):
    """What becomes of an order as a whole: the lines it would be refused for, or where each of them would come from."""

    short: list[ShortLine] = []
    sources: list[SourcedUnits] = []


class WeighedOrders(Shape):
    """One entry per order, in the order asked; and one per SKU, in the order in which the orders name them first."""

    orders: list[WeighedOrder]
    availabilities: list[Availability]


class WeighOrders(Query[WeighedOrders]):
    """What reserving all lines of an order would come to now, for each of these, each as if it were alone; and what can
    be sold of each of their SKUs. Internal.
    """

    shop_id: UUID
    orders: list[list[ReserveLine]]


# --- fulfilment centres


class ListFulfilmentCentres(Query[Page[FulfilmentCentre]]):
    """The merchant's centres in the order of their codes, each with the shops it serves."""

    first: First = 50
    after: str | None = None


class GetFulfilmentCentre(Query[FulfilmentCentre]):
    """One centre. Refused with `centre_not_found` (404)."""

    centre_id: UUID


class CreateFulfilmentCentre(Command[FulfilmentCentre]):
    """Add a centre; it serves no shop until it is assigned. Refused with `centre_code_taken` (409)."""

    code: Code
    name: Name
    kind: CentreKind = "building"


class ChangeFulfilmentCentre(Command[FulfilmentCentre]):
    """Rename a centre, change its kind, or make it the default in place of the present one.

    Refused with `centre_not_found` (404), `default_centre_needed` (409), `centre_changed_since` (412).
    """

    centre_id: UUID
    name: Name | None = None
    kind: CentreKind | None = None
    is_default: bool | None = None
    expected_version: int | None = None


class RemoveFulfilmentCentre(Command[Done]):
    """Close a centre. Its ledger stays, and its code can be given again. With `discard_stock` its stock is written off.

    Refused with `centre_not_found` (404), `centre_changed_since` (412), `default_centre_needed` (409) for the default
    centre, `centre_has_reservations` (409, an entry per order and SKU), `centre_has_stock` (409, an entry per SKU).
    """

    centre_id: UUID
    discard_stock: bool = False
    expected_version: int | None = None


class AssignFulfilmentCentre(Command[FulfilmentCentre]):
    """Let a centre serve a shop, or change how. A sub-shop's first own centre ends what it has from its parent.

    What `counts` can be sold and reserved: centres that may dispatch first, then by `preference`, lowest first.
    Refused with `centre_not_found`, `shop_not_found` (404), `centre_changed_since` (412).
    """

    centre_id: UUID
    shop: str
    preference: Annotated[int, Field(ge=0, le=1000)] = 100
    counts: bool = True
    dispatches: bool = True
    expected_version: int | None = None


class UnassignFulfilmentCentre(Command[FulfilmentCentre]):
    """End a centre's service for a shop. What is reserved there stays reserved.

    Refused with `centre_not_found`, `shop_not_found` (404), `centre_changed_since` (412).
    """

    centre_id: UUID
    shop: str
    expected_version: int | None = None


# --- stock


class ListStock(Query[Page[StockLevel]]):
    """Stock by SKU and centre; `centre` is a centre's code. `low` keeps what came down to its warning level."""

    sku: str | None = None
    centre: str | None = None
    low: bool = False
    first: First = 50
    after: str | None = None


class ListStockMovements(Query[Page[StockMovement]]):
    """The ledger, latest first, of all stock, of one SKU or of one centre.

    `reference` is what the movements name; `from_time` is inclusive, `to_time` is not.
    """

    sku: str | None = None
    centre: str | None = None
    reason: MovementReason | None = None
    reference: str | None = None
    from_time: Moment | None = None
    to_time: Moment | None = None
    first: First = 50
    after: str | None = None


class UpdateStock(Command[StockUpdated]):
    """Set or change stock on hand, up to 10,000 rows `{sku, centre, on_hand | delta, reference?, as_of?}`.

    `on_hand` is a count: it is a fact and always accepted, also below what is reserved; nothing is then available and
    an alert is raised. The count with the later `as_of` wins. `delta` adds or takes away, never below zero. A row with
    a `reference` takes effect once. A row that cannot be read or applied fails by itself; the others take effect.
    """

    timeout_seconds = 60.0
    rows: list[Any]


class SetStockPolicy(Command[StockLevel]):
    """Set how a SKU of one centre is sold, between which dates, and its levels. What is left out is cleared."""

    sku: Sku
    centre: str
    policy: StockPolicy = "standard"
    available_from: date | None = None
    available_until: date | None = None
    restock_date: date | None = None
    warning_level: Level | None = None
    ideal_level: Level | None = None


class GetReservation(Query[Reservation]):
    """What is held for an order; its id is the order's. Refused with `reservation_not_found` (404)."""

    reservation_id: UUID
