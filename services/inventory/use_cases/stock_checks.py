"""Stock checks as people see them: begun, listed, read, applied. The work itself is in `comparing` and `correcting`."""

import csv
import io
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.inventory.errors import (
    CentreNotFound,
    CentreRemoved,
    CountedInFuture,
    NoRows,
    NothingToApply,
    RowsNotApplicable,
    RowsNotChosen,
    StockCheckNotFound,
    StockCheckNotReady,
    TooManyRows,
    TooMuchZeroed,
)
from services.inventory.repository import shop_centres, stock_checks
from services.inventory.use_cases import centres
from services.inventory.use_cases.stock import MOST_ROWS
from services.inventory.use_cases.stock_rows import CLOCK_SKEW
from shared import jobs
from shared.contracts.base import Page
from shared.contracts.inventory.stock_checks import (
    ApplyStockCheck,
    GetStockCheckSheet,
    ListStockCheckRows,
    ListStockChecks,
    StartStockCheck,
    StartStockCheckFromUrl,
    StartStockCheckOfFile,
    StockCheck,
    StockCheckCounts,
    StockCheckRow,
    StockCheckSheet,
    StockCheckState,
)
from shared.contracts.platform.shapes import Actor
from shared.identifiers import new_id
from shared.impex.opening import check_format
from shared.impex.writing_guard import guarded
from shared.imports.fetching import name_in
from shared.pagination import InvalidCursor, cursor_for, cursor_values
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

COMPARE_JOB = "stock_check.compare"
APPLY_JOB = "stock_check.apply"
SHEET_ROWS = 5000
_NAMED_AT_MOST = 100
_WORKING = ("queued", "running")


# --- begun


async def start(uow: UnitOfWork, message: StartStockCheck) -> StockCheck:
    """Compare rows that came with the request. Raises NoRows, TooManyRows, CentreNotFound, CountedInFuture."""
    if not message.rows:
        raise NoRows("Send at least one row.")
    if len(message.rows) > MOST_ROWS:
        raise TooManyRows(f"{len(message.rows)} rows were sent; {MOST_ROWS} at a time, or more as a file.")
    return await _start(uow, message, {"rows": orjson.dumps(message.rows).decode()})


async def start_of_file(uow: UnitOfWork, message: StartStockCheckOfFile) -> StockCheck:
    """Compare a file in the blob store. Raises CentreNotFound, CountedInFuture, UnknownFormat."""
    check_format(message.format)
    return await _start(uow, message, message.model_dump(include={"key", "file_name", "format"}))


async def start_from_url(uow: UnitOfWork, message: StartStockCheckFromUrl) -> StockCheck:
    """Compare a file that the job fetches. Raises CentreNotFound, CountedInFuture, UnknownFormat, InvalidUrl."""
    check_format(message.format)
    counts = {"url": message.url, "file_name": name_in(message.url), "format": message.format}
    return await _start(uow, message, counts)


async def _start(
    uow: UnitOfWork,
    message: StartStockCheck | StartStockCheckOfFile | StartStockCheckFromUrl,
    counts: dict[str, Any],
) -> StockCheck:
    centre_id = await _centre_id(uow, message.centre)
    check_id, caller = new_id(), uow.caller
    job = await jobs.create(uow, COMPARE_JOB, {"check_id": str(check_id)})
    percent = settings().import_guard_percent if message.guard_percent is None else message.guard_percent
    values = {
        "id": check_id,
        "centre_id": centre_id,
        "job_id": job.id,
        "counted_at": await _counted_at(uow, message.counted_at),
        "uncounted": message.uncounted,
        "guard_percent": percent,
        "note": message.note,
        "requested_by": Actor(
            kind=caller.kind, id=caller.id, name=caller.name, address=caller.address
        ).model_dump_json(),
    }
    await stock_checks.insert(uow, values | counts)
    uow.audit("stock_check.start", "stock_check", check_id, after={"centre": str(centre_id), "note": message.note})
    return await get(uow, check_id)


async def _centre_id(uow: UnitOfWork, code: str | None) -> UUID:
    """Raises CentreNotFound."""
    if code is None:
        return await centres.ensure_default(uow)
    living = await shop_centres.lock_living(uow)
    if code not in living:
        raise CentreNotFound(f"There is no fulfilment centre with the code '{code}'.")
    return living[code]


