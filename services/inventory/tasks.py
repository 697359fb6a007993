"""The clock: holds that run out; and goods that came in."""

from typing import Any
from uuid import UUID

from services.inventory.use_cases import amending, file_stock, reservations, serving
from shared.service import every, performs
from shared.unit_of_work import UnitOfWork


@every(2)
async def look_for_expired_reservations(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Across tenants: leave a task where holds have run out."""
    await reservations.leave_expiry_tasks(uow)


@every(6 * 3600)
async def forget_stock_before_files(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Across tenants: what was before imports of products is kept as long as their files."""
    await file_stock.forget_old(uow)


@performs("reservations.expire")
async def expire_reservations(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Return the stock of unconfirmed reservations whose time is over."""
    more = await amending.expire(uow)
    if await reservations.expire(uow) or more:
        uow.defer("reservations.expire", {}, key="expire")


@performs("backorders.serve")
async def serve_backorders(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Give what is there now to those who waited longest."""
    await serving.serve(uow, [(sku, UUID(centre_id)) for sku, centre_id in payload["places"]])
