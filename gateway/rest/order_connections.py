"""Connections that bring orders, and the orders they bring."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.orders.imported import (
    CreateOrderConnection,
    ExternalId,
    GetImportedOrder,
    GetOrderConnection,
    GiveUpImportedOrder,
    ImportedOrder,
    ImportedOrderState,
    ImportOrders,
    ListImportedOrders,
    ListOrderConnections,
    OrderConnectionChange,
    OrderConnectionDraft,
    OrderConnectionSettings,
    OrderReceipts,
    RetryImportedOrder,
    UpdateOrderConnection,
)
from shared.contracts.orders.messages import Reason
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["imported orders"])

After = Annotated[str | None, Query(description="`next` of the page before.")]


class GivingUp(Shape):
    """Why an order is not looked at again; it is kept in the audit log."""

    reason: Annotated[Reason, Field(examples=["The buyer never paid"])]


@router.post("/order-connections", status_code=201)
async def create_order_connection(
    connection: OrderConnectionDraft, ask: Ask, response: Response
) -> OrderConnectionSettings:
    """Say how the orders of a connection are taken: what is done for each of the statuses that it knows."""
    made = await ask(CreateOrderConnection(connection=connection))
    response.headers["Location"] = f"/v1/order-connections/{made.id}"
    return tagged(made, response)


@router.get("/order-connections")
async def list_order_connections(ask: Ask, first: First = 50, after: After = None) -> Page[OrderConnectionSettings]:
    """The connections that bring orders, newest first."""
    return await ask(ListOrderConnections(first=first, after=after))


@router.get("/order-connections/{connection_id}")
async def get_order_connection(connection_id: UUID, ask: Ask, response: Response) -> OrderConnectionSettings:
    """How the orders of a connection are taken."""
    return tagged(await ask(GetOrderConnection(connection_id=connection_id)), response)


@router.patch("/order-connections/{connection_id}")
async def update_order_connection(
    connection_id: UUID, change: OrderConnectionChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> OrderConnectionSettings:
    """Change how orders are taken. What waits for its status is looked at again at once.

    With `If-Match`, only if nobody changed it since you read it (412).
    """
    message = UpdateOrderConnection(connection_id=connection_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/orders/import", status_code=202)
async def import_orders(message: ImportOrders, ask: Ask) -> OrderReceipts:
    """Take up to 100 orders of a connection, new ones and ones that changed; they are imported in the background.

    The same order again is one order, and an older state of it than is known changes nothing. Once imported, its lines
    and addresses are never overwritten: only its status is followed. What became of each: `GET /v1/imported-orders`.
    """
    return await ask(message)


@router.get("/imported-orders")
async def list_imported_orders(
    ask: Ask,
    connection_id: Annotated[UUID | None, Query(description="Of this connection.")] = None,
    state: ImportedOrderState | None = None,
    external_id: Annotated[ExternalId | None, Query(description="With this id over there.")] = None,
    first: First = 50,
    after: After = None,
) -> Page[ImportedOrder]:
    """Orders of connections and what became of them, latest received first; `state=set_aside` for those that wait."""
    return await ask(
        ListImportedOrders(connection_id=connection_id, state=state, external_id=external_id, first=first, after=after)
    )


@router.get("/imported-orders/{imported_order_id}")
async def get_imported_order(imported_order_id: UUID, ask: Ask) -> ImportedOrder:
    """An order of a connection, and what became of it."""
    return await ask(GetImportedOrder(imported_order_id=imported_order_id))


@router.post("/imported-orders/{imported_order_id}/retry")
async def retry_imported_order(imported_order_id: UUID, ask: Ask) -> ImportedOrder:
    """Look again, now, at an order that waits or was given up."""
    return await ask(RetryImportedOrder(imported_order_id=imported_order_id))


@router.post("/imported-orders/{imported_order_id}/give-up")
async def give_up_imported_order(imported_order_id: UUID, body: GivingUp, ask: Ask) -> ImportedOrder:
    """Do not look again at an order that waits, until somebody says otherwise."""
    return await ask(GiveUpImportedOrder(imported_order_id=imported_order_id, reason=body.reason))
