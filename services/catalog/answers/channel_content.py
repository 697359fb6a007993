"""What shops have of products for themselves."""

from typing import Any
from uuid import UUID

from services.catalog.repository import channel_content as repository
from services.catalog.repository import shops
from services.catalog.use_cases import channel_content
from shared.contracts.base import Page
from shared.contracts.catalog.channel_content import (
    ChangeChannelContent,
    ChangeChannelContents,
    ChannelContent,
    ChannelContentSummary,
    ContentChanges,
    GetChannelContent,
    HandOverChannelContent,
    HandOverChannelContents,
    ListChannelContent,
)
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetChannelContent, scope="catalog:read")
async def get_channel_content(message: GetChannelContent, uow: UnitOfWork) -> ChannelContent:
    return await channel_content.get(uow, message.product_id, message.shop)


@answers(ListChannelContent, scope="catalog:read")
async def list_channel_content(message: ListChannelContent, uow: UnitOfWork) -> Page[ChannelContentSummary]:
    shop = await shops.get_by_code(uow, message.shop) if message.shop is not None else None
    rows = await repository.list_summaries(
        uow,
        shop_id=shop.id if shop else None,
        product_id=message.product_id,
        after=_position(cursor_values(message.after, 2)),
        first=message.first + 1,
    )
    items = [ChannelContentSummary(**row) for row in rows[: message.first]]
    last = items[-1] if len(rows) > message.first else None
    return Page(items=items, next=cursor_for(last.shop, str(last.product_id)) if last else None)


def _position(values: tuple[Any, ...] | None) -> tuple[str, UUID] | None:
    return None if values is None else (str(values[0]), cursor_id(values[1]))


@answers(ChangeChannelContent, scope="catalog:write")
async def change_channel_content(message: ChangeChannelContent, uow: UnitOfWork) -> ChannelContent:
    return await channel_content.change(uow, message.product_id, message.shop, message.change, message.version)


@answers(ChangeChannelContents, scope="catalog:write")
async def change_channel_contents(message: ChangeChannelContents, uow: UnitOfWork) -> ContentChanges:
    return await channel_content.change_many(uow, message.shop, message.changes)


@answers(HandOverChannelContent, scope="catalog:write")
async def hand_over_channel_content(message: HandOverChannelContent, uow: UnitOfWork) -> ChannelContent:
    return await channel_content.hand_over(uow, message.product_id, message.shop, message.hand_over, message.version)


@answers(HandOverChannelContents, scope="catalog:write")
async def hand_over_channel_contents(message: HandOverChannelContents, uow: UnitOfWork) -> ContentChanges:
    return await channel_content.hand_over_many(uow, message)
