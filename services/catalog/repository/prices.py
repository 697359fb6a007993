"""Price lists and prices."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.catalog.errors import PriceListNotFound
from services.catalog.repository import shops
from services.catalog.repository.shops import KnownShop
from shared import clock
from shared.contracts.catalog.events import IDS_PER_EVENT, PricesChanged
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A price to store, in minor units. Without `price` it is told on request, or else the one that is there goes."""

    variant_id: UUID
    minimum_quantity: int
    price: int | None
    list_price: int | None
    is_on_request: bool = False
    centre: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def is_removal(self) -> bool:
        return self.price is None and not self.is_on_request


@dataclass(frozen=True, slots=True)
class PricesWritten:
    """How many prices are new, different and gone, and the variants they are of, by list."""

    inserted: int
    updated: int
    removed: int
    variants_of_lists: Mapping[UUID, set[UUID]]

    @property
    def variant_ids(self) -> set[UUID]:
        return set().union(*self.variants_of_lists.values())


async def get_list(uow: UnitOfWork, price_list_id: UUID) -> asyncpg.Record:
    """A list with its shop's code. Raises PriceListNotFound, also for a shop outside the caller's limit."""
    row = await uow.fetchrow(
        "SELECT l.*, s.code AS shop FROM price_lists l JOIN shops s ON s.id = l.shop_id"
        " WHERE l.id = $1 AND NOT s.is_removed",
        price_list_id,
    )
    if row is None or not uow.caller.sees_shop(row["shop_id"]):
        raise PriceListNotFound("There is no such price list.")
    return row


async def list_named(uow: UnitOfWork, price_list_ids: Iterable[UUID]) -> dict[UUID, asyncpg.Record]:
    """Those of the lists that there are and the caller may see."""
    rows = await uow.fetch(
        "SELECT l.* FROM price_lists l JOIN shops s ON s.id = l.shop_id"
        " WHERE l.id = ANY($1::uuid[]) AND NOT s.is_removed",
        list(price_list_ids),
    )
    return {row["id"]: row for row in rows if uow.caller.sees_shop(row["shop_id"])}


async def standard_list(uow: UnitOfWork, shop: KnownShop) -> UUID:
    """The list by which a shop itself sells to everybody now: without dates if there is one; made when missing."""
    return await find_standard_list(uow, shop) or await make_standard_list(uow, shop, new_id())


async def find_standard_list(uow: UnitOfWork, shop: KnownShop) -> UUID | None:
    return await find_standing_list(uow, shop, None)


async def find_standing_list(uow: UnitOfWork, shop: KnownShop, customer_group: str | None) -> UUID | None:
    """The list by which a shop sells to a group, or to everybody, now: without dates if there is one."""
    found: UUID | None = await uow.fetchval(
        f"SELECT id FROM price_lists WHERE {_IS_STANDING} AND customer_group IS NOT DISTINCT FROM $4"  # noqa: S608
        f" ORDER BY {_STANDING_FIRST} LIMIT 1",
        shop.id,
        shop.currency,
        clock.now(),
        customer_group,
    )
    return found


async def standing_lists(uow: UnitOfWork, shop: KnownShop) -> set[UUID]:
    """Of everybody and of each group, the one that `find_standing_list` finds."""
    rows = await uow.fetch(
        f"SELECT DISTINCT ON (customer_group) id FROM price_lists WHERE {_IS_STANDING}"  # noqa: S608
        f" ORDER BY customer_group, {_STANDING_FIRST}",
        shop.id,
        shop.currency,
        clock.now(),
    )
    return {row["id"] for row in rows}


_IS_STANDING = (
    "shop_id = $1 AND currency = $2 AND (starts_at IS NULL OR starts_at <= $3) AND (ends_at IS NULL OR ends_at > $3)"
)
_STANDING_FIRST = "starts_at IS NOT NULL, ends_at IS NOT NULL, created_at, id"


async def lists_of_shop(uow: UnitOfWork, shop_id: UUID) -> list[asyncpg.Record]:
    """All lists of a shop, by age."""
    return await uow.fetch(
        "SELECT id, name, customer_group, currency FROM price_lists WHERE shop_id = $1 ORDER BY created_at, id", shop_id
    )


async def make_standard_list(
    uow: UnitOfWork, shop: KnownShop, price_list_id: UUID, customer_group: str | None = None
) -> UUID:
    await uow.execute(
        "INSERT INTO price_lists (organization_id, id, shop_id, name, currency, customer_group)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        uow.organization_id,
        price_list_id,
        shop.id,
        customer_group or "Standard",
        shop.currency,
        customer_group,
    )
    return price_list_id


async def write(uow: UnitOfWork, price_list_id: UUID, prices: Sequence[NewPrice]) -> PricesWritten:
    """Store prices of one list that differ; each variant, quantity, centre and beginning at most once."""
    rows = [_row(price_list_id, price) for price in prices]
    columns = list(map(list, zip(*rows, strict=True))) if rows else [[] for _ in range(9)]
    return _written(await uow.fetch(_MERGE_GIVEN, uow.organization_id, *columns))


