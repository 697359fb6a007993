"""Feeds: their settings, when they run, and starting them. Of those that touch the same records one runs at a time."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import (
    ConnectionIsPaused,
    FeedChangedSince,
    FeedIsRunning,
    FeedNotOffered,
    NeedsCredentials,
    StockIsOurs,
)
from services.sync.models import FEEDS, execution_state, same_records
from services.sync.repository import connections, feeds
from services.sync.use_cases import schedules
from services.sync.use_cases.sessions import lacks_of
from shared import clock, jobs
from shared.contracts.base import Page
from shared.contracts.platform.shapes import JobProgress
from shared.contracts.sync.messages import ListFeedExecutions
from shared.contracts.sync.shapes import Direction, Trigger
from shared.contracts.sync.work import Feed, FeedChange, FeedExecution, StartedExecutions
from shared.errors import CrossdockError
from shared.pagination import cursor_for, cursor_values, id_after, page_by_id
from shared.unit_of_work import UnitOfWork

FEED_JOB = "feed"
# Feeds whose time is the same do not begin at the same moment; each has its own place in these seconds.
_JITTER_SECONDS = 30
_AFTER_A_RUN = timedelta(seconds=2)


async def list_page(uow: UnitOfWork, connection_id: UUID, first: int, after: str | None) -> Page[Feed]:
    """A connection's feeds by kind. Raises ConnectionNotFound."""
    await connections.get(uow, connection_id)
    position = cursor_values(after, 1)
    rows = await feeds.list_of(uow, connection_id)
    rest = [row for row in rows if position is None or row["kind"] > str(position[0])]
    following = cursor_for(rest[first - 1]["kind"]) if len(rest) > first else None
    return Page(items=[shape(row) for row in rest[:first]], next=following)


async def get(uow: UnitOfWork, feed_id: UUID) -> Feed:
    """Raises FeedNotFound."""
    return shape(await feeds.get(uow, feed_id))


async def change(uow: UnitOfWork, feed_id: UUID, change: FeedChange, expected_version: int | None) -> Feed:
    """Raises FeedNotFound, FeedChangedSince, FeedNotOffered, InvalidCron."""
    row = await feeds.get(uow, feed_id, lock=True)
    if expected_version is not None and expected_version != row["version"]:
        raise FeedChangedSince(f"The feed has version {row['version']} now, not {expected_version}; read it again.")
    given = change.given()
    if given.get("is_enabled"):
        _check_offered(row)
    if given.get("cron") is not None:
        schedules.check(given["cron"])
    if not given:
        return shape(row)
    after = {**{name: row[name] for name in ("is_enabled", "cron", "time_zone")}, **given}
    following = schedules.following(after["cron"], after["time_zone"], clock.now())
    await feeds.put(uow, feed_id, {**given, "next_run_at": following})
    before = {name: row[name] for name in given}
    uow.audit("feed.change", "feed", feed_id, before=before, after=dict(given))
    return await get(uow, feed_id)


def _check_offered(row: asyncpg.Record) -> None:
    lacks = lacks_of(row)
    if row["kind"] in lacks:
        raise FeedNotOffered(lacks[row["kind"]])


async def run(
    uow: UnitOfWork,
    feed_id: UUID,
    trigger: Trigger,
    *,
    is_full: bool = False,
    reason: str | None = None,
    rerun_of: UUID | None = None,
) -> FeedExecution:
    """Start a feed now.

    Raises FeedNotFound, FeedNotOffered, ConnectionIsPaused, NeedsCredentials, FeedIsRunning, StockIsOurs.
    """
    feed = await feeds.get(uow, feed_id)
    # One lock for all feeds of a connection: two that exclude each other never see each other start.
    connection = await connections.get(uow, feed["connection_id"], lock=True)
    _check_offered(feed)
    if connection["is_paused"]:
        raise ConnectionIsPaused("The connection is paused; let it go on first.")
    if connection["needs_credentials"]:
        raise NeedsCredentials("The platform refused the connection's credentials; give it new ones first.")
    if feed["kind"] == "import_stock" and connection["live_at"] is not None and not reason:
        raise StockIsOurs("The connection is live, and its stock is written by us; to import it all the same, say why.")
    if await feeds.find_running(uow, connection["id"], same_records(feed["kind"])) is not None:
        raise FeedIsRunning("The feed, or one that reads the same records, runs already.")
    job = await jobs.create(uow, FEED_JOB, {"connection_id": str(connection["id"]), "kind": feed["kind"]})
    values = {"id": job.id, "connection_id": connection["id"], "feed_id": feed_id, "kind": feed["kind"]}
    await feeds.add_execution(
        uow, {**values, "trigger": trigger, "is_full": is_full, "reason": reason, "rerun_of": rerun_of}
    )
    if trigger in ("person", "rerun"):
        told = {"execution_id": str(job.id), "kind": feed["kind"], "is_full": is_full}
        uow.audit("feed.run", "feed", feed_id, after=told, reason=reason)
    return execution_shape(await feeds.get_execution(uow, job.id))


