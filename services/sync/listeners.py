"""Events in: each leaves marks of what may be different on a platform now. Safe to repeat and to reorder."""

from services.sync.repository import listings
from services.sync.repository.shops import SHOPS
from services.sync.use_cases import shipments_out
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.catalog.events import ChannelContentChanged, PricesChanged, ProductsChanged
from shared.contracts.inventory.events import ShipmentShipped, StockChanged
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
    await listings.mark_products(uow, event.product_ids)


@listens(PricesChanged)
async def mark_products_when_prices_changed(event: PricesChanged, uow: UnitOfWork) -> None:
    """Compare them with what platforms have."""
    await listings.mark_products(uow, event.product_ids)


@listens(ChannelContentChanged)
async def mark_products_when_content_changed(event: ChannelContentChanged, uow: UnitOfWork) -> None:
    """Compare them with what platforms have."""
    await listings.mark_products(uow, event.product_ids)


@listens(StockChanged)
async def mark_stock_when_changed(event: StockChanged, uow: UnitOfWork) -> None:
    """Compare what can be sold of them with what platforms have."""
    await listings.mark_stock(uow, event.skus)


@listens(ShipmentShipped)
async def queue_confirmation_when_shipped(event: ShipmentShipped, uow: UnitOfWork) -> None:
    """Tell the platform that the order came from."""
    await shipments_out.note_shipment(uow, event)
