"""Exports over REST: started, followed, downloaded."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from gateway import files
from gateway.request import Ask, CurrentCaller
from shared.contracts.base import Page
from shared.contracts.catalog import exports as messages
from shared.contracts.catalog.exports import Export, ExportDraft
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["exports"])

After = Annotated[str | None, Query(description="The `next` of the page before.")]


@router.post("/exports", status_code=202)
async def start_export(draft: ExportDraft, ask: Ask, response: Response) -> Export:
    """Write products, variants, prices, categories, stock, suppliers, their links or customers into a file.

    It is done in the background: follow `Location` for the job, or `GET /v1/exports/{id}`; then download
    `GET /v1/exports/{id}/file`. Exported with the profile `crossdock` and imported again, every row is unchanged.
    """
    started = await ask(messages.StartExport(draft=draft))
    response.headers["Location"] = f"/v1/jobs/{started.job_id}"
    return started


@router.get("/exports")
async def list_exports(ask: Ask, first: First = 50, after: After = None) -> Page[Export]:
    """Your exports, newest first."""
    return await ask(messages.ListExports(first=first, after=after))


@router.get("/exports/{export_id}")
async def get_export(export_id: UUID, ask: Ask) -> Export:
    """One export: its state, and how far it is."""
    return await ask(messages.GetExport(export_id=export_id))


@router.get("/exports/{export_id}/file", response_class=StreamingResponse)
async def download_export(export_id: UUID, ask: Ask, caller: CurrentCaller) -> StreamingResponse:
    """The file of a finished export. It is kept for a week."""
    file = await ask(messages.GetExportFile(export_id=export_id))
    return files.download(caller, file)
