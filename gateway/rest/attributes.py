"""Attributes over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page
from shared.contracts.catalog.attributes import (
    Attribute,
    AttributeChange,
    AttributeDraft,
    DefineAttribute,
    GetAttribute,
    ListAttributes,
    RemoveAttribute,
    UpdateAttribute,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["catalog"])


@router.get("/attributes")
async def list_attributes(
    ask: Ask,
    first: First = 50,
    after: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> Page[Attribute]:
    """Your attributes by code."""
    return await ask(ListAttributes(first=first, after=after))


@router.get("/attributes/{attribute_id}")
async def get_attribute(attribute_id: UUID, ask: Ask, response: Response) -> Attribute:
    """One attribute. Its `ETag` goes into `If-Match` when you change it."""
    return tagged(await ask(GetAttribute(attribute_id=attribute_id)), response)


@router.post("/attributes", status_code=201)
async def define_attribute(draft: AttributeDraft, ask: Ask, response: Response) -> Attribute:
    """Define what products may say under a code. From then on their values are checked against the type.

    409 `values_do_not_fit` names values that products already have and that would not fit.
    """
    attribute = await ask(DefineAttribute(draft=draft))
    response.headers["Location"] = f"/v1/attributes/{attribute.id}"
    return tagged(attribute, response)


@router.patch("/attributes/{attribute_id}")
async def update_attribute(
    attribute_id: UUID, change: AttributeChange, ask: Ask, response: Response, version: ExpectedVersion
) -> Attribute:
    """Change what is given. Another type, or fewer choices, is refused while products have values that do not fit."""
    return tagged(await ask(UpdateAttribute(attribute_id=attribute_id, change=change, version=version)), response)


@router.delete("/attributes/{attribute_id}", status_code=204)
async def remove_attribute(attribute_id: UUID, ask: Ask, version: ExpectedVersion) -> None:
    """Remove a definition. The values stay with their products, as plain texts."""
    await ask(RemoveAttribute(attribute_id=attribute_id, version=version))
