"""The shops orders are placed in."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from shared.shop_copy import ShopCopy
from shared.unit_of_work import UnitOfWork

SHOPS = ShopCopy("currency", "time_zone", own=("pay_window_minutes",))


async def get_shop_code(uow: UnitOfWork, shop_id: UUID) -> str:
    code: str = await uow.fetchval("SELECT code FROM shops WHERE id = $1", shop_id)
    return code


async def list_codes(uow: UnitOfWork, shop_ids: Sequence[UUID]) -> dict[UUID, str]:
    return {
        row["id"]: row["code"] for row in await uow.fetch("SELECT id, code FROM shops WHERE id = ANY($1)", shop_ids)
    }


async def list_time_zones(uow: UnitOfWork, code: str | None) -> list[asyncpg.Record]:
    """The time zones of all shops that there are or were, or of those with a code."""
    return await uow.fetch("SELECT id, time_zone FROM shops WHERE $1::text IS NULL OR code = $1", code)


async def get_pay_window_minutes(uow: UnitOfWork, shop_id: UUID) -> int | None:
    minutes: int | None = await uow.fetchval("SELECT pay_window_minutes FROM shops WHERE id = $1", shop_id)
    return minutes


async def set_pay_window(uow: UnitOfWork, shop_id: UUID, minutes: int | None) -> None:
    await uow.execute("UPDATE shops SET pay_window_minutes = $2 WHERE id = $1", shop_id, minutes)
