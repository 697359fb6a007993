"""What was withdrawn, known to this process within a second (DESIGN.md §4).

The process looks twice a second: it asks accounts, and reads PostgreSQL itself when the queue is silent. When neither
answers for some seconds, nothing that was remembered is believed any more.

A command that may have withdrawn something is known sooner: the process it came through looks before it believes
anybody else, and tells the others over Redis (`Announcements`), which then do the same. Nothing rests on that word: who
misses it finds out at the next look.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from shared import background
from shared.bus.ask import Bus
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.messages import GetRevocations
from shared.contracts.accounts.messages import Revocations as Withdrawn
from shared.errors import CrossdockError, Unavailable
from shared.redis_connection import REDIS_AWAY, RedisAddress

log = structlog.get_logger("crossdock.identity")

ReadWithdrawn = Callable[[str | None], Awaitable[Withdrawn]]

_LOOK_EVERY_SECONDS = 0.5
# Older than this, a look is repeated before anything is believed.
_FRESH_SECONDS = 1.0
# Older than this, nothing is believed.
_BELIEVED_SECONDS = 3.0
# Short, so that reading PostgreSQL still happens within the second.
_PATIENCE_WITH_QUEUE_SECONDS = 0.25
_PATIENCE_WITH_DATABASE_SECONDS = 1.0
_LISTEN_SECONDS = 5.0


class CredentialsCannotBeChecked(Unavailable):
    """Nobody can say whether a credential was withdrawn."""

    title = "Credentials cannot be checked at this moment"


class Announcements:
    """The gateways' word to each other that something may have been withdrawn. It may be lost."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._redis = address.connect()
        self._listening: asyncio.Task[None] | None = None

    def listen(self, heard: Callable[[], None]) -> None:
        """Call `heard` at each word, and whenever one may have been missed, until `close`."""
        self._listening = background.begin(self._listen(heard))

    async def announce(self) -> None:
        """Tell all gateways. Returns within a moment, whether or not Redis is there."""
        try:
            async with asyncio.timeout(_PATIENCE_WITH_QUEUE_SECONDS):
                await self._redis.publish(self._channel, b"")
        except REDIS_AWAY as error:
            log.info("withdrawal_not_announced", error=repr(error))

    async def close(self) -> None:
        await background.end(self._listening)
        await self._redis.aclose()

    @property
    def _channel(self) -> str:
        return self._address.name("withdrawn")

    async def _listen(self, heard: Callable[[], None]) -> None:
        is_away = False
        while True:
            try:
                async with self._address.connect(blocking=True) as redis, redis.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    is_away = False
                    while True:
                        if await subscription.get_message(timeout=_LISTEN_SECONDS) is not None:
                            heard()
            except REDIS_AWAY as error:
                if not is_away:
                    log.info("withdrawals_not_heard", error=repr(error))
                is_away = True
                await asyncio.sleep(_LOOK_EVERY_SECONDS)


class Revocations:
    """How often each organization has withdrawn something, as of the last look.

    `epoch` grows when nothing remembered before may be believed.
    """

    def __init__(self, bus: Bus, read: ReadWithdrawn | None = None) -> None:
        self._bus = bus
        self._read = read
        self._versions: dict[UUID, int] = {}
        self._cursor: str | None = None
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._expired_at = float("-inf")
        self.epoch = 0

    def version_of(self, organization_id: UUID) -> int:
        """The latest version this process has heard of; 0 while it has heard of none."""
        return self._versions.get(organization_id, 0)

    @property
    def is_fresh(self) -> bool:
        return self._looked_at >= self._expired_at and time.monotonic() - self._looked_at <= _FRESH_SECONDS

    def expire(self) -> None:
        """Something may have been withdrawn just now: only a look that begins after this one counts as fresh."""
        self._expired_at = time.monotonic()

    async def freshen(self) -> None:
        """Look now, together with everybody else who wants to. Raises CredentialsCannotBeChecked."""
        if self._watching is None:
            self._watching = background.begin(self._watch())
        expired_at = self._expired_at
        # A look that is under way may have begun too early; the one after it has not.
        for _ in range(2):
            if self._looking is None or self._looking.done():
                self._looking = background.begin(self._look())
            await asyncio.shield(self._looking)
            if self._looked_at >= expired_at:
                break
        if time.monotonic() - self._looked_at > _BELIEVED_SECONDS:
            raise CredentialsCannotBeChecked("Try again in a moment.", retry_after_seconds=1)

    async def close(self) -> None:
        await background.end(self._watching, self._looking)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            await self._look()

    async def _look(self) -> None:
        began = time.monotonic()
        withdrawn = await self._asked() or await self._read_directly()
        if withdrawn is None:
            return
        if withdrawn.everything:
            self._versions.clear()
            self.epoch += 1
        for organization_id, version in withdrawn.versions.items():
            self._versions[organization_id] = max(version, self.version_of(organization_id))
        self._cursor = withdrawn.cursor
        self._looked_at = max(began, self._looked_at)

    async def _asked(self) -> Withdrawn | None:
        envelope = service_envelope("gateway", None, timeout_seconds=_PATIENCE_WITH_QUEUE_SECONDS)
        try:
            return await self._bus.ask(GetRevocations(since=self._cursor), envelope)
        except CrossdockError as error:
            log.info("revocations_not_answered", error=error.code)
            return None

    async def _read_directly(self) -> Withdrawn | None:
        if self._read is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE_WITH_DATABASE_SECONDS):
                return await self._read(self._cursor)
        except (CrossdockError, TimeoutError, OSError) as error:
            log.warning("revocations_not_readable", error=str(error))
            return None
