"""Shops as accounts announced them, and whom each inherits from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from services.catalog.errors import ShopNotFound
from shared.contracts.accounts.shapes import Shop
from shared.shop_copy import ShopCopy
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class KnownShop:
    """A shop as catalog keeps it."""

    id: UUID
    code: str
    currency: str
    locale: str
    parent_id: UUID | None
    strict_pricing: bool
    version: int
    # Only as a member of a line: whether it has anything of its own of any product.
    has_content: bool = False

    @property
    def locales(self) -> list[str]:
        """Its locale, then its bare language."""
        return list(dict.fromkeys([self.locale, self.locale.split("-")[0]]))


COPY = ShopCopy("name", "currency", "locale", "parent_id", "strict_pricing", "storefront_url")
_COLUMNS = "id, code, currency, locale, parent_id, strict_pricing, version"


def sells_differently(before: Mapping[str, Any] | None, shop: Shop) -> bool:
    """Whether a shop that was taken over may have other prices, categories or texts than until then."""
    terms = ("currency", "locale", "parent_id", "strict_pricing")
    return before is None or any(before[name] != getattr(shop, name) for name in terms)


async def has_heirs(uow: UnitOfWork, shop_id: UUID) -> bool:
    """Whether a shop has sub-shops."""
    return bool(await uow.fetchval("SELECT EXISTS (SELECT FROM shops WHERE parent_id = $1)", shop_id))


async def get_by_code(uow: UnitOfWork, code: str) -> KnownShop:
    """Of two shops with one code the younger. Raises ShopNotFound, also for a shop outside the caller's limit."""
    row = await uow.fetchrow(
        f"SELECT {_COLUMNS} FROM shops WHERE code = $1 AND NOT is_removed ORDER BY id DESC LIMIT 1",  # noqa: S608
        code,
    )
    if row is None or not uow.caller.sees_shop(row["id"]):
        raise ShopNotFound(f"There is no shop with the code '{code[:100]}'.")
    return KnownShop(**row)


async def get_by_codes(uow: UnitOfWork, codes: list[str]) -> list[KnownShop]:
    """Raises ShopNotFound for the first that is not there."""
    return [await get_by_code(uow, code) for code in dict.fromkeys(codes)]


async def list_by_codes(uow: UnitOfWork, codes: list[str]) -> list[KnownShop]:
    """Those of the shops that there are and the caller may see; of two with one code the younger."""
    rows = await uow.fetch(
        f"SELECT DISTINCT ON (code) {_COLUMNS} FROM shops WHERE code = ANY($1::text[]) AND NOT is_removed"  # noqa: S608
        " ORDER BY code, id DESC",
        codes,
    )
    return [KnownShop(**row) for row in rows if uow.caller.sees_shop(row["id"])]


async def get(uow: UnitOfWork, shop_id: UUID) -> KnownShop:
    """Raises ShopNotFound."""
    row = await uow.fetchrow(f"SELECT {_COLUMNS} FROM shops WHERE id = $1 AND NOT is_removed", shop_id)  # noqa: S608
    if row is None:
        raise ShopNotFound("There is no such shop.")
    return KnownShop(**row)


async def list_all(uow: UnitOfWork) -> list[KnownShop]:
    """Those that the caller may see, by code; of two with one code the younger."""
    rows = await uow.fetch(
        f"SELECT DISTINCT ON (code) {_COLUMNS} FROM shops WHERE NOT is_removed ORDER BY code, id DESC"  # noqa: S608
    )
    return [KnownShop(**row) for row in rows if uow.caller.sees_shop(row["id"])]


async def list_roots(uow: UnitOfWork) -> list[KnownShop]:
    """Shops without a parent that the caller may see."""
    rows = await uow.fetch(f"SELECT {_COLUMNS} FROM shops WHERE parent_id IS NULL AND NOT is_removed ORDER BY code")  # noqa: S608
    return [KnownShop(**row) for row in rows if uow.caller.sees_shop(row["id"])]


async def list_line(uow: UnitOfWork, shop_id: UUID) -> list[KnownShop]:
    """A shop and its ancestors, nearest first; empty when it is not known. A circle ends where it closes."""
    rows = await uow.fetch(_LIST_LINE, shop_id)
    return [KnownShop(**row) for row in rows]


LINE = f"""
WITH RECURSIVE line AS (
    SELECT {_COLUMNS}, 0 AS distance, ARRAY[id] AS seen FROM shops WHERE id = $1 AND NOT is_removed
    UNION ALL
    SELECT s.id, s.code, s.currency, s.locale, s.parent_id, s.strict_pricing, s.version, distance + 1, seen || s.id
    FROM line JOIN shops s ON s.id = line.parent_id WHERE NOT s.is_removed AND s.id <> ALL (seen)
)
"""  # noqa: S608
LINE_COLUMNS = f"{_COLUMNS}, EXISTS (SELECT FROM channel_products c WHERE c.channel_id = line.id) AS has_content"
_LIST_LINE = f"{LINE} SELECT {LINE_COLUMNS} FROM line ORDER BY distance"  # noqa: S608


def barred(line: Sequence[KnownShop]) -> dict[UUID, str]:
    """The ancestors whose price lists the first shop of `line` does not sell by, each with the code of the reason.

    A sub-shop inherits the prices of its parent, and so on upwards, only while the currency is the same and the shop
    that would inherit is not strict (ACC-3).
    """
    found: dict[UUID, str] = {}
    code = None
    for heir, ancestor in pairwise(line):
        if code is None and heir.strict_pricing:
            code = "strict_pricing"
        elif code is None and ancestor.currency != heir.currency:
            code = "other_currency"
        if code is not None:
            found[ancestor.id] = code
    return found


def pricing_line(line: Sequence[KnownShop]) -> list[KnownShop]:
    """Whose price lists a shop sells by, nearest first: its own, and those of the ancestors that are not `barred`."""
    out = barred(line)
    return [shop for shop in line if shop.id not in out]


async def assigning_shop(uow: UnitOfWork, line: list[KnownShop]) -> UUID:
    """Whose category assignments a shop sells by: the nearest that has any, else the root of its line."""
    own = await uow.fetch(
        "SELECT DISTINCT shop_id FROM shop_categories WHERE shop_id = ANY($1)", [shop.id for shop in line]
    )
    having = {row["shop_id"] for row in own}
    return next((shop.id for shop in line if shop.id in having), line[-1].id)
