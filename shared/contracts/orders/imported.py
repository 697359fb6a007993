"""Orders that come from a connection: what they say, how its statuses are taken, what became of each."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from shared.contracts.base import Change, Command, Page, Query, Shape
from shared.contracts.orders.messages import Moment, Reason, ShopCode
from shared.contracts.orders.shapes import CustomerDraft, Quantity, ShippingAddress, Sku
from shared.contracts.orders.totals import Discounts, ShippingCharge, Taxes
from shared.identifiers import derived_id
from shared.money import Money
from shared.pagination import First

MOST_ORDERS = 100
OrderAction = Literal[
    "do_not_import", "import", "import_and_complete", "import_and_cancel", "import_and_hold", "set_aside"
]
MissingStockPolicy = Literal["hold", "backorder"]
ImportedOrderState = Literal["waiting", "set_aside", "imported", "ignored", "given_up"]
ReceiptOutcome = Literal["taken", "updated", "unchanged"]
_Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
ExternalId = Annotated[_Word, Field(examples=["5001"])]
RemoteStatus = Annotated[_Word, Field(examples=["paid"])]
StatusMap = Annotated[dict[RemoteStatus, OrderAction], Field(max_length=200)]
RecheckLimit = Annotated[int, Field(ge=1, le=1000)]


def imported_order_id(organization_id: object, connection_id: UUID, external_id: str) -> UUID:
    """The id that an order of a connection has here: the same each time, known before it is handed over."""
    return derived_id("imported order", organization_id, connection_id, external_id)


class OrderConnectionDraft(Shape):
    """How the orders of a connection are taken.

    `status_map` says for each status over there what is done here; a status that is not named is set aside and
    reported. When stock is missing the order is imported on hold, or promised as a backorder where the stock's policy
    allows that. What is set aside is looked at again every hour, `recheck_limit` times; then somebody is called.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "shop": "main",
                "name": "Marketplace",
                "status_map": {"paid": "import", "draft": "set_aside", "cancelled": "import_and_cancel"},
                "stock_missing": "hold",
                "recheck_limit": 72,
            }
        }
    )

    shop: ShopCode
    name: _Word
    status_map: StatusMap = {}
    stock_missing: MissingStockPolicy = "hold"
    recheck_limit: RecheckLimit = 72


class OrderConnectionChange(Change):
    """What is to change of a connection: the fields that are given. `status_map` takes the place of the one before."""

    model_config = ConfigDict(json_schema_extra={"example": {"status_map": {"paid": "import"}}})

    name: _Word = ""
    status_map: StatusMap = {}
    stock_missing: MissingStockPolicy = "hold"
    recheck_limit: RecheckLimit = 72


class OrderConnectionSettings(Shape):
    """A connection as orders knows it. `gone_at`: it was deleted then, nothing comes by it, and no list has it."""

    id: UUID
    shop: str
    name: str
    status_map: dict[str, OrderAction]
    stock_missing: MissingStockPolicy
    recheck_limit: int
    created_at: datetime
    gone_at: datetime | None = None
    version: int


class RemoteLine(Shape):
    """A line as it was sold over there."""

    sku: Sku
    quantity: Quantity
    unit_price: Money
    title: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] | None = None
    discounts: Discounts = []
    taxes: Taxes = []


class RemoteOrder(Shape):
    """An order as a connection knows it. `external_id` is its own id there; `updated_at` tells the newer of two."""

    external_id: ExternalId
    number: _Word | None = None
    status: RemoteStatus
    is_paid: bool
    placed_at: Moment
    updated_at: Moment
    lines: Annotated[list[RemoteLine], Field(min_length=1, max_length=1000)]
    total: Money
    discounts: Discounts = []
    taxes: Taxes = []
    shipping: ShippingCharge | None = None
    customer: CustomerDraft
    shipping_address: ShippingAddress


