"""Exports: start, list, look."""

from services.catalog.repository import exports as repository
from services.catalog.use_cases import exports
from shared.contracts.base import Page
from shared.contracts.catalog.exports import Export, ExportFile, GetExport, GetExportFile, ListExports, StartExport
from shared.pagination import id_after, page_by_id
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(StartExport, scope="catalog:read")
async def start_export(message: StartExport, uow: UnitOfWork) -> Export:
    return await exports.start(uow, message.draft)


@answers(ListExports, scope="catalog:read")
async def list_exports(message: ListExports, uow: UnitOfWork) -> Page[Export]:
    rows = await repository.list_newest(uow, id_after(message.after), message.first + 1)
    return page_by_id(rows, message.first, exports.shape)


@answers(GetExport, scope="catalog:read")
async def get_export(message: GetExport, uow: UnitOfWork) -> Export:
    return exports.shape(await repository.get(uow, message.export_id))


@answers(GetExportFile, scope="catalog:read")
async def get_export_file(message: GetExportFile, uow: UnitOfWork) -> ExportFile:
    return await exports.file(uow, message.export_id)
