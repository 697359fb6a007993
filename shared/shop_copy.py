"""The copy of the shops that a service keeps in its table `shops`, from what accounts announces.

Announcements come late, twice, at once and in any order, and always end in the same row: what the newest version said,
and whether the shop was ever removed. A removal that comes first leaves a row of version 0; nothing brings a removed
shop back, but a newer version still says what it was called, for whatever refers to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

import asyncpg

from shared.contracts.accounts.shapes import Shop
from shared.messaging.schema import guard
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Taken:
    """A newer version of a shop that is not removed was taken over. `before`: the row until then, None at first."""

    before: asyncpg.Record | None


class ShopCopy:
    """One service's copy: code, version and what else it needs of `Shop`, by the names there.

    `own` columns are the service's: read with the copy, and never taken from what accounts announces.
    """

    def __init__(self, *columns: str, own: Sequence[str] = ()) -> None:
        self._columns = ("code", *columns, "version")
        changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(self._columns, 2))
        self._take = f"UPDATE shops SET {changes} WHERE id = $1"  # noqa: S608
        # Named one by one: services share connections, and one text must not answer with different columns there.
        self._read = f"SELECT id, {', '.join((*self._columns, *own))}, is_removed FROM shops"  # noqa: S608

    async def take(self, uow: UnitOfWork, shop: Shop) -> Taken | None:
        """Keep `shop` if it is newer than the copy. None where nothing follows: it was not, or the shop is removed."""
        kept = await self._locked(uow, shop.id)
        if kept["version"] >= shop.version:
            return None
        await uow.execute(self._take, shop.id, *(getattr(shop, name) for name in self._columns))
        return None if kept["is_removed"] else Taken(kept if kept["version"] else None)

    async def forget(self, uow: UnitOfWork, shop_id: UUID) -> None:
        """The shop is removed, for good: also when it was never heard of, and whatever is heard of it later."""
        await self._locked(uow, shop_id)
        await uow.execute("UPDATE shops SET is_removed = true WHERE id = $1", shop_id)

    async def find_by_code(self, uow: UnitOfWork, code: str) -> asyncpg.Record | None:
        """A shop that is not removed. An older one may still seem to have a code that it gave up: then the younger."""
        return await uow.fetchrow(f"{self._read} WHERE code = $1 AND NOT is_removed ORDER BY id DESC LIMIT 1", code)

    async def list_by_codes(self, uow: UnitOfWork, codes: Sequence[str]) -> dict[str, asyncpg.Record]:
        """As `find_by_code`, of several: those that there are, by their code."""
        rows = await uow.fetch(f"{self._read} WHERE code = ANY($1) AND NOT is_removed ORDER BY id", codes)
        return {row["code"]: row for row in rows}

    async def _locked(self, uow: UnitOfWork, shop_id: UUID) -> asyncpg.Record:
        """The shop's row, made where there is none: of two announcements at once, the second to come sees the first."""
        await uow.execute(
            "INSERT INTO shops (organization_id, id, code, version) VALUES ($1, $2, '', 0) ON CONFLICT DO NOTHING",
            uow.organization_id,
            shop_id,
        )
        # No key: whoever only refers to the shop need not wait.
        (row,) = await uow.fetch(f"{self._read} WHERE id = $1 FOR NO KEY UPDATE", shop_id)
        return row


def shops_v1(
    service: str, columns: Mapping[str, str], *, optional: Mapping[str, str] = MappingProxyType({}), system: str = ""
) -> Sequence[str]:
    """Statements that create a service's copy with further columns, by name and type; only `optional` ones may be null.

    Called by migrations, so what has been released here never changes: a change is a new function.
    """
    further = "".join(f"    {name} {kind},\n" for name, kind in {**columns, **optional}.items())
    known = " AND ".join(["code <> ''", *(f"{name} IS NOT NULL" for name in columns)])
    table = _SHOPS.format(service=service, further=further, known=known)
    return [*table.split(";\n"), *guard(service, "shops", system=system)]


# Of a shop that was removed before it was heard of (version 0) nothing else is known.
_SHOPS = """
CREATE TABLE {service}.shops (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL,
{further}    version bigint NOT NULL,
    is_removed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, id),
    CHECK (version = 0 OR ({known}))
);
CREATE INDEX shops_code ON {service}.shops (organization_id, code)"""
