"""Events in: one short function per event, safe to repeat and in any order."""

from services.orders.repository import imported, shops
from services.orders.use_cases import lifecycle, paying, returning, shipping
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.inventory.events import (
    BackorderServed,
    GoodsReturned,
    ReservationExpired,
    ReservationFailed,
    ShipmentChanged,
    ShipmentShipped,
)
from shared.contracts.payments.events import PaymentChanged
from shared.contracts.sync.events import ConnectionRemoved
from shared.service import listens
from shared.unit_of_work import UnitOfWork


@listens(ShopChanged)
async def keep_shop_when_it_changed(event: ShopChanged, uow: UnitOfWork) -> None:
    """Keep a copy of the newest version."""
    await shops.SHOPS.take(uow, event.shop)


@listens(ShopRemoved)
async def close_shop_when_removed(event: ShopRemoved, uow: UnitOfWork) -> None:
    """It takes no more orders; those it has stay."""
    await shops.SHOPS.forget(uow, event.shop_id)


@listens(ConnectionRemoved)
async def close_connection_when_removed(event: ConnectionRemoved, uow: UnitOfWork) -> None:
    """Nothing comes by it any more; the orders that came stay."""
    await imported.note_gone(uow, event.connection_id)


@listens(PaymentChanged)
async def move_order_when_payment_changed(event: PaymentChanged, uow: UnitOfWork) -> None:
    """Paid orders go on; money that is not as it should be stops them; money for what is over goes back."""
    await paying.note(uow, event)


@listens(ShipmentShipped)
async def move_order_when_shipment_shipped(event: ShipmentShipped, uow: UnitOfWork) -> None:
    """Lines and status follow the goods."""
    await shipping.note(uow, event)


@listens(ShipmentChanged)
async def follow_shipment_when_changed(event: ShipmentChanged, uow: UnitOfWork) -> None:
    """The order shows where its goods are."""
    await shipping.note_changed(uow, event)


@listens(GoodsReturned)
async def note_when_goods_returned(event: GoodsReturned, uow: UnitOfWork) -> None:
    """The order's timeline tells what came back."""
    await returning.note(uow, event)


@listens(BackorderServed)
async def note_when_backorder_served(event: BackorderServed, uow: UnitOfWork) -> None:
    """The order's timeline tells that goods it waited for are there."""
    await shipping.note_served(uow, event)


@listens(ReservationExpired)
async def note_when_reservation_expired(event: ReservationExpired, uow: UnitOfWork) -> None:
    """An unpaid order whose time is over ends; any other takes its stock again by itself."""
    await lifecycle.note_expired(uow, event.order_id)


@listens(ReservationFailed)
async def stop_order_when_reservation_failed(event: ReservationFailed, uow: UnitOfWork) -> None:
    """The order has no stock any more: on hold, for a person."""
    await lifecycle.stop_for_stock(uow, event.order_id, event.skus)
