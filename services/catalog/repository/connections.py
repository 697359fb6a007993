"""The copy of the connections, from what sync announces: each of them is a channel below its shop (CAT-4).

Announcements come late, twice and in any order, and always end in the same row: what the newest version said, and
whether the connection was ever removed. Nothing brings a removed one back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.catalog.repository.shops import KnownShop
from shared.contracts.sync.shapes import ConnectionIdentity
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class KnownConnection:
    """A connection as catalog keeps it. Of one that was removed before it was heard of there is no shop."""

    id: UUID
    shop_id: UUID | None
    name: str
    is_removed: bool


_READ = "SELECT id, shop_id, name, is_removed FROM connections"


async def take(uow: UnitOfWork, told: Sequence[ConnectionIdentity]) -> None:
    """Keep those that are newer than the copy."""
    await uow.execute(
        "INSERT INTO connections AS c (organization_id, id, shop_id, name, version)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[])"
        " ON CONFLICT (organization_id, id) DO UPDATE"
        " SET shop_id = excluded.shop_id, name = excluded.name, version = excluded.version"
        " WHERE c.version < excluded.version",
        uow.organization_id,
        [each.id for each in told],
        [each.shop_id for each in told],
        [each.name for each in told],
        [each.version for each in told],
    )


async def forget(uow: UnitOfWork, connection_id: UUID) -> None:
    """It is removed, for good: also when it was never heard of, and whatever is heard of it later.

    Whoever writes to its content at this moment is waited for.
    """
    await uow.execute(
        "INSERT INTO connections (organization_id, id, name, version, is_removed) VALUES ($1, $2, '', 0, true)"
        " ON CONFLICT (organization_id, id) DO UPDATE SET is_removed = true",
        uow.organization_id,
        connection_id,
    )


async def find(uow: UnitOfWork, connection_id: UUID, *, lock: bool = False) -> KnownConnection | None:
    """With `lock` it is not removed before the transaction ends."""
    row = await uow.fetchrow(f"{_READ} WHERE id = $1{' FOR SHARE' if lock else ''}", connection_id)
    return KnownConnection(**row) if row else None


async def list_all(uow: UnitOfWork) -> list[KnownConnection]:
    """Those that there are, by their ids."""
    rows = await uow.fetch(f"{_READ} WHERE NOT is_removed AND shop_id IS NOT NULL ORDER BY id")
    return [KnownConnection(**row) for row in rows]


def below(shop: KnownShop, connection_id: UUID) -> KnownShop:
    """A connection as the first of its shop's line: of its language and currency, as it where it has not decided."""
    return replace(shop, id=connection_id, parent_id=shop.id, strict_pricing=False, has_content=True)
