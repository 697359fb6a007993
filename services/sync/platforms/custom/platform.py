"""A server that speaks our custom HTTP protocol (PROTOCOL.md), as a store platform."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote

from services.sync.errors import AnswerLost, AnswerNotUnderstood
from services.sync.platforms.base import (
    Account,
    Page,
    ProductWrite,
    Record,
    Scan,
    ShipmentWrite,
    StockWrite,
    Written,
)
from services.sync.platforms.custom import images, mapping
from services.sync.platforms.custom.client import Client
from services.sync.platforms.custom.settings import custom_settings
from services.sync.platforms.http import Http, checked, said
from shared.contracts.sync.shapes import Entity, FeedKind, Greeting
from shared.outgoing import Answer

W = TypeVar("W", ProductWrite, StockWrite, ShipmentWrite)
# A request for records by their ids stays well below the 8 KB that servers commonly take as an address.
_LONGEST_QUERY = 6000
_MOST_IDS = 100


class Custom:
    """The adapter."""

    name = "custom"
    title = "Custom HTTP protocol"
    lacks: Mapping[FeedKind, str] = MappingProxyType({})
    overlap = timedelta(minutes=2)
    page_size = 100
    credential_names: tuple[str, ...] = ("token", "signing_secret")
    reads_ahead = True

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        custom_settings(settings)

    def base_url(self, settings: Mapping[str, Any]) -> str:
        return custom_settings(settings).url

    def session(self, account: Account, http: Http) -> "CustomSession":
        """Raises InvalidConnectionSettings, InvalidCredentials."""
        return CustomSession(account, http)


class CustomSession:
    """One account."""

    def __init__(self, account: Account, http: Http) -> None:
        self._settings = custom_settings(account.settings)
        self._client = Client(account, http)

    async def greet(self) -> Greeting:
        return mapping.greeting(await self._client.get("/hello"))

    async def page(self, scan: Scan) -> Page:
        path = f"/{mapping.list_of(scan.entity)}"
        query = [("limit", str(self._settings.page_size))]
        # Without `since` nothing bounds it, so that what changes meanwhile comes again at the end.
        if scan.since is not None and scan.entity not in self._settings.full_scans:
            query.append(("since", mapping.time(scan.since)))
            if scan.until is not None:
                query.append(("until", mapping.time(scan.until)))
        if scan.resume is not None:
            query.append(("after", scan.resume))
        return mapping.following(scan, await self._client.get(path, query))

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]:
        path = f"/{mapping.list_of(entity)}"
        records: list[Record] = []
        for query in _queries(external_ids):
            records.extend(mapping.named(entity, await self._client.get(path, query)))
        return records

    async def write_products(self, writes: Sequence[ProductWrite]) -> Sequence[Written]:
        items = [mapping.product_item(write) for write in writes]
        return await self._write("/products", items, writes, mapping.products_written)

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Written]:
        items = [mapping.stock_item(write) for write in writes]
        return await self._write("/stock", items, writes, mapping.stock_written)

    async def confirm_shipments(self, writes: Sequence[ShipmentWrite]) -> Sequence[Written]:
        items = [mapping.shipment_item(write) for write in writes]
        return await self._write("/shipments", items, writes, mapping.shipments_written)

    async def take_image(self, product_external_id: str, url: str) -> Written:
        """Raises as `Client`."""
        return await images.take_away(self._client, product_external_id, url)

    async def _write(
        self,
        path: str,
        items: Sequence[dict[str, Any]],
        writes: Sequence[W],
        read: Callable[[bytes, Sequence[W]], list[Written]],
    ) -> Sequence[Written]:
        """What became of the writes. Where nobody knows, they are to be tried again: their keys make that safe."""
        if not writes:
            return ()
        try:
            answer = await self._client.post(path, items)
            if _is_unclear(answer):
                raise AnswerLost(said(answer))
            return read(checked(answer).body, writes)
        except (AnswerLost, AnswerNotUnderstood) as error:
            return [Written("retry", message=error.detail)] * len(writes)


def _is_unclear(answer: Answer) -> bool:
    """PROTOCOL.md, "Errors": with 503 nothing was done, with others of these one can not know."""
    return answer.status >= 500 and answer.status != 503


def _queries(external_ids: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Queries for all of the ids, none longer than a server takes."""
    query: list[tuple[str, str]] = []
    length = 0
    for external_id in external_ids:
        size = len(quote(external_id, safe="")) + len("&id=")
        if query and (length + size > _LONGEST_QUERY or len(query) == _MOST_IDS):
            yield [*query, ("limit", str(len(query)))]
            query, length = [], 0
        query.append(("id", external_id))
        length += size
    if query:
        yield [*query, ("limit", str(len(query)))]
