"""Price lists and prices."""

from datetime import UTC, datetime

import asyncpg

from services.catalog.repository import prices as repository
from services.catalog.repository import shops
from services.catalog.use_cases import price_changes, price_explaining, pricing
from shared.contracts.base import Done, Page
from shared.contracts.catalog.messages import CreatePriceList, ListPriceLists, ListPrices, SetPrices
from shared.contracts.catalog.pricing import (
    ChangePrices,
    ChangePricesOfFile,
    DeletePriceList,
    GetPriceList,
    Price,
    PriceChanges,
    PriceList,
    PriceRowsChanged,
    ResolvedPrice,
    ResolvePrice,
    UpdatePriceList,
)
from shared.pagination import InvalidCursor, cursor_for, cursor_time, cursor_values, id_after, page_by_id
from shared.service import answers
from shared.unit_of_work import UnitOfWork

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_FIRST: repository.Position = ("", 0, "", _ALWAYS)


@answers(ListPriceLists, scope="catalog:read")
async def list_price_lists(message: ListPriceLists, uow: UnitOfWork) -> Page[PriceList]:
    shop = await shops.get_by_code(uow, message.shop) if message.shop is not None else None
    after = id_after(message.after)
    rows = await repository.list_price_lists(uow, shop.id if shop else None, after, message.first + 1)
    return page_by_id(rows, message.first, pricing.list_shape)


@answers(GetPriceList, scope="catalog:read")
async def get_price_list(message: GetPriceList, uow: UnitOfWork) -> PriceList:
    return await pricing.get_list(uow, message.price_list_id)


@answers(CreatePriceList, scope="catalog:write")
async def create_price_list(message: CreatePriceList, uow: UnitOfWork) -> PriceList:
    return await pricing.create_list(uow, message.draft)


@answers(UpdatePriceList, scope="catalog:write")
async def update_price_list(message: UpdatePriceList, uow: UnitOfWork) -> PriceList:
    return await pricing.update_list(uow, message.price_list_id, message.change, message.version)


@answers(DeletePriceList, scope="catalog:write")
async def delete_price_list(message: DeletePriceList, uow: UnitOfWork) -> Done:
    await pricing.delete_list(uow, message.price_list_id, message.version)
    return Done(id=message.price_list_id)


@answers(ListPrices, scope="catalog:read")
async def list_prices(message: ListPrices, uow: UnitOfWork) -> Page[Price]:
    price_list = await repository.get_list(uow, message.price_list_id)
    after = _position(message.after)
    rows = await repository.list_prices(uow, message.price_list_id, message.sku, after, message.first + 1)
    items = [pricing.price_shape(row, price_list["currency"]) for row in rows[: message.first]]
    last = rows[len(items) - 1] if len(rows) > message.first else None
    return Page(items=items, next=_cursor_after(last) if last else None)


def _cursor_after(row: asyncpg.Record) -> str:
    begins = row["starts_at"]
    return cursor_for(row["sku"], row["minimum_quantity"], row["centre"], begins.isoformat() if begins else "")


def _position(cursor: str | None) -> repository.Position:
    values = cursor_values(cursor, 4)
    if values is None:
        return _FIRST
    sku, quantity, centre, begins = values
    if not (isinstance(sku, str) and isinstance(quantity, int) and abs(quantity) < 2**31 and isinstance(centre, str)):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return sku, quantity, centre, cursor_time(begins) if begins else _ALWAYS


@answers(SetPrices, scope="catalog:write")
async def set_prices(message: SetPrices, uow: UnitOfWork) -> PriceChanges:
    return await pricing.set_prices(uow, message.price_list_id, message.prices)


@answers(ChangePrices, scope="catalog:write")
async def change_prices(message: ChangePrices, uow: UnitOfWork) -> PriceRowsChanged:
    return await price_changes.change(uow, message.rows, message.on_error)


@answers(ChangePricesOfFile, scope="catalog:write")
async def change_prices_of_file(message: ChangePricesOfFile, uow: UnitOfWork) -> PriceRowsChanged:
    return await price_changes.change_of_file(uow, message.key, message.on_error, is_document=message.is_document)


@answers(ResolvePrice, scope="catalog:read")
async def resolve_price(message: ResolvePrice, uow: UnitOfWork) -> ResolvedPrice:
    return await price_explaining.resolve(uow, message)
