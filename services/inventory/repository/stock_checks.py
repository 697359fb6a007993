"""Stock checks and their rows; a row's figures, as the ledger gives them for the moment of its count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from shared.contracts.inventory.stock_checks import StockCheckRowState
from shared.unit_of_work import UnitOfWork

_CHECK = (
    "SELECT c.*, f.code AS centre, f.removed_at, j.state AS job_state, j.error AS job_error,"
    " a.state AS apply_state, a.error AS apply_error FROM stock_checks c"
    " JOIN fulfilment_centres f ON f.id = c.centre_id JOIN jobs j ON j.id = c.job_id"
    " LEFT JOIN jobs a ON a.id = c.apply_job_id"
)


async def insert(uow: UnitOfWork, values: dict[str, Any]) -> None:
    """Write down a new check."""
    names = ", ".join(values)
    places = ", ".join(f"${place}" for place in range(2, len(values) + 2))
    await uow.execute(
        f"INSERT INTO stock_checks (organization_id, {names}) VALUES ($1, {places})",  # noqa: S608
        uow.organization_id,
        *values.values(),
    )


async def find(uow: UnitOfWork, check_id: UUID, *, for_update: bool = False) -> asyncpg.Record | None:
    """A check with the states of its jobs."""
    if for_update:
        # By itself: who waited here would else see the check as it is now beside the jobs that it had before.
        await uow.execute("SELECT FROM stock_checks WHERE id = $1 FOR UPDATE", check_id)
    return await uow.fetchrow(f"{_CHECK} WHERE c.id = $1", check_id)


async def note_fetched(uow: UnitOfWork, check_id: UUID, key: str) -> None:
    """The file of a check is in the blob store now."""
    await uow.execute("UPDATE stock_checks SET key = $2 WHERE id = $1", check_id, key)


async def list_page(uow: UnitOfWork, centre_id: UUID | None, before: int | None, most: int) -> list[asyncpg.Record]:
    """Newest first."""
    return await uow.fetch(
        f"{_CHECK} WHERE ($1::uuid IS NULL OR c.centre_id = $1) AND ($2::bigint IS NULL OR c.number < $2)"
        " ORDER BY c.number DESC LIMIT $3",
        centre_id,
        before,
        most,
    )


async def list_rows(
    uow: UnitOfWork, check_id: UUID, state: StockCheckRowState | None, after: int, most: int
) -> list[asyncpg.Record]:
    return await uow.fetch(
        "SELECT * FROM stock_check_rows WHERE check_id = $1 AND ($2::text IS NULL OR state = $2) AND number > $3"
        " ORDER BY number LIMIT $4",
        check_id,
        state,
        after,
        most,
    )


# --- rows as they come in


@dataclass(frozen=True)
class CountedRow:
    """A row as it was read; with a `code` it is refused."""

    number: int
    sku: str | None
    counted: int | None
    counted_at: datetime | None
    code: str | None = None
    message: str | None = None


async def add_rows(uow: UnitOfWork, check_id: UUID, rows: Sequence[CountedRow]) -> None:
    columns = zip(*((r.number, r.sku, r.counted, r.counted_at, r.code, r.message) for r in rows), strict=True)
    await uow.execute(
        "INSERT INTO stock_check_rows (organization_id, check_id, number, sku, counted, counted_at, code, message,"
        " state) SELECT $1, $2, r.*, CASE WHEN r.code IS NULL THEN 'read' ELSE 'refused' END FROM unnest($3::integer[],"
        " $4::text[], $5::integer[], $6::timestamptz[], $7::text[], $8::text[])"
        " AS r (number, sku, counted, counted_at, code, message)",
        uow.organization_id,
        check_id,
        *map(list, columns),
    )


async def refuse_doubled(uow: UnitOfWork, check_id: UUID, doubled: Sequence[Sequence[int]]) -> None:
    """Which of several counts of one SKU is right nobody knows, also where one of them cannot be read."""
    named = [(number, ", ".join(map(str, numbers))) for numbers in doubled for number in numbers]
    await uow.execute(
        "UPDATE stock_check_rows r SET state = 'refused', code = 'counted_twice',"
        " message = 'Rows ' || d.numbers || ' are about the same SKU; one count of each is taken.'"
        " FROM unnest($2::integer[], $3::text[]) AS d (number, numbers)"
        " WHERE r.check_id = $1 AND r.number = d.number AND r.state = 'read'",
        check_id,
        [number for number, _ in named],
        [numbers for _, numbers in named],
    )


async def refuse_skus(uow: UnitOfWork, check_id: UUID, skus: Sequence[str], code: str, message: str) -> None:
    await uow.execute(
        "UPDATE stock_check_rows SET state = 'refused', is_chosen = false, code = $3, message = $4"
        " WHERE check_id = $1 AND sku = ANY($2) AND state IN ('read', 'differs')",
        check_id,
        list(skus),
        code,
        message,
    )


async def list_skus(uow: UnitOfWork, check_id: UUID, after: str, most: int) -> list[asyncpg.Record]:
    """SKUs that rows name, in their order, each with the numbers of its rows, and whether a centre ever held it."""
    return await uow.fetch(
        "SELECT g.sku, g.numbers, EXISTS (SELECT FROM stock s WHERE s.sku = g.sku OFFSET 0) AS is_held"
        " FROM (SELECT r.sku, array_agg(r.number ORDER BY r.number) AS numbers FROM stock_check_rows r"
        "   WHERE r.check_id = $1 AND r.sku > $2 GROUP BY r.sku ORDER BY r.sku LIMIT $3) g ORDER BY g.sku",
        check_id,
        after,
        most,
    )


async def find_nameless(uow: UnitOfWork, check_id: UUID) -> int | None:
    """The first row that does not say which SKU it is about."""
    number: int | None = await uow.fetchval(
        "SELECT min(number) FROM stock_check_rows WHERE check_id = $1 AND sku IS NULL", check_id
    )
    return number


async def list_of_centre(
    uow: UnitOfWork, check_id: UUID, centre_id: UUID, after: str, most: int
) -> list[asyncpg.Record]:
    """SKUs that a centre ever held, in their order: whether something is there, and whether a row names it."""
    return await uow.fetch(
        "SELECT s.sku, s.on_hand > 0 AS is_there,"
        " EXISTS (SELECT FROM stock_check_rows r WHERE r.check_id = $1 AND r.sku = s.sku OFFSET 0) AS is_named"
        " FROM (SELECT sku, on_hand FROM stock WHERE centre_id = $2 AND sku > $3 ORDER BY sku LIMIT $4) s"
        " ORDER BY s.sku",
        check_id,
        centre_id,
        after,
        most,
    )


async def add_uncounted(uow: UnitOfWork, check_id: UUID, skus: Sequence[str], after: int, counted_at: datetime) -> None:
    """Rows with nothing, numbered on from `after`."""
    await uow.execute(
        "INSERT INTO stock_check_rows (organization_id, check_id, number, is_uncounted, sku, counted, counted_at,"
        " state) SELECT $1, $2, $4 + n.place, true, n.sku, 0, $5, 'read'"
        " FROM unnest($3::text[]) WITH ORDINALITY AS n (sku, place)",
        uow.organization_id,
        check_id,
        list(skus),
        after,
        counted_at,
    )


async def last_number(uow: UnitOfWork, check_id: UUID) -> int:
    number: int = await uow.fetchval(
        "SELECT coalesce(max(number), 0) FROM stock_check_rows WHERE check_id = $1", check_id
    )
    return number


async def count_rows(uow: UnitOfWork, check_id: UUID) -> int:
    count: int = await uow.fetchval("SELECT count(*) FROM stock_check_rows WHERE check_id = $1", check_id)
    return count


# --- figures


async def list_figures(uow: UnitOfWork, check_id: UUID, after: int, most: int) -> list[asyncpg.Record]:
    """Figures of rows that were read, in the order of their numbers."""
    return await uow.fetch(
        _FIGURES.format(chosen="r.state = 'read' AND r.number > $2 ORDER BY r.number LIMIT $3"), check_id, after, most
    )


async def list_figures_of(uow: UnitOfWork, check_id: UUID, numbers: Sequence[int]) -> list[asyncpg.Record]:
    """Figures of these rows that still differ, as the ledger gives them now."""
    return await uow.fetch(
        _FIGURES.format(chosen="r.state = 'differs' AND r.number = ANY($2)"), check_id, list(numbers)
    )


# What the books had at the moment of the count is what they have now, less what was booked since. Counts and
# corrections are no such bookings: they say what was there at the moment they were counted, and where that is a
# later one, they win. Movements are numbered in the order in which they occurred.
_FIGURES = """
SELECT c.*, coalesce(s.on_hand, 0) AS on_hand_now, coalesce(s.reserved, 0) AS reserved_now,
    s.counted_at AS last_counted_at, coalesce(l.moved, 0)::integer AS moved,
    coalesce(l.movements, 0)::integer AS movements, b.occurred_at AS last_booked_at, clock_timestamp() AS looked_at
