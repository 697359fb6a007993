"""Events in: each leaves marks of what may be different on a platform now. Safe to repeat and to reorder."""

from collections.abc import Sequence
from uuid import UUID

from services.sync.repository import creations, listings
from services.sync.repository.shops import SHOPS
from services.sync.use_cases import forgetting, shipments_out, waiting_orders
from services.sync.use_cases.creating import FIND_CANDIDATES
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.catalog.events import (
    CategoriesChanged,
    ChannelContentChanged,
    PricesChanged,
    ProductsChanged,
    ShopTermsChanged,
)
from shared.contracts.inventory.events import ShipmentShipped, StockChanged
from shared.contracts.orders.events import CustomerErased, ImportedOrderChanged
from shared.service import listens
from shared.unit_of_work import UnitOfWork


@listens(ShopChanged)
async def keep_shop_when_it_changed(event: ShopChanged, uow: UnitOfWork) -> None:
    """Keep a copy of the newest version."""
    await SHOPS.take(uow, event.shop)


@listens(ShopRemoved)
async def forget_shop_when_removed(event: ShopRemoved, uow: UnitOfWork) -> None:
    """No connection is made for it any more; those it has stay until somebody deletes them."""
    await SHOPS.forget(uow, event.shop_id)


@listens(ProductsChanged)
async def mark_products_when_changed(event: ProductsChanged, uow: UnitOfWork) -> None:
    """Compare them with what platforms have."""
    await _mark(uow, event.product_ids)


@listens(PricesChanged)
async def mark_products_when_prices_changed(event: PricesChanged, uow: UnitOfWork) -> None:
    """Compare them with what platforms have."""
    await _mark(uow, event.product_ids)


@listens(ChannelContentChanged)
async def mark_products_when_content_changed(event: ChannelContentChanged, uow: UnitOfWork) -> None:
    """Compare them with what platforms have; what a connection has of its own, with its platform alone."""
    await _mark(uow, event.product_ids, event.connection_id)


async def _mark(uow: UnitOfWork, product_ids: Sequence[UUID], connection_id: UUID | None = None) -> None:
    await listings.mark_products(uow, product_ids, connection_id)
    await creations.note_candidates(uow, product_ids, connection_id)


@listens(CategoriesChanged)
async def look_for_new_products_when_categories_changed(event: CategoriesChanged, uow: UnitOfWork) -> None:
    """What the shop sells may be other products now."""
    if await creations.is_any_wanted(uow):
        branches = [str(each) for each in event.category_ids] if event.is_confined else None
        uow.defer(FIND_CANDIDATES, {"category_ids": branches, "after": None})


@listens(ShopTermsChanged)
async def look_for_new_products_when_terms_changed(event: ShopTermsChanged, uow: UnitOfWork) -> None:
    """What the shop sells may be other products now."""
    if await creations.is_any_wanted(uow):
        uow.defer(FIND_CANDIDATES, {"category_ids": None, "after": None})


@listens(StockChanged)
async def mark_stock_when_changed(event: StockChanged, uow: UnitOfWork) -> None:
    """Compare what can be sold of them with what platforms have."""
    await listings.mark_stock(uow, event.skus)


@listens(ShipmentShipped)
async def queue_confirmation_when_shipped(event: ShipmentShipped, uow: UnitOfWork) -> None:
    """Tell the platform that the order came from."""
    await shipments_out.note_shipment(uow, event)


@listens(ImportedOrderChanged)
async def note_order_when_it_waits(event: ImportedOrderChanged, uow: UnitOfWork) -> None:
    """An order that is set aside is an issue of its connection until it goes on."""
    await waiting_orders.note(uow, event)


@listens(CustomerErased)
async def forget_buyer_when_customer_erased(event: CustomerErased, uow: UnitOfWork) -> None:
    """Nothing is kept of whose these orders were on a platform."""
    await forgetting.forget(uow, event.order_ids)
