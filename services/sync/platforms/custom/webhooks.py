"""What a server of the custom protocol says by itself: that something changed, and nothing that is relied on."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from services.sync.errors import InvalidCredentials
from services.sync.platforms.base import Knock
from services.sync.platforms.custom.signing import is_signed
from shared.contracts.sync.shapes import FeedKind

SIGNED_WITH = "signing_secret"
_LONGEST_HEADER = 4096
_FEEDS: dict[str, tuple[FeedKind, ...]] = {
    "products.changed": ("import_products", "update_products", "import_images"),
    "stock.changed": ("check_stock",),
    "orders.changed": ("import_orders", "update_orders"),
    "suppliers.changed": ("import_suppliers",),
    "supplier-links.changed": ("import_supplier_links",),
}


class _Event(msgspec.Struct):
    type: str


def is_genuine(body: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> bool:
    """Whether whoever knows the secret sent these bytes in the last five minutes. Header names are lower case."""
    message_id, timestamp, header = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if max(len(message_id), len(timestamp), len(header)) > _LONGEST_HEADER:
        return False
    try:
        return is_signed(secret, message_id, timestamp, header, body, now)
    except InvalidCredentials:
        return False


def knock(body: bytes, headers: Mapping[str, str]) -> Knock:
    """Which feeds a genuine webhook wakes: none for a type that is not known, or a body that is none."""
    try:
        feeds = _FEEDS.get(msgspec.json.decode(body, type=_Event).type, ())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        feeds = ()
    return Knock(headers.get("webhook-id", ""), feeds)