async def merge(uow: UnitOfWork, prices: Iterable[tuple[UUID, NewPrice]]) -> PricesWritten:
    """As `write`, for very many prices, each with its list: they go by COPY into a temporary table."""
    await uow.execute(_STAGED)
    connection = await uow.connection()
    await connection.copy_records_to_table("staged_prices", records=(_row(*price) for price in prices))
    await uow.execute("ANALYZE staged_prices")
    return _written(await uow.fetch(_MERGE_STAGED, uow.organization_id))


def _row(price_list_id: UUID, new: NewPrice) -> tuple[object, ...]:
    return (
        price_list_id,
        new.variant_id,
        new.minimum_quantity,
        new.centre or "",
        new.starts_at,
        new.ends_at,
        new.price,
        new.list_price,
        new.is_removal,
    )


def _written(rows: Sequence[asyncpg.Record]) -> PricesWritten:
    counts = Counter(row["what"] for row in rows)
    variants: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for row in rows:
        variants[row["price_list_id"]].add(row["variant_id"])
    return PricesWritten(counts["inserted"], counts["updated"], counts["removed"], variants)


_STAGED = """
CREATE TEMPORARY TABLE staged_prices (
    price_list_id uuid, variant_id uuid, minimum_quantity integer, centre text, starts_at timestamptz,
    ends_at timestamptz, price bigint, list_price bigint, is_removal boolean
) ON COMMIT DROP
"""
# A row that this statement inserted has no xmax yet; one that it updated has its own.
_MERGE = """
WITH given AS (
    SELECT price_list_id, variant_id, minimum_quantity, centre, coalesce(starts_at, '-infinity') AS starts_at, ends_at,
        price, list_price, is_removal
    FROM {source}
), removed AS (
    DELETE FROM prices t USING given g WHERE g.is_removal AND t.variant_id = g.variant_id
        AND t.price_list_id = g.price_list_id AND t.minimum_quantity = g.minimum_quantity AND t.centre = g.centre
        AND t.starts_at = g.starts_at
    RETURNING t.price_list_id, t.variant_id
), written AS (
    INSERT INTO prices AS t (organization_id, price_list_id, variant_id, minimum_quantity, centre, starts_at, ends_at,
        price, list_price)
    SELECT $1, price_list_id, variant_id, minimum_quantity, centre, starts_at, ends_at, price, list_price
    FROM given WHERE NOT is_removal
    ON CONFLICT (organization_id, variant_id, price_list_id, minimum_quantity, centre, starts_at) DO UPDATE
    SET price = excluded.price, list_price = excluded.list_price, ends_at = excluded.ends_at
    WHERE (t.price, t.list_price, t.ends_at) IS DISTINCT FROM (excluded.price, excluded.list_price, excluded.ends_at)
    RETURNING price_list_id, variant_id, xmax = 0 AS is_new
)
SELECT price_list_id, variant_id, 'removed' AS what FROM removed
UNION ALL SELECT price_list_id, variant_id, CASE WHEN is_new THEN 'inserted' ELSE 'updated' END FROM written
"""
_MERGE_STAGED = _MERGE.format(source="staged_prices")
_MERGE_GIVEN = _MERGE.format(
    source="unnest($2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::timestamptz[], $7::timestamptz[],"
    " $8::bigint[], $9::bigint[], $10::boolean[]) AS s (price_list_id, variant_id, minimum_quantity, centre, starts_at,"
    " ends_at, price, list_price, is_removal)"
)


# List, variant, quantity, centre (empty for all) and beginning of a price.
PriceKey = tuple[UUID, UUID, int, str, datetime | None]


async def existing(
    uow: UnitOfWork, price_list_ids: Iterable[UUID], variant_ids: Sequence[UUID], *, above_zero: bool = False
) -> set[PriceKey]:
    """The prices that these lists have for these variants: all, or those above zero."""
    rows = await uow.fetch(
        "SELECT p.price_list_id, p.variant_id, p.minimum_quantity, p.centre,"
        " nullif(p.starts_at, '-infinity') AS starts_at FROM unnest($2::uuid[]) AS asked (id)"
        " CROSS JOIN LATERAL (SELECT * FROM prices p WHERE p.variant_id = asked.id OFFSET 0) p"
        " WHERE p.price_list_id = ANY($1::uuid[]) AND (NOT $3 OR p.price > 0)",
        list(price_list_ids),
        list(variant_ids),
        above_zero,
    )
    return {tuple(row) for row in rows}


async def count(uow: UnitOfWork, price_list_ids: Iterable[UUID]) -> int:
    """How many prices these lists have."""
    found: int = await uow.fetchval(
        "SELECT count(*) FROM prices WHERE price_list_id = ANY($1::uuid[])", list(price_list_ids)
    )
    return found


