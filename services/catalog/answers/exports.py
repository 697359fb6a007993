"""Exports: start, list, look."""

from services.catalog.repository import exports as repository
from services.catalog.use_cases import exports
from shared.contracts.base import Page
from shared.contracts.catalog.exports import Export, ExportFile, GetExport, GetExportFile, ListExports, StartExport
from shared.pagination import cursor_for, cursor_id, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(StartExport, scope="catalog:read")
async def start_export(message: StartExport, uow: UnitOfWork) -> Export:
    return await exports.start(uow, message.draft)


@answers(ListExports, scope="catalog:read")
async def list_exports(message: ListExports, uow: UnitOfWork) -> Page[Export]:
    position = cursor_values(message.after, 1)
    rows = await repository.list_newest(uow, cursor_id(position[0]) if position else None, message.first + 1)
    items = [exports.shape(row) for row in rows[: message.first]]
    return Page(items=items, next=cursor_for(str(items[-1].id)) if len(rows) > message.first else None)


@answers(GetExport, scope="catalog:read")
async def get_export(message: GetExport, uow: UnitOfWork) -> Export:
    return exports.shape(await repository.get(uow, message.export_id))


@answers(GetExportFile, scope="catalog:read")
async def get_export_file(message: GetExportFile, uow: UnitOfWork) -> ExportFile:
    return await exports.file(uow, message.export_id)
