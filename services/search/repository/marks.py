"""What must be built anew of offers: marks of products, by shop (`mark_table.py`)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.search.repository.mark_table import MarkTable, next_version
from services.search.settings import search_settings
from shared.unit_of_work import UnitOfWork

__all__ = ["MARKS", "next_version"]

# What changes so many products at once is bulk work: single changes are built before it.
_BULK = 100
MARKS: MarkTable[UUID] = MarkTable("marks", "shop_id", "product_id", part="of_stock")
list_due, settle, settle_part = MARKS.list_due, MARKS.settle, MARKS.settle_part
note_failure, merge = MARKS.note_failure, MARKS.merge


async def leave(
    uow: UnitOfWork, product_ids: Sequence[UUID], shop_ids: Sequence[UUID] | None = None, *, of_stock: bool = False
) -> list[UUID]:
    """Mark products in these shops, or in all; `of_stock` where only stock changed. Returns the shops."""
    rows = await uow.fetch(
        f"{_MARK} unnest($6::uuid[]) AS p (id) {_WHERE}",
        uow.organization_id,
        len(product_ids) > _BULK,
        None if shop_ids is None else list(shop_ids),
        of_stock,
        uow.written_at,
        list(set(product_ids)),
    )
    return [row["shop_id"] for row in rows]


async def leave_all(uow: UnitOfWork, shop_ids: Sequence[UUID] | None = None) -> list[UUID]:
    """Mark every product that was ever heard of. Returns the shops."""
    rows = await uow.fetch(
        f"{_MARK} products p {_WHERE}",
        uow.organization_id,
        True,
        None if shop_ids is None else list(shop_ids),
        False,
        uow.written_at,
    )
    return [row["shop_id"] for row in rows]


_MARK = (
    "WITH marked AS (INSERT INTO marks (organization_id, shop_id, product_id, is_bulk, of_stock, marked_at)"
    " SELECT $1::uuid, s.id, p.id, $2::boolean, $4::boolean, coalesce($5::timestamptz, now())"
    " FROM shops s CROSS JOIN"
)
_WHERE = (
    "WHERE NOT s.is_removed AND ($3::uuid[] IS NULL OR s.id = ANY($3)) RETURNING shop_id)"
    " SELECT DISTINCT shop_id FROM marked"
)


async def is_load_arriving(uow: UnitOfWork, shop_id: UUID) -> bool:
    """Whether so much bulk work waits that none of it is there in a second anyway, while more comes.

    Not any more once some of it has waited for too long.
    """
    settings = search_settings()
    return bool(
        await uow.fetchval(
            f"SELECT EXISTS ({_BULK_DUE} LIMIT 1 OFFSET $2)"
            f" AND ({_BULK_DUE} DESC LIMIT 1) > now() - make_interval(secs => $3)"
            f" AND ({_BULK_DUE} LIMIT 1) > now() - make_interval(secs => $4)",
            shop_id,
            settings.bulk_load,
            settings.bulk_pause_seconds,
            settings.bulk_wait_seconds,
        )
    )


_BULK_DUE = "SELECT due_at FROM marks WHERE shop_id = $1 AND is_bulk AND due_at <= now() ORDER BY due_at"


async def leave_for_later(uow: UnitOfWork, shop_id: UUID, due: Sequence[tuple[UUID, datetime]]) -> None:
    """Mark products for the moment a date changes them. What was left for later before is to be settled first."""
    await uow.execute(
        "INSERT INTO marks (organization_id, shop_id, product_id, is_bulk, marked_at, due_at)"
        " SELECT $1, $2, product_id, true, due_at, due_at"
        " FROM unnest($3::uuid[], $4::timestamptz[]) AS d (product_id, due_at)",
        uow.organization_id,
        shop_id,
        [product_id for product_id, _ in due],
        [due_at for _, due_at in due],
    )


async def list_left_behind(uow: UnitOfWork, seconds: float) -> list[tuple[UUID, UUID]]:
    """Shops, of any organization, with marks that nobody built for so long. Across tenants."""
    rows = await uow.fetch(
        "SELECT i.organization_id, i.shop_id FROM indexes i WHERE EXISTS (SELECT FROM marks m"
        " WHERE (m.organization_id, m.shop_id) = (i.organization_id, i.shop_id)"
        " AND m.is_bulk = ANY('{false,true}') AND m.due_at <= now() - make_interval(secs => $1) OFFSET 0)",
        seconds,
    )
    return [(row["organization_id"], row["shop_id"]) for row in rows]


async def is_marked(uow: UnitOfWork, shop_id: UUID, product_id: UUID) -> bool:
    return bool(
        await uow.fetchval(
            "SELECT EXISTS (SELECT FROM marks WHERE shop_id = $1 AND product_id = $2 AND due_at <= now())",
            shop_id,
            product_id,
        )
    )


async def marked_among(uow: UnitOfWork, shop_id: UUID, product_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these products that wait to be built, or keep failing."""
    rows = await uow.fetch(
        "SELECT asked.id FROM unnest($2::uuid[]) AS asked (id) WHERE EXISTS (SELECT FROM marks"
        " WHERE shop_id = $1 AND product_id = asked.id AND (due_at <= now() OR failures > 0))",
        shop_id,
        list(product_ids),
    )
    return {row["id"] for row in rows}
