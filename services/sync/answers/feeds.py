"""Feeds and their executions."""

from services.sync.use_cases import feeds
from shared.contracts.base import Page
from shared.contracts.sync.messages import (
    ChangeFeed,
    FetchConnection,
    GetFeed,
    GetFeedExecution,
    ListFeedExecutions,
    ListFeeds,
    RerunFeedExecution,
    RunFeed,
    SendConnection,
    SyncConnection,
)
from shared.contracts.sync.work import Feed, FeedExecution, StartedExecutions
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListFeeds, scope="sync:read")
async def list_feeds(message: ListFeeds, uow: UnitOfWork) -> Page[Feed]:
    return await feeds.list_page(uow, message.connection_id, message.first, message.after)


@answers(GetFeed, scope="sync:read")
async def get_feed(message: GetFeed, uow: UnitOfWork) -> Feed:
    return await feeds.get(uow, message.feed_id)


@answers(ChangeFeed, scope="sync:write")
async def change_feed(message: ChangeFeed, uow: UnitOfWork) -> Feed:
    return await feeds.change(uow, message.feed_id, message.change, message.expected_version)


@answers(RunFeed, scope="sync:write")
async def run_feed(message: RunFeed, uow: UnitOfWork) -> FeedExecution:
    return await feeds.run(uow, message.feed_id, "person", is_full=message.is_full, reason=message.reason)


@answers(FetchConnection, scope="sync:write")
async def fetch_connection(message: FetchConnection, uow: UnitOfWork) -> StartedExecutions:
    return await feeds.run_all(uow, message.connection_id, "in")


@answers(SendConnection, scope="sync:write")
async def send_connection(message: SendConnection, uow: UnitOfWork) -> StartedExecutions:
    return await feeds.run_all(uow, message.connection_id, "out")


@answers(SyncConnection, scope="sync:write")
async def sync_connection(message: SyncConnection, uow: UnitOfWork) -> StartedExecutions:
    return await feeds.run_all(uow, message.connection_id, "in", "out")


@answers(ListFeedExecutions, scope="sync:read")
async def list_feed_executions(message: ListFeedExecutions, uow: UnitOfWork) -> Page[FeedExecution]:
    return await feeds.list_executions(uow, message)


@answers(GetFeedExecution, scope="sync:read")
async def get_feed_execution(message: GetFeedExecution, uow: UnitOfWork) -> FeedExecution:
    return await feeds.get_execution(uow, message.execution_id)


@answers(RerunFeedExecution, scope="sync:write")
async def rerun_feed_execution(message: RerunFeedExecution, uow: UnitOfWork) -> FeedExecution:
    return await feeds.rerun(uow, message.execution_id, only_failed=message.only_failed)
