"""A system behind a firewall, as a store platform: its agent comes out and fetches what is asked (PROTOCOL.md).

What is asked and answered are the records and writes of the custom HTTP protocol, whose mapping this is.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.agent import mapping
from services.sync.platforms.agent.client import Client
from services.sync.platforms.agent.settings import agent_settings
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
from services.sync.platforms.custom import mapping as custom
from services.sync.platforms.http import Http
from shared.contracts.sync.shapes import Entity, FeedKind, Greeting
from shared.errors import CrossdockError

W = TypeVar("W", ProductWrite, StockWrite, ShipmentWrite)
_MOST_IDS = 100


class Agent:
    """The adapter."""

    name = "agent"
    title = "Agent"
    lacks: Mapping[FeedKind, str] = MappingProxyType({})
    overlap = timedelta(minutes=2)
    # The agent takes one after the other: so many are laid at once.
    page_size = 25
    credential_names: tuple[str, ...] = ()
    reads_ahead = True

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        agent_settings(settings)

    def base_url(self, settings: Mapping[str, Any]) -> str:
        """There is none: nothing is sent there."""
        return ""

    def session(self, account: Account, http: Http) -> "AgentSession":
        """Raises InvalidConnectionSettings."""
        return AgentSession(account, http)


class AgentSession:
    """One account."""

    def __init__(self, account: Account, http: Http) -> None:
        self._settings = agent_settings(account.settings)
        self._client = Client(account, http)

    async def greet(self) -> Greeting:
        found = custom.greeting(await self._client.ask("hello", {}))
        missing = [right for right in self._settings.rights if right in found.missing]
        return found.model_copy(update={"missing": missing})

    async def page(self, scan: Scan) -> Page:
        name = custom.list_of(scan.entity)
        if f"read:{name}" not in self._settings.rights:
            return Page((), is_whole=False)
        since = None if scan.entity in self._settings.full_scans else scan.since
        asked = {
            "list": name,
            "since": None if since is None else custom.time(since),
            # Without `since` nothing bounds it, so that what changes meanwhile comes again at the end.
            "until": None if since is None or scan.until is None else custom.time(scan.until),
            "after": scan.resume,
            "limit": self._settings.page_size,
        }
        return custom.following(scan, await self._client.ask("page", asked))

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]:
        name = custom.list_of(entity)
        records: list[Record] = []
        for start in range(0, len(external_ids), _MOST_IDS):
            asked = {"list": name, "ids": list(external_ids[start : start + _MOST_IDS])}
            records.extend(custom.named(entity, await self._client.ask("read", asked)))
        return records

    async def write_products(self, writes: Sequence[ProductWrite]) -> Sequence[Written]:
        return await self._write("products", custom.product_item, writes, custom.products_written)

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Written]:
        return await self._write("stock", custom.stock_item, writes, custom.stock_written)

    async def confirm_shipments(self, writes: Sequence[ShipmentWrite]) -> Sequence[Written]:
        """They come one by one: one that is not taken now is tried later, and those behind it are told."""
        return await self._write("shipments", custom.shipment_item, writes, custom.shipments_written, one_by_one=True)

    async def take_image(self, product_external_id: str, url: str) -> Written:
        """An agent is not asked to take anything away."""
        return Written("person", "An agent can not take a picture away; do it over there.", product_external_id)

    async def _write(
        self,
        name: str,
        item: Callable[[W], dict[str, Any]],
        writes: Sequence[W],
        read: Callable[[bytes, Sequence[W]], list[Written]],
        *,
        one_by_one: bool = False,
    ) -> Sequence[Written]:
        """What became of the writes. Where nobody knows, they are to be tried again: their keys make that safe."""
        if not writes:
            return ()
        if f"write:{name}" not in self._settings.rights:
            return [Written("person", message=f"The connection's settings do not say 'write:{name}'.")] * len(writes)
        asked = [{"list": name, "item": item(write)} for write in writes]
        answers = await self._client.write(asked, one_by_one=one_by_one)
        return [_written(answer, write, read) for answer, write in zip(answers, writes, strict=True)]


def _written(answer: bytes | CrossdockError, write: W, read: Callable[[bytes, Sequence[W]], list[Written]]) -> Written:
    if isinstance(answer, PlatformRefused):
        return Written("person", message=answer.detail)
    if isinstance(answer, CrossdockError):
        return Written("retry", message=answer.detail, retry_after_seconds=answer.retry_after_seconds)
    try:
        (written,) = read(mapping.as_results(answer), [write])
    except AnswerNotUnderstood as error:
        return Written("retry", message=error.detail)
    return written
