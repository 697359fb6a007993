"""Records by their rows and ids, each with what stands beside it in other resources."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Record, Unread
from services.sync.platforms.prestashop import mapping, orders
from services.sync.platforms.prestashop.client import Client
from services.sync.platforms.prestashop.mapping import Beside, ids, key, text
from services.sync.platforms.prestashop.orders import OfOrders
from services.sync.platforms.prestashop.shop import Shop
from services.sync.platforms.prestashop.unpaid import Held, read_held
from shared.contracts.sync.shapes import Entity
from shared.errors import CrossdockError

JsonObject = dict[str, Any]

RESOURCES: dict[Entity, str] = {
    "product": "products",
    "stock": "stock_availables",
    "order": "orders",
    "supplier": "suppliers",
    "supplier_link": "product_suppliers",
}


@dataclass
class Found:
    """Records, and those that are there and can not be read."""

    records: list[Record] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Skus:
    """SKUs of products and combinations by ids; `combined` are products that have combinations."""

    products: dict[str, str]
    combinations: dict[str, tuple[str, str]]
    combined: set[str]

    def of(self, product: str, combination: str) -> str | None:
        """The SKU of a variant; None for one that there is not, and for the sum of a product's combinations."""
        if product not in self.products:
            return None
        if not combination:
            return None if product in self.combined else self.products[product]
        owner, sku = self.combinations.get(combination, ("", ""))
        return sku if owner == product else None


