"""Records by their ids, and products made whole: a product's variations are a list of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import Record, Unread
from services.sync.platforms.woocommerce import mapping, orders
from services.sync.platforms.woocommerce.client import Client, Refused
from services.sync.platforms.woocommerce.held import Held, read_held
from services.sync.platforms.woocommerce.mapping import Shop
from services.sync.platforms.woocommerce.paging import all_rows
from shared.contracts.sync.shapes import Entity
from shared.errors import CrossdockError

JsonObject = dict[str, Any]

# A shop's PHP answers few at once, and has its shoppers to answer.
AT_ONCE = 3
_STOCK = "id,parent_id,type,sku,manage_stock,stock_quantity,date_modified_gmt"
_VARIANT = (
    "id,parent_id,type,sku,global_unique_id,regular_price,sale_price,on_sale,virtual,tax_status,weight,attributes,"
    "date_modified_gmt"
)
_PRODUCT = f"{_VARIANT},name,slug,status,description,categories,brands,tags,images,variations"
_ORDER = (
    "id,number,status,currency,prices_include_tax,date_created_gmt,date_modified_gmt,date_paid_gmt,total,total_tax,"
    "shipping_total,shipping_tax,billing,shipping,line_items,tax_lines,shipping_lines,fee_lines,coupon_lines"
)
# Without `edit` a description comes with its shortcodes run and paragraphs put in: not as it was written.
_AS_WRITTEN = {"context": "edit"}
PRODUCTS: Mapping[str, str] = {"_fields": _PRODUCT, "status": "any", **_AS_WRITTEN}
VARIATIONS: Mapping[str, str] = {"_fields": _VARIANT, "status": "any", **_AS_WRITTEN}
STOCK: Mapping[str, str] = {"_fields": _STOCK, "status": "any"}
ORDERS: Mapping[str, str] = {"_fields": _ORDER}


@dataclass
class Found:
    """Records, and those that are there and can not be read."""

    records: list[Record] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


class Reader:
    """Reads one site, and remembers what its figures are in and how its categories hang together."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._shop: Shop | None = None
        self._paths: dict[int, list[str]] | None = None
        self._has_flat: bool | None = None

    async def has_flat_variations(self) -> bool:
        """Whether the site lists the variations of all products at once, as WooCommerce does since 10.3."""
        if self._has_flat is None:
            try:
                await self.client.list_rows("variations", {"per_page": "1", "_fields": "id"})
                self._has_flat = True
            except Refused as refused:
                if refused.code != "rest_no_route":
                    raise
                self._has_flat = False
        return self._has_flat

    async def shop(self) -> Shop:
        """What prices and weights are in."""
        if self._shop is None:
            currency = (await self.settings("general")).get("woocommerce_currency")
            if not isinstance(currency, str) or not currency:
                raise AnswerNotUnderstood("WooCommerce does not say what its prices are in.")
            try:
                unit = (await self.settings("products")).get("woocommerce_weight_unit")
            except Refused:
                unit = None
            self._shop = Shop(currency, mapping.unit_of_weight(str(unit)))
        return self._shop

    async def settings(self, group: str) -> dict[str, Any]:
        """The settings of a group, by name."""
        rows = await self.client.list_rows(f"settings/{group}", {"_fields": "id,value"})
        return {row["id"]: row.get("value") for row in rows.rows}

    async def paths(self, categories: Sequence[int] = ()) -> dict[int, list[str]]:
        """The path of every category, read anew when one of these is not among them."""
        if self._paths is None or any(each not in self._paths for each in categories):
            nodes = await all_rows(self.client, "products/categories", {})
            self._paths = mapping.category_paths(nodes)
        return self._paths

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> list[Record]:
        """These records as they are now; what is gone is not among them."""
        ids = [each for each in external_ids if each.isascii() and each.isdigit()]
        if entity == "product":
            return (await self.products(await self.by_ids("products", PRODUCTS, ids))).records
        if entity == "order":
            return self.orders(await self.by_ids("orders", ORDERS, ids)).records
        if entity == "stock":
            return await self.levels(await self.posts(STOCK, ids))
        if entity == "variant":
            shop, nodes = await self.shop(), await self.posts(PRODUCTS, ids)
            return each_of(
                lambda node: mapping.variant(node, shop), [each for each in nodes if not _has_parts(each)]
            ).records
        raise PlatformRefused(f"WooCommerce has no {entity}.")

    async def by_ids(self, path: str, fields: Mapping[str, str], ids: Sequence[str]) -> list[JsonObject]:
        """These records of a list, in any order."""
        found: list[JsonObject] = []
        size = self.client.settings.page_size
        for start in range(0, len(ids), size):
            chunk = list(dict.fromkeys(ids[start : start + size]))
            params = {**fields, "include": ",".join(chunk), "per_page": str(len(chunk))}
            found += (await self.client.list_rows(path, params)).rows
        return found

    async def posts(self, fields: Mapping[str, str], ids: Sequence[str]) -> list[JsonObject]:
        """These products and variations, which are lists of their own and have no id in common."""
        found = await self.by_ids("products", fields, ids)
        missing = sorted(set(ids) - {str(node["id"]) for node in found})
        if not missing:
            return found
        if await self.has_flat_variations():
            return [*found, *(await self.by_ids("variations", fields, missing))]
        params = {name: value for name, value in fields.items() if name != "status"}
        return [*found, *(await in_turn([self._single(each, params) for each in missing]))]

    async def _single(self, external_id: str, params: Mapping[str, str]) -> list[JsonObject]:
        """A variation by itself, which WooCommerce gives by its id as if it were a product."""
        try:
            return [await self.client.get(f"products/{external_id}", params)]
        except Refused as refused:
            if refused.data.get("status") != 404:
                raise
            return []

    async def variations_of(
        self, products: Sequence[int], fields: Mapping[str, str] = VARIATIONS
    ) -> dict[int, list[JsonObject]]:
        """By product, all its variations in the order of their ids."""
        found: dict[int, list[JsonObject]] = {each: [] for each in products}
        if not products:
            return found
        if await self.has_flat_variations():
            rows = await all_rows(self.client, "variations", {**fields, "parent": ",".join(map(str, products))})
        else:
            rows = await in_turn([self._variations_of(each, fields) for each in products])
        for node in rows:
            if node["parent_id"] in found:
                found[node["parent_id"]].append(node)
        return found

    async def _variations_of(self, product: int, fields: Mapping[str, str]) -> list[JsonObject]:
        """The variations of one product, which older versions give without their product and type."""
        rows = await all_rows(self.client, f"products/{product}/variations", fields)
        return [{"type": "variation", **row, "parent_id": product} for row in rows]

    async def whole(self, nodes: Sequence[JsonObject]) -> list[tuple[JsonObject, list[JsonObject]]]:
        """Products with their variations."""
        of = await self.variations_of([node["id"] for node in nodes if mapping.is_variable(node)])
        return [(node, of.get(node["id"], [])) for node in nodes]

    async def products(self, nodes: Sequence[JsonObject]) -> Found:
        """What products say, with their variations and the paths of their categories."""
        if not nodes:
            return Found()
        shop = await self.shop()
        categories = [each["id"] for node in nodes for each in node["categories"]]
        paths = await self.paths(categories) if categories else {}
        whole = {node["id"]: variations for node, variations in await self.whole(nodes)}
        return each_of(lambda node: mapping.product(node, whole[node["id"]], paths, shop), nodes)

    async def levels(self, nodes: Sequence[JsonObject]) -> list[Record]:
        """Stock levels of those that are counted."""
        counted, held = await self.counted(nodes)
        return [mapping.level(node, held.get(node["id"], 0)) for node in counted]

    async def counted(self, nodes: Sequence[JsonObject]) -> tuple[list[JsonObject], Held]:
        """Those that are counted, and what unpaid orders hold."""
        counted = [node for node in nodes if mapping.is_counted(node)]
        return counted, await read_held(self.client) if counted else {}

    def orders(self, nodes: Sequence[JsonObject]) -> Found:
        """What orders say."""
        return each_of(orders.order, nodes)


def each_of(make: Callable[[JsonObject], Record], nodes: Sequence[JsonObject]) -> Found:
    """One record that can not be read does not keep the others from it."""
    found = Found()
    for node in nodes:
        try:
            found.records.append(make(node))
        except CrossdockError as error:
            found.unread.append(Unread(str(node["id"]), error.detail))
    return found


async def in_turn(works: Sequence[Awaitable[list[JsonObject]]]) -> list[JsonObject]:
    """The rows of all, few asked for at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def through(work: Awaitable[list[JsonObject]]) -> list[JsonObject]:
        async with gate:
            return await work

    return [row for rows in await asyncio.gather(*map(through, works)) for row in rows]


def _has_parts(node: JsonObject) -> bool:
    return node["type"] != "variation" and mapping.is_variable(node)
