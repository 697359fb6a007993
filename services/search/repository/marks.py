"""What must be built anew. A mark stays until what it stands for is in the documents.

Marks are only added and taken away, so that nobody who leaves one waits for anybody else. A product may have several:
each has a version of its own, given out in the order of time. Who builds takes a version first and asks then, so a
build of version n covers all marks before n, and takes away just those; a mark that is left meanwhile is after n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.search.settings import search_settings
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Mark:
    """A product that is to be built, and the first moment that it was marked at of those that are due."""

    product_id: UUID
    marked_at: datetime


# What changes so many products at once is bulk work: single changes are built before it.
_BULK = 100
# Of a product that is marked over and over all marks are taken away at once; no more than this are looked through.
_MARKS_PER_PRODUCT = 10


async def leave(uow: UnitOfWork, product_ids: Sequence[UUID], shop_ids: Sequence[UUID] | None = None) -> list[UUID]:
    """Mark products in these shops, or in all. Returns the shops."""
    rows = await uow.fetch(
        f"{_MARK} unnest($4::uuid[]) AS p (id) {_WHERE}",
        uow.organization_id,
        len(product_ids) > _BULK,
        None if shop_ids is None else list(shop_ids),
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
    )
    return [row["shop_id"] for row in rows]


_MARK = (
    "WITH marked AS (INSERT INTO marks (organization_id, shop_id, product_id, is_bulk)"
    " SELECT $1::uuid, s.id, p.id, $2::boolean FROM shops s CROSS JOIN"
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


async def list_due(uow: UnitOfWork, shop_id: UUID, most: int, *, with_bulk: bool = True) -> list[Mark]:
    """Products whose time has come, those that were marked first before others, bulk work after everything else."""
    rows = await uow.fetch(
        "SELECT product_id, min(marked_at) AS marked_at FROM ("
        "  SELECT product_id, marked_at, is_bulk, due_at FROM marks WHERE shop_id = $1 AND due_at <= now()"
        "  AND ($4 OR NOT is_bulk) ORDER BY is_bulk, due_at LIMIT $2) m"
        " GROUP BY product_id ORDER BY bool_and(is_bulk), min(due_at) LIMIT $3",
        shop_id,
        most * _MARKS_PER_PRODUCT,
        most,
        with_bulk,
    )
    return [Mark(*row.values()) for row in rows]


async def next_version(uow: UnitOfWork) -> int:
    """A number greater than any given before: who takes it later has seen at least as much."""
    version: int = await uow.fetchval("SELECT nextval('mark_versions')")
    return version


async def settle(uow: UnitOfWork, shop_id: UUID, product_ids: Sequence[UUID], built: int) -> None:
    """Take away the marks of these products that a build of version `built` covers, also those for a later date."""
    await uow.execute(
        "DELETE FROM marks WHERE shop_id = $1 AND product_id = ANY($2) AND version < $3",
        shop_id,
        list(product_ids),
        built,
    )


async def leave_for_later(uow: UnitOfWork, shop_id: UUID, due: Sequence[tuple[UUID, datetime]]) -> None:
    """Mark products for the moment a date changes them. What was left for later before is to be settled first."""
    await uow.execute(
        "INSERT INTO marks (organization_id, shop_id, product_id, is_bulk, due_at)"
        " SELECT $1, $2, product_id, true, due_at FROM unnest($3::uuid[], $4::timestamptz[]) AS d (product_id, due_at)",
        uow.organization_id,
        shop_id,
        [product_id for product_id, _ in due],
        [due_at for _, due_at in due],
    )


async def note_failure(uow: UnitOfWork, shop_id: UUID, product_id: UUID, built: int, error: str) -> None:
    """Try a product again later, and later each time: one mark for all that the failed build would have covered."""
    await uow.execute(
        "WITH covered AS (DELETE FROM marks WHERE shop_id = $2 AND product_id = $3 AND version < $4"
        "   RETURNING is_bulk, marked_at, failures)"
        " INSERT INTO marks (organization_id, shop_id, product_id, is_bulk, marked_at, failures, last_error, due_at)"
        " SELECT $1, $2, $3, bool_and(is_bulk), min(marked_at), max(failures) + 1, $5,"
        "   now() + make_interval(secs => least(600, power(2, max(failures) + 1)))"
        " FROM covered HAVING count(*) > 0",
        uow.organization_id,
        shop_id,
        product_id,
        built,
        error[:2000],
    )


async def merge(uow: UnitOfWork) -> None:
    """Leave one due mark of those that a product has in a shop, the last, where nobody builds it. Across tenants.

    The last, because a build that has begun covers only earlier ones; it is as old and as urgent as they were. Marks
    that somebody is just taking away are passed over, and bulk work that may only be waiting for its turn.
    """
    # The table is empty most of the time, and so it is to the planner: row by row, 10,000 marks take a minute.
    await uow.execute("SET LOCAL enable_nestloop = off")
    await uow.execute(_MERGE)


_MERGE = """
WITH several AS (
    SELECT organization_id, shop_id, product_id FROM marks
    WHERE due_at <= now() - CASE WHEN is_bulk THEN interval '10 minutes' ELSE '0' END
    GROUP BY 1, 2, 3 HAVING count(*) > 1
), held AS (
    SELECT m.* FROM marks m JOIN several USING (organization_id, shop_id, product_id) WHERE m.due_at <= now()
    FOR UPDATE OF m SKIP LOCKED
), merging AS (
    SELECT organization_id, shop_id, product_id, version, max(version) OVER w AS last,
        min(marked_at) OVER w AS marked_at, min(due_at) OVER w AS due_at, bool_and(is_bulk) OVER w AS is_bulk,
        max(failures) OVER w AS failures
    FROM held WINDOW w AS (PARTITION BY organization_id, shop_id, product_id)
), gone AS (
    DELETE FROM marks m USING merging g
    WHERE (m.organization_id, m.shop_id, m.product_id, m.version)
        = (g.organization_id, g.shop_id, g.product_id, g.version) AND g.version < g.last
)
UPDATE marks m SET marked_at = l.marked_at, due_at = l.due_at, is_bulk = l.is_bulk, failures = l.failures FROM merging l
WHERE (m.organization_id, m.shop_id, m.product_id, m.version)
    = (l.organization_id, l.shop_id, l.product_id, l.version) AND l.version = l.last
"""


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
