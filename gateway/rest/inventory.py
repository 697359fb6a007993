"""Fulfilment centres, stock and its ledger, reservations."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from gateway import sheets
from gateway.errors import UnsupportedMediaType, is_json, media_type_of
from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.inventory.ledger import (
    AdjustStock,
    ExplainedStock,
    ExplainStock,
    GetMovementSheet,
    Moment,
    MovementReason,
    MoveStock,
    StockMoved,
)
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    ChangeFulfilmentCentre,
    CreateFulfilmentCentre,
    GetFulfilmentCentre,
    GetReservation,
    ListFulfilmentCentres,
    ListStock,
    ListStockMovements,
    Name,
    RemoveFulfilmentCentre,
    SetStockPolicy,
    UnassignFulfilmentCentre,
    UpdateStock,
)
from shared.contracts.inventory.shapes import (
    CentreKind,
    FulfilmentCentre,
    Reservation,
    StockLevel,
    StockMovement,
    StockUpdated,
)
from shared.impex.json_rows import rows_of
from shared.pagination import First

# Nobody has registered one; these are what is sent for JSON by lines.
_NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})

router = APIRouter(prefix="/v1", tags=["inventory"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class CentreChange(Shape):
    """What is to change; what is left out stays."""

    name: Name | None = None
    kind: CentreKind | None = None
    is_default: bool | None = None


class CentreAssigned(Shape):
    """How a centre serves a shop."""

    shop: str
    preference: Annotated[int, Field(ge=0, le=1000)] = 100
    counts: bool = True
    dispatches: bool = True


class ShopNamed(Shape):
    shop: str


# --- fulfilment centres


@router.get("/fulfilment-centres")
async def list_fulfilment_centres(ask: Ask, first: First = 50, after: Cursor = None) -> Page[FulfilmentCentre]:
    """Fulfilment centres by code, each with the shops it serves."""
    return await ask(ListFulfilmentCentres(first=first, after=after))


@router.post("/fulfilment-centres", status_code=201)
async def create_fulfilment_centre(message: CreateFulfilmentCentre, ask: Ask, response: Response) -> FulfilmentCentre:
    """Add a fulfilment centre. Assign it to a shop to let it serve there."""
    centre = await ask(message)
    response.headers["Location"] = f"/v1/fulfilment-centres/{centre.id}"
    return tagged(centre, response)


@router.get("/fulfilment-centres/{centre_id}")
async def get_fulfilment_centre(centre_id: UUID, ask: Ask, response: Response) -> FulfilmentCentre:
    """One fulfilment centre. Its `ETag` goes into `If-Match` when you change it."""
    return tagged(await ask(GetFulfilmentCentre(centre_id=centre_id)), response)


@router.patch("/fulfilment-centres/{centre_id}")
async def change_fulfilment_centre(
    centre_id: UUID, change: CentreChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> FulfilmentCentre:
    """Rename a fulfilment centre, change its kind, or make it the default."""
    message = ChangeFulfilmentCentre(centre_id=centre_id, expected_version=expected, **change.model_dump())
    return tagged(await ask(message), response)


@router.delete("/fulfilment-centres/{centre_id}", status_code=204)
async def remove_fulfilment_centre(
    centre_id: UUID,
    ask: Ask,
    expected: ExpectedVersion,
    discard_stock: Annotated[bool, Query(description="Write off what lies there.")] = False,
) -> None:
    """Close a fulfilment centre in which nothing is reserved. The refusal lists what is."""
    await ask(RemoveFulfilmentCentre(centre_id=centre_id, discard_stock=discard_stock, expected_version=expected))


@router.post("/fulfilment-centres/{centre_id}/assign")
async def assign_fulfilment_centre(
    centre_id: UUID, body: CentreAssigned, ask: Ask, response: Response, expected: ExpectedVersion
) -> FulfilmentCentre:
    """Let a fulfilment centre serve a shop, or change how.

    A sub-shop is served by its parent's centres until it has one of its own. What `counts` can be sold and reserved;
    centres that may dispatch come first, then those with the lowest `preference`.
    """
    message = AssignFulfilmentCentre(centre_id=centre_id, expected_version=expected, **body.model_dump())
    return tagged(await ask(message), response)


@router.post("/fulfilment-centres/{centre_id}/unassign")
async def unassign_fulfilment_centre(
    centre_id: UUID, body: ShopNamed, ask: Ask, response: Response, expected: ExpectedVersion
) -> FulfilmentCentre:
    """End a fulfilment centre's service for a shop. What is reserved there stays reserved."""
    message = UnassignFulfilmentCentre(centre_id=centre_id, shop=body.shop, expected_version=expected)
    return tagged(await ask(message), response)


# --- stock


