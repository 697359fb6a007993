"""Stock levels, each set only while Shopify has what was expected, and never twice.

https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/inventorySetQuantities
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from services.sync.errors import CredentialsRefused
from services.sync.platforms.base import Record, StockWrite, Written
from services.sync.platforms.shopify import mapping, queries
from services.sync.platforms.shopify.client import Client, code, user_errors, words
from services.sync.platforms.writing import failed
from shared.errors import CrossdockError

JsonObject = dict[str, Any]

# Input lists have 250 entries at most.
MOST_AT_ONCE = 250
ITEMS_AT_ONCE = 50
# Each round settles at least one write; a level that moves between its rounds as often as this is left to the engine.
MOST_ROUNDS = 4
_STALE = frozenset(("CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"))
_LATER = frozenset(("IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"))
_NOT_STOCKED = "not stocked"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One level that is to be set: which write it is of, and what Shopify is expected to have."""

    index: int
    write: StockWrite
    item: str
    expected: int | None

    @property
    def location(self) -> str:
        return mapping.gid("Location", self.write.location)

    def input(self) -> JsonObject:
        return {
            "inventoryItemId": self.item,
            "locationId": self.location,
            "quantity": self.write.quantity,
            "changeFromQuantity": self.expected,
        }


class StockWriter:
    """Sets stock levels of one shop."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def write(self, writes: Sequence[StockWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        items = await self._items(writes)
        done: dict[int, Written] = {}
        open_: list[Wanted] = []
        for index, write in enumerate(writes):
            item = items.get(index)
            if item is None:
                done[index] = Written("person", f"Shopify has no stock item for the SKU '{write.sku}'.")
            else:
                open_.append(Wanted(index, write, item, write.expected))
        for group in _without_twins(open_):
            await self._settle(group, done, is_first=not done)
        return [done[index] for index in range(len(writes))]

    async def _settle(self, group: Sequence[Wanted], done: dict[int, Written], *, is_first: bool) -> None:
        try:
            for _ in range(MOST_ROUNDS):
                if not group:
                    return
                group = await self._round(group, done)
                is_first = False
        except CrossdockError as error:
            if is_first:
                raise
            for each in group:
                done.setdefault(each.index, _told(error))
            return
        done.update({each.index: Written("retry", "The level changes faster than it is set.") for each in group})

    async def _round(self, group: Sequence[Wanted], done: dict[int, Written]) -> list[Wanted]:
        """Try all of a group. It is written whole or not at all: gives those to be tried again without the others."""
        payload = await self._set(group)
        errors = user_errors(payload)
        if not errors:
            done.update(_written(group, payload))
            return []
        by_index, general = _sorted_out(errors, len(group))
        if general:
            done.update({each.index: _general(general) for each in group})
            return []
        stale = [group[i] for i, error in by_index.items() if code(error) in _STALE]
        unstocked = [group[i] for i, error in by_index.items() if _NOT_STOCKED in str(error.get("message")).lower()]
        again = await self._looked_at(stale, done)
        again += await self._activated(unstocked, done)
        for i, error in by_index.items():
            if group[i] not in stale and group[i] not in unstocked:
                done[group[i].index] = Written("person", words([error]))
        return [*again, *(each for i, each in enumerate(group) if i not in by_index)]

    async def _set(self, group: Sequence[Wanted]) -> JsonObject:
        key = _key(group)
        given = {
            "name": "available",
            "reason": "correction",
            "referenceDocumentUri": f"crossdock://stock/{key}",
            "quantities": [each.input() for each in group],
        }
        data = await self._client.ask(queries.SET_QUANTITIES, {"input": given, "key": key})
        return data["inventorySetQuantities"] or {}

    async def _looked_at(self, stale: Sequence[Wanted], done: dict[int, Written]) -> list[Wanted]:
        """What is really there of what was not as expected: as it is to be (an answer was lost), or otherwise."""
        levels = await self._levels([each.item for each in stale])
        again = []
        for each in stale:
            level = levels.get((each.item, each.write.location))
            if level is None:
                again += await self._activated([each], done)
            elif level.fields["quantity"] == each.write.quantity:
                done[each.index] = Written("unchanged", None, level.external_id, {"quantity": each.write.quantity})
            else:
                fields = {"quantity": level.fields["quantity"]}
                done[each.index] = Written("stale", "The stock has changed.", level.external_id, fields)
        return again

    async def _activated(self, unstocked: Sequence[Wanted], done: dict[int, Written]) -> list[Wanted]:
        """Have items stocked in a place where they are not yet; they are to be set from what they have there then."""
        again = []
        for each in unstocked:
            key = str(uuid5(NAMESPACE_URL, f"crossdock:activate:{each.write.operation_key}"))
            variables = {"item": each.item, "location": each.location, "key": key}
            payload = (await self._client.ask(queries.ACTIVATE, variables))["inventoryActivate"] or {}
            errors = user_errors(payload)
            if errors or not payload.get("inventoryLevel"):
                done[each.index] = Written("person", words(errors) or "The place does not stock the item.")
                continue
            level = _counted(payload["inventoryLevel"])
            again.append(replace(each, expected=level.fields["quantity"] if level else None))
        return again

    async def _levels(self, items: Sequence[str]) -> dict[tuple[str, str], Record]:
        """Levels by item and place."""
        wanted = list(dict.fromkeys(items))
        found = {}
        for start in range(0, len(wanted), ITEMS_AT_ONCE):
            data = await self._client.ask(queries.LEVELS_OF_ITEMS, {"ids": wanted[start : start + ITEMS_AT_ONCE]})
            for node in data["nodes"]:
                for level in node["inventoryLevels"]["nodes"] if node else ():
                    record = _counted(level)
                    if record is not None:
                        found[node["id"], record.fields["location"]] = record
        return found

    async def _items(self, writes: Sequence[StockWrite]) -> dict[int, str]:
        """The inventory item of each write: as it refers to it, as its level's id names it, or by its SKU."""
        found = {index: item for index, write in enumerate(writes) if (item := _item(write))}
        skus = list(dict.fromkeys(write.sku for index, write in enumerate(writes) if index not in found))
        by_sku = await self._by_sku(skus)
        for index, write in enumerate(writes):
            if index not in found and write.sku in by_sku:
                found[index] = by_sku[write.sku]
        return found

    async def _by_sku(self, skus: Sequence[str]) -> dict[str, str]:
        found: dict[str, list[str]] = {}
        for start in range(0, len(skus), ITEMS_AT_ONCE):
            query = " OR ".join(f"sku:{quoted(sku)}" for sku in skus[start : start + ITEMS_AT_ONCE])
            data = await self._client.ask(queries.ITEMS_OF_SKUS, {"query": query})
            for node in data["productVariants"]["nodes"]:
                found.setdefault(node["sku"], []).append(node["inventoryItem"]["id"])
        return {sku: items[0] for sku, items in found.items() if len(items) == 1}


