"""Shops."""

from services.accounts import repository
from services.accounts.use_cases import shops
from shared.contracts.accounts.messages import ChangeShop, CreateShop, GetShop, ListShops, RemoveShop
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Done, Page
from shared.pagination import cursor_for, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateShop, scope="accounts:write")
async def create_shop(message: CreateShop, uow: UnitOfWork) -> Shop:
    return (await shops.create(uow, message)).shape()


@answers(GetShop, scope="accounts:read")
async def get_shop(message: GetShop, uow: UnitOfWork) -> Shop:
    return (await repository.get_shop(uow, message.shop_id)).shape()


@answers(ListShops, scope="accounts:read")
async def list_shops(message: ListShops, uow: UnitOfWork) -> Page[Shop]:
    after = cursor_values(message.after, 1)
    found = await repository.list_shops(
        uow,
        code=message.code,
        parent_id=message.parent_id,
        after=None if after is None else str(after[0]),
        count=message.first + 1,
    )
    items = [shop.shape() for shop in found[: message.first]]
    return Page(items=items, next=cursor_for(items[-1].code) if len(found) > message.first else None)


@answers(ChangeShop, scope="accounts:write")
async def change_shop(message: ChangeShop, uow: UnitOfWork) -> Shop:
    return (await shops.change(uow, message.shop_id, message.change, message.expected_version)).shape()


@answers(RemoveShop, scope="accounts:write")
async def remove_shop(message: RemoveShop, uow: UnitOfWork) -> Done:
    await shops.remove(uow, message.shop_id, message.expected_version)
    return Done(id=message.shop_id)
