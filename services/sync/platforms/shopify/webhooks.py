"""Webhooks: whether one is Shopify's, and which feeds it wakes. What stands in it is not believed, but read anew.

https://shopify.dev/docs/apps/build/webhooks/subscribe/https
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from services.sync.platforms.base import Knock
from shared.contracts.sync.shapes import FeedKind

SIGNED_WITH = "client_secret"
SIGNATURE_HEADER = "x-shopify-hmac-sha256"
_PRODUCTS: tuple[FeedKind, ...] = ("import_products", "update_products", "import_images")
_ORDERS: tuple[FeedKind, ...] = ("import_orders", "update_orders")
_STOCK: tuple[FeedKind, ...] = ("check_stock",)
# A change of stock does not touch its product, nor a sale: stock has topics of its own.
TOPICS: Mapping[str, tuple[FeedKind, ...]] = {
    "products/create": _PRODUCTS,
    "products/update": _PRODUCTS,
    "inventory_levels/update": _STOCK,
    "inventory_levels/connect": _STOCK,
    "inventory_levels/disconnect": _STOCK,
    "inventory_items/update": ("update_products",),
    "orders/create": _ORDERS,
    "orders/updated": _ORDERS,
    "orders/edited": _ORDERS,
    "orders/cancelled": _ORDERS,
    "orders/paid": _ORDERS,
    "orders/fulfilled": _ORDERS,
    "orders/partially_fulfilled": _ORDERS,
    "fulfillments/create": _ORDERS,
    "fulfillments/update": _ORDERS,
    "refunds/create": _ORDERS,
    "bulk_operations/finish": (),
}


def is_genuine(body: bytes, headers: Mapping[str, str], secret: str, now: datetime | None = None) -> bool:
    """Whether a body, byte by byte as it came, was signed with the app's client secret. Header names are lower case.

    Shopify signs no time, and repeats for hours what was not answered: `now` decides nothing, repeats are known by
    their event.
    """
    given = headers.get(SIGNATURE_HEADER, "")
    expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
    return bool(secret) and hmac.compare_digest(expected, given.encode())


def knock(body: bytes, headers: Mapping[str, str]) -> Knock:
    """Which feeds a genuine webhook wakes: none for a topic that is not known. What is in the body is not looked at."""
    event_id = headers.get("x-shopify-event-id") or headers.get("x-shopify-webhook-id") or ""
    return Knock(event_id, TOPICS.get(headers.get("x-shopify-topic", "").lower(), ()))
