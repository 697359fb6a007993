"""GraphQL of fulfilment centres, stock and reservations."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.inventory.ledger import AdjustStock, ExplainStock, GetMovementSheet, MoveStock
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    ChangeFulfilmentCentre,
    CreateFulfilmentCentre,
    GetFulfilmentCentre,
    GetReservation,
    ListFulfilmentCentres,
    ListStock,
    ListStockMovements,
    RemoveFulfilmentCentre,
    SetStockPolicy,
    UnassignFulfilmentCentre,
    UpdateStock,
)
from shared.contracts.inventory.shapes import FulfilmentCentre, Reservation

FIELDS = (
    node(FulfilmentCentre, GetFulfilmentCentre, "centre_id"),
    node(Reservation, GetReservation, "reservation_id"),
    query("fulfilmentCentre", GetFulfilmentCentre),
    query("reservation", GetReservation),
    connection("fulfilmentCentres", ListFulfilmentCentres),
    connection("stock", ListStock),
    connection("stockMovements", ListStockMovements),
    mutation("createFulfilmentCentre", CreateFulfilmentCentre),
    mutation("changeFulfilmentCentre", ChangeFulfilmentCentre),
    mutation("assignFulfilmentCentre", AssignFulfilmentCentre),
    mutation("unassignFulfilmentCentre", UnassignFulfilmentCentre),
    mutation("updateStock", UpdateStock),
    mutation("setStockPolicy", SetStockPolicy),
    mutation("adjustStock", AdjustStock),
    mutation("moveStock", MoveStock),
    query("stockExplanation", ExplainStock),
    query("stockMovementSheet", GetMovementSheet),
    mutation("removeFulfilmentCentre", RemoveFulfilmentCentre),
)
