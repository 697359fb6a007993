"""What shops and connections show of products differently from the master, over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page
from shared.contracts.catalog import channel_content as messages
from shared.contracts.catalog.channel_content import (
    ChannelContent,
    ChannelContentChange,
    ChannelContentSummary,
    ContentChanges,
    HandOver,
    OfChannel,
    ProductContentChange,
    ShopCode,
)
from shared.contracts.catalog.shapes import ContentField, ContentOwner
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["catalog"])

After = Annotated[str | None, Query(description="The `next` of the page before.")]
_OF_SHOP = "/products/{product_id}/channel-content/{shop_code}"
_OF_CONNECTION = "/products/{product_id}/channel-content/connections/{connection_id}"


@router.get(_OF_SHOP)
async def get_channel_content(product_id: UUID, shop_code: ShopCode, ask: Ask, response: Response) -> ChannelContent:
    """What a shop shows of a product: for each field its owner, the shop's and the master's value, and what is shown.

    A sub-shop shows what its parent owns unless it owns the field itself or has handed it to the master.
    """
    return tagged(await ask(messages.GetChannelContent(product_id=product_id, shop=shop_code)), response)


@router.get(_OF_CONNECTION)
async def get_connection_content(product_id: UUID, connection_id: UUID, ask: Ask, response: Response) -> ChannelContent:
    """What a connection shows of a product, as of a shop: what it has not decided it shows as its shop does.

    It is what goes out to the platform where the connection's rules send the field.
    """
    message = messages.GetChannelContent(product_id=product_id, connection_id=connection_id)
    return tagged(await ask(message), response)


@router.patch(_OF_SHOP)
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


@router.patch(_OF_CONNECTION)
async def change_connection_content(
    product_id: UUID,
    connection_id: UUID,
    change: ChannelContentChange,
    ask: Ask,
    response: Response,
    version: ExpectedVersion,
) -> ChannelContent:
    """Give a connection values of its own, as a shop. They go to that platform alone, where its rules send the field.

    What changes over there in a field that the connection owns becomes the connection's value, not the product's.
    """
    message = messages.ChangeChannelContent(
        product_id=product_id, connection_id=connection_id, change=change, version=version
    )
    return tagged(await ask(message), response)


@router.delete(_OF_SHOP)
async def remove_channel_content(
    product_id: UUID, shop_code: ShopCode, ask: Ask, response: Response, version: ExpectedVersion
) -> ChannelContent:
    """Forget all that a shop has of a product, values and owners; the answer is what it shows then.

    The history keeps what it was. To keep a value for later, hand its field over instead.
    """
    message = messages.RemoveChannelContent(product_id=product_id, shop=shop_code, version=version)
    return tagged(await ask(message), response)


@router.delete(_OF_CONNECTION)
async def remove_connection_content(
    product_id: UUID, connection_id: UUID, ask: Ask, response: Response, version: ExpectedVersion
) -> ChannelContent:
    """Forget all that a connection has of a product, as of a shop."""
    message = messages.RemoveChannelContent(product_id=product_id, connection_id=connection_id, version=version)
    return tagged(await ask(message), response)


@router.post(f"{_OF_SHOP}/hand-over")
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


@router.post(f"{_OF_CONNECTION}/hand-over")
async def hand_over_connection_content(
    product_id: UUID,
    connection_id: UUID,
    hand_over: HandOver,
    ask: Ask,
    response: Response,
    version: ExpectedVersion,
) -> ChannelContent:
    """Make fields the connection's (`channel`), the product's (`master`), or as its shop has them (`parent`)."""
    message = messages.HandOverChannelContent(
        product_id=product_id, connection_id=connection_id, hand_over=hand_over, version=version
    )
    return tagged(await ask(message), response)


class ContentOfChannel(OfChannel):
    """What one shop, or one connection, is to have of up to 500 products."""

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

    changes: Annotated[list[ProductContentChange], Field(min_length=1, max_length=500)]


class HandOverOfChannel(OfChannel):
    """Fields of products, and of those in a category's branch, and whose they are to be in one shop or connection."""

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

    fields: Annotated[list[ContentField], Field(min_length=1, max_length=50)]
    to: ContentOwner
    product_ids: Annotated[list[UUID], Field(max_length=5000)] = []
    category_id: UUID | None = None


@router.get("/channel-content")
async def list_channel_content(
    ask: Ask,
    shop: ShopCode | None = None,
    connection_id: UUID | None = None,
    product_id: UUID | None = None,
    first: First = 50,
    after: After = None,
) -> Page[ChannelContentSummary]:
    """Which shops and connections have something of their own of which products, and the fields they own.

    By shop, channel and product. With `shop`, what the shop itself has; with `connection_id`, what that connection has.
    """
    message = messages.ListChannelContent(
        shop=shop, connection_id=connection_id, product_id=product_id, first=first, after=after
    )
    return await ask(message)


@router.patch("/channel-content")
async def change_channel_contents(body: ContentOfChannel, ask: Ask) -> ContentChanges:
    """Give a shop or a connection values of its own for up to 500 products.

    All of them, or none when one cannot be taken.
    """
    return await ask(messages.ChangeChannelContents(**dict(body)))


@router.post("/channel-content/hand-over")
async def hand_over_channel_contents(body: HandOverOfChannel, ask: Ask) -> ContentChanges:
    """Hand fields over for many products at once: those named, those of a category and everything below it, or both."""
    return await ask(messages.HandOverChannelContents(**dict(body)))
