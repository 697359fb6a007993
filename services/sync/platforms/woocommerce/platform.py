"""WooCommerce, as a store platform of Crossdock: the parts of this folder put together."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.sync.platforms.base import Account
from services.sync.platforms.http import Http
from services.sync.platforms.parts import SessionOfParts
from services.sync.platforms.woocommerce import mapping
from services.sync.platforms.woocommerce.client import Client
from services.sync.platforms.woocommerce.images import Images
from services.sync.platforms.woocommerce.products import ProductWriter
from services.sync.platforms.woocommerce.reading import Reader
from services.sync.platforms.woocommerce.scanning import Scanner
from services.sync.platforms.woocommerce.settings import woo_settings
from services.sync.platforms.woocommerce.shipments import Shipper
from services.sync.platforms.woocommerce.stock import StockWriter
from shared.contracts.orders.imported import StatusMap
from shared.contracts.sync.shapes import FeedKind, Greeting, RemotePlace
from shared.money import EXPONENTS

_SUPPLIERS = "WooCommerce knows no suppliers: a product has a brand, which comes as its brand."
# What could be done with orders of WooCommerce's own statuses; those of plug-ins mean what their makers say.
_PROPOSED: StatusMap = {
    "pending": "set_aside",
    "on-hold": "set_aside",
    "processing": "import",
    "completed": "import_and_complete",
    "cancelled": "import_and_cancel",
    "refunded": "import_and_cancel",
    "failed": "do_not_import",
    "checkout-draft": "do_not_import",
}


class WooSession(SessionOfParts):
    """One site, for a piece of work."""

    def __init__(self, account: Account, http: Http) -> None:
        self._client = Client(account, http)
        self._reader = Reader(self._client)
        super().__init__(
            scanner=Scanner(self._reader),
            reader=self._reader,
            products=ProductWriter(self._reader),
            stock=StockWriter(self._reader),
            shipper=Shipper(self._reader),
            images=Images(self._client),
        )

    async def greet(self) -> Greeting:
        shop = await self._reader.shop()
        site = await self._client.site("name,timezone_string")
        slugs = [each["slug"] for each in await self._client.get("reports/orders/totals", {"_fields": "slug"})]
        name = mapping.text(str(site.get("name") or "")).strip() or "WooCommerce"
        return Greeting(
            shop_name=name,
            currency=shop.currency if shop.currency in EXPONENTS else None,
            time_zone=site.get("timezone_string") or None,
            version="wc/v3",
            places=[RemotePlace(external_id=mapping.PLACE, name=name)],
            order_statuses=slugs,
            proposed_statuses={slug: _PROPOSED[slug] for slug in slugs if slug in _PROPOSED},
            missing=[] if await self._client.may_write() else ["write"],
        )


class WooCommerce:
    """WooCommerce's REST API v3. See README.md of this folder."""

    name = "woocommerce"
    title = "WooCommerce"
    lacks: Mapping[FeedKind, str] = {"import_suppliers": _SUPPLIERS, "import_supplier_links": _SUPPLIERS}
    overlap = timedelta(minutes=2)
    page_size = 60
    credential_names: tuple[str, ...] = ("consumer_key", "consumer_secret", "webhook_secret")
    reads_ahead = True

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        woo_settings(settings)

    def base_url(self, settings: Mapping[str, Any]) -> str:
        return woo_settings(settings).url

    def session(self, account: Account, http: Http) -> WooSession:
        """Raises InvalidConnectionSettings, InvalidCredentials."""
        return WooSession(account, http)
