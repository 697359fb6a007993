"""GraphQL of stock checks. A counted file comes over REST or from its address; here the rows are a list."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.inventory.stock_checks import (
    ApplyStockCheck,
    GetStockCheck,
    GetStockCheckSheet,
    ListStockCheckRows,
    ListStockChecks,
    StartStockCheck,
    StartStockCheckFromUrl,
    StockCheck,
)

FIELDS = (
    node(StockCheck, GetStockCheck, "check_id"),
    query("stockCheck", GetStockCheck),
    connection("stockChecks", ListStockChecks),
    connection("stockCheckRows", ListStockCheckRows),
    query("stockCheckSheet", GetStockCheckSheet),
    mutation("startStockCheck", StartStockCheck),
    mutation("startStockCheckFromUrl", StartStockCheckFromUrl),
    mutation("applyStockCheck", ApplyStockCheck),
)
