"""Messages in."""

from services.search.repository import shops
from services.search.use_cases import browsing, checking, customer_groups, explaining, finding, rebuilding, tuning
from services.search.use_cases.operators import checking as operator_checking
from services.search.use_cases.operators import finding as operator_finding
from services.search.use_cases.operators import rebuilding as operator_rebuilding
from services.search.use_cases.reading import Reader, Readers
from shared.contracts.base import Page
from shared.contracts.platform.shapes import Job
from shared.contracts.search.messages import (
    CheckSearchIndex,
    ExplainOffer,
    GetOffer,
    GetOfferById,
    GetOffersBySku,
    ListSearchIndexes,
    ListShopCategories,
    RebuildSearchIndex,
    SearchOffers,
    SuggestOffers,
)
from shared.contracts.search.operators import (
    CheckOperatorIndex,
    CountedProducts,
    CountProductSet,
    FindOrders,
    FindProducts,
    FoundIds,
    FoundProducts,
    GetOperatorIndex,
    OperatorIndex,
    RebuildOperatorIndex,
    SuggestedSets,
    SuggestOrdersAmong,
    SuggestProductSets,
)
from shared.contracts.search.shapes import OfferExplanation, SearchIndex
from shared.contracts.search.standing import GetShopStandings, StandingsOfShops
from shared.contracts.search.tuning import GetSearchTuning, SearchTuning, SetSearchTuning
from shared.pagination import cursor_for, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork

# A storefront's client, an operator, or a publishable key.
_READING = ("storefront", "search:read", "offers:read")


@answers(SearchOffers, scope=_READING)
async def search_offers(message: SearchOffers, uow: UnitOfWork) -> bytes:
    return (await _reader(uow, message.shop, message.customer_group)).ready(lambda it: finding.search(it, message))


@answers(SuggestOffers, scope=_READING)
async def suggest_offers(message: SuggestOffers, uow: UnitOfWork) -> bytes:
    return (await _reader(uow, message.shop, message.customer_group)).ready(lambda it: finding.suggest(it, message))


@answers(GetOffer, scope=_READING)
async def get_offer(message: GetOffer, uow: UnitOfWork) -> bytes:
    reader = await _reader(uow, message.shop, message.customer_group)
    return reader.ready(lambda it: browsing.page(it, message.slug, message.customer_group))


@answers(GetOfferById, scope=_READING)
async def get_offer_by_id(message: GetOfferById, uow: UnitOfWork) -> bytes:
    shop_id, product_id = browsing.named(message.id)
    async with uow.beforehand() as earlier:
        code = await shops.find_code(earlier, shop_id)
    if code is None or not uow.caller.sees_shop(shop_id):
        raise browsing.no_such_offer()
    return browsing.page(await _reader(uow, code), str(product_id), None)


@answers(ListShopCategories, scope=_READING)
async def list_shop_categories(message: ListShopCategories, uow: UnitOfWork) -> bytes:
    return (await _reader(uow, message.shop)).ready(lambda it: browsing.categories(it, message))


@answers(GetOffersBySku, scope=_READING)
async def get_offers_by_sku(message: GetOffersBySku, uow: UnitOfWork) -> bytes:
    reader = await _reader(uow, message.shop, message.customer_group)
    return reader.ready(lambda it: browsing.by_sku(it, message.skus, message.customer_group))


@answers(GetShopStandings, internal=True, across_tenants=True)
async def get_shop_standings(message: GetShopStandings, uow: UnitOfWork) -> StandingsOfShops:
    readers = uow.resident(Readers)
    return StandingsOfShops(standings=[readers.of(each.organization_id, each.shop) for each in message.shops])


@answers(ExplainOffer, scope="search:read")
async def explain_offer(message: ExplainOffer, uow: UnitOfWork) -> OfferExplanation:
    return await explaining.explain(uow, message)


@answers(ListSearchIndexes, scope="search:read")
async def list_search_indexes(message: ListSearchIndexes, uow: UnitOfWork) -> Page[SearchIndex]:
    after = cursor_values(message.after, 1)
    rows = await shops.list_indexes(uow, None if after is None else str(after[0]), message.first)
    items = [
        SearchIndex(
            shop=row["code"],
            shop_id=row["id"],
            offers=row["offers"],
            sequence=row["sequence"],
            generation=row["generation"],
            pending=row["pending"],
            failed=row["failed"],
            oldest_pending_at=row["oldest"],
            rebuilt_at=row["rebuilt_at"],
        )
        for row in rows[: message.first]
    ]
    return Page(items=items, next=cursor_for(items[-1].shop) if len(rows) > message.first else None)


@answers(RebuildSearchIndex, scope="search:write")
async def rebuild_search_index(message: RebuildSearchIndex, uow: UnitOfWork) -> Job:
    return await rebuilding.request(uow, message)


@answers(CheckSearchIndex, scope="search:write")
async def check_search_index(message: CheckSearchIndex, uow: UnitOfWork) -> Job:
    return await checking.request(uow, message)


@answers(GetSearchTuning, scope="search:read")
async def get_search_tuning(message: GetSearchTuning, uow: UnitOfWork) -> SearchTuning:
    return await tuning.get(uow, message, (await _reader(uow, message.shop)).index.unknown_among)


@answers(SetSearchTuning, scope="search:write")
async def set_search_tuning(message: SetSearchTuning, uow: UnitOfWork) -> SearchTuning:
    return await tuning.put(uow, message, (await _reader(uow, message.shop)).index.unknown_among)


@answers(FindOrders, internal=True)
async def find_orders(message: FindOrders, uow: UnitOfWork) -> FoundIds:
    return await operator_finding.find_orders(uow, message)


@answers(FindProducts, internal=True)
async def find_products(message: FindProducts, uow: UnitOfWork) -> FoundProducts:
    return await operator_finding.find_products(uow, message)


@answers(CountProductSet, scope="catalog:read")
async def count_product_set(message: CountProductSet, uow: UnitOfWork) -> CountedProducts:
    return await operator_finding.count_products(uow, message)


@answers(SuggestProductSets, scope="catalog:read")
async def suggest_product_sets(message: SuggestProductSets, uow: UnitOfWork) -> SuggestedSets:
    return await operator_finding.suggest_sets(uow, message)


@answers(SuggestOrdersAmong, internal=True)
async def suggest_orders_among(message: SuggestOrdersAmong, uow: UnitOfWork) -> SuggestedSets:
    return await operator_finding.suggest_orders(uow, message)


@answers(GetOperatorIndex, scope="search:read")
async def get_operator_index(message: GetOperatorIndex, uow: UnitOfWork) -> OperatorIndex:
    return await operator_rebuilding.state(uow)


@answers(CheckOperatorIndex, scope="search:write")
async def check_operator_index(message: CheckOperatorIndex, uow: UnitOfWork) -> Job:
    return await operator_checking.request(uow, message)


@answers(RebuildOperatorIndex, scope="search:write")
async def rebuild_operator_index(message: RebuildOperatorIndex, uow: UnitOfWork) -> Job:
    return await operator_rebuilding.request(uow, message)


async def _reader(uow: UnitOfWork, code: str, customer_group: str | None = None) -> Reader:
    reader = await uow.resident(Readers).reader(uow.organization_id, code)
    uow.caller.require_shop(reader.shop.id)
    await customer_groups.check(uow, reader, customer_group)
    return reader
