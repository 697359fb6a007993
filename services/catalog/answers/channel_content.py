"""What shops and connections have of products for themselves."""

from typing import Any
from uuid import UUID

from services.catalog.repository import channel_content as repository
from services.catalog.use_cases import channel_content, channels
from shared.contracts.base import Page
from shared.contracts.catalog.channel_content import (
    ChangeChannelContent,
    ChangeChannelContents,
    ChannelContent,
    ChannelContentSummary,
    ContentChanges,
    ContentCount,
    CountChannelContent,
    GetChannelContent,
    HandOverChannelContent,
    HandOverChannelContents,
    ListChannelContent,
    OfChannel,
    RemoveChannelContent,
)
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetChannelContent, scope="catalog:read")
async def get_channel_content(message: GetChannelContent, uow: UnitOfWork) -> ChannelContent:
    return await channel_content.get(uow, message.product_id, message)


@answers(ListChannelContent, scope="catalog:read")
async def list_channel_content(message: ListChannelContent, uow: UnitOfWork) -> Page[ChannelContentSummary]:
    named = [OfChannel(connection_id=message.connection_id)] if message.connection_id is not None else []
    named += [OfChannel(shop=message.shop)] if message.shop is not None else []
    wanted = [(await channels.get(uow, each)).id for each in named]
    if len(wanted) > 1:
        # Nothing is a shop's and a connection's.
        return Page(items=[])
    rows = await repository.list_summaries(
        uow,
        channel_id=wanted[0] if wanted else None,
        product_id=message.product_id,
        after=_position(cursor_values(message.after, 3)),
        first=message.first + 1,
    )
    items = [_summary(row) for row in rows[: message.first]]
    last = rows[message.first - 1] if len(rows) > message.first else None
    following = last and cursor_for(last["shop"], str(last["channel_id"]), str(last["product_id"]))
    return Page(items=items, next=following)


def _summary(row: Any) -> ChannelContentSummary:
    return ChannelContentSummary(**{name: value for name, value in row.items() if name != "channel_id"})


def _position(values: tuple[Any, ...] | None) -> tuple[str, UUID, UUID] | None:
    return None if values is None else (str(values[0]), cursor_id(values[1]), cursor_id(values[2]))


@answers(ChangeChannelContent, scope="catalog:write")
async def change_channel_content(message: ChangeChannelContent, uow: UnitOfWork) -> ChannelContent:
    return await channel_content.change(uow, message.product_id, message, message.change, message.version)


@answers(RemoveChannelContent, scope="catalog:write")
async def remove_channel_content(message: RemoveChannelContent, uow: UnitOfWork) -> ChannelContent:
    return await channel_content.remove(uow, message.product_id, message, message.version)


@answers(ChangeChannelContents, scope="catalog:write")
async def change_channel_contents(message: ChangeChannelContents, uow: UnitOfWork) -> ContentChanges:
    return await channel_content.change_many(uow, message, message.changes)


@answers(HandOverChannelContent, scope="catalog:write")
async def hand_over_channel_content(message: HandOverChannelContent, uow: UnitOfWork) -> ChannelContent:
    return await channel_content.hand_over(uow, message.product_id, message, message.hand_over, message.version)


@answers(HandOverChannelContents, scope="catalog:write")
async def hand_over_channel_contents(message: HandOverChannelContents, uow: UnitOfWork) -> ContentChanges:
    return await channel_content.hand_over_many(uow, message)


@answers(CountChannelContent, internal=True)
async def count_channel_content(message: CountChannelContent, uow: UnitOfWork) -> ContentCount:
    return ContentCount(products=await repository.count_of_connection(uow, message.connection_id))
