"""Kits."""

from services.inventory.use_cases import kits
from shared.contracts.base import Done, Page
from shared.contracts.inventory.kits import DeleteKit, GetKit, Kit, ListKits, SetKit
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(GetKit, scope="inventory:read")
async def get_kit(message: GetKit, uow: UnitOfWork) -> Kit:
    return await kits.get(uow, message.sku)


@answers(ListKits, scope="inventory:read")
async def list_kits(message: ListKits, uow: UnitOfWork) -> Page[Kit]:
    return await kits.list_page(uow, message)


@answers(SetKit, scope="inventory:write")
async def set_kit(message: SetKit, uow: UnitOfWork) -> Kit:
    return await kits.set_parts(uow, message)


@answers(DeleteKit, scope="inventory:write")
async def delete_kit(message: DeleteKit, uow: UnitOfWork) -> Done:
    await kits.delete(uow, message.sku)
    return Done()
