"""Shipments over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.inventory import shipments as messages
from shared.contracts.inventory.shipments import (
    Moment,
    Reason,
    Shipment,
    ShipmentChange,
    ShipmentDraft,
    ShipmentState,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["shipments"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class Delivered(Shape):
    """When a shipment arrived; now where nothing is said."""

    delivered_at: Moment | None = None


class GivenUp(Shape):
    """Why a shipment is given up."""

    reason: Reason | None = None


@router.post("/shipments", status_code=201)
async def create_shipment(draft: ShipmentDraft, ask: Ask, response: Response) -> Shipment:
    """Prepare goods of an order, or record that they left: the lines named, or all that is still open.

    Say `state`: `picked` or `packed` binds the goods to this shipment, `shipped` (the default) takes them from stock.
    Only a processing order is shipped, and never more of it than it has open. Send an `Idempotency-Key`, so that a
    repeated request is not a second shipment.
    """
    shipment = await ask(messages.CreateShipment(shipment=draft))
    response.headers["Location"] = f"/v1/shipments/{shipment.id}"
    return tagged(shipment, response)


@router.get("/shipments")
async def list_shipments(
    ask: Ask,
    order_id: UUID | None = None,
    state: ShipmentState | None = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Shipment]:
    """Shipments, latest first."""
    return await ask(messages.ListShipments(order_id=order_id, state=state, first=first, after=after))


@router.get("/shipments/{shipment_id}")
async def get_shipment(shipment_id: UUID, ask: Ask, response: Response) -> Shipment:
    """One shipment with its lines, packages, tracking numbers and history."""
    return tagged(await ask(messages.GetShipment(shipment_id=shipment_id)), response)


@router.patch("/shipments/{shipment_id}")
async def change_shipment(
    shipment_id: UUID, change: ShipmentChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Shipment:
    """Change carrier, service, tracking or packages. What is left out stays."""
    message = messages.ChangeShipment(shipment_id=shipment_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/shipments/{shipment_id}/pack")
async def pack_shipment(
    shipment_id: UUID,
    ask: Ask,
    response: Response,
    expected: ExpectedVersion,
    change: ShipmentChange | None = None,
) -> Shipment:
    """A picked shipment is packed; say its packages and how it will travel, if they are known."""
    message = messages.PackShipment(shipment_id=shipment_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/shipments/{shipment_id}/ship")
async def ship_shipment(
    shipment_id: UUID,
    ask: Ask,
    response: Response,
    expected: ExpectedVersion,
    change: ShipmentChange | None = None,
) -> Shipment:
    """A prepared shipment left: its goods are no longer in stock. Its order must still be processing."""
    message = messages.ShipShipment(shipment_id=shipment_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/shipments/{shipment_id}/deliver")
async def deliver_shipment(
    shipment_id: UUID, ask: Ask, response: Response, expected: ExpectedVersion, body: Delivered | None = None
) -> Shipment:
    """A shipment arrived."""
    at = None if body is None else body.delivered_at
    message = messages.DeliverShipment(shipment_id=shipment_id, delivered_at=at, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/shipments/{shipment_id}/cancel")
async def cancel_shipment(
    shipment_id: UUID, ask: Ask, response: Response, expected: ExpectedVersion, body: GivenUp | None = None
) -> Shipment:
    """Give a prepared shipment up: its goods can be shipped again."""
    reason = None if body is None else body.reason
    message = messages.CancelShipment(shipment_id=shipment_id, reason=reason, expected_version=expected)
    return tagged(await ask(message), response)
