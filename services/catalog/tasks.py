"""What catalog does by the clock, later, or for long."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from services.catalog.use_cases import (
    bulk_actions,
    categories,
    channel_content,
    drop_folders,
    exporting,
    pricing,
    product_chunks,
)
from shared import blobs
from shared.jobs import RunningJob
from shared.service import every, performs, runs
from shared.unit_of_work import UnitOfWork


@runs("export")
async def run_export(job: RunningJob) -> None:
    """Write a file of what is asked for."""
    await exporting.run(job)


@runs(bulk_actions.JOB)
async def act_on_products(job: RunningJob) -> None:
    """Do the same to many products."""
    await bulk_actions.run(job)


@every(6 * 3600)
async def remove_old_exports(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Across tenants: files that were there to be fetched for long enough, and what killed exports left behind."""
    await blobs.sweep("exports", timedelta(hours=6), partial(exporting.needed_keys, uow))


@performs("price_list_turns")
async def announce_prices_of_list(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """A price list, or prices in it, begin or end to apply: whoever shows them has to look again."""
    await pricing.turn(uow, UUID(payload["price_list_id"]), datetime.fromisoformat(payload["at"]))


@performs("category_turns")
async def announce_category(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """A category's dates open or close its branch: whoever shows it has to look again."""
    await categories.announce_turn(uow, payload)


@performs(channel_content.DROP_CONTENT)
async def drop_content_of_connection(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """What a removed connection had of products is no longer needed; the history has it."""
    await channel_content.drop_of_connection(uow, UUID(payload["connection_id"]))


@performs(product_chunks.STOCK_TASK)
async def pass_on_stock_of_import(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Hand stock figures that came with products to inventory."""
    await product_chunks.pass_on_stock(uow, payload)


@every(5)
async def look_for_dropped_files(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Across tenants: leave a task where there are drop folders."""
    await drop_folders.leave_tasks(uow)


@performs(drop_folders.TASK)
async def take_dropped_files(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Import the files that were laid into an organization's folders."""
    await drop_folders.look(uow)
