"""GraphQL of connections that bring orders."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.orders.imported import (
    CreateOrderConnection,
    GetImportedOrder,
    GetOrderConnection,
    GiveUpImportedOrder,
    ImportedOrder,
    ImportOrders,
    ListImportedOrders,
    ListOrderConnections,
    OrderConnectionSettings,
    RetryImportedOrder,
    UpdateOrderConnection,
)

FIELDS = (
    node(OrderConnectionSettings, GetOrderConnection, "connection_id"),
    node(ImportedOrder, GetImportedOrder, "imported_order_id"),
    query("orderConnection", GetOrderConnection),
    connection("orderConnections", ListOrderConnections),
    mutation("createOrderConnection", CreateOrderConnection),
    mutation("updateOrderConnection", UpdateOrderConnection),
    mutation("importOrders", ImportOrders),
    query("importedOrder", GetImportedOrder),
    connection("importedOrders", ListImportedOrders),
    mutation("retryImportedOrder", RetryImportedOrder),
    mutation("giveUpImportedOrder", GiveUpImportedOrder),
)
