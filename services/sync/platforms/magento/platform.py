"""Magento 2 and Adobe Commerce, as a store platform of Crossdock: the parts of this folder put together."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from services.sync.platforms.base import Account, Record
from services.sync.platforms.http import Http
from services.sync.platforms.magento.client import Client
from services.sync.platforms.magento.greeting import greet
from services.sync.platforms.magento.images import Images
from services.sync.platforms.magento.mapping import CHOSEN
from services.sync.platforms.magento.products import ProductWriter
from services.sync.platforms.magento.reading import Reader
from services.sync.platforms.magento.scanning import Scanner
from services.sync.platforms.magento.settings import magento_settings
from services.sync.platforms.magento.shipments import Shipper
from services.sync.platforms.magento.shop import Shop
from services.sync.platforms.magento.stock import StockWriter
from services.sync.platforms.parts import SessionOfParts
from shared.contracts.sync.shapes import Entity, FeedKind, Greeting

_SUPPLIERS = "Magento knows no suppliers: at most a product has an attribute that names one."


class MagentoSession(SessionOfParts):
    """One shop, for a piece of work."""

    def __init__(self, account: Account, http: Http) -> None:
        settings = magento_settings(account.settings)
        self._client = Client(http, settings.url, account.credentials, settings.scope)
        self._shop = Shop(self._client)
        codes = {name: code for name, code in (CHOSEN | settings.attributes).items() if code}
        reader = Reader(self._client, self._shop, codes)
        images = Images(self._client, reader)
        self._levels = StockWriter(self._client, reader)
        super().__init__(
            scanner=Scanner(reader),
            reader=reader,
            products=ProductWriter(reader, images, settings),
            stock=self._levels,
            shipper=Shipper(self._client, self._shop, settings),
            images=images,
        )

    async def greet(self) -> Greeting:
        return await greet(self._client, self._shop)

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]:
        if entity == "stock":
            return await self._levels.read(external_ids)
        return await super().read(entity, external_ids)


class Magento:
    """Magento's REST API. See README.md of this folder."""

    name = "magento"
    title = "Magento 2"
    lacks: Mapping[FeedKind, str] = {"import_suppliers": _SUPPLIERS, "import_supplier_links": _SUPPLIERS}
    # A save may take long between its time and its end, and times are of seconds.
    overlap = timedelta(minutes=5)
    page_size = 50
    credential_names: tuple[str, ...] = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    reads_ahead = True

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        magento_settings(settings)

    def base_url(self, settings: Mapping[str, Any]) -> str:
        return magento_settings(settings).url

    def session(self, account: Account, http: Http) -> MagentoSession:
        """Raises InvalidConnectionSettings."""
        return MagentoSession(account, http)
