"""Webhooks: whether one is Shopify's, and which feeds it wakes. What stands in it is not believed, but read anew.

https://shopify.dev/docs/apps/build/webhooks/subscribe/https
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.sync.shapes import FeedKind

SIGNATURE_HEADER = "x-shopify-hmac-sha256"
_PRODUCTS: tuple[FeedKind, ...] = ("import_products", "update_products", "import_images")
_ORDERS: tuple[FeedKind, ...] = ("import_orders", "update_orders")
_STOCK: tuple[FeedKind, ...] = ("import_stock",)
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


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook. `event_id` is the same when Shopify repeats it; `feeds` are those that it wakes."""

    event_id: str
    topic: str
    shop: str
    feeds: tuple[FeedKind, ...]


def is_genuine(client_secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a body, byte by byte as it came, was signed with the app's client secret. Header names in any case."""
    given = _lower(headers).get(SIGNATURE_HEADER, "")
    expected = base64.b64encode(hmac.new(client_secret.encode(), body, hashlib.sha256).digest())
    return bool(client_secret) and hmac.compare_digest(expected, given.encode())


def webhook(headers: Mapping[str, str]) -> Webhook:
    """What a webhook's headers say. A topic that is not known wakes nothing."""
    named = _lower(headers)
    topic = named.get("x-shopify-topic", "").lower()
    event_id = named.get("x-shopify-event-id") or named.get("x-shopify-webhook-id") or ""
    return Webhook(event_id, topic, named.get("x-shopify-shop-domain", ""), TOPICS.get(topic, ()))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
