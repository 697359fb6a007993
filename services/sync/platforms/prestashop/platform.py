"""PrestaShop, as a store platform of Crossdock: the parts of this folder put together."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from services.sync.platforms.base import Account, Page, ProductWrite, Record, Scan, ShipmentWrite, StockWrite, Written
from services.sync.platforms.http import Http
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
from shared.contracts.sync.shapes import Entity, FeedKind, Greeting


class PrestaShopSession:
    """One shop, for a piece of work. Everything is done by the parts; see base.Session."""

    def __init__(self, account: Account, http: Http) -> None:
        settings = prestashop_settings(account.settings)
        self._client = Client(http, account.credentials.get("key", ""), settings.shop_id)
        self._shop = Shop(self._client, settings, settings.url)
        self._reader = Reader(self._shop)
        self._scanner = Scanner(self._reader)
        self._products = ProductWriter(self._reader)
        self._images = Images(self._client, settings.url)
        self._stock = StockWriter(self._reader)
        self._shipper = Shipper(self._shop)

    async def greet(self) -> Greeting:
        return await greet(self._shop)

    async def page(self, scan: Scan) -> Page:
        return await self._scanner.page(scan)

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]:
        return await self._reader.read(entity, external_ids)

    async def write_products(self, writes: Sequence[ProductWrite]) -> Sequence[Written]:
        return await self._products.write(writes)

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Written]:
        return await self._stock.write(writes)

    async def confirm_shipments(self, writes: Sequence[ShipmentWrite]) -> Sequence[Written]:
        return await self._shipper.confirm(writes)

    async def take_image(self, product_external_id: str, url: str) -> Written:
        """Take one picture off a product, after a person approved that one change."""
        return await self._images.take_away(product_external_id, url)


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
