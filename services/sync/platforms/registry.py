"""The store platforms that there are."""

from collections.abc import Callable, Mapping
from typing import Any

from services.sync.errors import UnknownPlatform
from services.sync.platforms.agent.platform import Agent
from services.sync.platforms.base import Platform, Webhooks
from services.sync.platforms.custom import webhooks as custom_webhooks
from services.sync.platforms.custom.platform import Custom
from services.sync.platforms.files.platform import Files
from services.sync.platforms.files.settings import unset_feeds
from services.sync.platforms.magento.platform import Magento
from services.sync.platforms.prestashop.platform import PrestaShop
from services.sync.platforms.shopify import webhooks as shopify_webhooks
from services.sync.platforms.shopify.platform import Shopify
from services.sync.platforms.woocommerce import webhooks as woocommerce_webhooks
from services.sync.platforms.woocommerce.platform import WooCommerce
from shared.contracts.sync.shapes import FeedKind

PLATFORMS: dict[str, Platform] = {
    platform.name: platform
    for platform in (Agent(), Custom(), Files(), Magento(), PrestaShop(), Shopify(), WooCommerce())
}
# Those that tell us by themselves when something changed.
WEBHOOKS: dict[str, Webhooks] = {
    "custom": custom_webhooks,
    "shopify": shopify_webhooks,
    "woocommerce": woocommerce_webhooks,
}

# Those whose systems come to us: nobody can be greeted there before an agent has the connection's token.
REVERSE = frozenset(("agent",))


# Those of which a connection's settings say which feeds there are.
_UNSET_FEEDS: dict[str, Callable[[Mapping[str, Any]], Mapping[FeedKind, str]]] = {"files": unset_feeds}


def lacks_of(name: str, settings: Mapping[str, Any]) -> dict[FeedKind, str]:
    """Of each feed that a connection with these settings does not have, why not. Raises UnknownPlatform."""
    found = dict(get_platform(name).lacks)
    return found | dict(_UNSET_FEEDS[name](settings)) if name in _UNSET_FEEDS else found


def get_platform(name: str) -> Platform:
    """Raises UnknownPlatform."""
    try:
        return PLATFORMS[name]
    except KeyError:
        raise UnknownPlatform(f"There is no platform '{name[:50]}'; there are {', '.join(PLATFORMS)}.") from None
