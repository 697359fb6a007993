"""Kits, and how a shop chooses the centres that serve its orders."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from gateway.request import Ask
from gateway.rest.inventory import Cursor
from shared.contracts.base import Page, Shape
from shared.contracts.inventory.kits import DeleteKit, GetKit, Kit, ListKits, SetKit
from shared.contracts.inventory.sourcing import (
    ExplainedSourcing,
    ExplainSourcing,
    GetSourcing,
    SetSourcing,
    Sourcing,
    SourcingStrategy,
    Splitting,
    UnsetSourcing,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["inventory"])


class SourcingChosen(Shape):
    """How a shop chooses: `strategy` says which centre goes first, `splitting` what stays together."""

    strategy: SourcingStrategy = "preference"
    splitting: Splitting = "lines"


# --- kits


@router.get("/kits")
async def list_kits(
    ask: Ask,
    child: Annotated[str | None, Query(description="Only kits that take goods of this SKU.")] = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Kit]:
    """SKUs that are made of others, by SKU."""
    return await ask(ListKits(child=child, first=first, after=after))


@router.put("/kits")
async def set_kit(message: SetKit, ask: Ask) -> Kit:
    """Make a SKU a kit of these children, or change what it is made of.

    A kit has no stock of its own: it is available as its scarcest child, and reserving, releasing and shipping it moves
    its children. A child may be a kit, as long as none ends up in itself.
    """
    return await ask(message)


@router.get("/kits/{kit_sku:path}")
async def get_kit(kit_sku: str, ask: Ask) -> Kit:
    """What a kit is made of."""
    return await ask(GetKit(sku=kit_sku))


@router.delete("/kits/{kit_sku:path}", status_code=204)
async def delete_kit(kit_sku: str, ask: Ask) -> None:
    """Make a kit a SKU with stock of its own, none at first. What is reserved keeps the children it took."""
    await ask(DeleteKit(sku=kit_sku))


# --- sourcing


@router.get("/shops/{shop_code}/sourcing")
async def get_sourcing(shop_code: str, ask: Ask) -> Sourcing:
    """How a shop chooses the centres that serve its orders."""
    return await ask(GetSourcing(shop=shop_code))


@router.put("/shops/{shop_code}/sourcing")
async def set_sourcing(shop_code: str, body: SourcingChosen, ask: Ask) -> Sourcing:
    """Set how a shop, and those below it without a rule of their own, chooses the centres that serve its orders.

    *preference*: the preferred centre first; *most_stock*: the one with most of it; *fewest_shipments*: the smallest
    set of centres that serves the whole order. What stays together: nothing (*lines*), each line (*orders*), or the
    whole order (*never*).
    """
    return await ask(SetSourcing(shop=shop_code, **body.model_dump()))


@router.delete("/shops/{shop_code}/sourcing")
async def unset_sourcing(shop_code: str, ask: Ask) -> Sourcing:
    """Let a shop choose as its parent does, or by the default rule."""
    return await ask(UnsetSourcing(shop=shop_code))


@router.get("/reservations/{reservation_id}/sourcing")
async def explain_sourcing(
    reservation_id: UUID,
    ask: Ask,
    sku: Annotated[str | None, Query(description="Only the line of this SKU.")] = None,
) -> ExplainedSourcing:
    """Why an order's lines come from the centres they come from, as it was weighed when they were reserved."""
    return await ask(ExplainSourcing(reservation_id=reservation_id, sku=sku))
