"""Clock in: feeds whose time has come, runs of feeds, and what was settled long ago."""

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from services.sync.errors import (
    AnswerNotUnderstood,
    ConnectionNotFound,
    CredentialsRefused,
    PlatformAway,
    PlatformRefused,
)
from services.sync.repository import changes, desk, issues, snapshots, standings, webhooks
from services.sync.repository import feeds as runs_of_feeds
from services.sync.repository.feeds import START_FEED
from services.sync.repository.upkeep import MAINTENANCE_JOB
from services.sync.settings import sync_settings
from services.sync.use_cases import (
    connecting,
    creating,
    executing,
    feeds,
    fetching,
    maintaining,
    products_out,
    shipments_out,
    stock_out,
    telling,
    waiting_orders,
)
from services.sync.use_cases.agents import GREET_AGENT
from services.sync.use_cases.comparing_anew import COMPARE_ANEW, compare_anew
from services.sync.use_cases.connecting import ANNOUNCE_CONNECTIONS, KEEP_ORDER_CONNECTION
from services.sync.use_cases.creating import DROP_CREATIONS, FIND_CANDIDATES
from services.sync.use_cases.dropping import DROP_LEFT_BEHIND, drop_left_behind
from services.sync.use_cases.executing import Work
from services.sync.use_cases.taking.orders import take_orders
from services.sync.use_cases.taking.products import take_products
from services.sync.use_cases.taking.stock import take_stock
from services.sync.use_cases.taking.suppliers import take_suppliers
from services.sync.use_cases.waiting_orders import RETRY_ORDERS
from shared.contracts.sync.shapes import FeedKind
from shared.jobs import RunningJob
from shared.retention import AT_ONCE, go_on
from shared.service import every, performs, runs
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

# For how long an agent's answer to what is over is told from one to what never was.
_DESK_RETENTION = timedelta(hours=1)
WORKS: dict[FeedKind, Work] = {
    **dict.fromkeys(
        ("import_products", "update_products", "import_images"), partial(fetching.fetch, take=take_products)
    ),
    **dict.fromkeys(("import_orders", "update_orders"), partial(fetching.fetch, take=take_orders)),
    "import_stock": partial(fetching.fetch, take=take_stock),
    **dict.fromkeys(("import_suppliers", "import_supplier_links"), partial(fetching.fetch, take=take_suppliers)),
    "check_stock": partial(fetching.fetch, take=stock_out.check_stock),
    "export_stock": stock_out.export_stock,
    "export_products": products_out.export_products,
    "confirm_shipments": shipments_out.confirm_shipments,
}


@every(5)
async def start_feeds_that_are_due(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Leave a task for each feed whose time has come."""
    await feeds.start_due(uow)


@performs(START_FEED)
async def start_feed(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await feeds.start_by_itself(uow, UUID(payload["feed_id"]), payload.get("trigger", "schedule"))


@performs(KEEP_ORDER_CONNECTION)
async def keep_order_connection(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await connecting.keep_order_connection(uow, UUID(payload["connection_id"]))


@performs(ANNOUNCE_CONNECTIONS)
async def announce_connections(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Left by a migration: they were made before anybody was told."""
    await connecting.announce_all(uow)


@performs(RETRY_ORDERS)
async def retry_orders(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await waiting_orders.look_again(uow, [UUID(each) for each in payload["imported_order_ids"]])


@performs(GREET_AGENT)
async def greet_agent(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """An agent has come for the first time: it is asked what it is, and again when it comes if it does not say."""
    with suppress(PlatformAway, PlatformRefused, CredentialsRefused, AnswerNotUnderstood, ConnectionNotFound):
        await connecting.greet_first(uow, UUID(payload["connection_id"]))


@performs(FIND_CANDIDATES)
async def find_candidates(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await creating.look_for_candidates(uow, payload["category_ids"], payload["after"])


@performs(DROP_CREATIONS)
async def drop_more_creations(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await creating.drop_more_creations(uow, UUID(payload["connection_id"]))


@performs(COMPARE_ANEW)
async def compare_some_more_anew(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await compare_anew(uow, UUID(payload["connection_id"]), payload["entity"], UUID(payload["after"]))


@performs(DROP_LEFT_BEHIND)
async def drop_more_left_behind(payload: dict[str, Any], uow: UnitOfWork) -> None:
    await drop_left_behind(uow, UUID(payload["connection_id"]))


@every(1.0)
async def tell_what_nobody_told(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Find what was touched by whoever did not say so, and what a lost task was for."""
    await standings.leave_telling(uow)


@performs(standings.TELL)
async def tell_what_was_touched(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    await telling.tell_touched(uow)


@runs(MAINTENANCE_JOB)
async def maintain_connection(job: RunningJob) -> None:
    await maintaining.carry_out(job)


@runs(feeds.FEED_JOB)
async def run_feed(job: RunningJob) -> None:
    await executing.carry_out(job, WORKS)


@every(3600)
async def drop_what_was_settled_long_ago(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Changes, issues, webhooks, snapshots and runs of feeds that are over are kept for a time."""
    kept = sync_settings()
    go_on(
        uow,
        drop_what_was_settled_long_ago.__name__,
        await changes.drop_settled(uow, kept.settled_retention, AT_ONCE),
        await issues.drop_resolved(uow, kept.settled_retention, AT_ONCE),
        await desk.drop_old(uow, _DESK_RETENTION, AT_ONCE),
        await webhooks.drop_old(uow, kept.webhook_retention, AT_ONCE),
        await snapshots.drop_old(uow, kept.snapshot_retention, AT_ONCE),
        await runs_of_feeds.drop_ended(uow, settings().job_retention, AT_ONCE),
    )
