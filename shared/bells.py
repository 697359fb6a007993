"""Bells: somebody who waits is woken through Redis, in whatever process. Nothing rests on them.

A bell that was rung before anybody waited is heard by the next who does, for a minute. While Redis is away nobody is
woken, and whoever waits looks by himself more often.
"""

import asyncio

from shared import background
from shared.redis_connection import REDIS_AWAY, RedisAddress

_REMEMBERED_SECONDS = 60
# What Redis is asked to wait at most: less than the patience of its connection.
_LISTEN_SECONDS = 5.0
_ALONE_SECONDS = 0.5


class Bells:
    """This process's way to them. Who waits holds one connection to Redis."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._ringing = address.connect()
        self._waiting = address.connect(blocking=True)
        self._rung: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        await background.end(*self._rung)
        await self._ringing.aclose()
        await self._waiting.aclose()

    async def ring(self, *name: str) -> None:
        """Wake one who waits for this bell, or the next who will."""
        key = self._address.name("bell", *name)
        try:
            async with self._ringing.pipeline(transaction=True) as pipe:
                pipe.rpush(key, 1).ltrim(key, -1, -1).expire(key, _REMEMBERED_SECONDS)
                await pipe.execute()
        except REDIS_AWAY:
            return

    def ring_soon(self, *name: str) -> None:
        """As `ring`, without waiting for Redis."""
        task = background.begin(self.ring(*name))
        self._rung.add(task)
        task.add_done_callback(self._rung.discard)

    async def wait(self, seconds: float, *name: str) -> None:
        """Until the bell is rung, so long at most, or shorter: whoever waits looks, and waits again."""
        try:
            await self._waiting.blpop([self._address.name("bell", *name)], timeout=min(seconds, _LISTEN_SECONDS))
        except REDIS_AWAY:
            await asyncio.sleep(min(seconds, _ALONE_SECONDS))
