"""Stock checks over REST: counts in, by rows or as a file; the report out; differences applied."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import unquote
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from gateway.request import Ask, CurrentCaller
from shared import blobs
from shared.bus.ask import Asker
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
    StartStockCheckOfFile,
    StockCheck,
    StockCheckRow,
    StockCheckRowState,
    StockCheckSheet,
    Uncounted,
)
from shared.errors import CrossdockError, IdempotencyKeyReused, ValidationFailed
from shared.identifiers import derived_id, new_id
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["inventory"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Word = Annotated[str | None, Query(min_length=1, max_length=200)]
Percent = Annotated[
    GuardPercent | None,
    Query(description="Share of the stocked SKUs that may become empty without being confirmed."),
    Field(strict=False),
]


class EmptyCount(ValidationFailed):
    """The request had no file in it."""

    title = "The file is empty"


class StockCheckApplied(Shape):
    """Which differences are to be applied: of some SKUs, or every one; and why, as the ledger will say it."""

    skus: Annotated[list[Sku], Field(min_length=1, max_length=10_000)] | None = None
    every_row: bool = False
    reason: Text
    confirm_zeroing: bool = False


_FILE = {"schema": {"type": "string", "format": "binary"}}
_MEDIA_TYPES = (
    "text/csv",
    "application/x-ndjson",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
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
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(_MEDIA_TYPES, _FILE)}},
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

    The body is the file: CSV, NDJSON, a JSON array, Parquet or XLSX, also as the one file of a zip, told apart by its
    content. `counted_at` is when it was counted (now, where it is left out). With `uncounted=zero` the file names all
    that lies there: what it does not name is taken as counted with nothing.
    """
    caller.require("inventory:write")
    assert caller.organization_id is not None
    body = await request.body()
    if not body:
        raise EmptyCount("The request has no content: send the file as its body.")
    sha256 = (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()
    key = _key_of_file(request, caller.organization_id, caller.id, sha256)
    message = StartStockCheckOfFile(
        centre=centre,
        key=key,
        file_name=_plain_name(file_name),
        format=format,
        counted_at=counted_at,
        uncounted=uncounted,
        guard_percent=guard_percent,
        note=note,
    )
    await blobs.put(caller.organization_id, key, body)
    try:
        return _accepted(await ask(message), response)
    except CrossdockError as error:
        # Refused for certain, so nobody will ever read it.
        if error.status in (400, 404, 422) and error.code != IdempotencyKeyReused.code:
            await blobs.delete(caller.organization_id, key)
        raise


def _key_of_file(request: Request, organization_id: UUID, client_id: UUID | None, sha256: str) -> str:
    """The same for the same client, Idempotency-Key and file, so that a repeated upload is the same command."""
    given = request.headers.get("idempotency-key")
    made = derived_id("stock-check", organization_id, client_id, given) if given else new_id()
    return f"stock-checks/{made}/{sha256}"


def _plain_name(name: str | None) -> str | None:
    """The last part of a file name, shortened, without control characters."""
    plain = "".join(c for c in unquote(name or "").replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable())
    return plain[:200] or None


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
    # Asked before the answer begins, so that a refusal is one.
    sheet = await ask(wanted)
    return StreamingResponse(
        _sheets(ask, wanted, sheet),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="stock-check.csv"'},
    )


async def _sheets(ask: Asker, wanted: GetStockCheckSheet, sheet: StockCheckSheet) -> AsyncIterator[str]:
    yield sheet.csv
    while sheet.next is not None:
        sheet = await ask(wanted.model_copy(update={"after": sheet.next}))
        yield sheet.csv


@router.post("/stock-checks/{check_id}/apply", status_code=202)
async def apply_stock_check(check_id: UUID, body: StockCheckApplied, ask: Ask, response: Response) -> StockCheck:
    """Correct the books by the differences of some SKUs, or by every one: each is an adjustment, made once."""
    return _accepted(await ask(ApplyStockCheck(check_id=check_id, **body.model_dump())), response)
