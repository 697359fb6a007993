"""Kits, and the goods they take from centres."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork

Units = dict[str, int]


async def list_units(uow: UnitOfWork, skus: Sequence[str]) -> dict[str, Units]:
    """Of those SKUs that are kits: the goods that one of it takes."""
    return grouped(await uow.fetch("SELECT kit_sku, sku, quantity FROM kit_units WHERE kit_sku = ANY($1)", skus))


async def list_parts(uow: UnitOfWork, skus: Sequence[str]) -> dict[str, Units]:
    """Of those SKUs that are kits: what it was said to be made of."""
    return grouped(await uow.fetch("SELECT kit_sku, sku, quantity FROM kit_parts WHERE kit_sku = ANY($1)", skus))


def grouped(rows: Iterable[Iterable[Any]]) -> dict[str, Units]:
    """By kit, of rows of kit, SKU and quantity."""
    found: dict[str, Units] = {}
    for kit, sku, quantity in rows:
        found.setdefault(kit, {})[sku] = quantity
    return {kit: dict(sorted(units.items())) for kit, units in found.items()}


async def lock_all(uow: UnitOfWork) -> None:
    """Nobody else makes or changes kits until the end of this transaction, nor stock of a SKU that has none yet."""
    await uow.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", _lock_name(uow.organization_id))


async def list_kits_among(uow: UnitOfWork, skus: Sequence[str]) -> set[str]:
    """Those of the SKUs that are kits, and stay what they are until the end of this transaction."""
    await uow.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))", _lock_name(uow.organization_id))
    return {row["sku"] for row in await uow.fetch("SELECT sku FROM kits WHERE sku = ANY($1)", skus)}


def _lock_name(organization_id: UUID) -> str:
    return f"inventory.kits.{organization_id}"


async def list_ancestors(uow: UnitOfWork, sku: str) -> list[str]:
    """The kits that have this SKU in them, however deep."""
    return [row["kit_sku"] for row in await uow.fetch(_ANCESTORS, sku)]


_ANCESTORS = """
WITH RECURSIVE up AS (
    SELECT kit_sku FROM kit_parts WHERE sku = $1 UNION SELECT p.kit_sku FROM kit_parts p JOIN up ON p.sku = up.kit_sku
)
SELECT kit_sku FROM up ORDER BY 1
"""


async def list_kits_with(uow: UnitOfWork, skus: Sequence[str]) -> list[str]:
    """The kits that take goods of these SKUs."""
    rows = await uow.fetch("SELECT DISTINCT kit_sku FROM kit_units WHERE sku = ANY($1) ORDER BY 1", skus)
    return [row["kit_sku"] for row in rows]


async def write_parts(uow: UnitOfWork, sku: str, parts: Units) -> None:
    await uow.execute(
        "INSERT INTO kits (organization_id, sku) VALUES ($1, $2)"
        " ON CONFLICT (organization_id, sku) DO UPDATE SET updated_at = now()",
        uow.organization_id,
        sku,
    )
    await uow.execute("DELETE FROM kit_parts WHERE kit_sku = $1", sku)
    await uow.execute(
        "INSERT INTO kit_parts (organization_id, kit_sku, sku, quantity)"
        " SELECT $1, $2, p.* FROM unnest($3::text[], $4::integer[]) AS p",
        uow.organization_id,
        sku,
        list(parts),
        list(parts.values()),
    )


async def write_units(uow: UnitOfWork, units: Mapping[str, Units]) -> None:
    """The goods of these kits, instead of those known before."""
    await uow.execute("DELETE FROM kit_units WHERE kit_sku = ANY($1)", list(units))
    rows = [(kit, sku, quantity) for kit, goods in units.items() for sku, quantity in goods.items()]
    if rows:
        await uow.execute(
            "INSERT INTO kit_units (organization_id, kit_sku, sku, quantity)"
            " SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::integer[]) AS u",
            uow.organization_id,
            *map(list, zip(*rows, strict=True)),
        )


async def delete(uow: UnitOfWork, sku: str) -> bool:
    await uow.execute("DELETE FROM kit_units WHERE kit_sku = $1", sku)
    await uow.execute("DELETE FROM kit_parts WHERE kit_sku = $1", sku)
    return await uow.execute("DELETE FROM kits WHERE sku = $1", sku) == "DELETE 1"


async def list_page(uow: UnitOfWork, child: str | None, after: str | None, most: int) -> list[asyncpg.Record]:
    return await uow.fetch(
        "SELECT k.sku, k.updated_at FROM kits k WHERE ($1::text IS NULL OR EXISTS"
        "   (SELECT FROM kit_units u WHERE u.kit_sku = k.sku AND u.sku = $1))"
        " AND ($2::text IS NULL OR k.sku > $2) ORDER BY k.sku LIMIT $3",
        child,
        after,
        most,
    )


async def find(uow: UnitOfWork, sku: str) -> asyncpg.Record | None:
    return await uow.fetchrow("SELECT sku, updated_at FROM kits WHERE sku = $1", sku)


async def has_stock(uow: UnitOfWork, sku: str) -> bool:
    found: bool = await uow.fetchval(
        "SELECT EXISTS (SELECT FROM stock WHERE sku = $1 AND (on_hand > 0 OR reserved > 0 OR incoming > 0))", sku
    )
    return found
