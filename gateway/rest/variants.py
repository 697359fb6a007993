"""Variants by themselves over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page
from shared.contracts.catalog.variants import (
    Code,
    GetVariant,
    ListVariants,
    UpdateVariant,
    VariantChange,
    VariantDetails,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["catalog"])


@router.get("/variants")
async def list_variants(
    ask: Ask,
    sku: Code | None = None,
    barcode: Code | None = None,
    mpn: Code | None = None,
    product_id: UUID | None = None,
    first: First = 50,
    after: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> Page[VariantDetails]:
    """Your variants, newest first; by SKU, barcode (the main one or a further one), MPN or product."""
    return await ask(ListVariants(sku=sku, barcode=barcode, mpn=mpn, product_id=product_id, first=first, after=after))


@router.get("/variants/{variant_id}")
async def get_variant(variant_id: UUID, ask: Ask, response: Response) -> VariantDetails:
    """One variant. Its `ETag` is that of its product, and goes into `If-Match` when you change it."""
    return tagged(await ask(GetVariant(variant_id=variant_id)), response)


@router.patch("/variants/{variant_id}")
async def update_variant(
    variant_id: UUID, change: VariantChange, ask: Ask, response: Response, version: ExpectedVersion
) -> VariantDetails:
    """Change what is given; null empties. With `If-Match`, only if nobody changed the product or its variants (412)."""
    return tagged(await ask(UpdateVariant(variant_id=variant_id, change=change, version=version)), response)
