"""Connections to store platforms."""

from services.sync.use_cases import connecting, going_live, knocking, maintaining, matching, snapshots, standing
from shared.contracts.base import Done, Page
from shared.contracts.platform.shapes import Job
from shared.contracts.sync.messages import (
    ChangeConnection,
    ConfirmMatches,
    CreateConnection,
    DeleteConnection,
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
    TestConnection,
)
from shared.contracts.sync.shapes import Connection
from shared.contracts.sync.snapshots import (
    ConnectionSnapshot,
    ConnectionSnapshotSheet,
    GetConnectionSnapshot,
    GetConnectionSnapshotSheet,
    ListConnectionSnapshots,
)
from shared.contracts.sync.upkeep import ConnectionStats, GetConnectionStats, MaintainConnection
from shared.contracts.sync.work import Checklist, Clocks, DeletionPreview, MatchPreview
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateConnection, scope="sync:write")
async def create_connection(message: CreateConnection, uow: UnitOfWork) -> Connection:
    return await connecting.create(uow, message.connection)


@answers(GetConnection, scope="sync:read")
async def get_connection(message: GetConnection, uow: UnitOfWork) -> Connection:
    return await connecting.get(uow, message.connection_id)


@answers(ListConnections, scope="sync:read")
async def list_connections(message: ListConnections, uow: UnitOfWork) -> Page[Connection]:
    return await connecting.list_page(uow, message.first, message.after)


@answers(ChangeConnection, scope="sync:write")
async def change_connection(message: ChangeConnection, uow: UnitOfWork) -> Connection:
    return await connecting.change(uow, message.connection_id, message.change, message.expected_version)


@answers(TestConnection, scope="sync:write")
async def test_connection(message: TestConnection, uow: UnitOfWork) -> Connection:
    return await connecting.test(uow, message.connection_id)


@answers(PauseConnection, scope="sync:write")
async def pause_connection(message: PauseConnection, uow: UnitOfWork) -> Connection:
    return await connecting.pause(uow, message.connection_id, is_paused=True)


@answers(ResumeConnection, scope="sync:write")
async def resume_connection(message: ResumeConnection, uow: UnitOfWork) -> Connection:
    return await connecting.pause(uow, message.connection_id, is_paused=False)


@answers(GetConnectionChecklist, scope="sync:read")
async def get_connection_checklist(message: GetConnectionChecklist, uow: UnitOfWork) -> Checklist:
    return await going_live.checklist(uow, message.connection_id)


@answers(GoLive, scope="sync:write")
async def go_live(message: GoLive, uow: UnitOfWork) -> Connection:
    return await going_live.go_live(uow, message.connection_id)


@answers(PreviewConnectionDeletion, scope="sync:read")
async def preview_connection_deletion(message: PreviewConnectionDeletion, uow: UnitOfWork) -> DeletionPreview:
    return await connecting.preview_deletion(uow, message.connection_id)


@answers(DeleteConnection, scope="sync:write")
async def delete_connection(message: DeleteConnection, uow: UnitOfWork) -> Done:
    await connecting.delete(uow, message.connection_id)
    return Done(id=message.connection_id)


@answers(ListConnectionSnapshots, scope="sync:read")
async def list_connection_snapshots(message: ListConnectionSnapshots, uow: UnitOfWork) -> Page[ConnectionSnapshot]:
    return await snapshots.list_page(uow, message.first, message.after)


@answers(GetConnectionSnapshot, scope="sync:read")
async def get_connection_snapshot(message: GetConnectionSnapshot, uow: UnitOfWork) -> ConnectionSnapshot:
    return await snapshots.get(uow, message.connection_id)


@answers(GetConnectionSnapshotSheet, scope="sync:read")
async def get_connection_snapshot_sheet(
    message: GetConnectionSnapshotSheet, uow: UnitOfWork
) -> ConnectionSnapshotSheet:
    return await snapshots.sheet(uow, message.connection_id, message.after)


@answers(ListClocks, scope="sync:read")
async def list_clocks(message: ListClocks, uow: UnitOfWork) -> Clocks:
    return await connecting.list_clocks(uow, message.connection_id)


@answers(ResetClock, scope="sync:write")
async def reset_clock(message: ResetClock, uow: UnitOfWork) -> Clocks:
    return await connecting.reset_clock(uow, message.connection_id, message.entity)


@answers(ReceiveWebhook, public=True)
async def receive_webhook(message: ReceiveWebhook, uow: UnitOfWork) -> Done:
    await knocking.receive(uow, message.connection_id, message.headers, message.body)
    return Done()


@answers(PreviewMatches, scope="sync:read")
async def preview_matches(message: PreviewMatches, uow: UnitOfWork) -> MatchPreview:
    return await matching.preview(uow, message.connection_id, message.first, message.after)


@answers(ConfirmMatches, scope="sync:write")
async def confirm_matches(message: ConfirmMatches, uow: UnitOfWork) -> Connection:
    await matching.confirm(uow, message.connection_id)
    return await connecting.get(uow, message.connection_id)


@answers(GetConnectionStats, scope="sync:read")
async def get_connection_stats(message: GetConnectionStats, uow: UnitOfWork) -> ConnectionStats:
    return await standing.tell(uow, message.connection_id)


@answers(MaintainConnection, scope="sync:write")
async def maintain_connection(message: MaintainConnection, uow: UnitOfWork) -> Job:
    return await maintaining.start(uow, message.connection_id, is_dry_run=message.is_dry_run)
