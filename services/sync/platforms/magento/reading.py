"""Records by their ids, and what the rows of a search say: products with their children, stock levels, orders."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Record, Unread
from services.sync.platforms.magento import mapping, orders
from services.sync.platforms.magento.client import Client, Filter, any_of
from services.sync.platforms.magento.mapping import CONFIGURABLE, Context
from services.sync.platforms.magento.shop import Shop, links
from shared import clock
from shared.contracts.sync.shapes import Entity
from shared.errors import CrossdockError

JsonObject = dict[str, Any]

PRODUCTS, ORDERS, LEVELS = "/products", "/orders", "/inventory/source-items"
# A stock level by its source and its SKU in lower case.
Key = tuple[str, str]
SOLD = Filter("type_id", "in", ",".join(mapping.TYPES))


@dataclass
class Found:
    """Records, and those that are there and can not be read."""

    records: list[Record] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def take(self, external_id: object, read: Callable[..., Record], *given: object) -> None:
        """One more, readable or not."""
        try:
            self.records.append(read(*given))
        except CrossdockError as error:
            self.unread.append(Unread(str(external_id), error.detail))
        except (KeyError, TypeError, ValueError) as error:
            self.unread.append(Unread(str(external_id), f"Magento gives it without what it has to have: {error!r}."))


class Reader:
    """Reads one shop. `codes`: by a field of ours, the attribute that a connection keeps it in."""

    def __init__(self, client: Client, shop: Shop, codes: Mapping[str, str]) -> None:
        self.client, self.shop, self.codes = client, shop, codes

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> list[Record]:
        """These records as they are now; what is gone, or is a child of another product, is not among them."""
        if entity == "product":
            entities = await self.entities(external_ids)
            return (await self.products(list(entities.values()))).records
        if entity == "order":
            return (await self.orders(await self._all(ORDERS, "entity_id", "entity_id", external_ids))).records
        raise PlatformRefused(f"Magento has no {entity} of its own.")

    async def orders(self, rows: Sequence[JsonObject]) -> Found:
        """What rows of orders say."""
        found = Found()
        for row in rows:
            found.take(row.get("entity_id"), orders.order, row)
        return found

    # --- products

    async def products(self, entities: Sequence[JsonObject], *, with_parents: bool = False) -> Found:
        """Those that are products of their own, with their children; for children their parents, where asked."""
        if not entities:
            return Found()
        family = await self.shop.family()
        for entity in entities:
            if entity["type_id"] == CONFIGURABLE:
                family.note(entity)
        known = {int(entity["id"]): entity for entity in entities}
        if with_parents:
            parents = {family.parent_of[each] for each in known if each in family.parent_of} - known.keys()
            known |= await self._more(parents)
        own = [entity for each, entity in known.items() if each not in family.parent_of]
        wanted = {child for entity in own for child in links(entity) if family.parent_of.get(child) == entity["id"]}
        members = known | await self._more(wanted - known.keys())
        context = await self.context(members.values())
        found = Found()
        for entity in own:
            linked = [each for each in links(entity) if family.parent_of.get(each) == entity["id"]]
            children = [members[each] for each in linked if each in members]
            found.take(entity["id"], mapping.product, entity, children, context)
        return found

    async def context(self, entities: Iterable[JsonObject]) -> Context:
        """What these products are read with."""
        sets = await self.shop.attributes([int(entity["attribute_set_id"]) for entity in entities])
        facts, categories = await self.shop.facts(), await self.shop.categories()
        return Context(facts, sets, categories, self.codes, clock.now())

    async def entities(self, external_ids: Iterable[str]) -> dict[int, JsonObject]:
        """Products by their ids, whatever they are, as Magento has them."""
        rows = await self._all(
            PRODUCTS, "entity_id", "id", sorted(set(external_ids), key=lambda each: (len(each), each))
        )
        return {int(row["id"]): row for row in rows}

    async def by_sku(self, skus: Iterable[str], fields: str = "") -> dict[str, JsonObject]:
        """Products by their SKUs in lower case."""
        wanted = sorted({sku.lower() for sku in skus})
        rows = await self._all(PRODUCTS, "sku", "id", wanted, fields)
        return {row["sku"].lower(): row for row in rows}

    async def _more(self, ids: Iterable[int]) -> dict[int, JsonObject]:
        return await self.entities(map(str, ids))

    async def _all(self, path: str, name: str, key: str, values: Sequence[str], fields: str = "") -> list[JsonObject]:
        """Rows whose field `name` is one of these."""

        async def some(group: list[Filter]) -> list[JsonObject]:
            return [
                row
                async for rows in self.client.walk(path, group, by="entity_id", key=key, fields=fields)
                for row in rows
            ]

        found = await asyncio.gather(*(some(group) for group in any_of(name, values)))
        return [row for rows in found for row in rows]

    # --- stock

    async def levels(self, wanted: Iterable[Key]) -> dict[Key, JsonObject]:
        """Source items by source and SKU in lower case, of those asked for that there are."""
        by_source: dict[str, set[str]] = {}
        for source, sku in wanted:
            by_source.setdefault(source, set()).add(sku.lower())
        found: dict[Key, JsonObject] = {}
        for source, skus in by_source.items():
            here = [Filter("source_code", "eq", source)]
            for group in any_of("sku", sorted(skus)):
                async for rows in self.client.walk(LEVELS, here, group, by="sku"):
                    found |= {(row["source_code"], row["sku"].lower()): row for row in rows}
        return found


def level_key(external_id: str) -> Key:
    """Which level an external id is of."""
    source, _, sku = external_id.partition("/")
    return source, sku