@router.get("/stock")
async def list_stock(
    ask: Ask,
    sku: str | None = None,
    centre: str | None = None,
    low: Annotated[bool, Query(description="Only what came down to its warning level.")] = False,
    first: First = 50,
    after: Cursor = None,
) -> Page[StockLevel]:
    """Stock by SKU and fulfilment centre: on hand, reserved, and available, which is never negative."""
    return await ask(ListStock(sku=sku, centre=centre, low=low, first=first, after=after))


@router.put("/stock")
async def set_stock_policy(message: SetStockPolicy, ask: Ask) -> StockLevel:
    """Set how a SKU of one centre is sold (policy, dates) and its levels. What is left out is cleared."""
    return await ask(message)


@router.post(
    "/stock/bulk",
    response_model=StockUpdated,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"sku": "MUG-BLUE", "centre": "main", "on_hand": 12}\n{"sku": "MUG-RED", "delta": -1}',
                },
                "application/json": {
                    "schema": {"type": "array", "maxItems": 10000, "items": {"type": "object"}},
                    "example": [{"sku": "MUG-BLUE", "centre": "main", "on_hand": 12, "reference": "count-7"}],
                },
            },
        }
    },
)
async def update_stock(request: Request, ask: Ask) -> Response:
    """Set or change stock on hand: up to 10,000 rows `{sku, centre, on_hand | delta, reference?, as_of?}`.

    The body is NDJSON (one row per line) or a JSON list; what is sent as `application/json` is taken as one document
    or refused. `on_hand` is a count and always accepted, also below what is reserved: nothing is then available and an
    alert is raised. Of two counts the one with the later `as_of` wins.
    `delta` adds or takes away, and never goes below zero. A row with a `reference` takes effect once; deltas without
    one are repeatable only with an `Idempotency-Key`. Without `centre` the default centre is meant. Each row has its
    result; a row that fails costs nobody but itself.
    """
    media_type = media_type_of(request)
    if media_type not in _NDJSON and not is_json(media_type):
        raise UnsupportedMediaType("Send the rows as application/json or application/x-ndjson.")
    rows = rows_of(await request.body(), is_document=is_json(media_type))
    # Ten thousand results are not read again on their way out.
    return Response(await ask.ready(UpdateStock(rows=rows)), media_type="application/json")


@router.post("/stock/adjust")
async def adjust_stock(message: AdjustStock, ask: Ask) -> StockLevel:
    """Add to, or take from, what is on hand of a SKU, and say why. With a `reference` it takes effect once."""
    return await ask(message)


@router.post("/stock/move")
async def move_stock(message: MoveStock, ask: Ask) -> StockMoved:
    """Move goods from one centre to another, all lines or none. What is reserved stays where it lies."""
    return await ask(message)


@router.get("/stock-explanations")
async def explain_stock(sku: str, centre: str, ask: Ask, at: Moment | None = None) -> ExplainedStock:
    """Why a SKU's stock in a centre is what it is, now or at a moment: the movements and the orders that give it."""
    return await ask(ExplainStock(sku=sku, centre=centre, at=at))


Reason = Annotated[MovementReason | None, Query(description="Only movements of this kind.")]
Reference = Annotated[str | None, Query(description="Only movements that name it, like `order:<id>`.")]


@router.get("/stock-movements")
async def list_stock_movements(
    ask: Ask,
    sku: str | None = None,
    centre: str | None = None,
    reason: Reason = None,
    reference: Reference = None,
    from_time: Moment | None = None,
    to_time: Moment | None = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[StockMovement]:
    """The ledger, latest first: each change with its reason, its reference, and the figures before and after."""
    message = ListStockMovements(
        sku=sku,
        centre=centre,
        reason=reason,
        reference=reference,
        from_time=from_time,
        to_time=to_time,
        first=first,
        after=after,
    )
    return await ask(message)


@router.get("/stock-movements/file", response_class=StreamingResponse)
async def download_stock_movements(
    ask: Ask,
    sku: str | None = None,
    centre: str | None = None,
    reason: Reason = None,
    reference: Reference = None,
    from_time: Moment | None = None,
    to_time: Moment | None = None,
) -> StreamingResponse:
    """The ledger as a CSV file, latest first: all that match, whatever their number."""
    wanted = GetMovementSheet(
        sku=sku, centre=centre, reason=reason, reference=reference, from_time=from_time, to_time=to_time
    )
    return await sheets.download(ask, wanted, "stock-movements.csv")


# --- reservations


@router.get("/reservations/{reservation_id}")
async def get_reservation(reservation_id: UUID, ask: Ask) -> Reservation:
    """What is held for an order, and from which centres. A reservation has the id of its order."""
    return await ask(GetReservation(reservation_id=reservation_id))
