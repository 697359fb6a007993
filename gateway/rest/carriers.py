"""Carriers and shipping methods over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page
from shared.contracts.inventory import carriers as messages
from shared.contracts.inventory.carriers import (
    Carrier,
    CarrierChange,
    CarrierDraft,
    Country,
    ShippingMethod,
    ShippingMethodChange,
    ShippingMethodDraft,
    ShippingOffers,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["carriers"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


@router.get("/carriers")
async def list_carriers(ask: Ask, first: First = 50, after: Cursor = None) -> Page[Carrier]:
    """Carriers by code."""
    return await ask(messages.ListCarriers(first=first, after=after))


@router.post("/carriers", status_code=201)
async def create_carrier(draft: CarrierDraft, ask: Ask, response: Response) -> Carrier:
    """Add a carrier. In its `tracking_url_pattern`, `{number}` is where a tracking number goes."""
    carrier = await ask(messages.CreateCarrier(carrier=draft))
    response.headers["Location"] = f"/v1/carriers/{carrier.id}"
    return tagged(carrier, response)


@router.get("/carriers/{carrier_id}")
async def get_carrier(carrier_id: UUID, ask: Ask, response: Response) -> Carrier:
    """One carrier and its services."""
    return tagged(await ask(messages.GetCarrier(carrier_id=carrier_id)), response)


@router.patch("/carriers/{carrier_id}")
async def change_carrier(
    carrier_id: UUID, change: CarrierChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Carrier:
    """Change a carrier. Tracking addresses of its shipments follow."""
    message = messages.ChangeCarrier(carrier_id=carrier_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.get("/shipping-methods")
async def list_shipping_methods(
    ask: Ask, shop: str | None = None, first: First = 50, after: Cursor = None
) -> Page[ShippingMethod]:
    """Shipping methods by code, of all shops or of those assigned to one."""
    return await ask(messages.ListShippingMethods(shop=shop, first=first, after=after))


@router.post("/shipping-methods", status_code=201)
async def create_shipping_method(draft: ShippingMethodDraft, ask: Ask, response: Response) -> ShippingMethod:
    """Add a shipping method: its carrier, its price, and where it is offered."""
    method = await ask(messages.CreateShippingMethod(method=draft))
    response.headers["Location"] = f"/v1/shipping-methods/{method.id}"
    return tagged(method, response)


@router.get("/shipping-methods/{method_id}")
async def get_shipping_method(method_id: UUID, ask: Ask, response: Response) -> ShippingMethod:
    """One shipping method with its price table and assignments."""
    return tagged(await ask(messages.GetShippingMethod(method_id=method_id)), response)


@router.patch("/shipping-methods/{method_id}")
async def change_shipping_method(
    method_id: UUID, change: ShippingMethodChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> ShippingMethod:
    """Change a shipping method. Lists of shops, centres and countries, and price tables, are replaced whole."""
    message = messages.ChangeShippingMethod(method_id=method_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.get("/shops/{shop_code}/shipping-methods")
async def list_shop_shipping_methods(
    shop_code: Annotated[str, Path()],
    ask: Ask,
    total: Annotated[int, Field(ge=0, le=1_000_000_000_000, examples=[1999])],
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])],
    weight_grams: Annotated[int | None, Field(ge=0, le=1_000_000_000)] = None,
    country: Country | None = None,
) -> ShippingOffers:
    """How a cart can travel from a shop and what that costs, cheapest first, and why other methods do not carry it.

    `total` is what the goods cost, in minor units of `currency`.
    """
    return await ask(
        messages.ListShopShippingMethods(
            shop=shop_code, total=total, currency=currency, weight_grams=weight_grams, country=country
        )
    )
