"""Picking lists over REST."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from gateway.request import Ask
from shared.contracts.base import Page
from shared.contracts.inventory.picking import (
    GetPickingFile,
    ListOrdersToPick,
    ListSkusToPick,
    OrderToPick,
    PickingStatus,
    SkuToPick,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["shipments"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Centre = Annotated[str, Query(description="The code of a fulfilment centre.")]

_FILES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get("/picking-lists/orders")
async def list_orders_to_pick(
    ask: Ask, centre: Centre, status: PickingStatus | None = None, first: First = 50, after: Cursor = None
) -> Page[OrderToPick]:
    """What is to be picked in a fulfilment centre, order by order, oldest first.

    `status` is `in_stock`, `partial`, `backorder` (its goods are not there yet) or `on_hold`. What is scarce belongs to
    the orders that waited longest.
    """
    return await ask(ListOrdersToPick(centre=centre, status=status, first=first, after=after))


@router.get("/picking-lists/skus")
async def list_skus_to_pick(ask: Ask, centre: Centre, first: First = 50, after: Cursor = None) -> Page[SkuToPick]:
    """What is to be picked in a fulfilment centre, by SKU over all orders."""
    return await ask(ListSkusToPick(centre=centre, first=first, after=after))


@router.get("/picking-lists/file", responses=_FILES, response_class=Response)
async def get_picking_file(
    ask: Ask, centre: Centre, by: Literal["order", "sku"] = "order", status: PickingStatus | None = None
) -> Response:
    """The picking list of a fulfilment centre as CSV, by order or by SKU, up to 10,000 lines."""
    file = await ask(GetPickingFile(centre=centre, by=by, status=status))
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return Response(file.content, media_type="text/csv; charset=utf-8", headers=headers)