async def _counted_at(uow: UnitOfWork, said: datetime | None) -> datetime:
    """When it was counted, by the clock that the ledger goes by. Raises CountedInFuture."""
    now: datetime = await uow.fetchval("SELECT clock_timestamp()")
    if said is not None and said > now + CLOCK_SKEW:
        raise CountedInFuture("counted_at lies in the future.")
    return now if said is None else min(said, now)


# --- read


async def get(uow: UnitOfWork, check_id: UUID) -> StockCheck:
    """Raises StockCheckNotFound."""
    return _shape(await get_row(uow, check_id))


async def get_row(uow: UnitOfWork, check_id: UUID, *, for_update: bool = False) -> asyncpg.Record:
    """Raises StockCheckNotFound."""
    row = await stock_checks.find(uow, check_id, for_update=for_update)
    if row is None:
        raise StockCheckNotFound("There is no such stock check.")
    return row


async def list_page(uow: UnitOfWork, message: ListStockChecks) -> Page[StockCheck]:
    """Newest first. Raises CentreNotFound."""
    centre_id = None if message.centre is None else await centres.get_id(uow, message.centre)
    before = _number(message.after)
    rows = await stock_checks.list_page(uow, centre_id, before, message.first + 1)
    page = rows[: message.first]
    following = cursor_for(page[-1]["number"]) if len(rows) > message.first else None
    return Page(items=[_shape(row) for row in page], next=following)


async def list_rows(uow: UnitOfWork, message: ListStockCheckRows) -> Page[StockCheckRow]:
    """Raises StockCheckNotFound."""
    await get_row(uow, message.check_id)
    after = _number(message.after) or 0
    rows = await stock_checks.list_rows(uow, message.check_id, message.state, after, message.first + 1)
    page = rows[: message.first]
    following = cursor_for(page[-1]["number"]) if len(rows) > message.first else None
    return Page(items=[_row_shape(row) for row in page], next=following)


async def sheet(uow: UnitOfWork, message: GetStockCheckSheet) -> StockCheckSheet:
    """The report, with headings where it begins. Raises StockCheckNotFound."""
    await get_row(uow, message.check_id)
    after = _number(message.after) or 0
    rows = await stock_checks.list_rows(uow, message.check_id, message.state, after, SHEET_ROWS + 1)
    page = rows[:SHEET_ROWS]
    text = io.StringIO()
    writer = csv.writer(text)
    headings = tuple(StockCheckRow.model_fields)
    if message.after is None:
        writer.writerow(headings)
    for row in page:
        told = _row_shape(row)
        writer.writerow(_cell(getattr(told, name)) for name in headings)
    following = cursor_for(page[-1]["number"]) if len(rows) > SHEET_ROWS else None
    return StockCheckSheet(csv=text.getvalue(), next=following)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return guarded(value) if isinstance(value, str) else value


def _number(cursor: str | None) -> int | None:
    """Raises InvalidCursor."""
    position = cursor_values(cursor, 1)
    if position is None:
        return None
    number = position[0]
    if not isinstance(number, int) or not 0 <= number < 2**31:
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return number


def _shape(row: asyncpg.Record) -> StockCheck:
    state = _state(row)
    error = row["apply_error"] if state in ("compared", "applied") else row["job_error"]
    plain = (
        *("id", "centre", "centre_id", "counted_at", "uncounted", "guard_percent", "note", "file_name", "job_id"),
        *("apply_job_id", "created_at", "compared_at"),
    )
    counts = ("equal", "differing", "applied", "superseded", "refused", "over", "under")
    return StockCheck(
        **{name: row[name] for name in plain},
        state=state,
        counts=StockCheckCounts(
            rows=row["row_count"], uncounted=row["uncounted_rows"], **{name: row[name] for name in counts}
        ),
        requested_by=Actor.model_validate_json(row["requested_by"]),
        error=None if error is None else orjson.loads(error),
    )


