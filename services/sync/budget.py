"""What a platform lets one connection spend, counted in Redis and so shared by all workers (SYN-12).

A bucket: so many points at most, that come back at a rate. Platforms say both; until they do the bucket is a
polite one. Whoever does background work leaves a part of it to people, who are served first. While Redis is away each
process counts for itself.
"""

import asyncio
import time

from services.sync.errors import ConnectionHeld
from services.sync.platforms.http import IsHeld, never_held
from shared.bus.surroundings import Surroundings
from shared.redis_connection import REDIS_AWAY, RedisAddress
from shared.settings import settings

POLITE_PER_SECOND = 50.0
POLITE_MOST = 100.0
# The part of a full bucket that background work never takes.
_LEFT_TO_PEOPLE = 0.1
# So long at most whoever waits does not look whether the connection was paused meanwhile.
_LONGEST_WAIT_SECONDS = 5.0
_REMEMBERED_MS = 3_600_000

# One bucket: `left` points at `at` (ms), `per_second` back, `most`, and `until` (ms), before which nothing is spent.
_TAKE = """
local now = redis.call('TIME'); now = now[1] * 1000 + math.floor(now[2] / 1000)
local b = redis.call('HMGET', KEYS[1], 'left', 'at', 'per_second', 'most', 'until')
local per_second, most = tonumber(b[3] or ARGV[2]), tonumber(b[4] or ARGV[3])
local left = math.min(most, tonumber(b[1] or 0) + (now - tonumber(b[2] or now)) / 1000 * per_second)
local cost = math.min(tonumber(ARGV[1]), most)
local rest = tonumber(b[5] or 0) - now
local keep = math.min(tonumber(ARGV[4]) * most, most - cost)
local wait = math.max(rest, (cost + keep - left) / per_second * 1000)
if wait <= 0 then left, wait = left - cost, 0 end
redis.call('HSET', KEYS[1], 'left', tostring(left), 'at', now)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return math.ceil(wait)
"""
_LEARN = """
local now = redis.call('TIME'); now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], 'left', ARGV[1], 'at', now, 'per_second', ARGV[2], 'most', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
"""
_REST = """
local now = redis.call('TIME'); now = now[1] * 1000 + math.floor(now[2] / 1000)
local before = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
redis.call('HSET', KEYS[1], 'until', math.max(before, now + tonumber(ARGV[1])), 'left', 0, 'at', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_LOOK = """
local now = redis.call('TIME'); now = now[1] * 1000 + math.floor(now[2] / 1000)
local b = redis.call('HMGET', KEYS[1], 'left', 'at', 'per_second', 'most', 'until')
if not b[2] then return nil end
local per_second, most = tonumber(b[3] or ARGV[1]), tonumber(b[4] or ARGV[2])
local left = math.min(most, tonumber(b[1] or 0) + (now - tonumber(b[2])) / 1000 * per_second)
return {tostring(left), tostring(most), tostring(per_second), tostring(math.max(0, tonumber(b[5] or 0) - now) / 1000)}
"""


class Budgets:
    """The budgets of connections, as one process sees them: it holds the way to Redis."""

    def __init__(self, _surroundings: Surroundings) -> None:
        self._address = RedisAddress(settings().redis_url.get_secret_value(), settings().redis_prefix)
        redis = self._address.connect()
        self._redis = redis
        self.take, self.learn, self.rest, self.look = map(redis.register_script, (_TAKE, _LEARN, _REST, _LOOK))

    async def close(self) -> None:
        await self._redis.aclose()

    def of(self, connection_id: object, *, is_for_people: bool = False) -> "RedisBudget":
        """The budget of a connection."""
        return RedisBudget(self, self._address.name("platform", str(connection_id)), is_for_people=is_for_people)


class RedisBudget:
    """One connection's budget; see `services.sync.platforms.http.Budget`."""

    def __init__(self, budgets: Budgets, name: str, *, is_for_people: bool) -> None:
        self._budgets, self._name = budgets, name
        self._kept = 0.0 if is_for_people else _LEFT_TO_PEOPLE
        self._alone_until = 0.0

    async def take(self, points: float, is_held: IsHeld = never_held) -> None:
        """Wait until so many points may be spent, and spend them. Raises ConnectionHeld, and then spends none."""
        while (wait := await self._wait_seconds(points)) > 0:
            await asyncio.sleep(min(wait, _LONGEST_WAIT_SECONDS))
            if await is_held():
                raise ConnectionHeld

    async def _wait_seconds(self, points: float) -> float:
        arguments = [points, POLITE_PER_SECOND, POLITE_MOST, self._kept, _REMEMBERED_MS]
        try:
            return float(await self._budgets.take([self._name], arguments)) / 1000
        except REDIS_AWAY:
            return self._alone(points)

    def _alone(self, points: float) -> float:
        now = time.monotonic()
        if self._alone_until > now:
            return self._alone_until - now
        self._alone_until = now + points / POLITE_PER_SECOND
        return 0.0

    async def learn(self, *, left: float, per_second: float, most: float) -> None:
        """The platform said what is left, how fast it comes back, and how much there can be."""
        if per_second > 0 and most > 0:
            await self._tell(self._budgets.learn, left, per_second, most, _REMEMBERED_MS)

    async def look(self) -> tuple[float, float, float, float] | None:
        """Points left, most, and those that come back a second, and for how many seconds nothing is spent.

        None: nothing is known, or Redis is away.
        """
        try:
            found = await self._budgets.look([self._name], [POLITE_PER_SECOND, POLITE_MOST])
        except REDIS_AWAY:
            return None
        return None if found is None else tuple(float(each) for each in found)  # type: ignore[return-value]

    async def rest(self, seconds: float) -> None:
        """The platform asked to be left alone for so long."""
        self._alone_until = max(self._alone_until, time.monotonic() + seconds)
        await self._tell(self._budgets.rest, int(seconds * 1000), _REMEMBERED_MS)

    async def _tell(self, script: object, *arguments: float) -> None:
        try:
            await script([self._name], list(arguments))  # type: ignore[operator]
        except REDIS_AWAY:
            return
