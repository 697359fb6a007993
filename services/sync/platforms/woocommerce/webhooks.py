"""Webhooks: whether one is the shop's, and which feeds it wakes. What stands in it is not believed, but read anew.

When a webhook is saved WooCommerce sends a ping, form-encoded and not signed, and leaves the webhook off where that is
refused. So a ping is taken from anybody: it wakes nothing.
https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from services.sync.platforms.base import Knock
from shared.contracts.sync.shapes import FeedKind

SIGNED_WITH = "webhook_secret"
SIGNATURE_HEADER = "x-wc-webhook-signature"
_PRODUCTS: tuple[FeedKind, ...] = ("import_products", "update_products", "import_images")
_ORDERS: tuple[FeedKind, ...] = ("import_orders", "update_orders")
# A sale updates its product too: what it took comes with the order, and stock is looked at by its own schedule.
TOPICS: Mapping[str, tuple[FeedKind, ...]] = {
    **{f"product.{event}": _PRODUCTS for event in ("created", "updated", "deleted", "restored")},
    **{f"order.{event}": _ORDERS for event in ("created", "updated", "deleted", "restored")},
}
_PING = re.compile(rb"webhook_id=[0-9]{1,20}")


def is_genuine(body: bytes, headers: Mapping[str, str], secret: str, now: datetime | None = None) -> bool:
    """Whether a body, byte by byte as it came, was signed with the webhook's secret, or is a ping.

    WooCommerce signs no time, so `now` decides nothing. Header names are lower case.
    """
    given = headers.get(SIGNATURE_HEADER, "")
    if is_ping(body, headers):
        return bool(secret)
    expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
    return bool(secret) and hmac.compare_digest(expected, given.encode())


def is_ping(body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether this is what WooCommerce sends when a webhook is saved."""
    return SIGNATURE_HEADER not in headers and _PING.fullmatch(body) is not None


def knock(body: bytes, headers: Mapping[str, str]) -> Knock:
    """Which feeds a genuine webhook wakes: none for a ping, nor for a topic that is not known."""
    if is_ping(body, headers):
        return Knock("ping", ())
    event_id = headers.get("x-wc-webhook-delivery-id") or hashlib.sha256(body).hexdigest()
    return Knock(event_id, TOPICS.get(headers.get("x-wc-webhook-topic", "").lower(), ()))
