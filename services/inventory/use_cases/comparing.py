"""A stock check's job: its counts are read, sorted out, and compared with the ledger, page by page.

    fetch     only where the file is somewhere else: into the blob store
    read      the file, or the rows of the request, as they are; a row that cannot be read is refused by itself
    sort      what is counted twice, is a kit, or is known to nobody is refused, SKU by SKU
    fill      where all was counted, what lies there and no row names becomes a row with nothing
    compare   every row gets its figures (`repository/stock_checks.py`), and the verdict on them

Nothing of stock is changed. Killed at any instant it goes on after its last step, as its checkpoint says.

| heading | what it holds |
|---|---|
| `sku` | the variant |
| `counted` | what is there; also headed `on_hand`, `quantity` or `count` |
| `as_of` | when it was counted, with a time zone, where that is not the moment the check was said to be of |
| `centre` | the centre's code; rows that name another centre are refused |
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.inventory.errors import CentreRemoved, CountIncomplete
from services.inventory.repository import bulk, shop_centres, stock_checks
from services.inventory.repository import kits as kit_queries
from services.inventory.repository.stock_checks import CountedRow, JudgedRow
from services.inventory.use_cases.kits import IS_KIT
from services.inventory.use_cases.stock_rows import CLOCK_SKEW
from shared import blobs, clock
from shared.contracts.catalog.messages import FindProductsOfSkus
from shared.impex import cells
from shared.impex.errors import MissingHeaders
from shared.impex.opening import ReadingOptions, open_source
from shared.impex.source import spooled_stream
from shared.imports.fetching import fetch_into
from shared.imports.tables import Column, TableChunk, TableFile, TableRow
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

ROWS_AT_ONCE = 1000
MOST_COUNTED = 1_000_000_000
_COLUMNS = (
    Column("sku"),
    Column("counted", also=("on_hand", "on hand", "quantity", "count")),
    Column("as_of", also=("counted_at", "as of")),
    Column("centre"),
)
_NAMES = frozenset(column.name for column in _COLUMNS)


async def compare(job: RunningJob) -> None:
    """Raises FileNotFetched, UnreadableFile, CountIncomplete, CentreRemoved."""
    check = await _check(job)
    if check["url"] is not None and check["key"] is None:
        await _fetch(job, check)
        check = await _check(job)
    if "phase" not in job.checkpoint:
        async with job.step():
            job.checkpoint = {"phase": "read"}
    if job.checkpoint["phase"] == "read":
        await _read(job, check)
    if job.checkpoint["phase"] == "sort":
        await _sort(job, check)
    if job.checkpoint["phase"] == "fill":
        await _fill(job, check)
    await _compare(job, check)


async def _check(job: RunningJob) -> asyncpg.Record:
    uow = job.unit_of_work()
    try:
        row = await stock_checks.find(uow, UUID(job.parameters["check_id"]))
    finally:
        await uow.rollback()
    assert row is not None
    return row


# --- fetch


async def _fetch(job: RunningJob, check: asyncpg.Record) -> None:
    """Killed before the file is noted, it is fetched again. Raises FileNotFetched."""
    key = f"stock-checks/{check['id']}/fetched"
    await fetch_into(job.organization_id, key, check["url"])
    async with job.step() as uow:
        await stock_checks.note_fetched(uow, check["id"], key)


# --- read


async def _read(job: RunningJob, check: asyncpg.Record) -> None:
    reading = Reading(check["centre"], check["counted_at"])
    finished = job.checkpoint.get("chunks", 0)
    number = 0
    async with aclosing(_chunks(job, check, reading)) as chunks:
        async for rows in chunks:
            if number >= finished:
                async with job.step() as uow:
                    await stock_checks.add_rows(uow, check["id"], rows)
                    job.checkpoint["chunks"] = number + 1
                    job.done += len(rows)
            number += 1
    async with job.step():
        job.checkpoint = {"phase": "sort", "after": ""}


async def _chunks(job: RunningJob, check: asyncpg.Record, reading: "Reading") -> AsyncGenerator[list[CountedRow], None]:
    if check["rows"] is not None:
        rows = orjson.loads(check["rows"])
        for start in range(0, len(rows), ROWS_AT_ONCE):
            yield [reading.row(n, raw) for n, raw in enumerate(rows[start : start + ROWS_AT_ONCE], start + 1)]
        return
    async with spooled_stream(blobs.get_stream(job.organization_id, check["key"])) as path:
        chunks = await asyncio.to_thread(_opened, path, check)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield reading.chunk(chunk)


def _opened(path: Path, check: asyncpg.Record) -> Iterator[TableChunk]:
    """Raises UnreadableFile, MissingHeaders."""
    source = open_source(path, ReadingOptions(group="stock_checks", format=check["format"]))
    file = TableFile(source, _COLUMNS, "counts", ())
    if missing := {"sku", "counted"} - file.layout.index.keys():
        raise MissingHeaders(f"A counted file needs the columns sku and counted; it has none headed {min(missing)}.")
    return file.chunks(ROWS_AT_ONCE)


class Reading:
    """Reads the rows of a count of `centre` that was taken at `counted_at`."""

    def __init__(self, centre: str, counted_at: datetime) -> None:
        self._centre = centre
        self._counted_at = counted_at
        self._now = clock.now()

    def chunk(self, chunk: TableChunk) -> list[CountedRow]:
        """Rows of a file; those that have another shape than their heading name no SKU."""
        broken = [CountedRow(error.row, None, None, None, error.code, error.message) for error in chunk.errors]
        return sorted([*broken, *map(self._of_table, chunk.items)], key=lambda row: row.number)

    def _of_table(self, item: TableRow) -> CountedRow:
        return self.row(item.row, item.values)

    def row(self, number: int, raw: Any) -> CountedRow:
        """A row with what it says, or with why that cannot be taken."""
        if not isinstance(raw, Mapping):
            return CountedRow(number, None, None, None, "malformed_row", "A row is a JSON object.")
        sku = raw.get("sku")
        if not (isinstance(sku, str) and 0 < len(sku) <= 200 and "\0" not in sku):
            return CountedRow(number, None, None, None, "missing_sku", "The row has no SKU of 1 to 200 characters.")
        try:
            self._check_names(raw)
            counted, counted_at = _count(raw.get("counted")), self._moment(raw.get("as_of"))
        except cells.InvalidCell as fault:
            return CountedRow(number, sku, None, None, fault.code, fault.message)
        return CountedRow(number, sku, counted, counted_at)

    def _check_names(self, raw: Mapping[Any, Any]) -> None:
        if unknown := sorted(map(str, raw.keys() - _NAMES)):
            raise cells.InvalidCell("unknown_field", f"A row has no {unknown[0][:50]!r}.")
        centre = raw.get("centre")
        if centre is not None and centre != self._centre:
            raise cells.InvalidCell("other_centre", f"The row is about another centre than '{self._centre}'.")

    def _moment(self, said: Any) -> datetime:
        if said is None:
            return self._counted_at
        moment = cells.moment(said) if isinstance(said, str) else None
        if moment is None:
            raise cells.InvalidCell("invalid_moment", "as_of is a text like 2026-03-01T09:00:00+01:00.")
        if moment > self._now + CLOCK_SKEW:
            raise cells.InvalidCell("as_of_in_future", "as_of lies in the future.")
        return min(moment, self._now)


def _count(said: Any) -> int:
    """Raises InvalidCell."""
    if said is None:
        raise cells.InvalidCell("missing_count", "The row has no count; nothing that is there is counted as 0.")
    counted = cells.integer(said) if isinstance(said, str) else said
    if not isinstance(counted, int) or isinstance(counted, bool):
        raise cells.InvalidCell("invalid_integer", "counted is a whole number.")
    if not 0 <= counted <= MOST_COUNTED:
        raise cells.InvalidCell("count_out_of_bounds", f"A count is from 0 to {MOST_COUNTED}.")
    return counted


# --- sort


async def _sort(job: RunningJob, check: asyncpg.Record) -> None:
    """Refuse what cannot be compared, by SKU."""
    while skus := await _named(job, check["id"]):
        doubled = [row["numbers"] for row in skus if len(row["numbers"]) > 1]
        strange = [row["sku"] for row in skus if not row["is_held"]]
        unknown = await _unknown(job, strange) if strange else set()
        async with job.step() as uow:
            await stock_checks.refuse_doubled(uow, check["id"], doubled)
            among = await kit_queries.list_kits_among(uow, strange)
            await stock_checks.refuse_skus(uow, check["id"], sorted(among), "is_kit", IS_KIT)
            message = "No product has this SKU, and no centre ever held it."
            await stock_checks.refuse_skus(uow, check["id"], sorted(unknown - among), "sku_not_found", message)
            job.checkpoint["after"] = skus[-1]["sku"]
    async with job.step() as uow:
        last = await stock_checks.last_number(uow, check["id"])
        job.checkpoint = {"phase": "fill", "after": "", "last": last}


async def _named(job: RunningJob, check_id: UUID) -> list[asyncpg.Record]:
    """The next SKUs that rows name."""
    uow = job.unit_of_work()
    try:
        await bulk.look_up_by_keys(uow)
        return await stock_checks.list_skus(uow, check_id, job.checkpoint["after"], ROWS_AT_ONCE)
    finally:
        await uow.rollback()


async def _unknown(job: RunningJob, skus: Sequence[str]) -> set[str]:
    known = await job.unit_of_work().ask(FindProductsOfSkus(skus=list(skus)))
    return set(skus) - known.product_ids.keys()


# --- fill


async def _fill(job: RunningJob, check: asyncpg.Record) -> None:
    """Add a row with nothing for what lies there and no row names, be it refused. Raises CountIncomplete."""
    is_unfinished = check["uncounted"] == "zero"
    while is_unfinished:
        async with job.step() as uow:
            if not job.checkpoint["after"]:
                await _refuse_nameless(uow, check["id"])
            is_unfinished = await _fill_some(uow, job, check)
    async with job.step() as uow:
        job.total = job.done + await stock_checks.count_rows(uow, check["id"])
        job.checkpoint = {"phase": "compare", "after": 0}


async def _refuse_nameless(uow: UnitOfWork, check_id: UUID) -> None:
    """Raises CountIncomplete."""
    if number := await stock_checks.find_nameless(uow, check_id):
        raise CountIncomplete(
            f"Row {number} does not say which SKU it is about, so that one would be taken as nothing."
        )


async def _fill_some(uow: UnitOfWork, job: RunningJob, check: asyncpg.Record) -> bool:
    """Go through some more of the centre's SKUs. Returns whether there are others."""
    await bulk.look_up_by_keys(uow)
    found = await stock_checks.list_of_centre(
        uow, check["id"], check["centre_id"], job.checkpoint["after"], ROWS_AT_ONCE
    )
    skus = [row["sku"] for row in found if row["is_there"] and not row["is_named"]]
    await stock_checks.add_uncounted(uow, check["id"], skus, job.checkpoint["last"], check["counted_at"])
    job.checkpoint["last"] += len(skus)
    if found:
        job.checkpoint["after"] = found[-1]["sku"]
    return len(found) == ROWS_AT_ONCE


