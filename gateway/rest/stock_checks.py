"""Stock checks over REST: counts in, by rows or as a file; the report out; differences applied."""

from typing import Annotated
from urllib.parse import unquote
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from gateway import files, sheets
from gateway.request import Ask, CurrentCaller
from shared.contracts.base import Page, Shape
from shared.contracts.inventory.ledger import Moment, Text
from shared.contracts.inventory.shapes import Sku
from shared.contracts.inventory.stock_checks import (
    ApplyStockCheck,
    GetStockCheck,
    GetStockCheckSheet,
    GuardPercent,
    ListStockCheckRows,
    ListStockChecks,
    StartStockCheck,
    StartStockCheckFromUrl,
    StartStockCheckOfFile,
    StockCheck,
    StockCheckRow,
    StockCheckRowState,
    Uncounted,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["inventory"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Word = Annotated[str | None, Query(min_length=1, max_length=200)]
Percent = Annotated[
    GuardPercent | None,
    Query(description="Share of the stocked SKUs that may become empty without being confirmed."),
    Field(strict=False),
]


class StockCheckApplied(Shape):
    """Which differences are to be applied: of some SKUs, or every one; and why, as the ledger will say it."""

    skus: Annotated[list[Sku], Field(min_length=1, max_length=10_000)] | None = None
    every_row: bool = False
    reason: Text
    confirm_zeroing: bool = False


_MEDIA_TYPES = (
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/zip",
    "application/octet-stream",
)


@router.get("/stock-checks")
async def list_stock_checks(ask: Ask, centre: Word = None, first: First = 50, after: Cursor = None) -> Page[StockCheck]:
    """Stock checks, newest first, of one fulfilment centre or of all."""
    return await ask(ListStockChecks(centre=centre, first=first, after=after))


@router.post("/stock-checks", status_code=202)
async def start_stock_check(message: StartStockCheck, ask: Ask, response: Response) -> StockCheck:
    """Compare up to 10,000 counted rows with the books of a centre. Follow `Location` for the job.

    Nothing is changed until you apply differences of the report. A row that cannot be taken is refused by itself.
    """
    return _accepted(await ask(message), response)


@router.post(
    "/stock-checks/upload",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": files.upload_content(*_MEDIA_TYPES)}},
)
async def start_stock_check_of_file(
    request: Request,
    ask: Ask,
    caller: CurrentCaller,
    response: Response,
    centre: Word = None,
    format: Word = None,
    counted_at: Moment | None = None,
    uncounted: Uncounted = "keep",
    guard_percent: Percent = None,
    note: Word = None,
    file_name: Annotated[str | None, Header(alias="X-File-Name", max_length=600)] = None,
) -> StockCheck:
    """Compare a counted file with the books of a centre: the columns `sku`, `counted`, and perhaps `as_of`, `centre`.

    The file, of up to 1 GB, is the body or comes as multipart: CSV, NDJSON, a JSON array, Parquet or XLSX, also as the
    one file of a zip, told apart by its content. A JSON body `{"url": …}` names one that is fetched over HTTP.
    `counted_at` is when it was counted (now, where it is left out). With `uncounted=zero` the file names all that lies
    there: what it does not name is taken as counted with nothing.
    """
    caller.require("inventory:write")
    assert caller.organization_id is not None
    files.refuse_announced_size(request)
    said = {
        "centre": centre,
        "format": format,
        "counted_at": counted_at,
        "uncounted": uncounted,
        "guard_percent": guard_percent,
        "note": note,
    }
    names_a_file, pieces = await files.opened(request)
    if names_a_file:
        url = await files.address_in(pieces)
        return _accepted(await ask(files.checked(StartStockCheckFromUrl, {**said, "url": url})), response)
    folder = f"stock-checks/{files.upload_id(request, caller, 'stock-check')}"
    key, _, sent_name = await files.store_in(request, pieces, caller.organization_id, folder)
    said |= {"key": key, "file_name": sent_name or files.plain_name(unquote(file_name or ""))}
    async with files.dropped_if_refused(caller.organization_id, key):
        return _accepted(await ask(files.checked(StartStockCheckOfFile, said)), response)


def _accepted(check: StockCheck, response: Response) -> StockCheck:
    response.headers["Location"] = f"/v1/jobs/{check.apply_job_id or check.job_id}"
    return check


@router.get("/stock-checks/{check_id}")
async def get_stock_check(check_id: UUID, ask: Ask) -> StockCheck:
    """One stock check: how far it is, and how many rows agree, differ, were applied or refused."""
    return await ask(GetStockCheck(check_id=check_id))


@router.get("/stock-checks/{check_id}/rows")
async def list_stock_check_rows(
    check_id: UUID, ask: Ask, state: StockCheckRowState | None = None, first: First = 50, after: Cursor = None
) -> Page[StockCheckRow]:
    """The report: each SKU with what was counted and booked, the age of both, what moved since, and which wins."""
    return await ask(ListStockCheckRows(check_id=check_id, state=state, first=first, after=after))


@router.get("/stock-checks/{check_id}/file", response_class=StreamingResponse)
async def download_stock_check(check_id: UUID, ask: Ask, state: StockCheckRowState | None = None) -> StreamingResponse:
    """The report as a CSV file: all rows, or those of one state."""
    wanted = GetStockCheckSheet(check_id=check_id, state=state)
    return await sheets.download(ask, wanted, "stock-check.csv")


@router.post("/stock-checks/{check_id}/apply", status_code=202)
async def apply_stock_check(check_id: UUID, body: StockCheckApplied, ask: Ask, response: Response) -> StockCheck:
    """Correct the books by the differences of some SKUs, or by every one: each is an adjustment, made once."""
    return _accepted(await ask(ApplyStockCheck(check_id=check_id, **body.model_dump())), response)