def _counted(level: JsonObject) -> Record | None:
    """A level, also of an item that is not tracked: what is set there is kept."""
    return mapping.level({**level, "isActive": True, "item": {**level["item"], "tracked": True}})


def quoted(text: str) -> str:
    """A text as a value of Shopify's search (https://shopify.dev/docs/api/usage/search-syntax)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _item(write: StockWrite) -> str | None:
    item = write.references.get("inventory_item") or write.external_id.partition("inventory_item_id=")[2]
    return mapping.gid("InventoryItem", item) if item else None


def _without_twins(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Groups of which none has a level twice, which Shopify refuses; later ones of a level in later groups."""
    groups: list[dict[tuple[str, str], Wanted]] = []
    for each in wanted:
        level = (each.item, each.location)
        group = next((group for group in groups if level not in group and len(group) < MOST_AT_ONCE), None)
        if group is None:
            groups.append(group := {})
        group[level] = each
    return [list(group.values()) for group in groups]


def _key(group: Sequence[Wanted]) -> str:
    """The same for the same writes with the same values, whoever sends them; another for any others."""
    what = orjson.dumps([[each.write.operation_key, each.input()] for each in group], option=orjson.OPT_SORT_KEYS)
    return str(uuid5(NAMESPACE_URL, f"crossdock:{sha256(what).hexdigest()}"))


def _written(group: Sequence[Wanted], payload: Mapping[str, Any]) -> dict[int, Written]:
    changes = (payload.get("inventoryAdjustmentGroup") or {}).get("changes") or []
    moved = {(change["item"]["id"], change["location"]["id"]) for change in changes if change["delta"]}
    return {
        each.index: Written(
            "ok" if (each.item, each.location) in moved else "unchanged",
            external_id=_level_id(each),
            fields={"quantity": each.write.quantity},
            references={"inventory_item": mapping.short(each.item)},
        )
        for each in group
    }


def _level_id(each: Wanted) -> str | None:
    return each.write.external_id if "inventory_item_id=" in each.write.external_id else None


def _sorted_out(errors: Sequence[JsonObject], size: int) -> tuple[dict[int, JsonObject], list[JsonObject]]:
    """Errors by the place of the quantity they are about, and those that are about the whole."""
    by_index: dict[int, JsonObject] = {}
    general = []
    for error in errors:
        place = next((int(part) for part in error.get("field") or () if str(part).isdigit()), None)
        if place is None or place >= size:
            general.append(error)
        else:
            by_index.setdefault(place, error)
    return by_index, general


def _general(errors: list[JsonObject]) -> Written:
    is_later = any(code(error) in _LATER for error in errors)
    return Written("retry" if is_later else "person", words(errors))


def _told(error: CrossdockError) -> Written:
    return Written("retry", error.detail) if isinstance(error, CredentialsRefused) else failed(error)
