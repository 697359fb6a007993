"""Quotes and orders."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Shape
from shared.contracts.orders.messages import (
    AttachOrderPayment,
    CancelOrder,
    CreateQuote,
    ExternalPaymentId,
    GetOrder,
    GetQuote,
    HoldOrder,
    PlaceOrder,
    Reason,
    ReleaseOrder,
)
from shared.contracts.orders.shapes import Order, Quote

router = APIRouter(prefix="/v1", tags=["orders"])
# What storefronts ask all day: answered by `gateway.asking`, without FastAPI's machinery.
hot_router = APIRouter(prefix="/v1", tags=["orders"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class OrderReason(Shape):
    """Why somebody does this; it is kept in the order's timeline."""

    reason: Reason


class PaymentNamed(Shape):
    """A payment at a gateway: the gateway's id here, and the payment's id there."""

    gateway_id: UUID
    external_id: Annotated[ExternalPaymentId, Field(examples=["pi_3MtwBwLkdIwHu7ix28a3tqPa"])]


@hot_router.post("/quotes", status_code=201)
async def create_quote(message: CreateQuote, ask: Ask, response: Response) -> Quote:
    """What an order of these lines would cost, and whether it could be placed, now.

    What stands in the way is told line by line in `problem`. Place the order within ten minutes with the `quote_id`,
    and it costs what the quote says, or is refused because the price changed.
    """
    quote = await ask(message)
    response.headers["Location"] = f"/v1/quotes/{quote.id}"
    return quote


@router.get("/quotes/{quote_id}")
async def get_quote(quote_id: UUID, ask: Ask) -> Quote:
    """A quote that is still valid."""
    return await ask(GetQuote(quote_id=quote_id))


@hot_router.post("/orders", status_code=201)
async def place_order(message: PlaceOrder, ask: Ask, response: Response) -> Order:
    """Place an order: everything in it is reserved and stored, or nothing is.

    Who buys and where the goods go is said here, unless the quote knows. Needs an `Idempotency-Key`; the same key and
    body again get the first answer. With `quote_id` or `expected_total` the order is placed at that price, or refused
    with `price_changed`. A new order is `pending` until its payment arrives, at the latest until `pay_until`, or
    `processing` when it costs nothing.
    """
    order = await ask(message)
    response.headers["Location"] = f"/v1/orders/{order.id}"
    return tagged(order, response)


@router.get("/orders/{order_id}")
async def get_order(order_id: UUID, ask: Ask, response: Response) -> Order:
    """An order with its lines, payments, shipments and timeline."""
    return tagged(await ask(GetOrder(order_id=order_id)), response)


@router.post("/orders/{order_id}/cancel")
async def cancel_order(
    order_id: UUID, body: OrderReason, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Cancel an order of which nothing has left. Its stock is free again; what was paid is asked to go back."""
    message = CancelOrder(order_id=order_id, reason=body.reason, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/orders/{order_id}/hold")
async def hold_order(
    order_id: UUID, body: OrderReason, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Stop an order until it is released."""
    message = HoldOrder(order_id=order_id, reason=body.reason, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/orders/{order_id}/release")
async def release_order(order_id: UUID, ask: Ask, response: Response, expected: ExpectedVersion) -> Order:
    """Let an order that is on hold go on from where it was."""
    return tagged(await ask(ReleaseOrder(order_id=order_id, expected_version=expected)), response)


@router.post("/orders/{order_id}/payments", status_code=201)
async def attach_order_payment(
    order_id: UUID, body: PaymentNamed, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Tell which payment will pay for this order, for gateways whose callbacks cannot name the order.

    The payment is among those of the order, where `Location` leads, once the gateway speaks of it.
    """
    message = AttachOrderPayment(
        order_id=order_id, gateway_id=body.gateway_id, external_id=body.external_id, expected_version=expected
    )
    response.headers["Location"] = f"/v1/orders/{order_id}"
    return tagged(await ask(message), response)
