"""The one map of who hears what: an event, and the services whose listeners it reaches."""

from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.base import Event
from shared.contracts.catalog.events import (
    CategoriesChanged,
    ChannelContentChanged,
    PricesChanged,
    ProductsChanged,
    ShopTermsChanged,
    StockFileImported,
    VariantsRemoved,
)
from shared.contracts.inventory.events import (
    BackorderServed,
    GoodsReturned,
    ReservationExpired,
    ReservationFailed,
    ShipmentChanged,
    ShipmentShipped,
    StockChanged,
    StockLevelCrossed,
    SupplierLinksChanged,
)
from shared.contracts.orders.events import (
    CustomerErased,
    ImportedOrderChanged,
    OrderCancelled,
    OrderDetailsChanged,
    OrderDueLater,
    OrderLinesChanged,
    OrderMoved,
    OrderPlaced,
    OrderTotalChanged,
    RefundWanted,
)
from shared.contracts.payments.events import PaymentChanged
from shared.contracts.platform.events import AlertCleared, AlertRaised, AuditRecorded, JobChanged
from shared.contracts.platform.imports import ImportChanged
from shared.contracts.sync.events import ConnectionChanged, ConnectionRemoved, ListingsChanged

SUBSCRIPTIONS: dict[type[Event], tuple[str, ...]] = {
    JobChanged: ("accounts",),
    ImportChanged: ("accounts",),
    AuditRecorded: ("accounts",),
    AlertRaised: ("accounts",),
    AlertCleared: ("accounts",),
    ShopChanged: ("catalog", "inventory", "orders", "payments", "search", "sync"),
    ShopRemoved: ("catalog", "inventory", "orders", "payments", "search", "sync"),
    ProductsChanged: ("search", "sync"),
    PricesChanged: ("search", "sync"),
    ShopTermsChanged: ("search", "sync"),
    CategoriesChanged: ("search", "sync"),
    ChannelContentChanged: ("search", "sync"),
    StockFileImported: ("inventory",),
    VariantsRemoved: ("search",),
    StockChanged: ("search", "sync"),
    SupplierLinksChanged: ("search",),
    ReservationExpired: ("orders",),
    ReservationFailed: ("orders",),
    ShipmentShipped: ("orders", "sync"),
    ShipmentChanged: ("orders",),
    GoodsReturned: ("orders",),
    BackorderServed: ("orders",),
    OrderPlaced: ("inventory", "payments", "search"),
    OrderMoved: ("inventory",),
    OrderCancelled: ("inventory", "payments"),
    OrderDueLater: ("inventory",),
    OrderDetailsChanged: ("search",),
    OrderLinesChanged: ("inventory", "search"),
    OrderTotalChanged: ("payments",),
    ImportedOrderChanged: ("sync",),
    RefundWanted: ("payments",),
    CustomerErased: ("payments", "search", "sync"),
    PaymentChanged: ("orders",),
    ConnectionChanged: ("catalog",),
    ConnectionRemoved: ("catalog", "orders"),
    ListingsChanged: ("search",),
}

# Whom an event is sent to that no service listens to, so that whoever follows it hears of it: right after the commit,
# and never again.
NOBODY = ""
# Of these a copy goes to whoever follows them at this moment (`shared/live.py`), along with one of their deliveries.
LIVE: tuple[type[Event], ...] = (OrderPlaced, OrderMoved, StockChanged, StockLevelCrossed, JobChanged, AlertRaised)
