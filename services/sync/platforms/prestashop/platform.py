"""PrestaShop, as a store platform of Crossdock: the parts of this folder put together."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.sync.platforms.base import Account
from services.sync.platforms.http import Http
from services.sync.platforms.parts import SessionOfParts
from services.sync.platforms.prestashop.client import Client
from services.sync.platforms.prestashop.greeting import greet
from services.sync.platforms.prestashop.images import Images
from services.sync.platforms.prestashop.products import ProductWriter
from services.sync.platforms.prestashop.reading import Reader
from services.sync.platforms.prestashop.scanning import Scanner
from services.sync.platforms.prestashop.settings import prestashop_settings
from services.sync.platforms.prestashop.shipments import Shipper
from services.sync.platforms.prestashop.shop import Shop
from services.sync.platforms.prestashop.stock import StockWriter
from shared.contracts.sync.shapes import FeedKind, Greeting


class PrestaShopSession(SessionOfParts):
    """One shop, for a piece of work."""

    def __init__(self, account: Account, http: Http) -> None:
        settings = prestashop_settings(account.settings)
        client = Client(http, account.credentials.get("key", ""), settings.shop_id)
        self._shop = Shop(client, settings, settings.url)
        reader = Reader(self._shop)
        super().__init__(
            scanner=Scanner(reader),
            reader=reader,
            products=ProductWriter(reader),
            stock=StockWriter(reader),
            shipper=Shipper(self._shop),
            images=Images(client, settings.url),
        )

    async def greet(self) -> Greeting:
        return await greet(self._shop)


class PrestaShop:
    """PrestaShop's webservice, of 1.7, 8 and 9. See README.md of this folder."""

    name = "prestashop"
    title = "PrestaShop"
    lacks: Mapping[FeedKind, str] = {}
    overlap = timedelta(minutes=10)
    page_size = 100
    credential_names: tuple[str, ...] = ("key",)
    reads_ahead = True

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        prestashop_settings(settings)

    def base_url(self, settings: Mapping[str, Any]) -> str:
        return prestashop_settings(settings).url

    def session(self, account: Account, http: Http) -> PrestaShopSession:
        return PrestaShopSession(account, http)
