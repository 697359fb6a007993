"""The clock: payments that are due, quotes that are over."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from services.orders.use_cases import absorbing, bulk_actions, exporting, lifecycle, quoting
from services.orders.use_cases.placement import CANCEL_UNPAID
from shared import blobs
from shared.jobs import RunningJob
from shared.service import every, performs, runs
from shared.unit_of_work import UnitOfWork


@performs(CANCEL_UNPAID)
async def cancel_unpaid_order(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """End an order whose payment did not arrive in time."""
    await lifecycle.cancel_unpaid(uow, UUID(payload["order_id"]))


@performs(absorbing.TAKE)
async def take_imported_order(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Do with an order of a connection what its status says."""
    await absorbing.take(uow, UUID(payload["imported_order_id"]), is_check=payload.get("is_check", False))


@every(3600)
async def forget_old_quotes(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Across tenants."""
    await quoting.forget_old(uow)


@runs(exporting.KIND)
async def run_export(job: RunningJob) -> None:
    """Write a file of orders."""
    await exporting.run(job)


@runs(bulk_actions.JOB)
async def act_on_orders(job: RunningJob) -> None:
    """Do the same to many orders."""
    await bulk_actions.run(job)


@every(6 * 3600)
async def remove_old_order_exports(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Across tenants: files that were there to be fetched for long enough, and what killed exports left behind."""
    await blobs.sweep(exporting.FOLDER, timedelta(hours=6), partial(exporting.needed_keys, uow))
