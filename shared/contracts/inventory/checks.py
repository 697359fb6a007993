"""What `crossdock check` asks of inventory."""

from uuid import UUID

from shared.contracts.base import Page, Query, Shape
from shared.contracts.inventory.shapes import ReservationState


class StockFinding(Shape):
    """Figures of a SKU in a centre that do not agree: `what` is stored, and what it should be."""

    sku: str
    centre_id: UUID
    what: str
    stored: int
    expected: int


class StockFindings(Shape):
    """At most a thousand of each kind."""

    items: list[StockFinding]


class CheckStock(Query[StockFindings]):
    """Whether balances equal their movements, and what is reserved equals what orders hold. Internal."""

    timeout_seconds = 600.0


class Organizations(Shape):
    ids: list[UUID]


class ListStockedOrganizations(Query[Organizations]):
    """Whoever has a fulfilment centre. Internal."""


class StockOfLine(Shape):
    """Units of a SKU as the order names it: reserved for it, left with shipments, and back. A kit counts when whole."""

    sku: str
    reserved: int
    shipped: int
    returned: int


class StockOfOrder(Shape):
    """What inventory knows of an order, by its lines."""

    order_id: UUID
    state: ReservationState
    lines: list[StockOfLine]


class ListStockOfOrders(Query[Page[StockOfOrder]]):
    """By order, a thousand at a time; what only changes an order is not there. Internal."""

    timeout_seconds = 60.0
    after: str | None = None
