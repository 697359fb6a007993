"""How often a publishable key may ask: one budget per key for all gateways, counted in Redis (FEATURES ACC-11).

A key is in everybody's browser, so its budget is a shop's, not a visitor's. While Redis is away each process counts for
itself: what a key reads is public, and a shop window stays open.
"""

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

import structlog

from shared import clock
from shared.errors import TooManyRequests
from shared.redis_connection import REDIS_AWAY, RedisAddress

log = structlog.get_logger("crossdock.budgets")

WINDOW_SECONDS = 60
# A shop window is slower for it, and not longer than this.
_PATIENCE_SECONDS = 0.25
_REDIS_IS_LEFT_ALONE_SECONDS = 5.0


class OverBudget(TooManyRequests):
    """The key asked more often in this minute than it may."""

    title = "This key asks too often"


@dataclass(frozen=True)
class Spent:
    """Where a key stands: of `limit` requests a minute, `remaining` ones until `reset_seconds` from now."""

    limit: int
    remaining: int
    reset_seconds: int

    def check(self) -> None:
        """Raises OverBudget when the budget is used up."""
        if self.remaining < 0:
            raise OverBudget(f"This key may ask {self.limit} times a minute.", retry_after_seconds=self.reset_seconds)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has it."""
        return [
            (b"ratelimit-policy", b'"publishable-key";q=%d;w=%d' % (self.limit, WINDOW_SECONDS)),
            (b"ratelimit", b'"publishable-key";r=%d;t=%d' % (max(self.remaining, 0), self.reset_seconds)),
        ]


class Budgets:
    """Counts requests per key and minute. `limit` is per key and minute."""

    def __init__(self, address: RedisAddress, limit: int) -> None:
        self._address, self._limit = address, limit
        self._redis = address.connect()
        self._away_until = float("-inf")
        self._window = 0
        self._counted_here: dict[UUID, int] = {}

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def spend(self, key_id: UUID) -> Spent:
        """Count one request of a key; `remaining` is below zero when it was one too many."""
        now = clock.now().timestamp()
        window, reset_seconds = int(now // WINDOW_SECONDS), WINDOW_SECONDS - int(now % WINDOW_SECONDS)
        count = await self._counted(key_id, window)
        return Spent(self._limit, self._limit - count, reset_seconds)

    async def _counted(self, key_id: UUID, window: int) -> int:
        if time.monotonic() < self._away_until:
            return self._counted_alone(key_id, window)
        name = self._address.name("budget", str(key_id), str(window))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                async with self._redis.pipeline(transaction=True) as pipeline:
                    pipeline.incr(name)
                    pipeline.expire(name, 2 * WINDOW_SECONDS)
                    count, _ = await pipeline.execute()
        except REDIS_AWAY as error:
            log.warning("budgets_counted_alone", error=repr(error))
            self._away_until = time.monotonic() + _REDIS_IS_LEFT_ALONE_SECONDS
            return self._counted_alone(key_id, window)
        return int(count)

    def _counted_alone(self, key_id: UUID, window: int) -> int:
        if window != self._window:
            self._window = window
            self._counted_here.clear()
        count = self._counted_here[key_id] = self._counted_here.get(key_id, 0) + 1
        return count
