"""Fulfilment centres."""

from services.inventory.repository import shop_centres
from services.inventory.use_cases import centres
from shared.contracts.base import Done, Page
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    ChangeFulfilmentCentre,
    CreateFulfilmentCentre,
    FindCentres,
    GetFulfilmentCentre,
    KnownCentres,
    ListFulfilmentCentres,
    RemoveFulfilmentCentre,
    UnassignFulfilmentCentre,
)
from shared.contracts.inventory.shapes import FulfilmentCentre
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(FindCentres, internal=True)
async def find_centres(message: FindCentres, uow: UnitOfWork) -> KnownCentres:
    known = await shop_centres.get_centre_ids(uow)
    return KnownCentres(codes=[code for code in message.codes if code in known])


@answers(ListFulfilmentCentres, scope="inventory:read")
async def list_fulfilment_centres(message: ListFulfilmentCentres, uow: UnitOfWork) -> Page[FulfilmentCentre]:
    return await centres.list_page(uow, message.first, message.after)


@answers(GetFulfilmentCentre, scope="inventory:read")
async def get_fulfilment_centre(message: GetFulfilmentCentre, uow: UnitOfWork) -> FulfilmentCentre:
    return await centres.get(uow, message.centre_id)


@answers(CreateFulfilmentCentre, scope="inventory:write")
async def create_fulfilment_centre(message: CreateFulfilmentCentre, uow: UnitOfWork) -> FulfilmentCentre:
    return await centres.create(uow, message)


@answers(ChangeFulfilmentCentre, scope="inventory:write")
async def change_fulfilment_centre(message: ChangeFulfilmentCentre, uow: UnitOfWork) -> FulfilmentCentre:
    return await centres.change(uow, message)


@answers(RemoveFulfilmentCentre, scope="inventory:write")
async def remove_fulfilment_centre(message: RemoveFulfilmentCentre, uow: UnitOfWork) -> Done:
    await centres.remove(uow, message)
    return Done()


@answers(AssignFulfilmentCentre, scope="inventory:write")
async def assign_fulfilment_centre(message: AssignFulfilmentCentre, uow: UnitOfWork) -> FulfilmentCentre:
    return await centres.assign(uow, message)


@answers(UnassignFulfilmentCentre, scope="inventory:write")
async def unassign_fulfilment_centre(message: UnassignFulfilmentCentre, uow: UnitOfWork) -> FulfilmentCentre:
    return await centres.unassign(uow, message)