def _state(row: asyncpg.Record) -> StockCheckState:
    """As its jobs stand: whoever kills or cancels one changes nothing else."""
    if row["job_state"] != "succeeded":
        ended: dict[str, StockCheckState] = {"failed": "failed", "cancelled": "cancelled"}
        return ended.get(row["job_state"], "comparing")
    if row["apply_state"] in _WORKING:
        return "applying"
    return "applied" if row["applied"] and not row["differing"] else "compared"


def _row_shape(row: asyncpg.Record) -> StockCheckRow:
    same = (
        *("sku", "state", "counted", "booked", "on_hand", "reserved", "moved_since", "movements_since", "counted_at"),
        *("booked_at", "code", "message", "applied_at"),
    )
    has_both = row["counted"] is not None and row["booked"] is not None
    return StockCheckRow(
        **{name: row[name] for name in same},
        row=None if row["is_uncounted"] else row["number"],
        difference=row["counted"] - row["booked"] if has_both else None,
        counted_age_seconds=_age(row["counted_at"], row["compared_at"]),
        booked_age_seconds=_age(row["booked_at"], row["compared_at"]),
        winner={"differs": "count", "applied": "count", "superseded": "books"}.get(row["state"]),
    )


def _age(then: datetime | None, at: datetime | None) -> int | None:
    return None if then is None or at is None else max(int((at - then).total_seconds()), 0)


# --- applied


async def apply(uow: UnitOfWork, message: ApplyStockCheck) -> StockCheck:
    """Choose rows, and leave their correction to a job.

    Raises StockCheckNotFound, StockCheckNotReady, CentreRemoved, RowsNotChosen, RowsNotApplicable, NothingToApply,
    TooMuchZeroed.
    """
    check = await get_row(uow, message.check_id, for_update=True)
    _check_ready(check, message)
    if message.skus is not None:
        await _refuse_others(uow, message.check_id, message.skus)
    if not await stock_checks.choose(uow, message.check_id, message.skus):
        raise NothingToApply("Nothing differs that was not applied before.")
    if not message.confirm_zeroing:
        await _guard(uow, message.check_id, check["guard_percent"])
    job = await jobs.create(uow, APPLY_JOB, {"check_id": str(message.check_id), "reason": message.reason})
    await uow.execute("UPDATE stock_checks SET apply_job_id = $2 WHERE id = $1", message.check_id, job.id)
    uow.audit(
        "stock_check.apply",
        "stock_check",
        message.check_id,
        after={"skus": message.skus, "confirm_zeroing": message.confirm_zeroing},
        reason=message.reason,
    )
    return await get(uow, message.check_id)


def _check_ready(check: asyncpg.Record, message: ApplyStockCheck) -> None:
    state = _state(check)
    if state not in ("compared", "applied"):
        raise StockCheckNotReady(f"The stock check is {state}.")
    if check["removed_at"] is not None:
        raise CentreRemoved(f"The centre '{check['centre']}' was removed, and its stock with it.")
    if (message.skus is None) is not message.every_row:
        raise RowsNotChosen("Name the `skus` to correct, or say `every_row`: one of both.")


async def _refuse_others(uow: UnitOfWork, check_id: UUID, skus: list[str]) -> None:
    """Raises RowsNotApplicable where one of them does not differ."""
    states = await stock_checks.list_states(uow, check_id, skus)
    wrong = [
        {"sku": sku, "state": row and row["state"], "code": row and row["code"]}
        for sku in dict.fromkeys(skus)
        if (row := states.get(sku)) is None or row["state"] != "differs"
    ]
    if wrong:
        raise RowsNotApplicable(f"{len(wrong)} of the SKUs have no difference to apply.", wrong[:_NAMED_AT_MOST])


async def _guard(uow: UnitOfWork, check_id: UUID, percent: int) -> None:
    """Raises TooMuchZeroed."""
    zeroed, stocked = await stock_checks.count_zeroed(uow, check_id)
    if percent < 100 and zeroed * 100 > percent * stocked:
        raise TooMuchZeroed(
            f"{zeroed} of {stocked} stocked SKUs would have nothing left, more than {percent} %: look at the count, and"
            " say confirm_zeroing where it is meant.",
            [{"zeroed": zeroed, "stocked": stocked, "guard_percent": percent}],
        )
