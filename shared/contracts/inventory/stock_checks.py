"""Stock checks: what was counted in a centre against what the books say was there, and corrections of the books."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.inventory.ledger import Moment, Text
from shared.contracts.inventory.shapes import Sku
from shared.contracts.platform.shapes import Actor
from shared.pagination import First

StockCheckState = Literal["comparing", "compared", "applying", "applied", "failed", "cancelled"]
StockCheckRowState = Literal["read", "equal", "differs", "applied", "superseded", "refused"]
StockCheckWinner = Literal["count", "books"]
Uncounted = Literal["keep", "zero"]
GuardPercent = Annotated[int, Field(ge=0, le=100)]


class StockCheckCounts(Shape):
    """How many rows a check has of each kind. `over` and `under`: units that were found, and that were missing."""

    rows: int
    equal: int
    differing: int
    applied: int
    superseded: int
    refused: int
    uncounted: int
    over: int
    under: int


class StockCheck(Shape):
    """A count of one centre, compared with its books.

    `comparing` until its rows have their figures; then `compared`, with differences that can be applied, or `applied`
    where none is left. `uncounted` says what of SKUs that no row names: *keep* leaves them out, *zero* takes them as
    counted with nothing. `counted_at` is when it was counted, where a row says nothing else. `job_id` compares;
    `apply_job_id` is the latest that applied. `error` says why the latest of them failed.
    """

    id: UUID
    centre: str
    centre_id: UUID
    state: StockCheckState
    counted_at: datetime
    uncounted: Uncounted
    guard_percent: int
    note: str | None
    file_name: str | None
    counts: StockCheckCounts
    requested_by: Actor
    job_id: UUID
    apply_job_id: UUID | None
    error: dict[str, Any] | None
    created_at: datetime
    compared_at: datetime | None


class StockCheckRow(Shape):
    """A SKU of a check: `counted` against `booked`, which is what the books say was on hand when it was counted.

    `difference` is counted minus booked: what applying adds. What was booked since the count (`movements_since`
    movements that make `moved_since` units) stays booked; `on_hand` and `reserved` are as they were when it was
    compared. The ages, in seconds at that moment, are those of the count and of the latest change of the books.
    `winner`: the count, or the books where a later count is known (*superseded*); nobody where both agree. A *refused*
    row has a `code` and is never applied. `row` is its number in the file; null for what no row names.
    """

    row: int | None
    sku: str | None
    state: StockCheckRowState
    counted: int | None
    booked: int | None
    difference: int | None
    on_hand: int | None
    reserved: int | None
    moved_since: int | None
    movements_since: int | None
    counted_at: datetime | None
    booked_at: datetime | None
    counted_age_seconds: int | None
    booked_age_seconds: int | None
    winner: StockCheckWinner | None
    code: str | None
    message: str | None
    applied_at: datetime | None


class StartStockCheck(Command[StockCheck]):
    """Compare counts with the books of a centre (the default one where none is named), up to 10,000 rows.

    A row is `{sku, counted, as_of?}`. Nothing is changed: a job makes the report, whose differences you apply. A SKU
    that is counted twice is refused in both rows. Refused with `centre_not_found` (404), `no_rows` (422),
    `too_many_rows` (413), `counted_in_future` (422).
    """

    centre: Text | None = None
    rows: list[Any]
    counted_at: Moment | None = None
    uncounted: Uncounted = "keep"
    guard_percent: GuardPercent | None = None
    note: Text | None = None


class StartStockCheckOfFile(Command[StockCheck]):
    """Compare a counted file with the books of a centre: the columns `sku`, `counted` and perhaps `as_of`, `centre`.

    Refused with `centre_not_found` (404), `counted_in_future`, `unknown_format` (422).
    """

    centre: Text | None = None
    key: str
    file_name: str | None = None
    format: Text | None = None
    counted_at: Moment | None = None
    uncounted: Uncounted = "keep"
    guard_percent: GuardPercent | None = None
    note: Text | None = None


class StartStockCheckFromUrl(Command[StockCheck]):
    """Fetch a counted file over HTTP or HTTPS, and compare it as one that is uploaded. The job fetches it.

    Refused with `invalid_url`, and with what an upload is refused with. What the address does not give the job fails
    with, as `file_not_fetched`.
    """

    centre: Text | None = None
    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    format: Text | None = None
    counted_at: Moment | None = None
    uncounted: Uncounted = "keep"
    guard_percent: GuardPercent | None = None
    note: Text | None = None


class GetStockCheck(Query[StockCheck]):
    """One stock check. Refused with `stock_check_not_found` (404)."""

    check_id: UUID


class ListStockChecks(Query[Page[StockCheck]]):
    """Stock checks, newest first, of one centre or of all. Refused with `centre_not_found` (404)."""

    centre: Text | None = None
    first: First = 50
    after: str | None = None


class ListStockCheckRows(Query[Page[StockCheckRow]]):
    """The report of a stock check, in the order of its rows. Refused with `stock_check_not_found` (404)."""

    check_id: UUID
    state: StockCheckRowState | None = None
    first: First = 50
    after: str | None = None


class StockCheckSheet(Shape):
    """Rows of a CSV file with headings; `next` is the cursor of the rows that follow, without headings."""

    csv: str
    next: str | None = None


class GetStockCheckSheet(Query[StockCheckSheet]):
    """The report of a stock check as CSV, some thousand rows at a time. Refused with `stock_check_not_found` (404)."""

    timeout_seconds = 30.0
    check_id: UUID
    state: StockCheckRowState | None = None
    after: str | None = None


class ApplyStockCheck(Command[StockCheck]):
    """Correct the books by the differences of some SKUs, or of all that differ; `reason` stands in the ledger.

    A job adds each difference once, as an adjustment. Where the books came to say something else about the moment of
    the count, the row is told anew instead and waits for another look. Refused with `stock_check_not_found` (404),
    `stock_check_not_ready` (409) while it is compared or applied, `rows_not_chosen` (422) unless either `skus` or
    `every_row` is given, `rows_not_applicable` (409, an entry per SKU), `nothing_to_apply` (409), `centre_removed`
    (409), and `too_much_zeroed` (409) where more than the check's share of the stocked SKUs would become empty and
    `confirm_zeroing` does not say that it is meant.
    """

    check_id: UUID
    skus: Annotated[list[Sku], Field(min_length=1, max_length=10_000)] | None = None
    every_row: bool = False
    reason: Text
    confirm_zeroing: bool = False
