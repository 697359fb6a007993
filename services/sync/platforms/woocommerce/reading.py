"""Records by their ids, and products made whole: a product's variations are a list of their own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import Record, Unread
from services.sync.platforms.woocommerce import mapping, orders
from services.sync.platforms.woocommerce.client import Client, Refused
from services.sync.platforms.woocommerce.mapping import Shop
from services.sync.platforms.woocommerce.paging import all_rows
from shared.contracts.sync.shapes import Entity
from shared.errors import CrossdockError

JsonObject = dict[str, Any]

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
            return self.levels(await self.posts(STOCK, ids))
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
        return [*found, *(await self.by_ids("variations", fields, missing))]

    async def variations_of(self, products: Sequence[int]) -> dict[int, list[JsonObject]]:
        """By product, all its variations in the order of their ids."""
        found: dict[int, list[JsonObject]] = {each: [] for each in products}
        if not products:
            return found
        params = {**VARIATIONS, "parent": ",".join(map(str, products))}
        for node in await all_rows(self.client, "variations", params):
            if node["parent_id"] in found:
                found[node["parent_id"]].append(node)
        return found

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

    def levels(self, nodes: Sequence[JsonObject]) -> list[Record]:
        """Stock levels of those that are counted."""
        return [record for record in map(mapping.level, nodes) if record is not None]

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


def _has_parts(node: JsonObject) -> bool:
    return node["type"] != "variation" and mapping.is_variable(node)
