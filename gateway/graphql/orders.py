"""GraphQL of quotes and orders."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.orders.aftercare import AddOrderNote, ChangeOrder, RequestOrderRefund
from shared.contracts.orders.bulk import ActOnOrders
from shared.contracts.orders.line_changes import CancelOrderLines, ChangeOrderLines
from shared.contracts.orders.lists import (
    CountOrders,
    GetOrderExportFile,
    ListOrders,
    StartOrderExport,
    SuggestOrderSets,
)
from shared.contracts.orders.messages import (
    AttachOrderPayment,
    CancelOrder,
    CreateQuote,
    GetOrder,
    GetQuote,
    HoldOrder,
    PlaceOrder,
    ReleaseOrder,
)
from shared.contracts.orders.shapes import Order, OrderSummary, Quote
from shared.contracts.orders.terms import GetOrderTerms, SetOrderTerms

FIELDS = (
    node(Order, GetOrder, "order_id", also=(OrderSummary,)),
    node(Quote, GetQuote, "quote_id"),
    query("order", GetOrder),
    query("quote", GetQuote),
    connection("orders", ListOrders),
    query("orderCounts", CountOrders),
    query("orderSets", SuggestOrderSets),
    query("orderExportFile", GetOrderExportFile),
    mutation("startOrderExport", StartOrderExport),
    mutation("actOnOrders", ActOnOrders),
    mutation("createQuote", CreateQuote),
    mutation("placeOrder", PlaceOrder),
    mutation("cancelOrder", CancelOrder),
    mutation("holdOrder", HoldOrder),
    mutation("releaseOrder", ReleaseOrder),
    mutation("attachOrderPayment", AttachOrderPayment),
    query("orderTerms", GetOrderTerms),
    mutation("setOrderTerms", SetOrderTerms),
    mutation("changeOrder", ChangeOrder),
    mutation("changeOrderLines", ChangeOrderLines),
    mutation("cancelOrderLines", CancelOrderLines),
    mutation("addOrderNote", AddOrderNote),
    mutation("requestOrderRefund", RequestOrderRefund),
)
