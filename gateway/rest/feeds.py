"""Feeds of connections, and their executions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.orders.messages import Reason
from shared.contracts.sync.messages import (
    ChangeFeed,
    GetFeed,
    GetFeedExecution,
    ListFeedExecutions,
    ListFeeds,
    RerunFeedExecution,
    RunFeed,
)
from shared.contracts.sync.shapes import ExecutionState, FeedKind
from shared.contracts.sync.work import Feed, FeedChange, FeedExecution
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["feeds"])

After = Annotated[str | None, Query(description="`next` of the page before.")]


class Running(Shape):
    """How a feed is run: `is_full` reads everything, whatever is known. Stock after going live needs a `reason`."""

    is_full: bool = False
    reason: Reason | None = None


class Rerunning(Shape):
    """Whether nothing but the records that failed is done again."""

    only_failed: bool = False


@router.get("/feeds")
async def list_feeds(connection_id: UUID, ask: Ask, first: First = 50, after: After = None) -> Page[Feed]:
    """The feeds of a connection, by kind."""
    return await ask(ListFeeds(connection_id=connection_id, first=first, after=after))


@router.get("/feeds/{feed_id}")
async def get_feed(feed_id: UUID, ask: Ask, response: Response) -> Feed:
    """A feed."""
    return tagged(await ask(GetFeed(feed_id=feed_id)), response)


@router.patch("/feeds/{feed_id}")
async def change_feed(
    feed_id: UUID, change: FeedChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Feed:
    """Turn a feed on or off, and say when it runs by itself. With `If-Match`, only if nobody changed it (412)."""
    return tagged(await ask(ChangeFeed(feed_id=feed_id, change=change, expected_version=expected)), response)


@router.post("/feeds/{feed_id}/run", status_code=202)
async def run_feed(feed_id: UUID, ask: Ask, response: Response, body: Running | None = None) -> FeedExecution:
    """Run a feed now, as a job. Of feeds that touch the same records one runs at a time (409)."""
    body = body or Running()
    started = await ask(RunFeed(feed_id=feed_id, is_full=body.is_full, reason=body.reason))
    response.headers["Location"] = f"/v1/feed-executions/{started.id}"
    return started


@router.get("/feed-executions")
async def list_feed_executions(
    ask: Ask,
    connection_id: Annotated[UUID | None, Query(description="Of this connection.")] = None,
    feed_id: Annotated[UUID | None, Query(description="Of this feed.")] = None,
    kind: FeedKind | None = None,
    state: ExecutionState | None = None,
    first: First = 50,
    after: After = None,
) -> Page[FeedExecution]:
    """Runs of feeds, latest first."""
    return await ask(
        ListFeedExecutions(
            connection_id=connection_id, feed_id=feed_id, kind=kind, state=state, first=first, after=after
        )
    )


@router.get("/feed-executions/{execution_id}")
async def get_feed_execution(execution_id: UUID, ask: Ask) -> FeedExecution:
    """One run of a feed: how far it is, what it counted, what it logged, and why it failed."""
    return await ask(GetFeedExecution(execution_id=execution_id))


@router.post("/feed-executions/{execution_id}/rerun", status_code=202)
async def rerun_feed_execution(
    execution_id: UUID, ask: Ask, response: Response, body: Rerunning | None = None
) -> FeedExecution:
    """Run a feed again: all of it, or the failed records only."""
    only_failed = body is not None and body.only_failed
    started = await ask(RerunFeedExecution(execution_id=execution_id, only_failed=only_failed))
    response.headers["Location"] = f"/v1/feed-executions/{started.id}"
    return started
