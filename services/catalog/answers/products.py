"""Products: read and written."""

from services.catalog.repository import products as repository
from services.catalog.use_cases import bulk_actions, finding, products
from shared.contracts.base import Page
from shared.contracts.catalog.bulk import ActOnProducts, StartedProductAction
from shared.contracts.catalog.messages import (
    ArchiveProduct,
    CreateProduct,
    GetProduct,
    ListProducts,
    ListProductTexts,
    PauseProduct,
    PublishProduct,
    RestoreProduct,
    SetProductText,
    UpdateProduct,
)
from shared.contracts.catalog.shapes import Product, ProductText
from shared.pagination import cursor_for, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListProducts, scope="catalog:read")
async def list_products(message: ListProducts, uow: UnitOfWork) -> Page[Product]:
    return await finding.list_page(uow, message)


@answers(GetProduct, scope="catalog:read")
async def get_product(message: GetProduct, uow: UnitOfWork) -> Product:
    return await repository.get(uow, message.product_id)


@answers(CreateProduct, scope="catalog:write")
async def create_product(message: CreateProduct, uow: UnitOfWork) -> Product:
    return await products.create(uow, message.draft)


@answers(UpdateProduct, scope="catalog:write")
async def update_product(message: UpdateProduct, uow: UnitOfWork) -> Product:
    return await products.change(uow, message.product_id, message.change, message.version)


@answers(ActOnProducts, scope="catalog:write")
async def act_on_products(message: ActOnProducts, uow: UnitOfWork) -> StartedProductAction:
    return await bulk_actions.begin(uow, message)


@answers(PublishProduct, scope="catalog:write")
async def publish_product(message: PublishProduct, uow: UnitOfWork) -> Product:
    return await products.publish(uow, message.product_id, message.version)


@answers(PauseProduct, scope="catalog:write")
async def pause_product(message: PauseProduct, uow: UnitOfWork) -> Product:
    return await products.pause(uow, message.product_id, message.version)


@answers(ArchiveProduct, scope="catalog:write")
async def archive_product(message: ArchiveProduct, uow: UnitOfWork) -> Product:
    return await products.archive(uow, message.product_id, message.version)


@answers(RestoreProduct, scope="catalog:write")
async def restore_product(message: RestoreProduct, uow: UnitOfWork) -> Product:
    return await products.restore(uow, message.product_id, message.version)


@answers(SetProductText, scope="catalog:write")
async def set_product_text(message: SetProductText, uow: UnitOfWork) -> ProductText:
    return await products.set_text(uow, message.product_id, message.text, message.version)


@answers(ListProductTexts, scope="catalog:read")
async def list_product_texts(message: ListProductTexts, uow: UnitOfWork) -> Page[ProductText]:
    position = cursor_values(message.after, 1) or ("",)
    texts = await repository.list_texts(uow, message.product_id, str(position[0]), message.first + 1)
    items = texts[: message.first]
    return Page(items=items, next=cursor_for(items[-1].locale) if len(texts) > message.first else None)
