"""What accounts announces."""

from uuid import UUID

from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Event


class ShopChanged(Event):
    """A shop was created or changed. Whoever keeps a copy takes it when `shop.version` is newer than its own."""

    shop: Shop


class ShopRemoved(Event):
    """A shop is gone, and with it whatever others keep of it."""

    shop_id: UUID
