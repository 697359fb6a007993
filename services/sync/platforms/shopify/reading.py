"""Records by their ids and by pages of Shopify's connections, each whole however long its own lists are."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import Record, Unread
from services.sync.platforms.shopify import mapping, orders, queries
from services.sync.platforms.shopify.client import Client, CostsTooMuch
from services.sync.platforms.shopify.queries import Document
from shared.contracts.sync.shapes import Entity
from shared.errors import CrossdockError

JsonObject = dict[str, Any]

# Products and orders have lists of their own, and cost by how long these may be: a query may cost 1,000 points.
AT_ONCE = 25
LEVELS_AT_ONCE = TEXTS_AT_ONCE = 100
_AT_ONCE: Mapping[Entity, int] = {"product": AT_ONCE, "order": AT_ONCE, "variant": 100, "stock": LEVELS_AT_ONCE}
_BY_ID: Mapping[Entity, Document] = {
    "product": queries.PRODUCTS_BY_ID,
    "variant": queries.VARIANTS_BY_ID,
    "stock": queries.LEVELS_BY_ID,
    "order": queries.ORDERS_BY_ID,
}
_KINDS: Mapping[Entity, str] = {
    "product": "Product",
    "variant": "ProductVariant",
    "stock": "InventoryLevel",
    "order": "Order",
}
_MORE = {
    "variants": queries.MORE_VARIANTS,
    "media": queries.MORE_MEDIA,
    "collections": queries.MORE_COLLECTIONS,
    "lineItems": queries.MORE_LINES,
}
_LISTS = {"product": ("variants", "media", "collections"), "order": ("lineItems",)}


@dataclass
class Found:
    """Records, and those that are there and can not be read."""

    records: list[Record] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        self.records += other.records
        self.unread += other.unread


class Reader:
    """Reads one shop, and remembers its currency."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._currency: str | None = None

    async def currency(self) -> str:
        """What all of the shop's prices are in."""
        if self._currency is None:
            self.note_currency(await self.client.ask(queries.SHOP))
        return str(self._currency)

    def note_currency(self, data: JsonObject) -> None:
        """Take the shop's currency from an answer that has it."""
        self._currency = data["shop"]["currencyCode"]

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> list[Record]:
        """These records as they are now; what is gone is not among them."""
        return (await self.find(entity, external_ids)).records

    async def find(self, entity: Entity, external_ids: Sequence[str]) -> Found:
        """As `read`, with those that can not be read."""
        if entity not in _BY_ID:
            raise PlatformRefused(f"Shopify has no {entity}.")
        ids = [mapping.gid(_KINDS[entity], each) for each in external_ids]
        found, size = Found(), _AT_ONCE[entity]
        for start in range(0, len(ids), size):
            found.add(await self._read(entity, ids[start : start + size]))
        return found

    async def texts(self, product_ids: Sequence[str]) -> list[Record]:
        """Products without their variants, pictures and collections, which cost most of their points."""
        ids = [mapping.gid("Product", each) for each in product_ids]
        found: list[Record] = []
        for start in range(0, len(ids), TEXTS_AT_ONCE):
            nodes = await self._nodes(queries.PRODUCTS_PLAIN, ids[start : start + TEXTS_AT_ONCE])
            empty: JsonObject = {name: [] for name in _LISTS["product"]}
            found += (await self.plain("product", [{**node, **empty} for node in nodes])).records
        return found

    async def _read(self, entity: Entity, ids: Sequence[str]) -> Found:
        return await self.records(entity, await self._nodes(_BY_ID[entity], ids))

    async def _nodes(self, document: Document, ids: Sequence[str]) -> list[JsonObject]:
        """Those that there are, asked for in halves when all at once cost too much."""
        try:
            data = await self.client.ask(document, {"ids": list(ids)})
        except CostsTooMuch:
            if len(ids) == 1:
                raise
            half = len(ids) // 2
            return [*await self._nodes(document, ids[:half]), *await self._nodes(document, ids[half:])]
        if "shop" in data:
            self.note_currency(data)
        return [node for node in data["nodes"] if node]

    async def records(self, entity: Entity, nodes: Sequence[JsonObject]) -> Found:
        """What nodes of an answer say, after what is beyond their first pages was read too; without what is gone."""
        names = _LISTS.get(entity, ())
        await asyncio.gather(*(self.complete(node, name) for node in nodes for name in names))
        return await self.plain(entity, [node for node in nodes if all(node[name] is not None for name in names)])

    async def plain(self, entity: Entity, nodes: Sequence[JsonObject]) -> Found:
        """What nodes say that are whole already."""
        if entity == "order":
            return _each(lambda node: orders.order({**node, "lines": node["lineItems"]}), nodes)
        if entity == "stock":
            return _each(mapping.level, nodes)
        currency = await self.currency()
        make: Callable[[JsonObject, str], Record] = mapping.product if entity == "product" else mapping.variant
        return _each(lambda node: make(node, currency), nodes)

    async def one(self, entity: Entity, node: JsonObject) -> Record:
        """The record of one node. Raises AnswerNotUnderstood."""
        found = await self.records(entity, [node])
        if not found.records:
            raise AnswerNotUnderstood(found.unread[0].message if found.unread else "Shopify no longer has it.")
        return found.records[0]

    async def complete(self, node: JsonObject, name: str) -> None:
        """Make a connection of a node the plain list of all that it has; None when the node is gone by now."""
        connection = node[name]
        found = list(connection["nodes"])
        while connection["pageInfo"]["hasNextPage"]:
            variables = {"id": node["id"], "after": connection["pageInfo"]["endCursor"]}
            owner = (await self.client.ask(_MORE[name], variables))["node"]
            if owner is None:
                node[name] = None
                return
            connection = owner["more"]
            found += connection["nodes"]
        node[name] = found


def _each(make: Callable[[JsonObject], Record | None], nodes: Sequence[JsonObject]) -> Found:
    """One record that can not be read does not keep the others from it."""
    found = Found()
    for node in nodes:
        try:
            record = make(node)
        except CrossdockError as error:
            found.unread.append(Unread(mapping.short(node["id"]), error.detail))
        else:
            if record is not None:
                found.records.append(record)
    return found
