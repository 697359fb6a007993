"""Drop folders and their rules."""

from services.catalog.repository import drop_folders as repository
from services.catalog.use_cases import drop_folders
from shared.contracts.base import Page
from shared.contracts.catalog.drop_folders import DropFolder, ListDropFolders, SetDropFolder
from shared.pagination import cursor_for, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListDropFolders, scope="catalog:read")
async def list_drop_folders(message: ListDropFolders, uow: UnitOfWork) -> Page[DropFolder]:
    (after,) = cursor_values(message.after, 1) or ("",)
    found = await repository.list_folders(uow, str(after), message.first + 1)
    items = [drop_folders.shape(uow.organization_id, folder) for folder in found[: message.first]]
    return Page(items=items, next=cursor_for(items[-1].shop) if len(found) > message.first else None)


@answers(SetDropFolder, scope="catalog:write")
async def set_drop_folder(message: SetDropFolder, uow: UnitOfWork) -> DropFolder:
    return await drop_folders.set_folder(uow, message)