class Reader:
    """Reads one shop."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.client: Client = shop.client

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> list[Record]:
        """These records as they are now; what is gone is not among them."""
        if entity not in RESOURCES:
            raise PlatformRefused(f"PrestaShop has no {entity} of its own.")
        if entity == "stock":
            return await self.levels(external_ids, await self.held())
        rows = await self.client.by_ids(RESOURCES[entity], external_ids, language=await self._language(entity))
        return (await self.records(entity, rows)).records

    async def held(self) -> Held:
        """What unpaid orders have taken from the stock. Read before the levels that it is added to."""
        return await read_held(self.shop)

    async def levels(self, external_ids: Sequence[str], held: Held) -> list[Record]:
        """These stock levels as they are now."""
        rows = await self.client.by_ids(RESOURCES["stock"], external_ids)
        return (await self.records("stock", rows, held)).records

    async def records(self, entity: Entity, rows: Sequence[JsonObject], held: Held | None = None) -> Found:
        """What rows of a resource say; `held` belongs to stock levels."""
        if not rows:
            return Found()
        if entity == "product":
            return await self.products(rows)
        if entity == "stock":
            return await self._levels(rows, held or {})
        if entity == "order":
            return await self._orders(rows)
        return await (self._suppliers(rows) if entity == "supplier" else self._links(rows))

    async def products(self, rows: Sequence[JsonObject]) -> Found:
        """Products with their variants."""
        units, beside = await self.shop.units(), await self.beside(rows)
        now = self.shop.now()
        return _each(lambda row: mapping.product(row, beside, units, now), rows)

    async def beside(self, rows: Sequence[JsonObject]) -> Beside:
        """What stands beside products."""
        paths = await self.shop.paths()
        owners = [key(row["id"]) for row in rows if ids(row, "combinations") or key(row.get("id_default_combination"))]
        combined = await self._combinations(owners)
        chosen = [each for rows_ in combined.values() for row in rows_ for each in ids(row, "product_option_values")]
        values, tags = await asyncio.gather(
            self.shop.values(chosen), self.shop.tags(each for row in rows for each in ids(row, "tags"))
        )
        return Beside(combined, values, tags, paths, self.shop.base_url)

    async def _combinations(self, owners: Sequence[str]) -> dict[str, list[JsonObject]]:
        """Combinations by the ids of their products, in the order of their own."""
        units = await self.shop.units()
        rows = await self.client.by_ids("combinations", owners, name="id_product", language=units.language)
        found: dict[str, list[JsonObject]] = {}
        for row in rows:
            found.setdefault(key(row.get("id_product")), []).append(row)
        return found

    async def _levels(self, rows: Sequence[JsonObject], held: Held) -> Found:
        """Stock levels; sums of combinations, and rows of what there is not, are none."""
        skus, place = await self._skus(rows, "id_product", "id_product_attribute"), await self.shop.place()

        def make(row: JsonObject) -> Record | None:
            product, combination = key(row.get("id_product")), key(row.get("id_product_attribute"))
            sku = skus.of(product, combination)
            if sku is None or key(row.get("id_shop")) not in ("", place):
                return None
            return mapping.level(row, sku, place, held.get((product, combination), 0))

        return _each(make, rows)

    async def _skus(self, rows: Sequence[JsonObject], product: str, combination: str) -> Skus:
        owners = {key(row.get(product)) for row in rows}
        found, combined = await asyncio.gather(
            self.client.by_ids("products", owners, "[id,reference]"),
            self.client.by_ids("combinations", owners, "[id,id_product,reference]", name="id_product"),
        )
        return Skus(
            {key(row["id"]): text(row.get("reference"), 0) for row in found},
            {key(row["id"]): (key(row.get("id_product")), text(row.get("reference"), 0)) for row in combined},
            {key(row.get("id_product")) for row in combined},
        )

    async def _suppliers(self, rows: Sequence[JsonObject]) -> Found:
        units, now = await self.shop.units(), self.shop.now()
        wanted = [key(row["id"]) for row in rows]
        addresses = await self.client.by_ids("addresses", wanted, name="id_supplier")
        by_supplier = {key(row.get("id_supplier")): row for row in addresses if not mapping.flag(row.get("deleted"))}
        return _each(lambda row: mapping.supplier(row, by_supplier.get(key(row["id"])), units, now), rows)

    async def _links(self, rows: Sequence[JsonObject]) -> Found:
        """Links; those to products and combinations that there are not are none."""
        units, currencies = await self.shop.units(), await self.shop.currencies()
        skus = await self._skus(rows, "id_product", "id_product_attribute")

        def make(row: JsonObject) -> Record | None:
            sku = skus.of(key(row.get("id_product")), key(row.get("id_product_attribute")))
            currency = currencies.get(key(row.get("id_currency")), units.currency)
            return mapping.supplier_link(row, sku, currency) if sku and key(row.get("id_supplier")) else None

        return _each(make, rows)

    async def _orders(self, rows: Sequence[JsonObject]) -> Found:
        beside = await self._of_orders(rows)
        return _each(lambda row: orders.order(row, beside), rows)

    async def _of_orders(self, rows: Sequence[JsonObject]) -> OfOrders:
        customers, addresses = await asyncio.gather(
            self.client.by_ids("customers", [key(row.get("id_customer")) for row in rows], orders.CUSTOMER),
            self.client.by_ids("addresses", [each for row in rows for each in orders.addresses_of(row)]),
        )
        return OfOrders(
            units=await self.shop.units(),
            now=self.shop.now(),
            states=await self.shop.states(),
            currencies=await self.shop.currencies(),
            countries=await self.shop.countries(),
            regions=await self.shop.regions(key(row.get("id_state")) for row in addresses),
            customers={key(row["id"]): row for row in customers},
            addresses={key(row["id"]): row for row in addresses},
        )

    async def _language(self, entity: Entity) -> int | None:
        return (await self.shop.units()).language if entity in ("product", "supplier") else None


def _each(make: Callable[[JsonObject], Record | None], rows: Sequence[JsonObject]) -> Found:
    """One record that can not be read does not keep the others from it."""
    found = Found()
    for row in rows:
        try:
            record = make(row)
        except CrossdockError as error:
            found.unread.append(Unread(key(row.get("id")) or None, error.detail))
        else:
            if record is not None:
                found.records.append(record)
    return found
