"""Events as they happen, for those who are connected to this process: one Redis subscription, shared by all of them.

What a feed promises: every event of its organization that this process hears of from the moment it begins, once, until
it ends. When one may have been missed (Redis was away), or the reader is too slow, the feed ends with the reason; it
never leaves out in silence.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import structlog

from shared import background, live
from shared.errors import CrossdockError, Unavailable
from shared.messaging.outbox import SentEvent
from shared.redis_connection import REDIS_AWAY, RedisAddress

log = structlog.get_logger("crossdock.live")

# How many events may wait for one reader.
MOST_WAITING = 1000
_REMEMBERED_EVENTS = 10_000
_PATIENCE_SECONDS = 2.0
_LISTEN_SECONDS = 1.0
_SILENCE_SECONDS = 5.0
_CONNECT_AGAIN_SECONDS = 0.2


class LiveEventsUnavailable(Unavailable):
    """Events cannot be followed at this moment."""

    title = "Live events are not available at this moment"


class LiveEventsInterrupted(Unavailable):
    """Events may have been missed: read how things are, and subscribe again."""

    title = "Events may have been missed"


class TooSlow(CrossdockError):
    """Too many events waited for a reader who did not take them."""

    status = 429
    title = "Too many events waited to be read"


class Feed:
    """The events of one organization, for one reader."""

    def __init__(self, most_waiting: int) -> None:
        self._events: asyncio.Queue[SentEvent | CrossdockError] = asyncio.Queue(most_waiting + 1)
        self._most = most_waiting
        self._is_over = False

    def put(self, event: SentEvent) -> None:
        if self._events.qsize() >= self._most:
            self.end(TooSlow("More events happened than were read; read how things are, and subscribe again."))
        elif not self._is_over:
            self._events.put_nowait(event)

    def end(self, reason: CrossdockError) -> None:
        """Nothing follows; what waits is still read."""
        if not self._is_over:
            self._is_over = True
            self._events.put_nowait(reason)

    async def next(self) -> SentEvent:
        """Raises what the feed ended for."""
        event = await self._events.get()
        if isinstance(event, CrossdockError):
            raise event
        return event


class LiveEvents:
    """This process's one ear on Redis."""

    def __init__(self, address: RedisAddress, most_waiting: int = MOST_WAITING) -> None:
        self._address = address
        self._most_waiting = most_waiting
        self._feeds: dict[UUID, set[Feed]] = {}
        self._heard_channels: dict[str, asyncio.Event] = {}
        self._known: OrderedDict[UUID, None] = OrderedDict()
        self._wishes: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self._connected = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        await background.end(self._listening)

    @asynccontextmanager
    async def following(self, organization_id: UUID) -> AsyncIterator[Feed]:
        """The events of an organization from now on. Raises LiveEventsUnavailable when Redis is away."""
        if self._listening is None:
            self._listening = background.begin(self._listen())
        feed = Feed(self._most_waiting)
        feeds = self._feeds.setdefault(organization_id, set())
        feeds.add(feed)
        try:
            await self._begin(organization_id)
            yield feed
        finally:
            feeds.discard(feed)
            if not feeds and self._feeds.get(organization_id) is feeds:
                del self._feeds[organization_id]
                self._stop_hearing(organization_id)

    async def _begin(self, organization_id: UUID) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._hear(organization_id)
        except REDIS_AWAY:
            raise LiveEventsUnavailable("Try again in a moment.", retry_after_seconds=1) from None

    async def _hear(self, organization_id: UUID) -> None:
        """Wait until Redis has confirmed that it tells us of this organization."""
        await self._connected.wait()
        channel = live.channel_of(self._address, organization_id)
        confirmed = self._heard_channels.get(channel)
        if confirmed is None:
            confirmed = self._heard_channels[channel] = asyncio.Event()
            self._wishes.put_nowait((channel, True))
        await confirmed.wait()

    def _stop_hearing(self, organization_id: UUID) -> None:
        channel = live.channel_of(self._address, organization_id)
        if self._heard_channels.pop(channel, None) is not None:
            self._wishes.put_nowait((channel, False))

    async def _obey(self, subscription: Any) -> None:
        """Tell Redis what to tell us of. No reader does that itself: cancelled half way it would cut the connection."""
        with contextlib.suppress(*REDIS_AWAY):
            # Whoever listens notices by itself that the connection is gone.
            while True:
                channel, is_wanted = await self._wishes.get()
                await (subscription.subscribe(channel) if is_wanted else subscription.unsubscribe(channel))

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_until_away()
            except REDIS_AWAY as error:
                log.info("live_events_interrupted", error=repr(error), feeds=len(self._feeds))
            self._interrupt()
            await asyncio.sleep(_CONNECT_AGAIN_SECONDS)

    async def _listen_until_away(self) -> None:
        """Raises what Redis raises, and TimeoutError when it answers nothing any more."""
        async with self._address.connect(blocking=True) as redis, redis.pubsub() as subscription:
            # One channel at least: without any there would be nothing to wait for.
            await subscription.subscribe(self._address.name("live"))
            self._wishes = asyncio.Queue()
            obeying = asyncio.create_task(self._obey(subscription))
            heard_at = asked_at = time.monotonic()
            try:
                while True:
                    message = await subscription.get_message(timeout=_LISTEN_SECONDS)
                    now = time.monotonic()
                    if message is not None:
                        heard_at = now
                        self._take(message)
                    elif now - heard_at > 2 * _SILENCE_SECONDS:
                        raise TimeoutError("Redis is silent")
                    if now - max(heard_at, asked_at) > _SILENCE_SECONDS:
                        asked_at = now
                        await subscription.ping()
            finally:
                await background.end(obeying)

    def _take(self, message: dict[str, Any]) -> None:
        channel = message["channel"]
        name = channel.decode() if isinstance(channel, bytes) else str(channel or "")
        if message["type"] == "subscribe":
            self._connected.set()
            if name in self._heard_channels:
                self._heard_channels[name].set()
        elif message["type"] == "message":
            self._spread(name, message["data"])

    def _spread(self, channel: str, content: bytes) -> None:
        organization_id = UUID(channel.rpartition(":")[2])
        try:
            events = live.copies_in(content)
        except msgspec.MsgspecError as error:
            log.error("live_events_unreadable", error=str(error))
            return
        for event in events:
            if event.id in self._known:
                continue
            self._known[event.id] = None
            if len(self._known) > _REMEMBERED_EVENTS:
                self._known.popitem(last=False)
            for feed in tuple(self._feeds.get(organization_id, ())):
                feed.put(event)

    def _interrupt(self) -> None:
        """Whoever follows may have missed something; whoever comes now waits for the next connection."""
        self._connected.clear()
        self._heard_channels.clear()
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.end(
                    LiveEventsInterrupted("Events may have been missed; read how things are, and subscribe again.")
                )
