"""What there is of goods and of what kits are made of, read unlocked in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.inventory.models import Stock
from services.inventory.repository.balances import STOCK_COLUMNS
from services.inventory.repository.kits import Units, grouped
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Supply:
    """`rows` are of the SKUs asked for and of what is in those that are kits; `goods` the latter, by kit.

    `as_of` is the database's clock.
    """

    goods: dict[str, Units]
    rows: list[Stock]
    as_of: datetime


async def find(uow: UnitOfWork, skus: Sequence[str], centre_ids: Sequence[UUID]) -> Supply:
    """Of these SKUs in these centres; of no centre, the kits alone."""
    row = await uow.fetchrow(_FIND, skus, centre_ids)
    assert row is not None
    return Supply(grouped(row["units"]), [Stock(*stock) for stock in row["stock"]], row["as_of"])


# SKU by SKU, through the index: see `balances.py`.
_FIND = f"""
WITH units AS MATERIALIZED (SELECT kit_sku, sku, quantity FROM kit_units WHERE kit_sku = ANY($1::text[])),
wanted AS (SELECT unnest($1::text[]) AS sku UNION SELECT sku FROM units)
SELECT now() AS as_of, ARRAY(SELECT ROW(kit_sku, sku, quantity) FROM units) AS units, ARRAY(
    SELECT ROW({STOCK_COLUMNS}) FROM wanted
    CROSS JOIN LATERAL (SELECT * FROM stock WHERE sku = wanted.sku AND centre_id = ANY($2::uuid[]) OFFSET 0) s
) AS stock
"""  # noqa: S608
