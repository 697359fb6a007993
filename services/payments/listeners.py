"""Events in. Each is safe to repeat and to reorder."""

from collections.abc import Sequence

from services.payments.repository import order_records, payer_records
from services.payments.use_cases import awaiting, gateway_setup, refunding
from shared import clock
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.orders.events import CustomerErased, OrderCancelled, OrderPlaced, OrderTotalChanged, RefundWanted
from shared.service import listens
from shared.unit_of_work import UnitOfWork


@listens(ShopChanged)
async def copy_shop_when_it_changed(event: ShopChanged, uow: UnitOfWork) -> None:
    """Keep the shop's code and parent."""
    await order_records.SHOPS.take(uow, event.shop)


@listens(ShopRemoved)
async def close_gateways_when_shop_removed(event: ShopRemoved, uow: UnitOfWork) -> None:
    """Take no more callbacks for the shop."""
    await gateway_setup.close_shop(uow, event.shop_id)


@listens(OrderPlaced, together=True)
async def apply_waiting_callbacks_when_orders_placed(events: Sequence[OrderPlaced], uow: UnitOfWork) -> None:
    """Know what is to be paid, and let the callbacks that came first take effect."""
    await awaiting.remember_orders(uow, events)


@listens(OrderCancelled)
async def request_refund_when_order_cancelled(event: OrderCancelled, uow: UnitOfWork) -> None:
    """Ask for what was paid to go back."""
    await awaiting.cancel_order(uow, event)


@listens(OrderTotalChanged)
async def keep_total_when_order_changed(event: OrderTotalChanged, uow: UnitOfWork) -> None:
    """Know what may be paid now."""
    await awaiting.remember_total(uow, event)


@listens(RefundWanted)
async def request_refund_when_wanted(event: RefundWanted, uow: UnitOfWork) -> None:
    """Ask for the wanted amount to go back."""
    await refunding.request_wanted(uow, event)


@listens(CustomerErased)
async def erase_payer_when_customer_erased(event: CustomerErased, uow: UnitOfWork) -> None:
    """Forget what gateways told of the person; the money stays in the books."""
    await payer_records.erase(uow, event.order_ids, clock.now())
