"""Shopify, as a store platform of Crossdock: the parts of this folder put together."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.sync.errors import InvalidConnectionSettings
from services.sync.platforms.base import Account
from services.sync.platforms.http import Http
from services.sync.platforms.parts import SessionOfParts
from services.sync.platforms.shopify import orders, queries
from services.sync.platforms.shopify.client import VERSION, Client
from services.sync.platforms.shopify.images import Images
from services.sync.platforms.shopify.mapping import short
from services.sync.platforms.shopify.products import ProductWriter
from services.sync.platforms.shopify.reading import Reader
from services.sync.platforms.shopify.scanning import Scanner
from services.sync.platforms.shopify.shipments import Shipper
from services.sync.platforms.shopify.stock import StockWriter
from shared.contracts.sync.shapes import FeedKind, Greeting, RemotePlace

# What the app must be allowed; a right to write has the right to read in it. `read_all_orders` is for orders of more
# than 60 days ago, and a shop can do without.
SCOPES = (
    "write_products",
    "write_files",
    "write_inventory",
    "read_locations",
    "read_orders",
    "write_merchant_managed_fulfillment_orders",
)
_SHOP = re.compile(r"^[a-z0-9][a-z0-9-]{0,99}(\.myshopify\.com)?$")
_URL = re.compile(r"^https?://[^\s/?#@]+$")
_SETTINGS = frozenset(("shop", "url", "notify_customer"))
_SUPPLIERS = "Shopify knows no suppliers: a product has a vendor, which is a word on it and comes as its brand."


class ShopifySession(SessionOfParts):
    """One shop, for a piece of work."""

    def __init__(self, account: Account, http: Http) -> None:
        self._client = Client(http, account.credentials)
        reader = Reader(self._client)
        super().__init__(
            scanner=Scanner(reader),
            reader=reader,
            products=ProductWriter(reader),
            stock=StockWriter(self._client),
            shipper=Shipper(self._client, account.settings),
            images=Images(self._client),
        )

    async def greet(self) -> Greeting:
        data = await self._client.ask(queries.GREET)
        granted = {each["handle"] for each in data["currentAppInstallation"]["accessScopes"]}
        granted |= {f"read_{scope.removeprefix('write_')}" for scope in granted if scope.startswith("write_")}
        places = [
            RemotePlace(external_id=short(node["id"]), name=node["name"])
            for node in data["locations"]["nodes"]
            if node["isActive"]
        ]
        return Greeting(
            shop_name=data["shop"]["name"],
            currency=data["shop"]["currencyCode"],
            time_zone=data["shop"]["ianaTimezone"],
            version=VERSION,
            places=places,
            order_statuses=orders.STATUSES,
            missing=[scope for scope in SCOPES if scope not in granted],
        )


class Shopify:
    """Shopify's Admin GraphQL API. See README.md of this folder."""

    name = "shopify"
    title = "Shopify"
    lacks: Mapping[FeedKind, str] = {"import_suppliers": _SUPPLIERS, "import_supplier_links": _SUPPLIERS}
    overlap = timedelta(minutes=2)
    page_size = 100
    credential_names: tuple[str, ...] = ("access_token", "client_id", "client_secret")
    # A page of a bulk operation waits for it, which nobody should do twice.
    reads_ahead = False

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        unknown = sorted(set(settings) - _SETTINGS)
        if unknown:
            raise InvalidConnectionSettings(f"Shopify has no setting {', '.join(unknown)[:200]}.")
        if not isinstance(settings.get("notify_customer", True), bool):
            raise InvalidConnectionSettings("`notify_customer` is true or false.")
        if "url" in settings:
            if not _URL.match(str(settings["url"])):
                raise InvalidConnectionSettings("`url` is the shop's address without a path.")
        elif not _SHOP.match(str(settings.get("shop", "")).lower()):
            raise InvalidConnectionSettings("`shop` is the shop's own address: name.myshopify.com.")

    def base_url(self, settings: Mapping[str, Any]) -> str:
        if "url" in settings:
            return str(settings["url"])
        shop = str(settings["shop"]).lower()
        return f"https://{shop}" if shop.endswith(".myshopify.com") else f"https://{shop}.myshopify.com"

    def session(self, account: Account, http: Http) -> ShopifySession:
        return ShopifySession(account, http)
