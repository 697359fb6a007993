"""Events in: each leaves marks of what must be built anew, and nothing else. Safe to repeat and to reorder."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from services.search.repository import marks, operator_documents, products, shops
from services.search.use_cases.builder import build_soon
from services.search.use_cases.operators.builder import mark
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.catalog.events import (
    CategoriesChanged,
    ChannelContentChanged,
    PricesChanged,
    ProductsChanged,
    ShopTermsChanged,
    VariantsRemoved,
)
from shared.contracts.inventory.events import StockChanged, SupplierLinksChanged
from shared.contracts.orders.events import CustomerErased, OrderDetailsChanged, OrderLinesChanged, OrderPlaced
from shared.contracts.sync.events import ListingsChanged
from shared.service import listens
from shared.unit_of_work import UnitOfWork


@listens(ProductsChanged)
async def mark_when_products_changed(event: ProductsChanged, uow: UnitOfWork) -> None:
    """Mark them in every shop."""
    await products.note(uow, event.product_ids)
    build_soon(uow, await marks.leave(uow, event.product_ids))
    await mark(uow, "product", event.product_ids)


@listens(PricesChanged)
async def mark_when_prices_changed(event: PricesChanged, uow: UnitOfWork) -> None:
    """Mark them in the shop and those that inherit from it, or everywhere."""
    family = None if event.shop_id is None else await shops.list_family(uow, event.shop_id)
    build_soon(uow, await marks.leave(uow, event.product_ids, family))
    await mark(uow, "product", event.product_ids)


@listens(ChannelContentChanged)
async def mark_when_channel_content_changed(event: ChannelContentChanged, uow: UnitOfWork) -> None:
    """Mark them in the shop and those that inherit from it; what a connection shows is no offer."""
    if event.shop_id is not None:
        family = await shops.list_family(uow, event.shop_id)
        build_soon(uow, await marks.leave(uow, event.product_ids, family))


@listens(ShopTermsChanged)
async def mark_when_shop_terms_changed(event: ShopTermsChanged, uow: UnitOfWork) -> None:
    """Mark everything of the shop and its heirs: what was built before catalog knew of the change is outdated."""
    build_soon(uow, await marks.leave_all(uow, await shops.list_family(uow, event.shop_id)))


@listens(CategoriesChanged)
async def mark_when_categories_changed(event: CategoriesChanged, uow: UnitOfWork) -> None:
    """Mark what stands in these branches, by a task: catalog alone knows what that is. Or everything, if it may be."""
    if event.is_confined:
        payload = {"category_ids": [str(id_) for id_ in event.category_ids]}
        uow.defer("mark_products_of_categories", payload | _since(uow))
    else:
        build_soon(uow, await marks.leave_all(uow))
        await mark(uow, "product", await operator_documents.list_ids(uow, "product"), is_bulk=True)


@listens(StockChanged, together=True)
async def mark_when_stock_changed(events: Sequence[StockChanged], uow: UnitOfWork) -> None:
    """Mark the products of these SKUs for their stock, each once; SKUs never seen here are looked up by a task.

    Operators find products by whether there is any stock of them, or little: only what crossed that line is theirs.
    """
    skus = list(dict.fromkeys(sku for event in events for sku in event.skus))
    known = await products.product_ids_of(uow, skus)
    if known:
        build_soon(uow, await marks.leave(uow, list(known.values()), of_stock=True))
        crossed = {sku for event in events for sku in (event.skus if event.crossed is None else event.crossed)}
        await mark(uow, "product", _each_once([[known[sku] for sku in known if sku in crossed]]))
    unknown = [sku for sku in skus if sku not in known]
    if unknown:
        uow.defer("mark_products_of_skus", {"skus": unknown} | _since(uow))


@listens(SupplierLinksChanged, together=True)
async def mark_when_supplier_links_changed(events: Sequence[SupplierLinksChanged], uow: UnitOfWork) -> None:
    """Mark the products of these SKUs for operators; SKUs never seen here are looked up by a task."""
    skus = list(dict.fromkeys(sku for event in events for sku in event.skus))
    known = await products.product_ids_of(uow, skus)
    await mark(uow, "product", _each_once([list(known.values())]))
    unknown = [sku for sku in skus if sku not in known]
    if unknown:
        uow.defer("mark_products_of_skus", {"skus": unknown, "for_operators": True} | _since(uow))


@listens(VariantsRemoved)
async def mark_when_variants_removed(event: VariantsRemoved, uow: UnitOfWork) -> None:
    """Mark the products that had these SKUs."""
    known = await products.product_ids_of(uow, event.skus)
    if known:
        build_soon(uow, await marks.leave(uow, list(known.values())))


@listens(ShopChanged)
async def mark_when_shop_changed(event: ShopChanged, uow: UnitOfWork) -> None:
    """Take over the shop; a new or different one, and those below it, show everything anew."""
    if await shops.take(uow, event.shop):
        build_soon(uow, await marks.leave_all(uow, await shops.list_family(uow, event.shop.id)))


@listens(ShopRemoved)
async def forget_when_shop_removed(event: ShopRemoved, uow: UnitOfWork) -> None:
    """Drop the shop's offers."""
    await shops.remove(uow, event.shop_id)


@listens(OrderPlaced, together=True)
async def mark_when_orders_placed(events: Sequence[OrderPlaced], uow: UnitOfWork) -> None:
    """Mark them for operators."""
    await mark(uow, "order", [event.order_id for event in events])


@listens(OrderDetailsChanged, together=True)
async def mark_when_order_details_changed(events: Sequence[OrderDetailsChanged], uow: UnitOfWork) -> None:
    """Mark the orders: they are found by something else."""
    await mark(uow, "order", [event.order_id for event in events])


@listens(OrderLinesChanged, together=True)
async def mark_when_order_lines_changed(events: Sequence[OrderLinesChanged], uow: UnitOfWork) -> None:
    """Mark the orders: they are found by other goods."""
    await mark(uow, "order", [event.order.order_id for event in events])


@listens(CustomerErased)
async def mark_when_customer_erased(event: CustomerErased, uow: UnitOfWork) -> None:
    """Mark all orders of whom nothing may be kept: they are built from what is left of the person."""
    await mark(uow, "order", event.order_ids)


@listens(ListingsChanged, together=True)
async def mark_when_listings_changed(events: Sequence[ListingsChanged], uow: UnitOfWork) -> None:
    """Mark what stands otherwise on a connection, each once."""
    await mark(uow, "product", _each_once(event.product_ids for event in events))
    await mark(uow, "order", _each_once(event.order_ids for event in events))


def _since(uow: UnitOfWork) -> dict[str, str]:
    """When what was heard was written, for the task that marks it."""
    return {} if uow.written_at is None else {"written_at": uow.written_at.isoformat()}


def _each_once(lists: Iterable[Sequence[UUID]]) -> list[UUID]:
    return list(dict.fromkeys(id_ for ids in lists for id_ in ids))
