"""Queries for shops and orders, as far as payments has heard of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import select

from services.payments.models import Order
from services.payments.repository import common
from shared.shop_copy import ShopCopy
from shared.unit_of_work import UnitOfWork

SHOPS = ShopCopy("parent_id")


async def list_parents(uow: UnitOfWork) -> dict[UUID, UUID | None]:
    """Every shop of the organization with the one above it."""
    return {row["id"]: row["parent_id"] for row in await uow.fetch("SELECT id, parent_id FROM shops")}


async def list_shop_codes(uow: UnitOfWork, shop_ids: set[UUID]) -> dict[UUID, str]:
    rows = await uow.fetch("SELECT id, code FROM shops WHERE id = ANY($1)", list(shop_ids))
    return {row["id"]: row["code"] for row in rows}


async def find_order(uow: UnitOfWork, order_id: UUID, *, for_update: bool = False) -> Order | None:
    question = select(Order).where(Order.id == order_id)
    return await common.find_one(uow, common.locking(question) if for_update else question)


async def keep_placed(uow: UnitOfWork, orders: Sequence[tuple[UUID, str, UUID, int, str, datetime | None]]) -> None:
    """Keep orders (id, number, shop, total, currency, since when they are to be paid) that were placed.

    Lock their names first.

    The most an order ever cost is kept: what is heard later may have happened before.
    """
    await uow.execute(
        "INSERT INTO orders (organization_id, id, number, shop_id, total, currency, to_be_paid_since, is_placed)"
        " SELECT $1, o.*, true FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::text[],"
        " $7::timestamptz[]) AS o ON CONFLICT (organization_id, id) DO UPDATE"
        " SET total = greatest(orders.total, excluded.total), currency = excluded.currency, is_placed = true,"
        " to_be_paid_since = excluded.to_be_paid_since",
        uow.organization_id,
        *map(list, zip(*sorted(orders, key=lambda order: order[0]), strict=True)),
    )


async def lock_orders(uow: UnitOfWork, numbers: Collection[str]) -> list[Order]:
    """The orders with these numbers, locked. Lock their names first."""
    if not numbers:
        return []
    rows = await uow.fetch("SELECT * FROM orders WHERE number = ANY($1) ORDER BY id FOR UPDATE", list(numbers))
    return [Order.of(row) for row in rows]
