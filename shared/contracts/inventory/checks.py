"""What `crossdock check` asks of inventory."""

from uuid import UUID

from shared.contracts.base import Page, Query, Shape


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


class OpenReservation(Shape):
    """Stock that is held for an order, or allocated to it."""

    order_id: UUID
    state: str


class ListOpenReservations(Query[Page[OpenReservation]]):
    """By order, those whose stock was kept for good. Internal."""

    after: str | None = None