class ImportedOrder(Shape):
    """An order of a connection, and what became of it. `reason` says by a stable code why it is set aside.

    Reasons: `status` (the map says so), `unknown_status`, `unpaid`, `unknown_sku`, `sku_at_two_prices`,
    `wrong_currency`, `totals_differ`, `shop_removed`, `stock_missing`; and `erased` for one whose customer was erased.
    """

    id: UUID
    connection_id: UUID
    external_id: str
    number: str | None
    status: str
    is_paid: bool
    updated_at: datetime
    state: ImportedOrderState
    reason: str | None
    detail: str | None
    order_id: UUID | None
    checks: int
    next_check_at: datetime | None
    escalated_at: datetime | None
    received_at: datetime


class OrderReceipt(Shape):
    """What was done with one order of a message. What becomes of it is told by the imported order."""

    id: UUID
    external_id: str
    outcome: ReceiptOutcome


class OrderReceipts(Shape):
    """One receipt per order, in the order of the message."""

    items: list[OrderReceipt]


class CreateOrderConnection(Command[OrderConnectionSettings]):
    """Say how the orders of a connection are taken. Refused: `shop_not_found` (404)."""

    connection: OrderConnectionDraft


class KeepOrderConnection(Command[OrderConnectionSettings]):
    """As sync says it: the orders of its connection are taken like this, under the connection's own id. Internal.

    Said again it is the same; statuses that are mapped differently are looked at again at once. Refused:
    `shop_not_found` (404).
    """

    connection_id: UUID
    connection: OrderConnectionDraft


class UpdateOrderConnection(Command[OrderConnectionSettings]):
    """Change how orders are taken. What is set aside for a status is looked at again at once.

    Refused: `order_connection_not_found` (404), `order_connection_changed_since` (412).
    """

    connection_id: UUID
    change: OrderConnectionChange
    expected_version: int | None = None


class GetOrderConnection(Query[OrderConnectionSettings]):
    """How the orders of a connection are taken. Refused: `order_connection_not_found` (404)."""

    connection_id: UUID


class ListOrderConnections(Query[Page[OrderConnectionSettings]]):
    """The connections that bring orders, newest first."""

    first: First = 50
    after: str | None = None


class ImportOrders(Command[OrderReceipts]):
    """Take orders of a connection, new ones and ones that changed. They are imported at once, in the background.

    Of one that is gone nothing is taken any more.

    The same order again is one order; an older state of it than is known changes nothing. Once imported, its lines and
    addresses are never overwritten: only its status is followed. Refused: `order_connection_not_found` (404),
    `external_id_twice` (422).
    """

    connection_id: UUID
    orders: Annotated[list[RemoteOrder], Field(min_length=1, max_length=MOST_ORDERS)]


class GetImportedOrder(Query[ImportedOrder]):
    """An order of a connection, and what became of it. Refused: `imported_order_not_found` (404)."""

    imported_order_id: UUID


class ListImportedOrders(Query[Page[ImportedOrder]]):
    """Orders of connections, latest received first: those that are set aside, those of one connection."""

    connection_id: UUID | None = None
    state: ImportedOrderState | None = None
    external_id: ExternalId | None = None
    first: First = 50
    after: str | None = None


class RetryImportedOrder(Command[ImportedOrder]):
    """Look again, now, at an order that is set aside or was given up.

    Refused: `imported_order_not_found` (404), `imported_order_is_settled` (409).
    """

    imported_order_id: UUID


class GiveUpImportedOrder(Command[ImportedOrder]):
    """Do not look again at an order that is set aside, until somebody says otherwise.

    Refused: `imported_order_not_found` (404), `imported_order_is_settled` (409).
    """

    imported_order_id: UUID
    reason: Reason


class MissingStock(Shape):
    """Units of a SKU that a connection's orders wait for, in so many orders; `lacking` of them are not to be had now.

    They were sold over there while here, or on another platform, the last ones went.
    """

    sku: str
    orders: int
    waiting: int
    available: int
    lacking: int


class MissingStocks(Shape):
    """The thousand SKUs that most units are waited for of, the most first."""

    items: list[MissingStock]


class ListMissingStock(Query[MissingStocks]):
    """What the orders of a connection that are on hold for want of stock wait for. Internal: sync tells it.

    Raises order_connection_not_found.
    """

    connection_id: UUID
