"""Shipments, from the shelf to the customer's door."""

from services.inventory.use_cases import shipping
from shared.contracts.base import Page
from shared.contracts.inventory.shipments import (
    CancelShipment,
    ChangeShipment,
    CreateShipment,
    DeliverShipment,
    GetShipment,
    ListShipments,
    PackShipment,
    Shipment,
    ShipShipment,
)
from shared.contracts.orders.messages import GetOrderStanding
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateShipment, scope="inventory:write")
async def create_shipment(message: CreateShipment, uow: UnitOfWork) -> Shipment:
    order = await uow.ask(GetOrderStanding(order_id=message.shipment.order_id))
    return await shipping.create(uow, message.shipment, order)


@answers(ChangeShipment, scope="inventory:write")
async def change_shipment(message: ChangeShipment, uow: UnitOfWork) -> Shipment:
    return await shipping.change(uow, message.shipment_id, message.change, message.expected_version)


@answers(PackShipment, scope="inventory:write")
async def pack_shipment(message: PackShipment, uow: UnitOfWork) -> Shipment:
    return await shipping.pack(uow, message.shipment_id, message.change, message.expected_version)


@answers(ShipShipment, scope="inventory:write")
async def ship_shipment(message: ShipShipment, uow: UnitOfWork) -> Shipment:
    async with uow.beforehand() as earlier:
        order_id = await shipping.find_order_id(earlier, message.shipment_id, "shipped")
    order = await uow.ask(GetOrderStanding(order_id=order_id))
    return await shipping.send(uow, message.shipment_id, message.change, order, message.expected_version)


@answers(DeliverShipment, scope="inventory:write")
async def deliver_shipment(message: DeliverShipment, uow: UnitOfWork) -> Shipment:
    return await shipping.deliver(uow, message.shipment_id, message.delivered_at, message.expected_version)


@answers(CancelShipment, scope="inventory:write")
async def cancel_shipment(message: CancelShipment, uow: UnitOfWork) -> Shipment:
    return await shipping.cancel(uow, message.shipment_id, message.reason, message.expected_version)


@answers(GetShipment, scope="inventory:read")
async def get_shipment(message: GetShipment, uow: UnitOfWork) -> Shipment:
    return await shipping.get(uow, message.shipment_id)


@answers(ListShipments, scope="inventory:read")
async def list_shipments(message: ListShipments, uow: UnitOfWork) -> Page[Shipment]:
    return await shipping.list_page(uow, message)
