"""A merchant that sells: shops, categories, products with prices and stock, made through the services that own them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import httpx

from deploy import topology
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.accounts.messages import CreateOrganization, CreateShop
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Message
from shared.contracts.catalog.categories import Category, CategoryDraft
from shared.contracts.catalog.messages import (
    CreateCategory,
    CreatePriceList,
    CreateProduct,
    PublishProduct,
    SetPrices,
    UpdateProduct,
)
from shared.contracts.catalog.pricing import PriceDraft, PriceListDraft
from shared.contracts.catalog.shapes import Product, ProductChange, ProductDraft, VariantDraft
from shared.contracts.inventory.messages import UpdateStock
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.messaging.subscriptions import SUBSCRIPTIONS
from shared.money import Money
from tests.doors import Client, caller_of, eventually


class Seller:
    """One organization, spoken to as its administrator; the workers do the rest."""

    def __init__(self, process: topology.Surrounded, client: Client | None = None) -> None:
        self.process = process
        self.client = client
        self.organization_id = new_id()
        self.caller = caller_of(self.organization_id)
        self.shops: dict[str, Shop] = {}
        self.price_lists: dict[str, UUID] = {}

    async def ask(self, message: Message[Any]) -> Any:
        return await self.process.bus.ask(message, envelope_for(self.caller, timeout_seconds=30))

    async def open(self, code: str = "main", *, currency: str = "USD", locale: str = "en-US", **fields: Any) -> Shop:
        """A shop with a price list, known to every service."""
        if not self.shops:
            await self.process.bus.ask(
                CreateOrganization(name="Seller"), service_envelope("deploy", self.organization_id)
            )
        shop = await self.ask(CreateShop(code=code, name=code, currency=currency, locale=locale, **fields))
        self.shops[code] = shop

        async def priced() -> bool:
            try:
                made = await self.ask(CreatePriceList(draft=PriceListDraft(shop=code, name="Prices")))
            except CarriedError as error:
                if error.code == "shop_not_found":
                    return False
                raise
            self.price_lists[code] = made.id
            return True

        await eventually(priced)
        for service in SUBSCRIPTIONS[ShopChanged]:
            await eventually(partial(self._has_shop, service, shop.id))
        return shop

    async def _has_shop(self, service: str, shop_id: UUID) -> bool:
        return await self._asked(service, "SELECT EXISTS (SELECT FROM shops WHERE id = $1)", shop_id)

    async def category(
        self, name: str, *, parent: Category | None = None, shops: Sequence[str] = ("main",), **fields: Any
    ) -> Category:
        assigned = [] if parent else list(shops)
        draft = CategoryDraft(name=name, parent_id=parent and parent.id, shops=assigned, **fields)
        return await self.ask(CreateCategory(draft=draft))

    async def sell(
        self,
        title: str,
        category: Category,
        *,
        price: int = 1000,
        stock: int = 5,
        variants: Sequence[VariantDraft] = (),
        shop: str = "main",
        **fields: Any,
    ) -> Product:
        """An active product, each variant of it at this price and with this stock."""
        variants = variants or [VariantDraft(sku=title.upper().replace(" ", "-"))]
        draft = ProductDraft(**{"title": title, "category_ids": [category.id], "variants": list(variants), **fields})
        product = await self.ask(CreateProduct(draft=draft))
        await self.price({variant.sku: price for variant in variants}, shop=shop)
        await self.stock({variant.sku: stock for variant in variants})
        return await self.ask(PublishProduct(product_id=product.id))

    async def price(self, amounts: Mapping[str, int], *, shop: str = "main") -> None:
        """What these SKUs cost in a shop, in minor units."""
        currency = self.shops[shop].currency
        prices = [PriceDraft(sku=sku, price=Money(amount=each, currency=currency)) for sku, each in amounts.items()]
        await self.ask(SetPrices(price_list_id=self.price_lists[shop], prices=prices))

    async def stock(self, levels: Mapping[str, int]) -> None:
        """What is on hand in the default centre."""
        rows = [{"sku": sku, "centre": "main", "on_hand": on_hand} for sku, on_hand in levels.items()]
        updated = await self.ask(UpdateStock(rows=rows))
        assert updated.failed == 0, updated

    async def change(self, product: Product, **fields: Any) -> Product:
        return await self.ask(UpdateProduct(product_id=product.id, change=ProductChange(**fields)))

    async def settles(self) -> None:
        """Wait until search has heard of all that was done so far, and has built it: what happens then is of a test."""
        await eventually(self._is_settled, 30)

    async def _is_settled(self) -> bool:
        """Down the stream, so that nothing slips by while one place after the other is looked at."""
        for service in ("accounts", "catalog", "inventory"):
            if await self._asked(service, "SELECT EXISTS (SELECT FROM deliveries WHERE listener = 'search')"):
                return False
        waiting = "SELECT EXISTS (SELECT FROM tasks) OR EXISTS (SELECT FROM marks WHERE due_at <= now())"
        return not await self._asked("search", waiting)

    async def _asked(self, service: str, sql: str, *arguments: Any) -> bool:
        """What the tables of a service say of this merchant."""
        uow = self.process.surroundings.unit_of_work(service, service_envelope(service, self.organization_id))
        try:
            return bool(await uow.fetchval(sql, *arguments))
        finally:
            await uow.rollback()

    # --- looking

    async def get(self, path: str, *, caller: Caller | None = None, **parameters: Any) -> httpx.Response:
        """A storefront's GET below `/v1/`; `option_Colour` stands for `option.Colour`."""
        assert self.client is not None
        named = {name.replace("option_", "option."): value for name, value in parameters.items()}
        headers = self.client.speaking_as(caller or caller_of(self.organization_id, "storefront"))
        return await self.client.get(f"/v1/{path}", params=named, headers=headers)

    async def offers(self, shop: str = "main", **parameters: Any) -> Any:
        answer = await self.get(f"shops/{shop}/offers", **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def slugs(self, shop: str = "main", **parameters: Any) -> list[str]:
        return [offer["slug"] for offer in (await self.offers(shop, **parameters))["items"]]

    async def sells(self, count: int, shop: str = "main") -> None:
        """Wait until the shop sells so many products."""

        async def look() -> bool:
            total = (await self.offers(shop))["total"]
            assert total == count, f"{total} offers instead of {count}"
            return True

        await eventually(look, 30)


async def make(process: topology.Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A shop of the organization, by a code that only it has; the organization is made by accounts' factory."""
    envelope = service_envelope("deploy", organization_id)
    code = f"offers-{organization_id.hex[-12:]}"
    await process.bus.ask(CreateShop(code=code, name="Offers", currency="USD", locale="en"), envelope)
    return {"shop_code": code}