FROM (SELECT r.number, r.sku, r.counted, r.counted_at, r.booked, h.centre_id
    FROM stock_check_rows r JOIN stock_checks h ON h.id = r.check_id WHERE r.check_id = $1 AND {chosen}) c
LEFT JOIN stock s ON s.sku = c.sku AND s.centre_id = c.centre_id
LEFT JOIN LATERAL (
    SELECT m.number FROM stock_movements m WHERE m.sku = s.sku AND m.centre_id = s.centre_id
        AND m.occurred_at <= c.counted_at ORDER BY m.number DESC LIMIT 1) t ON true
LEFT JOIN LATERAL (
    SELECT sum(m.on_hand_after - m.on_hand_before) AS moved, count(*) AS movements FROM stock_movements m
    WHERE m.sku = s.sku AND m.centre_id = s.centre_id AND m.number > coalesce(t.number, 0)
        AND m.on_hand_after <> m.on_hand_before AND m.reason <> 'counted' AND m.as_of IS NULL) l ON true
LEFT JOIN LATERAL (
    SELECT m.occurred_at FROM stock_movements m WHERE m.sku = s.sku AND m.centre_id = s.centre_id
        AND m.on_hand_after <> m.on_hand_before ORDER BY m.number DESC LIMIT 1) b ON true
