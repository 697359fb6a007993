"""How long a shop's orders wait for their payment."""

from datetime import datetime, timedelta
from uuid import UUID

from services.orders.repository import shops
from services.orders.settings import settings
from services.orders.use_cases import pricing
from shared.contracts.orders.terms import OrderTerms, SetOrderTerms
from shared.unit_of_work import UnitOfWork


async def get(uow: UnitOfWork, code: str) -> OrderTerms:
    """Raises ShopNotFound."""
    shop = await pricing.get_shop(uow, code)
    return OrderTerms(
        shop=shop.code,
        pay_window_minutes=round(shop.pay_window.total_seconds() / 60),
        is_own=shop.has_own_pay_window,
    )


async def put(uow: UnitOfWork, message: SetOrderTerms) -> OrderTerms:
    """Raises ShopNotFound."""
    before = await get(uow, message.shop)
    shop = await pricing.get_shop(uow, message.shop)
    await shops.set_pay_window(uow, shop.id, message.pay_window_minutes)
    after = await get(uow, message.shop)
    uow.audit("order_terms.set", "shop", shop.id, before=before.model_dump(), after=after.model_dump())
    return after


async def due_from(uow: UnitOfWork, shop_id: UUID, start: datetime) -> datetime:
    """When the payment of an order is due that waits from `start`."""
    minutes = await shops.get_pay_window_minutes(uow, shop_id)
    return start + (settings().pay_window if minutes is None else timedelta(minutes=minutes))
