"""Goods that are expected, and goods that came in."""

from services.inventory.use_cases import receiving
from shared.contracts.base import Page
from shared.contracts.inventory.arrivals import (
    Arrival,
    Arrivals,
    ChangeArrival,
    CloseArrival,
    CreateArrivals,
    GetArrival,
    GetReceipt,
    ListArrivals,
    ListReceipts,
    Receipt,
    ReceiveGoods,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateArrivals, scope="inventory:write")
async def create_arrivals(message: CreateArrivals, uow: UnitOfWork) -> Arrivals:
    return await receiving.expect(uow, message.arrivals)


@answers(ChangeArrival, scope="inventory:write")
async def change_arrival(message: ChangeArrival, uow: UnitOfWork) -> Arrival:
    return await receiving.change(uow, message.arrival_id, message.change, message.expected_version)


@answers(CloseArrival, scope="inventory:write")
async def close_arrival(message: CloseArrival, uow: UnitOfWork) -> Arrival:
    return await receiving.close(uow, message.arrival_id, message.expected_version)


@answers(GetArrival, scope="inventory:read")
async def get_arrival(message: GetArrival, uow: UnitOfWork) -> Arrival:
    return await receiving.get(uow, message.arrival_id)


@answers(ListArrivals, scope="inventory:read")
async def list_arrivals(message: ListArrivals, uow: UnitOfWork) -> Page[Arrival]:
    return await receiving.list_page(uow, message)


@answers(ReceiveGoods, scope="inventory:write")
async def receive_goods(message: ReceiveGoods, uow: UnitOfWork) -> Receipt:
    return await receiving.receive(uow, message.receipt)


@answers(GetReceipt, scope="inventory:read")
async def get_receipt(message: GetReceipt, uow: UnitOfWork) -> Receipt:
    return await receiving.get_receipt(uow, message.receipt_id)


@answers(ListReceipts, scope="inventory:read")
async def list_receipts(message: ListReceipts, uow: UnitOfWork) -> Page[Receipt]:
    return await receiving.list_receipts(uow, message)
