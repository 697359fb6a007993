"""Imports over REST: files in, by upload or by address, and all that came of them."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from gateway import files
from gateway.request import Ask, CurrentCaller
from shared.bus.ask import Asker
from shared.bus.envelope import Caller
from shared.contracts.accounts.lists import ListImports
from shared.contracts.base import Page
from shared.contracts.catalog.drop_folders import DropFolder, ListDropFolders, SetDropFolder
from shared.contracts.platform import imports as messages
from shared.contracts.platform.imports import (
    GuardPercent,
    Import,
    ImportConflict,
    ImportFromUrl,
    ImportRemark,
    ImportSample,
    ImportState,
    MissingPolicy,
    OnError,
    SampleKind,
    StartImport,
)
from shared.identifiers import derived_id
from shared.measures import WeightUnit
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["imports"])

After = Annotated[str | None, Query(description="The `next` of the page before.")]
Word = Annotated[str | None, Query(max_length=100)]


_MEDIA_TYPES = (
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/zip",
    "application/octet-stream",
)


@router.post(
    "/imports",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": files.upload_content(*_MEDIA_TYPES)}},
)
async def start_import(
    request: Request,
    ask: Ask,
    caller: CurrentCaller,
    response: Response,
    group: Annotated[str, Query(max_length=100)] = "products",
    profile: Word = None,
    mode: Annotated[str, Query(max_length=100)] = "merge",
    missing: MissingPolicy = "keep",
    on_error: OnError = "skip",
    format: Word = None,
    encoding: Word = None,
    delimiter: Word = None,
    sheet: Word = None,
    guard_percent: GuardPercent | None = None,
    dry_run: bool = False,
    shop: Word = None,
    weight_unit: WeightUnit | None = None,
    media_base_url: Annotated[str | None, Query(max_length=1000)] = None,
    time_zone: Word = None,
    rerun_of: UUID | None = None,
) -> Import:
    """Upload a file of up to 1 GB, as the body or as multipart, and import it in the background; or give its address.

    `group` is `products` (with variants, categories, prices and stock), `prices`, `variants`, `categories`, `stock`,
    `channel-content` (of the shop or connection that a column names, else of `shop`), `customers`, `suppliers`,
    `supplier-links` or `orders` (a row per line, of an order connection that a column names).
    `profile` is `shopify`, `woocommerce`, `magento`, `supplier` or `crossdock`, by the headings when it is not named.
    Prices go to the price list of `shop`, orders to its connections. CSV, NDJSON, JSON arrays, Parquet and XLSX, each
    also as the one file of a zip, are told apart by their content unless `format` says otherwise, as are encoding and
    delimiter; `sheet` names a workbook's sheet. What files of some platforms leave open: `weight_unit` of weights
    without one (magento, supplier), `media_base_url`, below which paths of pictures lie (magento), and the `time_zone`
    of dates, as `Europe/Lisbon` (woocommerce, magento; universal time by default).

    `mode`: `merge` (an empty cell says nothing), `insert-only`, `update-only`, `replace` (an empty cell empties its
    field; what the file does not name is kept, or with `missing=archive` archived), `delete` (what the rows name goes:
    products are archived, suppliers no longer active). A file that replaces stock is a count of the whole of each
    centre it names, one of supplier links all that each supplier it names supplies: what it does not name there is
    zero, or goes, unless a row of it was refused. A mode that a group does not have is refused with the reason. With
    `on_error=abort` nothing is taken when one row cannot be. An import that would take away more than `guard_percent`
    of what is there is `held` until it is confirmed. A dry run counts what would happen, shows samples of it, and
    changes nothing. `rerun_of` says whose corrected error file this is.

    A JSON body `{"url": …}` names a file that is fetched over HTTP. Follow `Location` for the job, and
    `GET /v1/imports/{id}` for what came of it.
    """
    options = {
        "group": group,
        "profile": profile,
        "mode": mode,
        "missing": missing,
        "on_error": on_error,
        "format": format,
        "encoding": encoding,
        "delimiter": delimiter,
        "sheet": sheet,
        "guard_percent": guard_percent,
        "dry_run": dry_run,
        "shop": shop,
        "weight_unit": weight_unit,
        "media_base_url": media_base_url,
        "time_zone": time_zone,
    }
    caller.require(f"{messages.service_of_group(group)}:write")
    files.refuse_announced_size(request)
    names_a_file, pieces = await files.opened(request)
    if names_a_file:
        url = await files.address_in(pieces)
        started = await ask(files.checked(ImportFromUrl, {**options, "url": url}))
    else:
        started = await _upload(request, pieces, ask, caller, options, rerun_of)
    response.headers["Location"] = f"/v1/jobs/{started.job_id}"
    return started


async def _upload(
    request: Request,
    pieces: AsyncIterator[bytes],
    ask: Asker,
    caller: Caller,
    options: dict[str, Any],
    rerun_of: UUID | None,
) -> Import:
    assert caller.organization_id is not None
    import_id = _import_id(request, options["group"], caller.organization_id, caller.id)
    key, stored, file_name = await files.store_in(request, pieces, caller.organization_id, f"imports/{import_id}")
    async with files.dropped_if_refused(caller.organization_id, key):
        message = files.checked(
            StartImport,
            {
                **options,
                "import_id": import_id,
                "key": key,
                "size": stored.size,
                "sha256": stored.sha256,
                "file_name": file_name,
                "origin": "upload" if caller.kind == "user" else "api",
                "rerun_of": rerun_of,
            },
        )
        return await ask(message)


def _import_id(request: Request, group: str, organization_id: UUID, client_id: UUID | None) -> UUID:
    """The same for the same client and Idempotency-Key, so that a repeated upload is the same command."""
    key = request.headers.get("idempotency-key")
    return messages.import_id_for(group, derived_id("import", organization_id, client_id, key) if key else None)


# --- what came of them


@router.get("/imports")
async def list_imports(
    ask: Ask,
    group: Word = None,
    state: ImportState | None = None,
    shop: Word = None,
    requested_by: UUID | None = None,
    first: First = 50,
    after: After = None,
) -> Page[Import]:
    """Every file that came in, by whatever way, and what came of it, newest first."""
    return await ask(
        ListImports(group=group, state=state, shop=shop, requested_by=requested_by, first=first, after=after)
    )


@router.get("/imports/{import_id}")
async def get_import(import_id: UUID, ask: Ask) -> Import:
    """One import: its state and how many things it inserted, updated, left as they were, or refused."""
    return await ask(messages.GetImport(import_id=import_id))


@router.get("/imports/{import_id}/remarks")
async def list_import_remarks(
    import_id: UUID, ask: Ask, kind: Literal["error", "notice"] = "error", first: First = 50, after: After = None
) -> Page[ImportRemark]:
    """What was wrong with single rows, or was done to them that you should know, such as SKUs that were made."""
    return await ask(messages.ListImportRemarks(import_id=import_id, kind=kind, first=first, after=after))


@router.get("/imports/{import_id}/samples")
async def list_import_samples(
    import_id: UUID, ask: Ask, kind: SampleKind | None = None, first: First = 50, after: After = None
) -> Page[ImportSample]:
    """Some of what a dry run would insert, update (each field before and after), skip and delete."""
    return await ask(messages.ListImportSamples(import_id=import_id, kind=kind, first=first, after=after))


@router.get("/imports/{import_id}/errors", response_class=StreamingResponse)
async def download_import_errors(import_id: UUID, ask: Ask, caller: CurrentCaller) -> StreamingResponse:
    """The refused rows in the format you uploaded, each with its reason: correct them and upload the file again."""
    file = await ask(messages.GetImportErrorFile(import_id=import_id))
    return files.download(caller, file)


@router.get("/imports/{import_id}/file", response_class=StreamingResponse)
async def download_import_file(import_id: UUID, ask: Ask, caller: CurrentCaller) -> StreamingResponse:
    """The file as it came."""
    file = await ask(messages.GetImportFile(import_id=import_id))
    return files.download(caller, file)


@router.get("/imports/{import_id}/conflicts", response_model=Page[ImportConflict])
async def list_import_conflicts(
    import_id: UUID, ask: Ask, request: Request, first: First = 50, after: After = None
) -> Page[ImportConflict] | Response:
    """What the undoing of an import left as it is, because somebody touched it since. `Accept: text/csv`: as a file."""
    message = messages.ListImportConflicts(import_id=import_id, first=first, after=after)
    if "text/csv" in request.headers.get("accept", ""):
        return await _conflicts_file(ask, message)
    return await ask(message)


async def _conflicts_file(ask: Asker, message: messages.ListImportConflicts) -> Response:
    first_page = await ask(message.model_copy(update={"first": 200, "after": None}))

    async def lines() -> AsyncIterator[str]:
        page = first_page
        yield _csv([list(ImportConflict.model_fields)])
        while True:
            yield _csv([_cells(conflict) for conflict in page.items])
            if page.next is None:
                return
            page = await ask(message.model_copy(update={"first": 200, "after": page.next}))

    headers = {"Content-Disposition": 'attachment; filename="conflicts.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _cells(conflict: ImportConflict) -> list[str]:
    """Cells that a spreadsheet would take for a formula begin with an apostrophe."""
    values = conflict.model_dump(mode="json").values()
    cells = ["" if v is None else v if isinstance(v, str) else orjson.dumps(v).decode() for v in values]
    return [f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell for cell in cells]


def _csv(rows: list[list[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


# --- what is done about them


@router.post("/imports/{import_id}/apply", status_code=202)
async def apply_import(import_id: UUID, ask: Ask, response: Response) -> Import:
    """Import the file of a dry run for real, with the same options. Answers the new import."""
    return _accepted(await ask(messages.ApplyImport(import_id=import_id)), response)


@router.post("/imports/{import_id}/confirm", status_code=202)
async def confirm_import(import_id: UUID, ask: Ask, response: Response) -> Import:
    """Let a `held` import go on: yes, it is to take away as much as `harms` says."""
    return _accepted(await ask(messages.ConfirmImport(import_id=import_id)), response)


@router.post("/imports/{import_id}/rerun", status_code=202)
async def rerun_import(import_id: UUID, ask: Ask, response: Response) -> Import:
    """Import the refused rows once more, as they were: for rows that came too early. Answers the new import.

    Corrected rows are uploaded: `POST /v1/imports?rerun_of=…` with the error file as its body.
    """
    return _accepted(await ask(messages.RerunImport(import_id=import_id)), response)


@router.post("/imports/{import_id}/undo", status_code=202)
async def undo_import(import_id: UUID, ask: Ask, response: Response) -> Import:
    """Take back what an import wrote. What somebody touched since stays, and is listed under `conflicts`.

    Stock is never taken back: where the import brought some, `undo.notes` says so.
    """
    undone = await ask(messages.UndoImport(import_id=import_id))
    assert undone.undo is not None
    response.headers["Location"] = f"/v1/jobs/{undone.undo.job_id}"
    return undone


def _accepted(imported: Import, response: Response) -> Import:
    response.headers["Location"] = f"/v1/jobs/{imported.job_id}"
    return imported


# --- drop folders


@router.get("/drop-folders")
async def list_drop_folders(ask: Ask, first: First = 50, after: After = None) -> Page[DropFolder]:
    """The folders of your shops whose files are imported by themselves, each with its rules."""
    return await ask(ListDropFolders(first=first, after=after))


@router.put("/drop-folders")
async def set_drop_folder(folder: SetDropFolder, ask: Ask) -> DropFolder:
    """Set the rules of a shop's drop folder, in their order: the first whose pattern fits a file's name is its."""
    return await ask(SetDropFolder(shop=folder.shop, rules=folder.rules))
