"""Goods that are expected and goods that came in, over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.inventory import arrivals as messages
from shared.contracts.inventory.arrivals import (
    Arrival,
    ArrivalChange,
    ArrivalDraft,
    Arrivals,
    ArrivalState,
    Receipt,
    ReceiptDraft,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["receiving"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class Expected(Shape):
    """Goods that are expected, up to 1,000 lines."""

    lines: Annotated[list[ArrivalDraft], Field(min_length=1, max_length=1000)]


@router.post("/arrivals", status_code=201)
async def create_arrivals(body: Expected, ask: Ask) -> Arrivals:
    """Expect goods: each line is an arrival of its own. What is expected is the `incoming` of stock."""
    return await ask(messages.CreateArrivals(arrivals=body.lines))


@router.get("/arrivals")
async def list_arrivals(
    ask: Ask,
    sku: str | None = None,
    centre: str | None = None,
    state: ArrivalState | None = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Arrival]:
    """Expected arrivals, latest first."""
    return await ask(messages.ListArrivals(sku=sku, centre=centre, state=state, first=first, after=after))


@router.get("/arrivals/{arrival_id}")
async def get_arrival(arrival_id: UUID, ask: Ask, response: Response) -> Arrival:
    """One expected arrival, and how much of it has come."""
    return tagged(await ask(messages.GetArrival(arrival_id=arrival_id)), response)


@router.patch("/arrivals/{arrival_id}")
async def change_arrival(
    arrival_id: UUID, change: ArrivalChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Arrival:
    """Change how many are expected, when, or by which reference. What is left out stays."""
    message = messages.ChangeArrival(arrival_id=arrival_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/arrivals/{arrival_id}/close")
async def close_arrival(arrival_id: UUID, ask: Ask, response: Response, expected: ExpectedVersion) -> Arrival:
    """Expect no more of it: the rest will not come."""
    return tagged(await ask(messages.CloseArrival(arrival_id=arrival_id, expected_version=expected)), response)


@router.post("/receipts", status_code=201)
async def receive_goods(draft: ReceiptDraft, ask: Ask, response: Response) -> Receipt:
    """Goods came in, against expected arrivals or without: stock on hand rises.

    Orders that waited for them are served at once, those that waited longest first. Send an `Idempotency-Key`, so that
    a repeated request does not count the same delivery twice.
    """
    receipt = await ask(messages.ReceiveGoods(receipt=draft))
    response.headers["Location"] = f"/v1/receipts/{receipt.id}"
    return receipt


@router.get("/receipts")
async def list_receipts(ask: Ask, centre: str | None = None, first: First = 50, after: Cursor = None) -> Page[Receipt]:
    """Goods that came in, latest first."""
    return await ask(messages.ListReceipts(centre=centre, first=first, after=after))


@router.get("/receipts/{receipt_id}")
async def get_receipt(receipt_id: UUID, ask: Ask) -> Receipt:
    """Goods that came in together."""
    return await ask(messages.GetReceipt(receipt_id=receipt_id))
