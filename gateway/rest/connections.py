"""Connections to store platforms: made, tested, matched, gone live with, and forgotten."""

import base64
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.bus.ask import Asker
from shared.contracts.base import Page, Shape
from shared.contracts.platform.shapes import Job
from shared.contracts.sync.messages import (
    ChangeConnection,
    ConfirmMatches,
    CreateConnection,
    DeleteConnection,
    FetchConnection,
    GetConnection,
    GetConnectionChecklist,
    GoLive,
    ListClocks,
    ListConnections,
    PauseConnection,
    PreviewConnectionDeletion,
    PreviewMatches,
    ReceiveWebhook,
    ResetClock,
    ResumeConnection,
    SendConnection,
    SyncConnection,
    TestConnection,
)
from shared.contracts.sync.shapes import Connection, ConnectionChange, ConnectionDraft, Entity
from shared.contracts.sync.snapshots import (
    ConnectionSnapshot,
    ConnectionSnapshotSheet,
    GetConnectionSnapshot,
    GetConnectionSnapshotSheet,
    ListConnectionSnapshots,
)
from shared.contracts.sync.upkeep import ConnectionStats, GetConnectionStats, MaintainConnection
from shared.contracts.sync.work import Checklist, Clocks, DeletionPreview, MatchPreview, StartedExecutions
from shared.errors import TooLarge
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["connections"])
_LONGEST_WEBHOOK = 1 << 20
_KEPT = frozenset(("content-type", "date", "user-agent"))

After = Annotated[str | None, Query(description="`next` of the page before.")]


class ClockReset(Shape):
    """Which kind of record is to be read anew, all of it."""

    entity: Entity


class Maintenance(Shape):
    """Whether it is only counted what would be mended."""

    is_dry_run: bool = False


@router.post("/connections", status_code=201)
async def create_connection(connection: ConnectionDraft, ask: Ask, response: Response) -> Connection:
    """Connect a store platform. It is asked who it is first; then the connection is kept, in test mode.

    In test mode products, orders and stock come in for real, and nothing is written over there.
    """
    made = await ask(CreateConnection(connection=connection))
    response.headers["Location"] = f"/v1/connections/{made.id}"
    return tagged(made, response)


@router.get("/connections")
async def list_connections(ask: Ask, first: First = 50, after: After = None) -> Page[Connection]:
    """Connections to store platforms, newest first."""
    return await ask(ListConnections(first=first, after=after))


@router.get("/connections/{connection_id}")
async def get_connection(connection_id: UUID, ask: Ask, response: Response) -> Connection:
    """A connection. Its credentials are never shown."""
    return tagged(await ask(GetConnection(connection_id=connection_id)), response)


