"""The requests that wait for each service on Redis, and whether another one could still be answered in time.

What is known of a queue lies beside it, so that every asker judges alike: when something was last taken, and how much
since the queue was last empty. A queue that is empty takes whatever comes; no judgement outlives what it was made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import Overloaded
from shared.redis_connection import RedisAddress

# Requests wait and nobody has taken one for so long: the service is frozen, gone, or in one long breath.
SILENT_SECONDS = 3.0
_LONGEST_RETRY_SECONDS = 30

# KEYS: the list, its pace ("taken since count": seconds since the epoch by Redis' clock, and what was taken since).
_PACE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local function pace()
    local taken, since, count = string.match(redis.call('GET', KEYS[2]) or '', '(%S+) (%S+) (%S+)')
    return tonumber(taken), tonumber(since), tonumber(count)
end
local function note(since, count)
    redis.call('SET', KEYS[2], string.format('%.6f %.6f %.3f', now, since, count))
end
"""
# ARGV: bound, silence, then for each frame the seconds its asker waits and the frame. Answers nothing when all were
# taken, else the seconds after which to try again, and for each refused frame its index and the reason.
_PUSH = (
    _PACE
    + """
local length = redis.call('LLEN', KEYS[1])
local taken, since, count
if length > 0 then taken, since, count = pace() end
if not taken then note(now, 0) end
local is_silent = taken and now - taken >= tonumber(ARGV[2])
-- A second's evidence is needed: one burst says nothing.
local seconds_each = 0
if taken and count > 0 and now - since >= 1 then seconds_each = (now - since) / count end
local refused = {}
for i = 3, #ARGV, 2 do
    local reason
    if is_silent then reason = 'silent'
    elseif length >= tonumber(ARGV[1]) then reason = 'full'
    elseif length * seconds_each > tonumber(ARGV[i]) then reason = 'slow' end
    if reason then
        table.insert(refused, (i - 3) / 2)
        table.insert(refused, reason)
    else
        length = redis.call('RPUSH', KEYS[1], ARGV[i + 1])
    end
end
if #refused > 0 then table.insert(refused, 1, math.ceil(math.min(length * seconds_each, 3600))) end
return refused
"""
)
# ARGV: how many at most, silence. The measure begins anew after a silence, and fades with a half-life of some seconds.
_TAKE = (
    _PACE
    + """
local frames = redis.call('LPOP', KEYS[1], ARGV[1])
if not frames then return {} end
if redis.call('EXISTS', KEYS[1]) == 1 then
    local taken, since, count = pace()
    if not taken or now - taken >= tonumber(ARGV[2]) then
        since, count = now, 0
    else
        count = count + #frames
        if now - since > 10 then since, count = now - (now - since) / 2, count / 2 end
    end
    note(since, count)
end
return frames
"""
)


@dataclass(frozen=True)
class Standing:
    """How many requests wait, and for how long none has been taken while they did."""

    waiting: int
    silent_seconds: float


class RequestQueues:
    """The queues of every service, through one client."""

    def __init__(self, client: Any, address: RedisAddress) -> None:
        self._client = client
        self._address = address
        self._push = client.register_script(_PUSH)
        self._take = client.register_script(_TAKE)

    async def push(
        self, service: str, frames: Sequence[tuple[bytes, float]], *, bound: int
    ) -> list[tuple[int, Overloaded]]:
        """Queue frames, each with the seconds its asker waits. Returns the refused by index, with the reason.

        Refused are those beyond `bound`, those that could not be answered in time at the pace of this moment, and all
        while the service takes nothing. Raises what Redis raises.
        """
        arguments: list[Any] = [bound, SILENT_SECONDS]
        for frame, seconds in frames:
            arguments += (seconds, frame)
        answer = await self._push(keys=self._keys(service), args=arguments)
        if not answer:
            return []
        reasons = _reasons(service, bound, min(max(1, answer[0]), _LONGEST_RETRY_SECONDS))
        return [(index, reasons[reason]) for index, reason in zip(answer[1::2], answer[2::2], strict=True)]

    async def take(self, service: str, most: int) -> list[bytes]:
        """Take what waited longest; nothing when nothing waits. Raises what Redis raises."""
        frames: list[bytes] = await self._take(keys=self._keys(service), args=[most, SILENT_SECONDS])
        return frames

    async def standing(self, services: Sequence[str]) -> dict[str, Standing]:
        """How each queue stands. Raises what Redis raises."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for service in services:
                pipe.llen(self._address.requests(service))
                pipe.get(self._address.pace(service))
            (seconds, micros), *answers = await pipe.execute()
        now = seconds + micros / 1e6
        return {
            service: Standing(waiting, max(0.0, now - float(pace.split()[0])) if waiting and pace else 0.0)
            for service, waiting, pace in zip(services, answers[::2], answers[1::2], strict=True)
        }

    def _keys(self, service: str) -> list[str]:
        return [self._address.requests(service), self._address.pace(service)]


def _reasons(service: str, bound: int, seconds: int) -> dict[bytes, Overloaded]:
    return {
        b"silent": Overloaded(
            f"The service '{service}' has taken no request for {SILENT_SECONDS:g} s.", retry_after_seconds=seconds
        ),
        b"full": Overloaded(f"The service '{service}' has {bound} requests waiting.", retry_after_seconds=seconds),
        b"slow": Overloaded(
            f"More waits for the service '{service}' than it can answer in time.", retry_after_seconds=seconds
        ),
    }
