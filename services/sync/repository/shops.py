"""The shops that connections belong to."""

from shared.shop_copy import ShopCopy

SHOPS = ShopCopy("currency", "time_zone")
