"""Goods that come back, over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway.request import Ask
from shared.contracts.base import Page
from shared.contracts.inventory.returns import CreateReturn, GetReturn, GoodsReturn, ListReturns, ReturnDraft
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["shipments"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


@router.post("/returns", status_code=201)
async def create_return(draft: ReturnDraft, ask: Ask, response: Response) -> GoodsReturn:
    """Record that shipped goods came back, line by line, and which of them go into the stock of which centre.

    Never more than left comes back. Send an `Idempotency-Key`, so that a repeated request is not a second return.
    """
    found = await ask(CreateReturn(goods=draft))
    response.headers["Location"] = f"/v1/returns/{found.id}"
    return found


@router.get("/returns")
async def list_returns(
    ask: Ask, order_id: UUID | None = None, first: First = 50, after: Cursor = None
) -> Page[GoodsReturn]:
    """Returns, latest first."""
    return await ask(ListReturns(order_id=order_id, first=first, after=after))


@router.get("/returns/{return_id}")
async def get_return(return_id: UUID, ask: Ask) -> GoodsReturn:
    """One return, with what came back and where it lies now."""
    return await ask(GetReturn(return_id=return_id))
