"""Scans by pages, in the order of ids: what changes meanwhile moves nothing. A page goes on behind the one before.

Stock has neither time nor id that shows, and is read source by source in the order of SKUs, all of it each time.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import Page, Scan
from services.sync.platforms.magento import mapping
from services.sync.platforms.magento.client import Filter, Found
from services.sync.platforms.magento.reading import LEVELS, ORDERS, PRODUCTS, SOLD, Reader
from services.sync.platforms.magento.reservations import Reserved, read_reserved

JsonObject = dict[str, Any]

# Orders come whole, with every line and address twice.
PRODUCTS_AT_ONCE, ORDERS_AT_ONCE, LEVELS_AT_ONCE = 100, 50, 100


class Scanner:
    """Pages of one shop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client = reader.client
        self._reserved: Reserved | None = None

    async def page(self, scan: Scan) -> Page:
        """The next page. Raises as `Session`."""
        if scan.entity == "product":
            return await self._products(scan)
        if scan.entity == "order":
            return await self._orders(scan)
        if scan.entity == "stock":
            return await self._stock(scan)
        raise PlatformRefused(f"Magento has no {scan.entity} of its own.")

    async def _products(self, scan: Scan) -> Page:
        found = await self._beyond(PRODUCTS, scan, "id", PRODUCTS_AT_ONCE, [SOLD])
        read = await self._reader.products(found.items, with_parents=scan.since is not None)
        return Page(read.records, _following(found, "id"), unread=read.unread)

    async def _orders(self, scan: Scan) -> Page:
        found = await self._beyond(ORDERS, scan, "entity_id", ORDERS_AT_ONCE)
        read = await self._reader.orders(found.items)
        return Page(read.records, _following(found, "entity_id"), unread=read.unread)

    async def _beyond(self, path: str, scan: Scan, key: str, size: int, *groups: Sequence[Filter]) -> Found:
        """Records behind the last one, of those that changed in the scan's time."""
        last = int(scan.resume or 0)
        wanted = [*groups, *_window(scan), [Filter("entity_id", "gt", str(last))]]
        found = await self._client.search(path, *wanted, sort="entity_id", size=size)
        ids = [int(each[key]) for each in found.items]
        if ids != sorted(ids) or (ids and ids[0] <= last):
            raise AnswerNotUnderstood(f"Magento does not give {path} behind {last} in order.")
        return found

    async def _stock(self, scan: Scan) -> Page:
        token: JsonObject = orjson.loads(scan.resume) if scan.resume else {}
        here, last = str(token.get("source", "")), token.get("sku")
        codes = sorted(source.code for source in await self._reader.shop.sources())
        source = next((code for code in codes if code > here or (code == here and last is not None)), None)
        if source is None:
            return Page([])
        is_going_on = source == here
        groups = [[Filter("source_code", "eq", source)], *([[Filter("sku", "gt", str(last))]] if is_going_on else [])]
        found = await self._client.search(LEVELS, *groups, sort="sku", size=LEVELS_AT_ONCE)
        _check_levels(found, source, str(last) if is_going_on else None)
        if self._reserved is None:
            self._reserved = await read_reserved(self._reader)
        records = [mapping.level(each, self._reserved) for each in found.items]
        if not found.is_all:
            return Page(records, orjson.dumps({"source": source, "sku": found.items[-1]["sku"]}).decode())
        return Page(records, None if source == codes[-1] else orjson.dumps({"source": source}).decode())


def _window(scan: Scan) -> list[list[Filter]]:
    """When records have changed, to the second; both ends belong to it, so that nothing falls between two scans."""
    filters = []
    if scan.since is not None:
        filters.append([Filter("updated_at", "gteq", mapping.instant(scan.since))])
        if scan.until is not None:
            up = timedelta(seconds=math.ceil(scan.until.microsecond / 1_000_000))
            filters.append([Filter("updated_at", "lteq", mapping.instant(scan.until + up))])
    return filters


def _following(found: Found, key: str) -> str | None:
    return None if found.is_all else str(found.items[-1][key])


def _check_levels(found: Found, source: str, last: str | None) -> None:
    """Raises AnswerNotUnderstood for an answer that would have a scan go round."""
    if any(each["source_code"] != source for each in found.items) or (
        found.items and last is not None and found.items[-1]["sku"].lower() == last.lower()
    ):
        raise AnswerNotUnderstood(f"Magento does not give the stock of {source} in order.")