async def remove_of_variants(uow: UnitOfWork, variant_ids: list[UUID]) -> None:
    """Remove every price of variants that are about to go."""
    await uow.execute("DELETE FROM prices WHERE variant_id = ANY($1)", variant_ids)


async def variant_ids(uow: UnitOfWork, skus: Sequence[str]) -> dict[str, asyncpg.Record]:
    """Id and product of each known SKU."""
    rows = await uow.fetch(
        "SELECT DISTINCT v.sku, v.id, v.product_id FROM unnest($1::text[]) AS asked (sku)"
        " CROSS JOIN LATERAL (SELECT * FROM variants v WHERE v.sku = asked.sku OFFSET 0) v",
        list(skus),
    )
    return {row["sku"]: row for row in rows}


async def announce(uow: UnitOfWork, shop_id: UUID, product_ids: Sequence[UUID]) -> None:
    """Prices of these products changed in a shop, or in every shop where it has heirs."""
    has_heirs = await shops.has_heirs(uow, shop_id)
    for start in range(0, len(product_ids), IDS_PER_EVENT):
        ids = list(product_ids[start : start + IDS_PER_EVENT])
        uow.record(PricesChanged(product_ids=ids, shop_id=None if has_heirs else shop_id))


async def product_ids_of_list(uow: UnitOfWork, price_list_id: UUID) -> list[UUID]:
    """The products that a list has prices for."""
    rows = await uow.fetch(
        "SELECT DISTINCT v.product_id FROM prices p JOIN variants v ON v.id = p.variant_id WHERE p.price_list_id = $1"
        " ORDER BY v.product_id",
        price_list_id,
    )
    return [row["product_id"] for row in rows]


async def product_ids_that_turn(uow: UnitOfWork, price_list_id: UUID, at: datetime) -> list[UUID]:
    """The products of a list's prices that begin or end to apply at a moment."""
    rows = await uow.fetch(
        f"SELECT DISTINCT v.product_id FROM prices p JOIN variants v ON v.id = p.variant_id"  # noqa: S608
        f" WHERE p.price_list_id = $1 AND {_IS_DATED} AND $2 IN (p.starts_at, p.ends_at) ORDER BY v.product_id",
        price_list_id,
        at,
    )
    return [row["product_id"] for row in rows]


async def next_turns(uow: UnitOfWork, price_list_ids: Iterable[UUID], after: datetime) -> dict[UUID, datetime]:
    """When, after a moment, a price of each list next begins or ends to apply, where one does."""
    rows = await uow.fetch(
        "SELECT p.price_list_id, min(turn) AS turn FROM prices p CROSS JOIN unnest(ARRAY[p.starts_at, p.ends_at]) turn"  # noqa: S608
        f" WHERE p.price_list_id = ANY($1::uuid[]) AND {_IS_DATED} AND turn > $2 GROUP BY p.price_list_id",
        list(price_list_ids),
        after,
    )
    return {row["price_list_id"]: row["turn"] for row in rows}


# As the partial index has it.
_IS_DATED = "(p.starts_at > '-infinity' OR p.ends_at IS NOT NULL)"


async def remove_list(uow: UnitOfWork, price_list_id: UUID) -> None:
    """A list and all its prices."""
    await uow.execute("DELETE FROM prices WHERE price_list_id = $1", price_list_id)
    await uow.execute("DELETE FROM price_lists WHERE id = $1", price_list_id)


Position = tuple[str, int, str, datetime]


async def list_prices(
    uow: UnitOfWork, price_list_id: UUID, sku: str | None, after: Position, first: int
) -> list[asyncpg.Record]:
    """By SKU, quantity, centre and beginning."""
    return await uow.fetch(
        "SELECT v.sku, p.minimum_quantity, p.price, p.list_price, p.centre,"
        " nullif(p.starts_at, '-infinity') AS starts_at, p.ends_at FROM prices p JOIN variants v ON v.id = p.variant_id"
        " WHERE p.price_list_id = $1 AND ($2::text IS NULL OR v.sku = $2)"
        " AND (v.sku, p.minimum_quantity, p.centre, p.starts_at) > ($3, $4, $5, $6)"
        " ORDER BY v.sku, p.minimum_quantity, p.centre, p.starts_at LIMIT $7",
        price_list_id,
        sku,
        *after,
        first,
    )


async def list_price_lists(
    uow: UnitOfWork, shop_id: UUID | None, after: UUID | None, first: int
) -> list[asyncpg.Record]:
    """By age; those of the caller's shops alone."""
    return await uow.fetch(
        "SELECT l.*, s.code AS shop FROM price_lists l JOIN shops s ON s.id = l.shop_id WHERE NOT s.is_removed"
        " AND ($1::uuid IS NULL OR l.shop_id = $1) AND ($2::uuid IS NULL OR l.id > $2)"
        " AND ($3::uuid[] IS NULL OR l.shop_id = ANY($3)) ORDER BY l.id LIMIT $4",
        shop_id,
        after,
        uow.caller.shop_limit,
        first,
    )
