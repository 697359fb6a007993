"""Price lists, prices, and what a price comes from, over REST."""

import asyncio
import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from gateway.errors import is_json, media_type_of
from gateway.request import Ask, CurrentCaller
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared import blobs
from shared.contracts.base import Page, Shape
from shared.contracts.catalog import messages, pricing
from shared.contracts.catalog.pricing import (
    OnError,
    Price,
    PriceChanges,
    PriceDraft,
    PriceList,
    PriceListChange,
    PriceListDraft,
    PriceRowsChanged,
    ResolvedPrice,
)
from shared.contracts.catalog.shapes import Moment
from shared.identifiers import derived_id, new_id
from shared.impex.json_rows import rows_of
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["catalog"])

After = Annotated[str | None, Query(description="The `next` of the page before.")]
# What is larger travels as a file: messages are small.
_MESSAGE_BYTES = 256 * 1024


class PricesOfList(Shape):
    """Prices to set in one list; a null price removes the one that is there."""

    price_list_id: UUID
    prices: list[PriceDraft]


# --- price lists


@router.get("/price-lists")
async def list_price_lists(
    ask: Ask, shop: str | None = None, first: First = 50, after: After = None
) -> Page[PriceList]:
    """Your price lists, of one shop or of all, oldest first."""
    return await ask(messages.ListPriceLists(shop=shop, first=first, after=after))


@router.post("/price-lists", status_code=201)
async def create_price_list(draft: PriceListDraft, ask: Ask, response: Response) -> PriceList:
    """Create a price list for a shop: in its currency or another, for everybody or a customer group, with dates or not.

    A shop sells by its own lists that apply now, those for the buyer's customer group first, then the one that began
    last; what they have no price for it takes from its parent's lists, while the currency is the same and the shop is
    not strict.
    """
    price_list = await ask(messages.CreatePriceList(draft=draft))
    response.headers["Location"] = f"/v1/price-lists/{price_list.id}"
    return tagged(price_list, response)


@router.get("/price-lists/{price_list_id}")
async def get_price_list(price_list_id: UUID, ask: Ask, response: Response) -> PriceList:
    """One price list. Its `ETag` goes into `If-Match` when you change or delete it."""
    return tagged(await ask(pricing.GetPriceList(price_list_id=price_list_id)), response)


@router.patch("/price-lists/{price_list_id}")
async def update_price_list(
    price_list_id: UUID, change: PriceListChange, ask: Ask, response: Response, version: ExpectedVersion
) -> PriceList:
    """Change a price list's name, customer group or dates. With `If-Match`, only if nobody changed it since (412)."""
    message = pricing.UpdatePriceList(price_list_id=price_list_id, change=change, version=version)
    return tagged(await ask(message), response)


@router.delete("/price-lists/{price_list_id}", status_code=204)
async def delete_price_list(price_list_id: UUID, ask: Ask, version: ExpectedVersion) -> None:
    """Delete a price list with all its prices. With `If-Match`, only if nobody changed it since (412)."""
    await ask(pricing.DeletePriceList(price_list_id=price_list_id, version=version))


# --- prices


@router.get("/prices")
async def list_prices(
    ask: Ask, price_list_id: UUID, sku: str | None = None, first: First = 50, after: After = None
) -> Page[Price]:
    """The prices in one list, by SKU and quantity."""
    return await ask(messages.ListPrices(price_list_id=price_list_id, sku=sku, first=first, after=after))


@router.put("/prices")
async def set_prices(body: PricesOfList, ask: Ask) -> PriceChanges:
    """Set or remove up to 1,000 prices of one list: all of them, or none when one cannot be taken."""
    return await ask(messages.SetPrices(price_list_id=body.price_list_id, prices=body.prices))


@router.get("/prices/resolve")
async def resolve_price(
    ask: Ask,
    shop: str,
    sku: Annotated[str, Query(min_length=1, max_length=200)],
    quantity: Annotated[int, Query(ge=1, le=1_000_000, description="How many are bought.")] = 1,
    customer_group: Annotated[str | None, Query(min_length=1, max_length=200, description="The buyer's.")] = None,
    centre: Annotated[str | None, Query(min_length=1, max_length=200, description="The centre that serves.")] = None,
    at: Annotated[Moment | None, Query(description="At this moment, with a time zone, instead of now.")] = None,
) -> ResolvedPrice:
    """What one unit of a SKU costs in a shop, the list and row that say so, and why every other one was passed over.

    The rules: a shop's own lists before its parent's (unless it is strict), in the shop's currency alone; those for the
    customer group before those for everybody; the list that began last; the largest quantity reached; the price that is
    in force; one of the fulfilment centre that serves before one for every centre.
    """
    message = pricing.ResolvePrice(
        shop=shop, sku=sku, quantity=quantity, customer_group=customer_group, centre=centre, at=at
    )
    return await ask(message)


@router.post(
    "/prices/bulk",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"shop": "main", "sku": "MUG-BLUE", "price": 1290}\n'
                    '{"shop": "main", "sku": "MUG-RED", "minimum_quantity": 10, "price": null}',
                },
                "application/json": {
                    "schema": {"type": "array", "maxItems": 200000, "items": {"type": "object"}},
                    "example": [{"shop": "main", "sku": "MUG-BLUE", "price": {"amount": 1290, "currency": "USD"}}],
                },
            },
        }
    },
)
async def change_prices(
    request: Request, ask: Ask, caller: CurrentCaller, on_error: OnError = "abort"
) -> PriceRowsChanged:
    """Set and remove up to 200,000 prices at once: NDJSON (one row per line) or a JSON list of rows.

    What is sent as `application/json` is taken as one document or refused; a bad line of NDJSON is a bad row.
    A row is `{price_list | shop, sku, price, minimum_quantity?, list_price?, on_request?, centre?, starts_at?,
    ends_at?}`. `price_list` is a list's id; `shop` means the list by which that shop sells to everybody. Amounts are
    whole minor units in the list's currency, or `{amount, currency}`; `"price": null` removes the price. With
    `on_error` *abort* all rows are taken or none is; with *skip* those that can be. Rows that give one price twice are
    all refused. Prices that are as they were are not written, and nobody is told.
    """
    caller.require("catalog:write")
    body, is_document = await request.body(), is_json(media_type_of(request))
    if len(body) <= _MESSAGE_BYTES:
        return await ask(pricing.ChangePrices(rows=rows_of(body, is_document=is_document), on_error=on_error))
    assert caller.organization_id is not None
    sha256 = (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()
    key = _key_of_rows(request, caller.organization_id, caller.id, sha256)
    await blobs.put(caller.organization_id, key, body)
    try:
        return await ask(pricing.ChangePricesOfFile(key=key, is_document=is_document, on_error=on_error))
    finally:
        await blobs.delete(caller.organization_id, key)


def _key_of_rows(request: Request, organization_id: UUID, client_id: UUID | None, sha256: str) -> str:
    """The same for the same client, Idempotency-Key and rows, so that a repeated request is the same command."""
    given = request.headers.get("idempotency-key")
    made = derived_id("price-rows", organization_id, client_id, given) if given else new_id()
    return f"price-rows/{made}/{sha256}"
