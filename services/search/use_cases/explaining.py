"""Why a SKU is, or is not, sold in a shop: the indexer's own conditions, judged on what the sources say now."""

import orjson

from services.search.errors import ShopNotFound, SkuNotFound
from services.search.repository import documents, marks, shops, tunings
from services.search.repository.shops import KnownShop
from services.search.use_cases import building
from services.search.use_cases.assembly import is_kept, subjects_of
from services.search.use_cases.conditions import CONDITIONS, Condition, Subject, is_offered
from shared import clock
from shared.contracts.catalog.messages import FindProductsOfSkus, GetOfferParts
from shared.contracts.search.messages import ExplainOffer
from shared.contracts.search.shapes import OfferCondition, OfferExplanation
from shared.unit_of_work import UnitOfWork


async def explain(uow: UnitOfWork, message: ExplainOffer) -> OfferExplanation:
    """Raises ShopNotFound, SkuNotFound."""
    shop = await _shop(uow, message.shop)
    subject, among, assigned_in = await _subject(uow, shop, message.sku)
    is_sold_out = is_kept(subject, among) and await tunings.keeps_sold_out(uow, shop.id)
    standing = await documents.standings(uow, shop.id, [subject.product.id])
    found = standing.get(subject.product.id)
    return OfferExplanation(
        shop=shop.code,
        sku=message.sku,
        product_id=subject.product.id,
        slug=subject.product.slug,
        is_offer=is_sold_out or is_offered(subject),
        is_kept=is_sold_out,
        conditions=[_judged(condition, subject, assigned_in) for condition in CONDITIONS],
        is_indexed=found is not None and not found.is_deleted,
        is_pending=await marks.is_marked(uow, shop.id, subject.product.id),
    )


async def _shop(uow: UnitOfWork, code: str) -> KnownShop:
    async with uow.beforehand() as earlier:
        shop = await shops.find_by_code(earlier, code)
    if shop is None:
        raise ShopNotFound(f"There is no shop '{code}'.")
    uow.caller.require_shop(shop.id)
    return shop


async def _subject(uow: UnitOfWork, shop: KnownShop, sku: str) -> tuple[Subject, list[Subject], str | None]:
    """The variant, all of its product's, and the code of the shop whose categories this one has."""
    known = await uow.ask(FindProductsOfSkus(skus=[sku]))
    parts = await uow.ask(GetOfferParts(shop_id=shop.id, product_ids=list(known.product_ids.values())))
    stock = await building.stock_of(lambda: uow, shop.id, parts.products)
    for product in parts.products:
        among = subjects_of(product, stock, clock.now().date())
        for subject in among:
            if subject.variant.sku == sku:
                return subject, among, parts.assigned_in
    raise SkuNotFound(f"There is no variant with the SKU '{sku}'.")


def _judged(condition: Condition, subject: Subject, assigned_in: str | None) -> OfferCondition:
    passed = condition.holds(subject)
    # Dates travel as text, as in every answer.
    inputs = orjson.loads(orjson.dumps(condition.inputs(subject)))
    if condition.name == "assigned":
        inputs["categories_of_shop"] = assigned_in
    return OfferCondition(
        name=condition.name, passed=passed, says=condition.passes if passed else condition.fails, inputs=inputs
    )
