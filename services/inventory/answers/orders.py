"""Stock that is held for orders."""

from collections.abc import Sequence
from typing import Any

from services.inventory.use_cases import amending, foreseeing, readdressing, reservations, reserving
from shared.contracts.inventory.amendments import HoldShipments, PrepareAmendment, PreparedAmendment, ShipmentsHeld
from shared.contracts.inventory.messages import GetReservation, ReserveStock, WeighedOrders, WeighOrders
from shared.contracts.inventory.shapes import Reservation
from shared.service import Asked, answers, answers_group
from shared.unit_of_work import UnitOfWork


@answers_group(ReserveStock, internal=True)
async def reserve_stock(asked: Sequence[Asked[ReserveStock]], uow: UnitOfWork) -> list[Any]:
    return await reserving.reserve(uow, asked)


@answers(WeighOrders, internal=True)
async def weigh_orders(message: WeighOrders, uow: UnitOfWork) -> WeighedOrders:
    return await foreseeing.weigh(uow, message)


@answers(PrepareAmendment, internal=True)
async def prepare_amendment(message: PrepareAmendment, uow: UnitOfWork) -> PreparedAmendment:
    return await amending.prepare(uow, message)


@answers(HoldShipments, internal=True)
async def hold_shipments(message: HoldShipments, uow: UnitOfWork) -> ShipmentsHeld:
    return await readdressing.hold_shipments(uow, message)


@answers(GetReservation, scope="inventory:read")
async def get_reservation(message: GetReservation, uow: UnitOfWork) -> Reservation:
    return await reservations.get(uow, message.reservation_id)