"""


@dataclass(frozen=True)
class JudgedRow:
    """A row with its figures, and what they make of it."""

    number: int
    state: StockCheckRowState
    booked: int
    on_hand: int
    reserved: int
    moved_since: int
    movements_since: int
    booked_at: datetime | None
    compared_at: datetime
    code: str | None = None
    message: str | None = None


async def write_judged(uow: UnitOfWork, check_id: UUID, rows: Sequence[JudgedRow]) -> None:
    """Write the figures of rows; what is not applied waits to be chosen again."""
    if not rows:
        return
    columns = zip(*(tuple(vars(row).values()) for row in rows), strict=True)
    await uow.execute(
        "UPDATE stock_check_rows r SET state = n.state, is_chosen = false, booked = n.booked, on_hand = n.on_hand,"
        " reserved = n.reserved, moved_since = n.moved_since, movements_since = n.movements_since,"
        " booked_at = n.booked_at, compared_at = n.compared_at, code = n.code, message = n.message,"
        " applied_at = CASE WHEN n.state = 'applied' THEN now() END"
        " FROM unnest($2::integer[], $3::text[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],"
        " $8::integer[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[])"
        " AS n (number, state, booked, on_hand, reserved, moved_since, movements_since, booked_at, compared_at, code,"
        " message) WHERE r.check_id = $1 AND r.number = n.number",
        check_id,
        *map(list, columns),
    )


async def write_counts(uow: UnitOfWork, check_id: UUID) -> None:
    """Count the rows of a check once they all have their figures."""
    await uow.execute(_COUNTS, check_id)


_COUNTS = """
UPDATE stock_checks c SET row_count = n.rows, equal = n.equal, differing = n.differing, superseded = n.superseded,
    refused = n.refused, uncounted_rows = n.uncounted, over = n.over, under = n.under, compared_at = now()
