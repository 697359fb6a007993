"""Shops, fulfilment centres, and who serves whom."""

from datetime import datetime
from uuid import UUID

import asyncpg

from services.inventory.models import Served, Serving, SourcingRule
from shared.shop_copy import ShopCopy
from shared.unit_of_work import UnitOfWork

SHOPS = ShopCopy("parent_id")


async def find_served(uow: UnitOfWork, shop_id: UUID) -> Served | None:
    """The centres that serve a shop, its own or those of its nearest parent that has some, and the rule by which they
    do, found the same way. None: no such shop."""
    rows = await uow.fetch(_SERVING, shop_id)
    if not rows:
        return None
    found = [Serving(**{name: row[name] for name in _OF_SERVING}) for row in rows if row["centre_id"] is not None]
    rule = SourcingRule() if rows[0]["strategy"] is None else SourcingRule(rows[0]["strategy"], rows[0]["splitting"])
    return Served(sorted(found, key=lambda serving: serving.rank), rule)


async def list_serving(uow: UnitOfWork, shop_id: UUID) -> list[Serving] | None:
    """The centres that serve a shop. None: no such shop."""
    served = await find_served(uow, shop_id)
    return None if served is None else served.centres


_OF_SERVING = ("centre_id", "code", "preference", "counts", "dispatches")
_SERVING = """
WITH RECURSIVE lineage AS (
    SELECT id, parent_id, 0 AS depth FROM shops WHERE id = $1 AND NOT is_removed
    UNION ALL
    SELECT p.id, p.parent_id, l.depth + 1 FROM lineage l JOIN shops p ON p.id = l.parent_id WHERE l.depth < 10
), own AS (
    SELECT id FROM lineage l WHERE EXISTS (SELECT FROM shop_centres a WHERE a.shop_id = l.id) ORDER BY depth LIMIT 1
), rule AS (
    SELECT r.strategy, r.splitting FROM lineage l JOIN shop_sourcing r ON r.shop_id = l.id ORDER BY l.depth LIMIT 1
)
SELECT c.id AS centre_id, c.code, a.preference, a.counts, a.dispatches, r.strategy, r.splitting
FROM lineage l LEFT JOIN (shop_centres a JOIN fulfilment_centres c ON c.id = a.centre_id)
    ON a.shop_id = (SELECT id FROM own)
LEFT JOIN rule r ON true
WHERE l.depth = 0
"""


async def get_centre_ids(uow: UnitOfWork) -> dict[str, UUID]:
    """The centres' ids by code."""
    rows = await uow.fetch("SELECT code, id FROM fulfilment_centres WHERE removed_at IS NULL")
    return {row["code"]: row["id"] for row in rows}


async def find_id_at(uow: UnitOfWork, code: str, moment: datetime | None) -> UUID | None:
    """The centre that had a code at a moment, removed since or not; else the one that has it, or had it last."""
    centre_id: UUID | None = await uow.fetchval(
        "SELECT id FROM fulfilment_centres WHERE code = $1 ORDER BY"
        " coalesce($2 >= created_at AND $2 < coalesce(removed_at, 'infinity'), false) DESC,"
        " removed_at IS NULL DESC, removed_at DESC LIMIT 1",
        code,
        moment,
    )
    return centre_id


async def lock_living(uow: UnitOfWork) -> dict[str, UUID]:
    """The centres' ids by code; none of them is removed until the end of this transaction."""
    rows = await uow.fetch("SELECT code, id FROM fulfilment_centres WHERE removed_at IS NULL FOR KEY SHARE")
    return {row["code"]: row["id"] for row in rows}


async def get_codes(uow: UnitOfWork) -> dict[UUID, str]:
    """The code of every centre there is or was."""
    return {row["id"]: row["code"] for row in await uow.fetch("SELECT id, code FROM fulfilment_centres")}


async def list_open_reservations(uow: UnitOfWork, centre_id: UUID, most: int) -> list[asyncpg.Record]:
    """What is reserved in a centre and has not left, by order and SKU."""
    return await uow.fetch(
        "SELECT r.id AS order_id, r.state, l.sku, sum(l.quantity - l.shipped)::integer AS units"
        " FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id"
        " WHERE l.centre_id = $1 AND l.quantity > l.shipped AND r.state IN ('held', 'confirmed')"
        " GROUP BY r.id, r.state, l.sku ORDER BY r.id, l.sku LIMIT $2",
        centre_id,
        most,
    )


async def remove_centre(uow: UnitOfWork, centre_id: UUID) -> None:
    """It serves no shop any more, and is found by nobody; what its ledger names it for stays."""
    await uow.execute("DELETE FROM shop_centres WHERE centre_id = $1", centre_id)
    await uow.execute(
        "UPDATE fulfilment_centres SET removed_at = now(), version = version + 1 WHERE id = $1", centre_id
    )


async def retire_stock(uow: UnitOfWork, centre_id: UUID) -> None:
    """Nothing more is promised of what a centre had, nor expected there."""
    await uow.execute(
        "UPDATE stock SET policy = 'standard', warning_level = NULL, ideal_level = NULL, incoming = 0,"
        " updated_at = now() WHERE centre_id = $1 AND (policy <> 'standard' OR warning_level IS NOT NULL"
        " OR ideal_level IS NOT NULL OR incoming > 0)",
        centre_id,
    )


async def find_default_code(uow: UnitOfWork) -> str | None:
    """The code of the centre that is meant where none is named."""
    code: str | None = await uow.fetchval("SELECT code FROM fulfilment_centres WHERE is_default")
    return code


# --- rules of sourcing


async def find_rule(uow: UnitOfWork, shop_id: UUID) -> asyncpg.Record | None:
    """The nearest rule of a shop and its parents, and the code of the shop that has it."""
    return await uow.fetchrow(_RULE, shop_id)


_RULE = """
WITH RECURSIVE lineage AS (
    SELECT id, parent_id, code, 0 AS depth FROM shops WHERE id = $1
    UNION ALL
    SELECT p.id, p.parent_id, p.code, l.depth + 1 FROM lineage l JOIN shops p ON p.id = l.parent_id WHERE l.depth < 10
)
SELECT r.strategy, r.splitting, l.code, l.depth FROM lineage l JOIN shop_sourcing r ON r.shop_id = l.id
ORDER BY l.depth LIMIT 1
"""


async def set_rule(uow: UnitOfWork, shop_id: UUID, rule: SourcingRule) -> None:
    await uow.execute(
        "INSERT INTO shop_sourcing (organization_id, shop_id, strategy, splitting) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (organization_id, shop_id) DO UPDATE SET strategy = excluded.strategy,"
        " splitting = excluded.splitting",
        uow.organization_id,
        shop_id,
        rule.strategy,
        rule.splitting,
    )


async def unset_rule(uow: UnitOfWork, shop_id: UUID) -> None:
    await uow.execute("DELETE FROM shop_sourcing WHERE shop_id = $1", shop_id)


async def list_organizations(uow: UnitOfWork) -> list[UUID]:
    """Across tenants: who has a centre."""
    rows = await uow.fetch("SELECT DISTINCT organization_id FROM fulfilment_centres ORDER BY 1")
    return [row["organization_id"] for row in rows]
