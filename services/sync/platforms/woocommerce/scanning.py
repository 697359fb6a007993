"""Scans by pages. What is kept of a scan between two pages is a small JSON text, by which any process goes on.

Whole scans go by ids. Changes go by times, which have seconds: each page begins with the second that the one before
has broken off in, and what a page breaks off in is left to the next. `modified_after` leaves out the second it names.
Nothing after the time that the first page was answered at is read, so that a scan of a busy shop ends.
Variations are no products and have times of their own: of those that changed the products are given again, where their
own time does not say so.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Page, Scan
from services.sync.platforms.woocommerce.paging import Place, is_more, rows_after
from services.sync.platforms.woocommerce.reading import ORDERS, PRODUCTS, STOCK, Found, Reader
from shared import clock
from shared.contracts.sync.shapes import Entity

JsonObject = dict[str, Any]
Token = dict[str, Any]

_SECOND = timedelta(seconds=1)
_FIELDS: Mapping[tuple[Entity, str], Mapping[str, str]] = {
    ("product", "products"): PRODUCTS,
    ("product", "variations"): {"_fields": "id,parent_id,date_modified_gmt", "status": "any"},
    ("stock", "products"): STOCK,
    ("stock", "variations"): STOCK,
    ("order", "orders"): ORDERS,
}


class Scanner:
    """Pages of one site."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client = reader.client

    async def page(self, scan: Scan) -> Page:
        """The next page. Raises as `Session`."""
        if scan.entity not in ("product", "stock", "order"):
            raise PlatformRefused(f"WooCommerce has no {scan.entity} of its own.")
        token: Token = orjson.loads(scan.resume) if scan.resume else _start(scan)
        rows, following, total = await (self._by_id if "from" not in token else self._by_time)(scan, token)
        found = await self._found(scan, token, rows)
        lists = await self._lists(scan)
        if following is None and token["of"] != lists[-1]:
            following = _start(scan) | {"of": lists[lists.index(token["of"]) + 1]} | _bound(token)
        text = None if following is None else orjson.dumps(following).decode()
        return Page(found.records, text, total if len(lists) == 1 else None, found.unread)

    async def _by_id(self, scan: Scan, token: Token) -> tuple[list[JsonObject], Token | None, int | None]:
        place = Place(token["offset"], token["last"])
        page = await rows_after(self._client, token["of"], _FIELDS[scan.entity, token["of"]], place)
        return page.rows, None if page.following is None else token | _place(page.following), page.total

    async def _by_time(self, scan: Scan, token: Token) -> tuple[list[JsonObject], Token | None, int | None]:
        if "offset" in token:
            return await self._within_second(scan, token)
        size = self._client.settings.page_size
        params = {
            **_FIELDS[scan.entity, token["of"]],
            **_window(token["from"], token.get("until")),
            "orderby": "modified",
            "order": "asc",
            "per_page": str(size),
        }
        listed = await self._client.list_rows(token["of"], params)
        token.setdefault("until", _text(clock.now() + self._client.http.ahead))
        if not listed.rows or not is_more(listed, 0, size):
            return listed.rows, None, None
        newest = listed.rows[-1]["date_modified_gmt"]
        if newest == token["from"]:
            return [], token | _place(Place()), None
        return [row for row in listed.rows if row["date_modified_gmt"] != newest], token | {"from": newest}, None

    async def _within_second(self, scan: Scan, token: Token) -> tuple[list[JsonObject], Token | None, int | None]:
        """More records changed in one second than a page holds: these go by their ids."""
        params = {**_FIELDS[scan.entity, token["of"]], **_window(token["from"], token["from"])}
        page = await rows_after(self._client, token["of"], params, Place(token["offset"], token["last"]))
        if page.following is not None:
            return page.rows, token | _place(page.following), None
        after = _text(_moment(token["from"]) + _SECOND)
        return page.rows, {"of": token["of"], "from": after} | _bound(token), None

    async def _found(self, scan: Scan, token: Token, rows: list[JsonObject]) -> Found:
        if scan.entity == "order":
            return self._reader.orders(rows)
        if scan.entity == "stock":
            return Found(await self._reader.levels([*rows, *(await self._beside(rows))]))
        if token["of"] == "products":
            return await self._reader.products(rows)
        return await self._reader.products(await self._parents(scan, token, rows))

    async def _beside(self, rows: list[JsonObject]) -> list[JsonObject]:
        """The variations of products, where the site does not list them by themselves."""
        varied = [row["id"] for row in rows if str(row.get("type")).startswith("variable")]
        if not varied or await self._reader.has_flat_variations():
            return []
        return [node for of in (await self._reader.variations_of(varied, STOCK)).values() for node in of]

    async def _lists(self, scan: Scan) -> tuple[str, ...]:
        """Which lists hold the records. A whole product comes with its variations."""
        if scan.entity == "order":
            return ("orders",)
        if (scan.entity == "product" and scan.since is None) or not await self._reader.has_flat_variations():
            return ("products",)
        return ("products", "variations")

    async def _parents(self, scan: Scan, token: Token, rows: list[JsonObject]) -> list[JsonObject]:
        """The products of variations that changed, but for those that have been given for their own time."""
        ids = sorted({row["parent_id"] for row in rows})
        nodes = await self._reader.by_ids("products", PRODUCTS, [str(each) for each in ids])
        assert scan.since is not None
        first = _text(scan.since)
        return [node for node in nodes if not first <= (node["date_modified_gmt"] or "") <= token["until"]]


def _start(scan: Scan) -> Token:
    of = "orders" if scan.entity == "order" else "products"
    if scan.since is None:
        return {"of": of, "offset": 0, "last": 0}
    until = {} if scan.until is None else {"until": _text(scan.until)}
    return {"of": of, "from": _text(scan.since), **until}


def _bound(token: Token) -> Token:
    return {"until": token["until"]} if "until" in token else {}


def _place(place: Place) -> Token:
    return {"offset": place.offset, "last": place.last}


def _window(first: str, last: str | None) -> dict[str, str]:
    """Records that changed from one second to another, both among them."""
    window = {"modified_after": _text(_moment(first) - _SECOND), "dates_are_gmt": "true"}
    return window if last is None else {**window, "modified_before": _text(_moment(last) + _SECOND)}


def _text(moment: datetime) -> str:
    """As WooCommerce gives its times: UTC to the second, without a zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
