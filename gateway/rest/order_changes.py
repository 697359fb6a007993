"""Orders that stand: their details, lines, notes and refunds; and how a shop takes orders."""

from uuid import UUID

from fastapi import APIRouter, Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Shape
from shared.contracts.orders.aftercare import (
    AddOrderNote,
    ChangeOrder,
    NoteWords,
    OrderChange,
    RefundDraft,
    RequestOrderRefund,
)
from shared.contracts.orders.line_changes import CancelDraft, CancelOrderLines, ChangeOrderLines, LinesDraft
from shared.contracts.orders.messages import ShopCode
from shared.contracts.orders.shapes import Order
from shared.contracts.orders.terms import GetOrderTerms, OrderTerms, PayWindowMinutes, SetOrderTerms

router = APIRouter(prefix="/v1", tags=["orders"])


class OrderNote(Shape):
    """A person's words; they stay on the order's timeline."""

    text: NoteWords


class OrderTermsDraft(Shape):
    """How a shop takes orders. Null: as the installation does."""

    pay_window_minutes: PayWindowMinutes | None


@router.get("/shops/{shop_code}/order-terms")
async def get_order_terms(shop_code: ShopCode, ask: Ask) -> OrderTerms:
    """How long new orders of a shop wait for their payment."""
    return await ask(GetOrderTerms(shop=shop_code))


@router.put("/shops/{shop_code}/order-terms")
async def set_order_terms(shop_code: ShopCode, draft: OrderTermsDraft, ask: Ask) -> OrderTerms:
    """Set how long new orders of a shop wait for their payment. Orders that were placed keep their time."""
    return await ask(SetOrderTerms(shop=shop_code, pay_window_minutes=draft.pay_window_minutes))


@router.patch("/orders/{order_id}")
async def change_order(
    order_id: UUID, change: OrderChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Change whom to ask about an order, where it goes, how it travels, or its own discounts and taxes.

    What is left out stays. The total follows: what was paid beyond it is asked to go back. The address is not changed
    while a shipment is being prepared for it (`shipment_in_preparation`, which names it): cancel that first.
    """
    message = ChangeOrder(order_id=order_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/orders/{order_id}/change-lines")
async def change_order_lines(
    order_id: UUID, change: LinesDraft, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Change, add, replace, cancel or re-source lines of an order, as far as they are in no shipment: all or nothing.

    To replace a thing, let its line be 0 and name the new one. The total follows: what was paid beyond it is asked to
    go back, and a paid order that costs more now waits on hold for the rest.
    """
    message = ChangeOrderLines(order_id=order_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/orders/{order_id}/cancel-lines")
async def cancel_order_lines(
    order_id: UUID, cancel: CancelDraft, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Cancel lines of an order or parts of them; without `lines` all that has not left.

    Their stock is free again, and what was paid for them is asked to go back. An order of which nothing has left is
    cancelled as a whole by its own action.
    """
    message = CancelOrderLines(order_id=order_id, cancel=cancel, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/orders/{order_id}/notes", status_code=201)
async def add_order_note(
    order_id: UUID, note: OrderNote, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Write a note on the order's timeline."""
    response.headers["Location"] = f"/v1/orders/{order_id}"
    return tagged(await ask(AddOrderNote(order_id=order_id, text=note.text, expected_version=expected)), response)


@router.post("/orders/{order_id}/request-refund")
async def request_order_refund(
    order_id: UUID, refund: RefundDraft, ask: Ask, response: Response, expected: ExpectedVersion
) -> Order:
    """Ask for money of an order to go back: an amount, or what units that came back cost.

    For each returned unit it is asked once, and never for more than was paid.
    """
    message = RequestOrderRefund(order_id=order_id, refund=refund, expected_version=expected)
    return tagged(await ask(message), response)