@router.patch("/connections/{connection_id}")
async def change_connection(
    connection_id: UUID, change: ConnectionChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Connection:
    """Change a connection's name, settings or credentials; these are tried first. Nothing that was read is lost.

    Of `settings` only those fields change that are given; null brings the default of one back.

    With `If-Match`, only if nobody changed it since you read it (412).
    """
    message = ChangeConnection(connection_id=connection_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.delete("/connections/{connection_id}", status_code=204)
async def delete_connection(connection_id: UUID, ask: Ask) -> None:
    """Forget a connection with its listings, changes and clocks. Products, orders and the platform stay untouched.

    What it had is kept for 90 days, if nobody says otherwise, at `/v1/connection-snapshots`; its credentials are not.
    """
    await ask(DeleteConnection(connection_id=connection_id))


@router.get("/connection-snapshots")
async def list_connection_snapshots(ask: Ask, first: First = 50, after: After = None) -> Page[ConnectionSnapshot]:
    """What deleted connections had: settings, feeds and clocks, without credentials. Newest connection first."""
    return await ask(ListConnectionSnapshots(first=first, after=after))


@router.get("/connection-snapshots/{connection_id}")
async def get_connection_snapshot(connection_id: UUID, ask: Ask) -> ConnectionSnapshot:
    """What a deleted connection had, by its id."""
    return await ask(GetConnectionSnapshot(connection_id=connection_id))


@router.get("/connection-snapshots/{connection_id}/records", response_class=StreamingResponse)
async def download_connection_snapshot(connection_id: UUID, ask: Ask) -> StreamingResponse:
    """The records of a deleted connection, with their changes and issues: a line of JSON for each.

    Refused (409) for the moments after the deletion in which they are still put together.
    """
    wanted = GetConnectionSnapshotSheet(connection_id=connection_id)
    first = await ask(wanted)
    return StreamingResponse(
        _lines(ask, wanted, first),
        media_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="connection-{connection_id}.jsonl"'},
    )


async def _lines(ask: Asker, wanted: GetConnectionSnapshotSheet, sheet: ConnectionSnapshotSheet) -> AsyncIterator[str]:
    yield sheet.lines
    while sheet.next is not None:
        sheet = await ask(wanted.model_copy(update={"after": sheet.next}))
        yield sheet.lines


@router.get("/connections/{connection_id}/deletion-preview")
async def preview_connection_deletion(connection_id: UUID, ask: Ask) -> DeletionPreview:
    """How much would leave with a connection."""
    return await ask(PreviewConnectionDeletion(connection_id=connection_id))


@router.post("/connections/{connection_id}/test")
async def test_connection(connection_id: UUID, ask: Ask) -> Connection:
    """Ask the platform who it is, with the credentials that are kept."""
    return await ask(TestConnection(connection_id=connection_id))


@router.post("/connections/{connection_id}/pause")
async def pause_connection(connection_id: UUID, ask: Ask) -> Connection:
    """Stop a connection's traffic between two requests; what runs waits where it is."""
    return await ask(PauseConnection(connection_id=connection_id))


@router.post("/connections/{connection_id}/resume")
async def resume_connection(connection_id: UUID, ask: Ask) -> Connection:
    """Let a paused connection go on where it stopped."""
    return await ask(ResumeConnection(connection_id=connection_id))


@router.get("/connections/{connection_id}/checklist")
async def get_connection_checklist(connection_id: UUID, ask: Ask) -> Checklist:
    """What has to hold before a connection goes live, and what of it does."""
    return await ask(GetConnectionChecklist(connection_id=connection_id))


@router.post("/connections/{connection_id}/go-live")
async def go_live(connection_id: UUID, ask: Ask) -> Connection:
    """Leave test mode: what is computed is sent from now on. Refused with what still has to be done (409)."""
    return await ask(GoLive(connection_id=connection_id))


@router.get("/connections/{connection_id}/stats")
async def get_connection_stats(connection_id: UUID, ask: Ask) -> ConnectionStats:
    """How a connection stands: its records, changes, issues, clocks, feeds, and what of its budget is used."""
    return await ask(GetConnectionStats(connection_id=connection_id))


@router.post("/connections/{connection_id}/maintenance", status_code=202)
async def maintain_connection(
    connection_id: UUID, ask: Ask, response: Response, body: Maintenance | None = None
) -> Job:
    """Put a connection's records in order, as a job whose counters say what was found and what was mended."""
    body = body or Maintenance()
    job = await ask(MaintainConnection(connection_id=connection_id, is_dry_run=body.is_dry_run))
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.post("/connections/{connection_id}/fetch", status_code=202)
async def fetch_connection(connection_id: UUID, ask: Ask) -> StartedExecutions:
    """Run every enabled feed that brings something in; each is a job."""
    return await ask(FetchConnection(connection_id=connection_id))


@router.post("/connections/{connection_id}/send", status_code=202)
async def send_connection(connection_id: UUID, ask: Ask) -> StartedExecutions:
    """Run every enabled feed that sends something out. How much waits: `/v1/connections/{id}/change-counts`."""
    return await ask(SendConnection(connection_id=connection_id))


@router.post("/connections/{connection_id}/sync", status_code=202)
async def sync_connection(connection_id: UUID, ask: Ask) -> StartedExecutions:
    """Run every enabled feed, in both directions at once."""
    return await ask(SyncConnection(connection_id=connection_id))


@router.get("/connections/{connection_id}/clocks")
async def list_clocks(connection_id: UUID, ask: Ask) -> Clocks:
    """How far a connection has been read, by kind of record."""
    return await ask(ListClocks(connection_id=connection_id))


@router.post("/connections/{connection_id}/reset-clock")
async def reset_clock(connection_id: UUID, body: ClockReset, ask: Ask) -> Clocks:
    """Forget how far records of one kind were read: the next fetch reads all, and what it does not see is gone.

    If more than the connection's guard allows would be gone, nothing is, and an issue asks a person.
    """
    return await ask(ResetClock(connection_id=connection_id, entity=body.entity))


@router.get("/connections/{connection_id}/matches")
async def preview_matches(connection_id: UUID, ask: Ask, first: First = 50, after: After = None) -> MatchPreview:
    """What the products that were scanned would become here: linked to one of yours, created, or nobody can say."""
    return await ask(PreviewMatches(connection_id=connection_id, first=first, after=after))


@router.post("/connections/{connection_id}/matches/confirm")
async def confirm_matches(connection_id: UUID, ask: Ask) -> Connection:
    """The preview was looked at: from now on products are linked and created."""
    return await ask(ConfirmMatches(connection_id=connection_id))


@router.post("/platform-webhooks/{connection_id}", response_class=Response)
async def receive_webhook(connection_id: UUID, request: Request, ask: Ask) -> Response:
    """Where a connection's platform tells that something changed, signed with the connection's secret.

    It is kept, and wakes the feeds that go and look. A repeat wakes nothing. The answer is an empty 200, because
    WooCommerce takes nothing else for a webhook that works.
    """
    body = await request.body()
    if len(body) > _LONGEST_WEBHOOK:
        raise TooLarge(f"A webhook has at most {_LONGEST_WEBHOOK} bytes.")
    headers = {
        name: value for name, value in request.headers.items() if name in _KEPT or name.startswith(("x-", "webhook-"))
    }
    message = ReceiveWebhook(connection_id=connection_id, headers=headers, body=base64.b64encode(body))
    await ask(message)
    return Response()
