"""What is to be picked."""

from services.inventory.use_cases import picking
from shared.contracts.base import Page
from shared.contracts.inventory.picking import (
    GetPickingFile,
    ListOrdersToPick,
    ListSkusToPick,
    OrderToPick,
    PickingFile,
    SkuToPick,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListOrdersToPick, scope="inventory:read")
async def list_orders_to_pick(message: ListOrdersToPick, uow: UnitOfWork) -> Page[OrderToPick]:
    return await picking.list_orders(uow, message)


@answers(ListSkusToPick, scope="inventory:read")
async def list_skus_to_pick(message: ListSkusToPick, uow: UnitOfWork) -> Page[SkuToPick]:
    return await picking.list_skus(uow, message)


@answers(GetPickingFile, scope="inventory:read")
async def get_picking_file(message: GetPickingFile, uow: UnitOfWork) -> PickingFile:
    return await picking.write_file(uow, message)
