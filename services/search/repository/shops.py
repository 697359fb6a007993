"""Search's copy of the shops, and the state of their indexes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from shared.contracts.accounts.shapes import Shop
from shared.shop_copy import ShopCopy
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class KnownShop:
    """A shop, and how far its index is. `code` and the rest are as of `version`."""

    organization_id: UUID
    id: UUID
    code: str
    currency: str
    locale: str
    version: int
    is_removed: bool
    generation: int
    sequence: int
    tuning_version: int


_COPY = ShopCopy("currency", "locale", "parent_id")
_KNOWN = (
    "SELECT s.organization_id, s.id, s.code, s.currency, s.locale, s.version, s.is_removed, i.generation, i.sequence,"
    " i.tuning_version FROM shops s JOIN indexes i ON (i.organization_id, i.shop_id) = (s.organization_id, s.id)"
)


async def take(uow: UnitOfWork, shop: Shop) -> str | None:
    """Keep `shop` if it is newer than what is kept. Returns "new", "changed" (its offers are others now) or None."""
    taken = await _COPY.take(uow, shop)
    if taken is None:
        return None
    await uow.execute(
        "INSERT INTO indexes (organization_id, shop_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        uow.organization_id,
        shop.id,
    )
    if taken.before is None:
        return "new"
    if taken.before["locale"] != shop.locale:
        await uow.execute("UPDATE indexes SET generation = generation + 1 WHERE shop_id = $1", shop.id)
    return "changed"


async def remove(uow: UnitOfWork, shop_id: UUID) -> None:
    """Forget a shop's offers; that it is gone stays known, so that a late event does not bring it back."""
    await _COPY.forget(uow, shop_id)
    # The writer's lock first: whoever waits for it then finds no index to write to.
    await uow.execute("SELECT FROM indexes WHERE shop_id = $1 FOR UPDATE", shop_id)
    await uow.execute("DELETE FROM marks WHERE shop_id = $1", shop_id)
    await uow.execute("DELETE FROM documents WHERE shop_id = $1", shop_id)
    await uow.execute("DELETE FROM indexes WHERE shop_id = $1", shop_id)


async def find_by_code(uow: UnitOfWork, code: str) -> KnownShop | None:
    """An older shop may still seem to have a code that it gave up: then the younger, as in every copy."""
    row = await uow.fetchrow(f"{_KNOWN} WHERE s.code = $1 AND NOT s.is_removed ORDER BY s.id DESC LIMIT 1", code)
    return None if row is None else KnownShop(*row.values())


async def find_code(uow: UnitOfWork, shop_id: UUID) -> str | None:
    """A shop's code; None for one that is gone."""
    code: str | None = await uow.fetchval("SELECT code FROM shops WHERE id = $1 AND NOT is_removed", shop_id)
    return code


async def get_version(uow: UnitOfWork, shop_id: UUID) -> int:
    """Which version of a shop is known here, 0 for one that is gone."""
    version: int | None = await uow.fetchval("SELECT version FROM shops WHERE id = $1 AND NOT is_removed", shop_id)
    return version or 0


async def list_all(uow: UnitOfWork) -> list[KnownShop]:
    """Every shop of the organization that is not gone."""
    rows = await uow.fetch(f"{_KNOWN} WHERE NOT s.is_removed ORDER BY s.code")
    return [KnownShop(*row.values()) for row in rows]


async def list_followed(uow: UnitOfWork, keys: Sequence[tuple[UUID, UUID]]) -> list[KnownShop]:
    """Where these shops, of any organization, stand now. Across tenants."""
    rows = await uow.fetch(
        f"{_KNOWN} JOIN unnest($1::uuid[], $2::uuid[]) AS f (organization_id, shop_id)"
        " ON (f.organization_id, f.shop_id) = (s.organization_id, s.id)",
        [organization_id for organization_id, _ in keys],
        [shop_id for _, shop_id in keys],
    )
    return [KnownShop(*row.values()) for row in rows]


async def list_family(uow: UnitOfWork, shop_id: UUID) -> list[UUID]:
    """A shop and its sub-shops, down to the last: they inherit its prices."""
    rows = await uow.fetch(
        "WITH RECURSIVE family (id) AS (SELECT $1::uuid UNION SELECT s.id FROM shops s JOIN family f"
        " ON s.parent_id = f.id WHERE NOT s.is_removed) SELECT id FROM family",
        shop_id,
    )
    return [row["id"] for row in rows]


async def list_indexes(uow: UnitOfWork, after: str | None, first: int) -> list[asyncpg.Record]:
    """The state of the index of each shop the caller may see, by code; one more than `first` if there is."""
    return await uow.fetch(
        "SELECT s.code, s.id, i.offers, i.sequence, i.generation, i.rebuilt_at, m.pending, m.failed, m.oldest"
        " FROM shops s JOIN indexes i ON (i.organization_id, i.shop_id) = (s.organization_id, s.id),"
        " LATERAL (SELECT count(DISTINCT product_id) AS pending,"
        "   count(DISTINCT product_id) FILTER (WHERE failures > 0) AS failed,"
        "   min(marked_at) AS oldest FROM marks WHERE shop_id = s.id AND (due_at <= now() OR failures > 0)) m"
        " WHERE NOT s.is_removed AND ($1::text IS NULL OR s.code > $1) AND ($3::uuid[] IS NULL OR s.id = ANY($3))"
        " ORDER BY s.code LIMIT $2",
        after,
        first + 1,
        None if uow.caller.shop_ids is None else list(uow.caller.shop_ids),
    )


async def note_rebuilt(uow: UnitOfWork, shop_id: UUID) -> None:
    """Let every reader fill its index anew from the documents."""
    await uow.execute("UPDATE indexes SET generation = generation + 1, rebuilt_at = now() WHERE shop_id = $1", shop_id)
