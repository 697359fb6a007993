"""Scans by pages. What is kept of a scan between two pages is a small JSON text, by which any process goes on.

Changes are read in the order of their times, below the scan's end, so that a record which changes meanwhile leaves the
window instead of moving in it. Stock levels have no such order and are read place by place. Whole scans are left to
bulk operations, and go by ids where these fail.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Page, Record, Scan
from services.sync.platforms.shopify import queries
from services.sync.platforms.shopify.bulk import PATIENCE_SECONDS, Bulk, Lost
from services.sync.platforms.shopify.client import CostsTooMuch
from services.sync.platforms.shopify.mapping import short
from services.sync.platforms.shopify.queries import Document
from services.sync.platforms.shopify.reading import AT_ONCE, LEVELS_AT_ONCE, Found, Reader
from shared.contracts.sync.shapes import Entity

JsonObject = dict[str, Any]
Token = dict[str, Any]

# Shopify follows a cursor through 25,000 records; before that a scan begins anew at the time it has come to.
MOST_BY_CURSOR = 20_000
_NOTHING: JsonObject = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
_DOCUMENTS: Mapping[Entity, tuple[Document, str]] = {
    "product": (queries.PRODUCTS, "products"),
    "order": (queries.ORDERS, "orders"),
}


class Scanner:
    """Pages of one shop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client = reader.client
        self._bulk = Bulk(reader)
        self._at_once: dict[Entity, int] = {"product": AT_ONCE, "order": AT_ONCE, "stock": LEVELS_AT_ONCE}
        self._places: list[str] | None = None

    async def page(self, scan: Scan) -> Page:
        """The next page. Raises as `Session`.

        Orders are never whole: those of more than 60 days ago are kept from who may not read all.
        """
        page = await self._page(scan)
        return replace(page, is_whole=scan.entity != "order")

    async def _page(self, scan: Scan) -> Page:
        if scan.entity not in self._at_once:
            raise PlatformRefused(f"Shopify has no {scan.entity} of its own.")
        token: Token = orjson.loads(scan.resume) if scan.resume else {}
        if scan.since is None and not token:
            return await self._start(scan)
        if "op" in token:
            return await self._from_bulk(scan, token)
        if scan.entity == "stock":
            return await self._levels(scan, token)
        return await (self._by_id(scan, token) if "id" in token else self._by_time(scan, token))

    # --- whole

    async def _start(self, scan: Scan) -> Page:
        try:
            token = await self._bulk.start(scan.entity, scan.until)
        except Lost:
            return await self._without_bulk(scan)
        return await self._from_bulk(scan, token, patience_seconds=0)

    async def _from_bulk(self, scan: Scan, token: Token, patience_seconds: float = PATIENCE_SECONDS) -> Page:
        try:
            page, following = await self._bulk.page(scan.entity, token, patience_seconds)
        except Lost:
            return await self._without_bulk(scan)
        return Page(page.records, None if following is None else _text(following), page.total, page.unread)

    async def _without_bulk(self, scan: Scan) -> Page:
        if scan.entity == "stock":
            return await self._levels(scan, {})
        return await self._by_id(scan, {"id": "0"})

    async def _by_id(self, scan: Scan, token: Token) -> Page:
        """Records after an id, in the order of ids: nothing that is made or goes meanwhile moves the others."""
        found = await self._connection(scan.entity, f"id:>{token['id']}", "ID", None)
        if not found["nodes"]:
            return Page([])
        last = short(found["nodes"][-1]["id"])
        read = await self._reader.records(scan.entity, found["nodes"])
        return _page(read, {"id": last} if found["pageInfo"]["hasNextPage"] else None)

    # --- what changed

    async def _by_time(self, scan: Scan, token: Token) -> Page:
        since = str(token.get("from") or _time(scan.since or datetime.min.replace(tzinfo=UTC)))
        until = "" if scan.until is None else f" AND updated_at:<='{_time(scan.until)}'"
        window = f"updated_at:>='{since}'{until}"
        found = await self._resumed(scan.entity, window, token.get("after"))
        read = await self._reader.records(scan.entity, found["nodes"])
        if not found["pageInfo"]["hasNextPage"]:
            return _page(read, None)
        count = int(token.get("n", 0)) + len(found["nodes"])
        following = {"from": since, "after": found["pageInfo"]["endCursor"], "n": count}
        return _page(read, _anew(following, read.records))

    async def _resumed(self, entity: Entity, window: str, after: str | None) -> JsonObject:
        """A page after a cursor; from the window's beginning when Shopify no longer takes the cursor."""
        try:
            return await self._connection(entity, window, "UPDATED_AT", after)
        except CostsTooMuch:
            raise
        except PlatformRefused as error:
            if after is None or "cursor" not in error.detail.lower():
                raise
        return await self._connection(entity, window, "UPDATED_AT", None)

    async def _connection(self, entity: Entity, query: str, sort: str, after: str | None) -> JsonObject:
        document, name = _DOCUMENTS[entity]
        while True:
            variables = {"first": self._at_once[entity], "after": after, "query": query, "sort": sort}
            try:
                data = await self._client.ask(document, variables)
            except CostsTooMuch:
                self._halve(entity)
                continue
            if "shop" in data:
                self._reader.note_currency(data)
            connection: JsonObject = data[name]
            return connection

    def _halve(self, entity: Entity) -> None:
        """Ask for half as many from now on. Raises CostsTooMuch when one is too many."""
        if self._at_once[entity] == 1:
            raise CostsTooMuch(f"A single {entity} costs more points than one query may.")
        self._at_once[entity] //= 2

    # --- stock

    async def _levels(self, scan: Scan, token: Token) -> Page:
        """Levels of one place after another, in the order of the places' ids."""
        places = await self._all_places()
        here, after = token.get("place", ""), token.get("after")
        place = next((each for each in places if _order(each) > _order(here) or (after and each == here)), None)
        if place is None:
            return Page([])
        variables = {
            "location": place,
            "first": self._at_once["stock"],
            "after": after if place == here else None,
            "query": None if scan.since is None else f"updated_at:>='{_time(scan.since)}'",
        }
        location = (await self._client.ask(queries.LEVELS, variables))["location"]
        connection: JsonObject = location["inventoryLevels"] if location else _NOTHING
        read = await self._reader.records("stock", connection["nodes"])
        if connection["pageInfo"]["hasNextPage"]:
            return _page(read, {"place": place, "after": connection["pageInfo"]["endCursor"]})
        return _page(read, None if place == places[-1] else {"place": place})

    async def _all_places(self) -> list[str]:
        if self._places is None:
            found, after, more = [], None, True
            while more:
                connection = (await self._client.ask(queries.PLACES, {"after": after}))["locations"]
                found += [node["id"] for node in connection["nodes"]]
                after, more = connection["pageInfo"]["endCursor"], connection["pageInfo"]["hasNextPage"]
            self._places = sorted(found, key=_order)
        return self._places


def _anew(token: Token, records: list[Record]) -> Token:
    """The same token, or after many records one that begins anew at the time of the last of them."""
    last = max((record.updated_at for record in records if record.updated_at), default=None)
    if token["n"] < MOST_BY_CURSOR or last is None or _time(last) == token["from"]:
        return token
    return {"from": _time(last), "after": None, "n": 0}


def _page(read: Found, following: Token | None) -> Page:
    return Page(read.records, None if following is None else _text(following), unread=read.unread)


def _order(gid: str) -> tuple[int, str]:
    """Global ids of one kind in the order of their numbers."""
    return len(gid), gid


def _time(moment: datetime) -> str:
    """As Shopify's search takes it: to the second, rounded down."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(token: Token) -> str:
    return orjson.dumps(token).decode()
