"""From what catalog, inventory and sync tell of a product to what it is found by."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from services.search.models import OperatorEntry
from services.search.use_cases.batches import Units
from services.search.use_cases.operators import standing_sets
from shared.contracts.catalog.messages import ListProductIds
from shared.contracts.catalog.product_sets import GetProductsFound, ProductFound
from shared.contracts.inventory.messages import GetStockStandings, StockStanding, SupplyCost

_SKUS_AT_ONCE = 1000


async def ask(units: Units, product_ids: Sequence[UUID]) -> dict[UUID, OperatorEntry]:
    """The entries of those that there are. Raises what asking raises."""
    found = (await units().ask(GetProductsFound(product_ids=list(product_ids)))).products
    skus = [variant.sku for product in found for variant in product.variants]
    stock, costs = dict[str, StockStanding](), list[SupplyCost]()
    for start in range(0, len(skus), _SKUS_AT_ONCE):
        answer = await units().ask(GetStockStandings(skus=skus[start : start + _SKUS_AT_ONCE]))
        stock |= {item.sku: item for item in answer.items}
        costs += answer.costs
    standings = await standing_sets.ask(units, products=[product.id for product in found])
    cost_of = {(each.sku, each.cost.currency): each.cost.amount for each in costs}
    return {
        product.id: entry_of(
            product, stock, [*_price_sets(product, cost_of), *standing_sets.sets_of(standings.get(product.id, ()))]
        )
        for product in found
    }


async def list_ids(units: Units, after: UUID | None, most: int) -> list[UUID]:
    """A page of all products' ids. Raises what asking raises."""
    return (await units().ask(ListProductIds(after=after, first=most))).ids


def moment_of(product_id: UUID) -> int:
    """What a UUIDv7 begins with, its milliseconds (RFC 9562): in their order are the ids, too."""
    return product_id.int >> 80


def entry_of(product: ProductFound, stock: dict[str, StockStanding], further_sets: Sequence[str]) -> OperatorEntry:
    words = [*product.titles, product.brand, product.product_type, *product.tags]
    codes = [code for variant in product.variants for code in (variant.sku, *variant.codes)]
    return OperatorEntry(
        at=moment_of(product.id),
        codes=list(dict.fromkeys(codes)),
        words=list(dict.fromkeys(word for word in words if word)),
        sets=list(dict.fromkeys((*_sets(product, stock), *further_sets))),
    )


def _sets(product: ProductFound, stock: dict[str, StockStanding]) -> Iterator[str]:
    yield f"status:{product.status}"
    for name in product.has:
        yield f"with:{name}"
    for name, value in (("brand", product.brand), ("type", product.product_type)):
        if value:
            yield f"{name}:{value}"
    for tag in product.tags:
        yield f"tag:{tag}"
    for variant in product.variants:
        if variant.size:
            yield f"size:{variant.size}"
        if variant.colour:
            yield f"colour:{variant.colour}"
    known = [stock[variant.sku] for variant in product.variants if variant.sku in stock]
    yield "stock:in" if any(each.available > 0 for each in known) else "stock:out"
    if any(each.is_low for each in known):
        yield "stock:low"


def _price_sets(product: ProductFound, cost_of: Mapping[tuple[str, str], int]) -> Iterator[str]:
    prices = [(variant.sku, price) for variant in product.variants for price in variant.prices]
    if "price" not in product.has or any(price.amount == 0 for _, price in prices):
        yield "price:bad"
    if any(price.amount < cost_of.get((sku, price.currency), 0) for sku, price in prices):
        yield "price:low"
