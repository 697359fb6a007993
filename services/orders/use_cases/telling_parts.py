"""What orders are found by, told to whoever keeps it. What was erased is told as it now stands."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import orjson

from services.orders.repository import parts
from shared.contracts.orders.parts import OrderedPart, OrderPart, OrderParts
from shared.unit_of_work import UnitOfWork

_WORDS = ("customer_name", "ship_to", "company", "city", "postal_code")


async def tell(uow: UnitOfWork, order_ids: Sequence[UUID]) -> OrderParts:
    return OrderParts(orders=[_part(row) for row in await parts.list_parts(uow, order_ids)])


def _part(row: asyncpg.Record) -> OrderPart:
    lines = zip(row["skus"] or (), row["titles"] or (), strict=True)
    tracking = [number for numbers in row["shipments"] or () if numbers for number in orjson.loads(numbers)]
    return OrderPart(
        id=row["id"],
        shop_id=row["shop_id"],
        number=row["number"],
        external_number=row["external_number"],
        external_id=row["external_id"],
        placed_at=row["placed_at"],
        email=row["email"],
        words=list(dict.fromkeys(row[name] for name in _WORDS if row[name])),
        lines=[OrderedPart(sku=sku, title=title) for sku, title in lines],
        tracking_numbers=list(dict.fromkeys(tracking)),
    )
