"""Stock as it is: rows read, locked, made and written, in sets."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from services.inventory.models import Place, Stock
from shared.unit_of_work import UnitOfWork

STOCK_COLUMNS = (
    "s.sku, s.centre_id, s.on_hand, s.reserved, s.backordered, s.policy, s.available_from, s.available_until,"
    " s.restock_date, s.warning_level, s.ideal_level, s.counted_at, s.version"
)


# SKU by SKU, in their order and through the index: while statistics are behind, all of it at once reads all stock.
_STOCK_OF = (
    f"SELECT {STOCK_COLUMNS} FROM unnest($1::text[]) AS asked (sku) CROSS JOIN LATERAL ("  # noqa: S608
    "SELECT * FROM stock WHERE sku = asked.sku AND centre_id = ANY($2)"
)


def _stock(rows: Sequence[asyncpg.Record]) -> list[Stock]:
    return [Stock(**dict(row)) for row in rows]


async def lock_stock(uow: UnitOfWork, skus: Sequence[str], centre_ids: Sequence[object]) -> list[Stock]:
    """Locked by SKU and centre, in ascending order."""
    return _stock(await uow.fetch(f"{_STOCK_OF} ORDER BY centre_id FOR UPDATE) s", sorted(skus), centre_ids))


async def lock_centre(uow: UnitOfWork, centre_id: UUID) -> list[Stock]:
    """All stock of a centre."""
    return _stock(
        await uow.fetch(
            f"SELECT {STOCK_COLUMNS} FROM stock s WHERE centre_id = $1 ORDER BY sku, centre_id FOR UPDATE",  # noqa: S608
            centre_id,
        )
    )


async def lock_places(uow: UnitOfWork, places: Sequence[Place]) -> list[Stock]:
    return _stock(
        await uow.fetch(
            f"SELECT {STOCK_COLUMNS} FROM stock s JOIN unnest($1::text[], $2::uuid[]) AS p (sku, centre_id)"  # noqa: S608
            " ON (p.sku, p.centre_id) = (s.sku, s.centre_id) ORDER BY s.sku, s.centre_id FOR UPDATE OF s",
            [sku for sku, _ in places],
            [centre_id for _, centre_id in places],
        )
    )


async def make_stock(uow: UnitOfWork, places: Sequence[Place]) -> None:
    """Rows for places that have none, in the order in which everybody locks."""
    await uow.execute(
        "INSERT INTO stock (organization_id, sku, centre_id) SELECT $1, sku, centre_id"
        " FROM unnest($2::text[], $3::uuid[]) AS p (sku, centre_id) WHERE NOT EXISTS"
        "   (SELECT FROM stock s WHERE (s.sku, s.centre_id) = (p.sku, p.centre_id) OFFSET 0)"
        " ORDER BY sku, centre_id ON CONFLICT DO NOTHING",
        uow.organization_id,
        [sku for sku, _ in places],
        [centre_id for _, centre_id in places],
    )


class Written(NamedTuple):
    """How many rows were written, and the kits that have their SKUs in them."""

    rows: int
    kits: list[str]


async def write_stock(uow: UnitOfWork, rows: Sequence[Stock], versions: Sequence[int]) -> Written:
    """Write locked rows whose version is still the given one."""
    columns = zip(
        *(
            (r.sku, r.centre_id, r.on_hand, r.reserved, r.backordered, r.policy, r.counted_at, r.version, version)
            for r, version in zip(rows, versions, strict=True)
        ),
        strict=True,
    )
    row = await uow.fetchrow(_WRITE_STOCK, *map(list, columns))
    assert row is not None
    return Written(row["written"], row["kits"])


# Locked rows stay where they lie. Joined by their keys, all stock is read while statistics are behind.
_WRITE_STOCK = """
WITH written AS (
UPDATE stock s SET on_hand = n.on_hand, reserved = n.reserved, backordered = n.backordered, policy = n.policy,
    counted_at = n.counted_at, version = n.version, updated_at = now()
FROM (
    SELECT n.*, found.place
    FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::text[], $7::timestamptz[],
        $8::bigint[], $9::bigint[])
        AS n (sku, centre_id, on_hand, reserved, backordered, policy, counted_at, version, version_before)
    CROSS JOIN LATERAL (SELECT ctid AS place, version FROM stock
        WHERE sku = n.sku AND centre_id = n.centre_id OFFSET 0) found
    WHERE found.version = n.version_before
) n
WHERE s.ctid = n.place RETURNING s.sku)
SELECT (SELECT count(*) FROM written) AS written,
    ARRAY(SELECT DISTINCT kit_sku FROM kit_units WHERE sku = ANY($1)) AS kits
"""


async def list_skus_of_centre(uow: UnitOfWork, centre_id: UUID) -> list[str]:
    return [row["sku"] for row in await uow.fetch("SELECT sku FROM stock WHERE centre_id = $1 ORDER BY sku", centre_id)]


async def list_skus(uow: UnitOfWork) -> list[str]:
    return [row["sku"] for row in await uow.fetch("SELECT DISTINCT sku FROM stock ORDER BY sku")]
