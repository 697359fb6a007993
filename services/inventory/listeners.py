"""Events in: one short function per event, safe to repeat and in any order."""

from collections.abc import Sequence

from services.inventory.repository import held
from services.inventory.use_cases import amending, centres, imports, reservations
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.catalog.events import StockFileImported
from shared.contracts.orders.events import OrderCancelled, OrderDueLater, OrderLinesChanged, OrderMoved, OrderPlaced
from shared.service import listens
from shared.unit_of_work import UnitOfWork

# An order that moved, even back to pending from a hold, keeps its goods until they leave or it is cancelled: from
# then on orders alone says when it ends.
_KEEPING = ("pending", "processing", "on_hold", "partly_shipped", "complete")


@listens(ShopChanged)
async def keep_shop_when_it_changed(event: ShopChanged, uow: UnitOfWork) -> None:
    """Keep a copy of the newest version; a merchant's first shop brings the default centre."""
    await centres.take_shop(uow, event.shop)


@listens(ShopRemoved)
async def unlink_shop_when_removed(event: ShopRemoved, uow: UnitOfWork) -> None:
    """Centres and stock stay."""
    await centres.forget_shop(uow, event.shop_id)


@listens(OrderPlaced, together=True)
async def keep_stock_when_orders_placed(events: Sequence[OrderPlaced], uow: UnitOfWork) -> None:
    """Hold the orders' stock until their payment is due; for good when nothing is to be paid."""
    await reservations.keep_placed(uow, events)


@listens(OrderDueLater)
async def keep_stock_when_order_waits_longer(event: OrderDueLater, uow: UnitOfWork) -> None:
    """Hold the order's stock until its payment can have arrived."""
    await reservations.keep(uow, event.order_id, event.shop_id, (), until=event.pay_until)


@listens(OrderMoved)
async def keep_stock_when_order_goes_on(event: OrderMoved, uow: UnitOfWork) -> None:
    """Confirm the reservation of an order that was paid, or that a person looks at."""
    if event.after in _KEEPING:
        await reservations.keep(uow, event.order_id, event.shop_id, (), until=None)
    await held.note_moved(uow, event.order_id, event.number, event.after, event.version)


@listens(OrderLinesChanged, alone=True)
async def amend_reservation_when_lines_changed(event: OrderLinesChanged, uow: UnitOfWork) -> None:
    """Hold what the order wants now, and give back what it does not."""
    await amending.apply(uow, event.order)


@listens(OrderCancelled, alone=True)
async def release_stock_when_order_cancelled(event: OrderCancelled, uow: UnitOfWork) -> None:
    """Return what has not left yet to available. Alone: it locks stock, and batches would do so in any order."""
    await reservations.release(uow, event.order_id)


@listens(StockFileImported, alone=True)
async def count_stock_when_file_imported(event: StockFileImported, uow: UnitOfWork) -> None:
    """Take the figures of an import as counts. The file is read before the transaction opens."""
    await imports.take(uow, event)