async def run_all(uow: UnitOfWork, connection_id: UUID, *directions: Direction) -> StartedExecutions:
    """Start every enabled feed of these directions, those that touch the same records one after the other.

    One that cannot start says why. Raises ConnectionNotFound.
    """
    await connections.get(uow, connection_id)
    started, waiting, skipped = [], [], {}
    for row in await feeds.list_of(uow, connection_id):
        is_wanted = row["is_enabled"] and FEEDS[row["kind"]].direction in directions
        if not is_wanted or row["kind"] in ("check_stock", "import_stock"):
            continue
        try:
            started.append(await run(uow, row["id"], "person"))
        except FeedIsRunning:
            _follow(uow, row["id"], "person")
            waiting.append(row["kind"])
        except CrossdockError as error:
            if error.status != 409:
                raise
            skipped[row["kind"]] = error.code
    return StartedExecutions(items=started, waiting=waiting, skipped=skipped)


async def rerun(uow: UnitOfWork, execution_id: UUID, *, only_failed: bool) -> FeedExecution:
    """Raises FeedExecutionNotFound, and as `run`."""
    row = await feeds.get_execution(uow, execution_id)
    return await run(
        uow,
        row["feed_id"],
        "rerun",
        is_full=row["is_full"] and not only_failed,
        reason=row["reason"],
        rerun_of=execution_id if only_failed else None,
    )


async def start_due(uow: UnitOfWork) -> None:
    """Leave a task for each feed whose time has come, and set its next time. Across tenants.

    Of the times that were missed, while nothing ran or the clock jumped, one is made up for.
    """
    now = clock.now()
    for row in await feeds.list_due(uow, now, 100):
        following = schedules.following(row["cron"], row["time_zone"], now)
        await feeds.schedule(uow, row["organization_id"], row["id"], following)
        jitter = row["id"].int % _JITTER_SECONDS
        await feeds.leave_start(uow, row["organization_id"], row["id"], row["next_run_at"], jitter)


async def start_by_itself(uow: UnitOfWork, feed_id: UUID, trigger: Trigger) -> None:
    """Start a feed because its time has come, its platform said so, or it waited for another.

    Where it cannot run, this time is left out. But a run that is on its way may have passed what a platform told of,
    or be another's that a person has asked for together with this one: it is followed.
    """
    try:
        async with uow.savepoint():
            if trigger == "schedule" and not await _has_work(uow, feed_id):
                return
            await run(uow, feed_id, trigger)
    except FeedIsRunning:
        if trigger != "schedule":
            _follow(uow, feed_id, trigger)
    except CrossdockError as error:
        if error.status not in (404, 409):
            raise


async def _has_work(uow: UnitOfWork, feed_id: UUID) -> bool:
    """Whether anything waits to go out; what comes in is known only when somebody has looked. Raises FeedNotFound."""
    row = await feeds.get(uow, feed_id)
    rule = FEEDS[row["kind"]]
    return rule.direction == "in" or await feeds.has_something_to_send(uow, row["connection_id"], rule.entities)


def _follow(uow: UnitOfWork, feed_id: UUID, trigger: Trigger) -> None:
    payload = {"feed_id": str(feed_id), "trigger": trigger}
    uow.defer(feeds.START_FEED, payload, due_at=clock.now() + _AFTER_A_RUN, key=f"{trigger} {feed_id}")


# --- what people see


async def get_execution(uow: UnitOfWork, execution_id: UUID) -> FeedExecution:
    """Raises FeedExecutionNotFound."""
    return execution_shape(await feeds.get_execution(uow, execution_id))


async def list_executions(uow: UnitOfWork, asked: ListFeedExecutions) -> Page[FeedExecution]:
    return page_by_id(await feeds.list_executions(uow, asked, id_after(asked.after)), asked.first, execution_shape)


def shape(row: asyncpg.Record) -> Feed:
    same = ("id", "connection_id", "kind", "is_enabled", "cron", "time_zone", "version")
    lacks = lacks_of(row).get(row["kind"])
    return Feed(
        **{name: row[name] for name in same},
        next_run_at=row["next_run_at"] if row["is_enabled"] and lacks is None else None,
        lacks=lacks,
    )


def execution_shape(row: asyncpg.Record) -> FeedExecution:
    counters: dict[str, int] = orjson.loads(row["counters"])
    same = ("id", "connection_id", "feed_id", "kind", "trigger", "is_full", "reason", "rerun_of")
    moments: dict[str, Any] = {name: row[name] for name in ("created_at", "started_at", "finished_at")}
    return FeedExecution(
        **{name: row[name] for name in same},
        state=execution_state(row["state"], counters, is_paused=row["is_paused"]),
        progress=JobProgress(done=row["done"], total=row["total"]),
        counters=counters,
        error=None if row["error"] is None else orjson.loads(row["error"]),
        log=orjson.loads(row["log"]),
        **moments,
    )
