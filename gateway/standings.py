"""How far the indexes are that search reads in processes of its own, for as long as somebody asks for their shops.

Each answer says how far its index was, and this process asks besides, every so often, together for all shops. What it
has heard of once is never taken back: of several processes of search the one that is furthest counts. When nobody has
said anything in a while nothing is known, and so nothing that was kept is given.
"""

import asyncio
import time
from uuid import UUID

import structlog

from shared import background
from shared.bus.ask import Bus
from shared.bus.envelope import service_envelope
from shared.contracts.search.standing import GetShopStandings, NamedShop, ShopStanding
from shared.errors import CrossdockError

log = structlog.get_logger("crossdock.standings")

_LOOK_EVERY_SECONDS = 0.05
# So long after the question that was answered a standing is believed.
_BELIEVED_SECONDS = 1.0
# A shop that nobody asked for in so long is not looked at.
_ASKED_FOR_SECONDS = 2.0
_PATIENCE_SECONDS = 1.0
_MOST_SHOPS = 1000


class _Known:
    """A shop's standing, when it was asked for last, and when the shop was."""

    __slots__ = ("looked_at", "standing", "wanted_at")

    def __init__(self, standing: ShopStanding, looked_at: float) -> None:
        self.standing, self.looked_at, self.wanted_at = standing, looked_at, looked_at

    def hear(self, standing: ShopStanding, asked_at: float) -> None:
        before, self.standing = self.standing, self.standing.with_later(standing)
        if before.shop_id != standing.shop_id:
            # Another shop has its code, as one says; whether all do, the next one tells.
            self.looked_at = float("-inf")
        elif self.standing == standing:
            self.looked_at = max(self.looked_at, asked_at)


class StandingsElsewhere:
    """What this process has heard of indexes that others read."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._known: dict[tuple[UUID, str], _Known] = {}
        self._watching: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        await background.end(self._watching)

    def of(self, organization_id: UUID, shop: str) -> ShopStanding | None:
        """How far a shop's index is; None where nobody has said so just now."""
        known, now = self._known.get((organization_id, shop)), time.monotonic()
        if known is None:
            return None
        known.wanted_at = now
        return known.standing if now - known.looked_at <= _BELIEVED_SECONDS else None

    def heard(self, organization_id: UUID, shop: str, standing: ShopStanding, asked_at: float) -> None:
        """An answer came from an index that was so far, to a question of then."""
        known = self._known.get((organization_id, shop))
        if known is not None:
            known.hear(standing, asked_at)
            known.wanted_at = time.monotonic()
        elif len(self._known) < _MOST_SHOPS:
            self._known[organization_id, shop] = _Known(standing, asked_at)
        if self._watching is None or self._watching.done():
            self._watching = background.begin(self._watch())

    async def _watch(self) -> None:
        """Look until nobody asks for anything any more."""
        while self._known:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            await self._look()

    async def _look(self) -> None:
        now = time.monotonic()
        for key in [key for key, known in self._known.items() if now - known.wanted_at > _ASKED_FOR_SECONDS]:
            del self._known[key]
        keys = list(self._known)
        if not keys:
            return
        question = GetShopStandings(shops=[NamedShop(organization_id=id_, shop=shop) for id_, shop in keys])
        try:
            answer = await self._bus.ask(question, service_envelope("gateway", None, timeout_seconds=_PATIENCE_SECONDS))
        except CrossdockError as error:
            log.info("standings_not_answered", error=error.code)
            return
        for key, standing in zip(keys, answer.standings, strict=True):
            if standing is not None and key in self._known:
                self._known[key].hear(standing, now)
