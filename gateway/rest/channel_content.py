"""What shops show of products differently from the master, over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.catalog import channel_content as messages
from shared.contracts.catalog.channel_content import (
    ChannelContent,
    ChannelContentChange,
    ChannelContentSummary,
    ContentChanges,
    HandOver,
    ProductContentChange,
    ShopCode,
)
from shared.contracts.catalog.shapes import ContentField, ContentOwner
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["catalog"])

After = Annotated[str | None, Query(description="The `next` of the page before.")]
_PATH = "/products/{product_id}/channel-content/{shop_code}"


@router.get(_PATH)
async def get_channel_content(product_id: UUID, shop_code: ShopCode, ask: Ask, response: Response) -> ChannelContent:
    """What a shop shows of a product: for each field its owner, the shop's and the master's value, and what is shown.

    A sub-shop shows what its parent owns unless it owns the field itself or has handed it to the master.
    """
    return tagged(await ask(messages.GetChannelContent(product_id=product_id, shop=shop_code)), response)


@router.patch(_PATH)
async def change_channel_content(
    product_id: UUID,
    shop_code: ShopCode,
    change: ChannelContentChange,
    ask: Ask,
    response: Response,
    version: ExpectedVersion,
) -> ChannelContent:
    """Give a shop values of its own, which no change of the product and no import touches.

    A field without an owner becomes the shop's. One that was handed to the master keeps showing the product's value,
    and the shop's is kept. With `If-Match`, only if nobody changed it since you read it (`"0"`: if there is none yet).
    """
    message = messages.ChangeChannelContent(product_id=product_id, shop=shop_code, change=change, version=version)
    return tagged(await ask(message), response)


@router.post(f"{_PATH}/hand-over")
async def hand_over_channel_content(
    product_id: UUID, shop_code: ShopCode, hand_over: HandOver, ask: Ask, response: Response, version: ExpectedVersion
) -> ChannelContent:
    """Make fields the shop's (`channel`), the product's (`master`), or in a sub-shop its parent's (`parent`).

    No value is erased: what the shop had is shown again when the field comes back. What it never had begins as it is
    shown now.
    """
    message = messages.HandOverChannelContent(
        product_id=product_id, shop=shop_code, hand_over=hand_over, version=version
    )
    return tagged(await ask(message), response)


class ContentOfShop(Shape):
    """What one shop is to have of up to 500 products."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "shop": "main",
                "changes": [
                    {"product_id": "0192f0c1-7a10-7cc3-8a52-6d1f0a3b9c11", "title": "Wool scarf, gift wrapped"}
                ],
            }
        }
    )

    shop: ShopCode
    changes: Annotated[list[ProductContentChange], Field(min_length=1, max_length=500)]


class HandOverOfShop(Shape):
    """Fields of products, and of those in a category's branch, and whose they are to be in one shop."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "shop": "main",
                "fields": ["title", "images"],
                "to": "channel",
                "product_ids": ["0192f0c1-7a10-7cc3-8a52-6d1f0a3b9c11"],
            }
        }
    )

    shop: ShopCode
    fields: Annotated[list[ContentField], Field(min_length=1, max_length=50)]
    to: ContentOwner
    product_ids: Annotated[list[UUID], Field(max_length=5000)] = []
    category_id: UUID | None = None


@router.get("/channel-content")
async def list_channel_content(
    ask: Ask,
    shop: ShopCode | None = None,
    product_id: UUID | None = None,
    first: First = 50,
    after: After = None,
) -> Page[ChannelContentSummary]:
    """Which shops have something of their own of which products, and the fields they own. By shop and product."""
    return await ask(messages.ListChannelContent(shop=shop, product_id=product_id, first=first, after=after))


@router.patch("/channel-content")
async def change_channel_contents(body: ContentOfShop, ask: Ask) -> ContentChanges:
    """Give a shop values of its own for up to 500 products: all of them, or none when one cannot be taken."""
    return await ask(messages.ChangeChannelContents(shop=body.shop, changes=body.changes))


@router.post("/channel-content/hand-over")
async def hand_over_channel_contents(body: HandOverOfShop, ask: Ask) -> ContentChanges:
    """Hand fields over for many products at once: those named, those of a category and everything below it, or both."""
    return await ask(messages.HandOverChannelContents(**dict(body)))
