"""What other services ask of the catalog."""

from collections.abc import Sequence

from services.catalog.repository import offers as repository
from services.catalog.use_cases import finding, offers
from shared.contracts.catalog.messages import (
    FindProductKeys,
    FindProductsOfSkus,
    GetOfferParts,
    ListProductIds,
    PriceLines,
    ProductIds,
    ProductKeys,
    SkuProducts,
)
from shared.contracts.catalog.offers import LinePrices, OfferParts
from shared.contracts.catalog.product_sets import GetProductsFound, ProductsFound
from shared.service import Asked, answers, answers_group
from shared.unit_of_work import UnitOfWork


@answers(GetOfferParts, internal=True)
async def get_offer_parts(message: GetOfferParts, uow: UnitOfWork) -> OfferParts:
    return await offers.parts(uow, message.shop_id, message.product_ids, message.connection_id)


@answers(ListProductIds, internal=True)
async def list_product_ids(message: ListProductIds, uow: UnitOfWork) -> ProductIds:
    first = min(message.first, 10_000)
    if message.category_ids is None:
        return ProductIds(ids=await repository.list_product_ids(uow, message.after, first))
    return ProductIds(ids=await repository.list_product_ids_in(uow, message.category_ids, message.after, first))


@answers(FindProductsOfSkus, internal=True)
async def find_products_of_skus(message: FindProductsOfSkus, uow: UnitOfWork) -> SkuProducts:
    return SkuProducts(product_ids=await repository.product_ids_by_sku(uow, message.skus))


@answers(FindProductKeys, internal=True)
async def find_product_keys(message: FindProductKeys, uow: UnitOfWork) -> ProductKeys:
    return await finding.find_keys(uow, message)


@answers(GetProductsFound, internal=True)
async def get_products_found(message: GetProductsFound, uow: UnitOfWork) -> ProductsFound:
    return await finding.tell(uow, message.product_ids)


@answers_group(PriceLines, internal=True, at_once=2)
async def price_lines(asked: Sequence[Asked[PriceLines]], uow: UnitOfWork) -> list[LinePrices]:
    return [LinePrices(lines=lines) for lines in await offers.price_together(uow, [each.message for each in asked])]