# --- compare


async def _compare(job: RunningJob, check: asyncpg.Record) -> None:
    """Raises CentreRemoved."""
    is_unfinished = True
    while is_unfinished:
        async with job.step() as uow:
            await refuse_removed(uow, check)
            await bulk.look_up_by_keys(uow)
            figures = await stock_checks.list_figures(uow, check["id"], job.checkpoint["after"], ROWS_AT_ONCE)
            await stock_checks.write_judged(uow, check["id"], [judge(row) for row in figures])
            job.done += len(figures)
            is_unfinished = len(figures) == ROWS_AT_ONCE
            if figures:
                job.checkpoint["after"] = figures[-1]["number"]
            if not is_unfinished:
                await stock_checks.write_counts(uow, check["id"])
                job.total = job.done


async def refuse_removed(uow: UnitOfWork, check: asyncpg.Record) -> None:
    """Keep the centre from being removed until the end of this transaction. Raises CentreRemoved."""
    if check["centre_id"] not in (await shop_centres.lock_living(uow)).values():
        raise CentreRemoved(f"The centre '{check['centre']}' was removed, and its stock with it.")


def judge(figures: asyncpg.Record) -> JudgedRow:
    """What the ledger's figures make of a count."""
    booked = figures["on_hand_now"] - figures["moved"]
    difference = figures["counted"] - booked
    state: Any = "differs" if difference else "equal"
    code = message = None
    last_count = figures["last_counted_at"]
    if last_count is not None and last_count > figures["counted_at"]:
        state = "superseded"
    elif difference and figures["on_hand_now"] + difference < 0:
        state, code = "refused", "negative_stock"
        message = f"So much has left since the count that {-difference} fewer would be less than nothing: count again."
    return JudgedRow(
        number=figures["number"],
        state=state,
        booked=booked,
        on_hand=figures["on_hand_now"],
        reserved=figures["reserved_now"],
        moved_since=figures["moved"],
        movements_since=figures["movements"],
        booked_at=figures["last_booked_at"],
        compared_at=figures["looked_at"],
        code=code,
        message=message,
    )