FROM (
    SELECT count(*) AS rows, count(*) FILTER (WHERE state = 'equal') AS equal,
        count(*) FILTER (WHERE state = 'differs') AS differing,
        count(*) FILTER (WHERE state = 'superseded') AS superseded,
        count(*) FILTER (WHERE state = 'refused') AS refused,
        count(*) FILTER (WHERE is_uncounted) AS uncounted,
        coalesce(sum(counted - booked) FILTER (WHERE state = 'differs' AND counted > booked), 0) AS over,
        coalesce(sum(booked - counted) FILTER (WHERE state = 'differs' AND counted < booked), 0) AS under
    FROM stock_check_rows WHERE check_id = $1) n
WHERE c.id = $1
"""


async def add_to_counts(uow: UnitOfWork, check_id: UUID, became: Sequence[StockCheckRowState]) -> None:
    """So many rows that differed are now something else, or still differ."""
    await uow.execute(
        "UPDATE stock_checks SET differing = differing - $2 + $3, equal = equal + $4, applied = applied + $5,"
        " superseded = superseded + $6, refused = refused + $7 WHERE id = $1",
        check_id,
        len(became),
        *(became.count(state) for state in ("differs", "equal", "applied", "superseded", "refused")),
    )


# --- choosing


async def choose(uow: UnitOfWork, check_id: UUID, skus: Sequence[str] | None) -> int:
    """Choose rows that differ, these or all, and no others. Returns how many."""
    await uow.execute("UPDATE stock_check_rows SET is_chosen = false WHERE check_id = $1 AND is_chosen", check_id)
    chosen = await uow.execute(
        "UPDATE stock_check_rows SET is_chosen = true WHERE check_id = $1 AND state = 'differs'"
        " AND ($2::text[] IS NULL OR sku = ANY($2))",
        check_id,
        None if skus is None else list(skus),
    )
    return int(chosen.rsplit(" ", 1)[1])


async def list_states(uow: UnitOfWork, check_id: UUID, skus: Sequence[str]) -> dict[str, asyncpg.Record]:
    """What became of these SKUs, as far as a row names them; of a SKU that is counted twice, of one of its rows."""
    rows = await uow.fetch(
        "SELECT sku, state, code FROM stock_check_rows WHERE check_id = $1 AND sku = ANY($2)", check_id, list(skus)
    )
    return {row["sku"]: row for row in rows}


async def count_zeroed(uow: UnitOfWork, check_id: UUID) -> tuple[int, int]:
    """How many SKUs the chosen rows would leave with nothing, and how many have something in the centre."""
    row = await uow.fetchrow(
        "SELECT (SELECT count(*) FROM stock_check_rows WHERE check_id = $1 AND is_chosen AND counted = 0) AS zeroed,"
        " (SELECT count(*) FROM stock s JOIN stock_checks c ON c.centre_id = s.centre_id"
        "   WHERE c.id = $1 AND s.on_hand > 0) AS stocked",
        check_id,
    )
    assert row is not None
    return row["zeroed"], row["stocked"]


async def list_chosen(uow: UnitOfWork, check_id: UUID, most: int) -> list[asyncpg.Record]:
    """Chosen rows that were not applied yet, locked, by SKU."""
    return await uow.fetch(
        "SELECT number, sku FROM stock_check_rows WHERE check_id = $1 AND is_chosen AND state = 'differs'"
        " ORDER BY sku LIMIT $2 FOR UPDATE",
        check_id,
        most,
    )


async def count_chosen(uow: UnitOfWork, check_id: UUID) -> int:
    count: int = await uow.fetchval("SELECT count(*) FROM stock_check_rows WHERE check_id = $1 AND is_chosen", check_id)
    return count
