"""Carriers and shipping methods."""

from services.inventory.use_cases import carriers
from shared.contracts.base import Page
from shared.contracts.inventory.carriers import (
    Carrier,
    ChangeCarrier,
    ChangeShippingMethod,
    CreateCarrier,
    CreateShippingMethod,
    FindShippingMethods,
    GetCarrier,
    GetShippingMethod,
    ListCarriers,
    ListShippingMethods,
    ListShopShippingMethods,
    ShippingMethod,
    ShippingOffers,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(FindShippingMethods, internal=True)
async def find_shipping_methods(message: FindShippingMethods, uow: UnitOfWork) -> ShippingOffers:
    return await carriers.offer(uow, message.shop_id, message.total, message.weight_grams, message.country)


@answers(ListShopShippingMethods, scope=("storefront", "inventory:read"))
async def list_shop_shipping_methods(message: ListShopShippingMethods, uow: UnitOfWork) -> ShippingOffers:
    return await carriers.list_of_shop(uow, message)


@answers(CreateCarrier, scope="inventory:write")
async def create_carrier(message: CreateCarrier, uow: UnitOfWork) -> Carrier:
    return await carriers.create(uow, message.carrier)


@answers(ChangeCarrier, scope="inventory:write")
async def change_carrier(message: ChangeCarrier, uow: UnitOfWork) -> Carrier:
    return await carriers.change(uow, message.carrier_id, message.change, message.expected_version)


@answers(GetCarrier, scope="inventory:read")
async def get_carrier(message: GetCarrier, uow: UnitOfWork) -> Carrier:
    return await carriers.get(uow, message.carrier_id)


@answers(ListCarriers, scope="inventory:read")
async def list_carriers(message: ListCarriers, uow: UnitOfWork) -> Page[Carrier]:
    return await carriers.list_page(uow, message.first, message.after)


@answers(CreateShippingMethod, scope="inventory:write")
async def create_shipping_method(message: CreateShippingMethod, uow: UnitOfWork) -> ShippingMethod:
    return await carriers.create_method(uow, message.method)


@answers(ChangeShippingMethod, scope="inventory:write")
async def change_shipping_method(message: ChangeShippingMethod, uow: UnitOfWork) -> ShippingMethod:
    return await carriers.change_method(uow, message.method_id, message.change, message.expected_version)


@answers(GetShippingMethod, scope="inventory:read")
async def get_shipping_method(message: GetShippingMethod, uow: UnitOfWork) -> ShippingMethod:
    return await carriers.get_method(uow, message.method_id)


@answers(ListShippingMethods, scope="inventory:read")
async def list_shipping_methods(message: ListShippingMethods, uow: UnitOfWork) -> Page[ShippingMethod]:
    return await carriers.list_methods(uow, message)
