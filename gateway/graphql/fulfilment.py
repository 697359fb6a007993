"""GraphQL of picking lists, shipments, returns, and goods that come in."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.inventory.arrivals import (
    Arrival,
    ChangeArrival,
    CloseArrival,
    CreateArrivals,
    GetArrival,
    GetReceipt,
    ListArrivals,
    ListReceipts,
    Receipt,
    ReceiveGoods,
)
from shared.contracts.inventory.picking import GetPickingFile, ListOrdersToPick, ListSkusToPick
from shared.contracts.inventory.returns import CreateReturn, GetReturn, GoodsReturn, ListReturns
from shared.contracts.inventory.shipments import (
    CancelShipment,
    ChangeShipment,
    CreateShipment,
    DeliverShipment,
    GetShipment,
    ListShipments,
    PackShipment,
    Shipment,
    ShipShipment,
)

FIELDS = (
    node(Shipment, GetShipment, "shipment_id"),
    node(GoodsReturn, GetReturn, "return_id"),
    query("shipment", GetShipment),
    query("goodsReturn", GetReturn),
    connection("goodsReturns", ListReturns),
    connection("shipments", ListShipments),
    connection("ordersToPick", ListOrdersToPick),
    connection("skusToPick", ListSkusToPick),
    query("pickingFile", GetPickingFile),
    mutation("createShipment", CreateShipment),
    mutation("changeShipment", ChangeShipment),
    mutation("packShipment", PackShipment),
    mutation("shipShipment", ShipShipment),
    mutation("deliverShipment", DeliverShipment),
    mutation("cancelShipment", CancelShipment),
    mutation("createReturn", CreateReturn),
    node(Arrival, GetArrival, "arrival_id"),
    node(Receipt, GetReceipt, "receipt_id"),
    query("arrival", GetArrival),
    connection("arrivals", ListArrivals),
    query("receipt", GetReceipt),
    connection("receipts", ListReceipts),
    mutation("createArrivals", CreateArrivals),
    mutation("changeArrival", ChangeArrival),
    mutation("closeArrival", CloseArrival),
    mutation("receiveGoods", ReceiveGoods),
)
