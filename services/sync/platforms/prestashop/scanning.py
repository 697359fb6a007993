"""Scans by pages. What is kept of a scan between two pages is a small JSON text, by which any process goes on.

Whole scans go by ids. Changes go by local time and id, up to the time that the shop had when the scan began. What has
no time over there (stock, links) is read whole always; so are combinations, with their products.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Page, Scan
from services.sync.platforms.prestashop.mapping import key, text
from services.sync.platforms.prestashop.reading import RESOURCES, Reader
from services.sync.platforms.prestashop.times import second_after
from shared.contracts.sync.shapes import Entity

JsonObject = dict[str, Any]
Token = dict[str, Any]

_DATED: frozenset[Entity] = frozenset(("product", "order", "supplier"))
_BY_TIME = "[date_upd_ASC,id_ASC]"
# The time that a shop tells has no fractions of a second, and servers make it once a second: so far may it be behind.
_TIME_BEHIND = timedelta(seconds=2)


class Scanner:
    """Pages of one shop."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._shop = reader, reader.shop

    async def page(self, scan: Scan) -> Page:
        """The next page. Raises as `Session`."""
        if scan.entity not in RESOURCES:
            raise PlatformRefused(f"PrestaShop has no {scan.entity} of its own.")
        units = await self._shop.units()
        token: Token = orjson.loads(scan.resume) if scan.resume else {}
        if not token and scan.since is not None and scan.entity in _DATED:
            until = scan.until or self._shop.now() + _TIME_BEHIND
            token = {"t": units.time.since(scan.since), "i": "0", "until": units.time.until(until)}
        held = await self._reader.held() if scan.entity == "stock" else None
        rows = await (self._by_time(scan, token) if "t" in token else self._by_id(scan, token.get("i", "0")))
        read = await self._reader.records(scan.entity, rows, held)
        following = None if len(rows) < self._size else _following(token, rows[-1])
        return Page(read.records, following, unread=read.unread)

    @property
    def _size(self) -> int:
        return self._shop.settings.page_size

    async def _by_id(self, scan: Scan, after: str) -> list[JsonObject]:
        """Rows after an id: nothing that is made or goes meanwhile moves the others."""
        return await self._rows(scan, {"id": f">[{after}]"}, self._size)

    async def _by_time(self, scan: Scan, token: Token) -> list[JsonObject]:
        """Rows of the same second with a greater id, and then those of the seconds after it."""
        time = str(token["t"])
        rows = await self._rows(scan, {"date_upd": f"[{time}]", "id": f">[{token['i']}]"}, self._size)
        left, start = self._size - len(rows), second_after(time)
        if left and start <= token["until"]:
            rows += await self._rows(scan, {"date_upd": f"[{start},{token['until']}]"}, left, _BY_TIME)
        return rows

    async def _rows(
        self, scan: Scan, filters: Mapping[str, str], most: int, sort: str = "[id_ASC]"
    ) -> list[JsonObject]:
        language = (await self._shop.units()).language if scan.entity in ("product", "supplier") else None
        resource = RESOURCES[scan.entity]
        return await self._shop.client.rows(resource, filters=filters, sort=sort, most=most, language=language)


def _following(token: Token, last: JsonObject) -> str:
    """Where the next page begins."""
    found: Token = {"i": key(last["id"])}
    if "t" in token:
        found |= {"t": text(last.get("date_upd"), 0), "until": token["until"]}
    return orjson.dumps(found).decode()
