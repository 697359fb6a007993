"""The store platforms that there are."""

from services.sync.errors import UnknownPlatform
from services.sync.platforms.agent.platform import Agent
from services.sync.platforms.base import Platform, Webhooks
from services.sync.platforms.custom import webhooks as custom_webhooks
from services.sync.platforms.custom.platform import Custom
from services.sync.platforms.files.platform import Files
from services.sync.platforms.magento.platform import Magento
from services.sync.platforms.prestashop.platform import PrestaShop
from services.sync.platforms.shopify import webhooks as shopify_webhooks
from services.sync.platforms.shopify.platform import Shopify
from services.sync.platforms.woocommerce import webhooks as woocommerce_webhooks
from services.sync.platforms.woocommerce.platform import WooCommerce

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


def get_platform(name: str) -> Platform:
    """Raises UnknownPlatform."""
    try:
        return PLATFORMS[name]
    except KeyError:
        raise UnknownPlatform(f"There is no platform '{name[:50]}'; there are {', '.join(PLATFORMS)}.") from None
