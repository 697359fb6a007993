"""From the commit to the listeners' queues, and again until each listener has acknowledged.

Right after a commit the process that made it sends what it recorded; that is the fast path and it may fail. The
sweeper, in every worker, sends again whatever is due: the delivery row stays open until a receipt closes it.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import structlog
from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from arq.jobs import serialize_job

from shared import background, live
from shared.messaging.outbox import Announcement, SentEvent
from shared.messaging.subscriptions import NOBODY
from shared.messaging.tasks import DueTask
from shared.redis_connection import REDIS_AWAY, RedisAddress

log = structlog.get_logger("crossdock.relay")

# One arq job carries at most so many events: measured, some hundreds make arq's own cost vanish.
EVENTS_PER_JOB = 200
# Tasks of one job run one after the other, well within a lease.
TASKS_PER_JOB = 10
# One organization's that are done together share a transaction; at worst they, too, run one after the other.
TASKS_TOGETHER_PER_JOB = 100
# A listener refuses a job older than this, so its inbox need not remember for ever.
JOB_LIFETIME = timedelta(minutes=15)

# While so many jobs wait for a listener it is away: its events stay with the sweeper, and Redis does not fill up.
MOST_WAITING = 5000


# As long as a worker sleeps between two looks. What is committed within that time of the last sending waits for it to
# end: on its own it would not be seen earlier, and takes as much work as all of it together.
PAUSE_SECONDS = 0.05
# After more than so many events for one listener it pays to wait longer: most of what a batch costs, its size does not
# change. Measured with orders (1 December 2026): what their listeners do takes 985 µs of Python for an order among 16,
# and 459 among 64.
MANY_EVENTS = 10
BUSY_PAUSE_SECONDS = 0.15


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """One arq job: some events of one producer for one listening service of one organization."""

    producer: str
    organization_id: UUID
    sent_at: float
    events: list[SentEvent]


class Relay:
    """Puts announcements and due tasks onto arq queues. Losing any of it costs time, never a fact."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._arq = ArqRedis(
            connection_pool=address.connect().connection_pool,
            job_serializer=msgspec.msgpack.encode,
            job_deserializer=msgspec.msgpack.decode,
        )
        self._announced: defaultdict[tuple[str, str, UUID], list[tuple[float, SentEvent]]] = defaultdict(list)
        self._due: defaultdict[str, list[DueTask]] = defaultdict(list)
        self._sending: asyncio.Task[None] | None = None
        self._is_closing = asyncio.Event()

    async def close(self) -> None:
        """Send what is left, if Redis takes it."""
        self._is_closing.set()
        while self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending])
        await self._arq.aclose(close_connection_pool=True)

    def announce(self, announcement: Announcement) -> None:
        for listener, events in announcement.for_listener.items():
            waiting = self._announced[(announcement.producer, listener, announcement.organization_id)]
            waiting.extend((announcement.sent_at, event) for event in events)
        self._send_soon()

    def wake(self, service: str, due: Sequence[DueTask]) -> None:
        self._due[service].extend(due)
        self._send_soon()

    def _send_soon(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = background.begin(self._send())

    async def _send(self) -> None:
        while self._announced or self._due:
            # What other requests commit in this turn of the loop travels in the same jobs.
            await asyncio.sleep(0)
            announced, self._announced = self._announced, defaultdict(list)
            due, self._due = self._due, defaultdict(list)
            try:
                full = await self._full({name for _, name, _ in announced} - {NOBODY})
                async with self._together() as pipe:
                    for (producer, listener, organization_id), events in announced.items():
                        if listener not in full:
                            self._put_events(pipe, producer, listener, organization_id, events)
                    for service, tasks in due.items():
                        self._put_tasks(pipe, service, tasks)
            except REDIS_AWAY as error:
                log.warning("left_to_the_sweeper", error=str(error))
            if not self._is_closing.is_set():
                pause = BUSY_PAUSE_SECONDS if _are_many(announced) else PAUSE_SECONDS
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_closing.wait(), pause)

    async def _full(self, listeners: set[str]) -> set[str]:
        """Those of these listeners that are away: too many jobs wait for them."""
        if not listeners:
            return set()
        async with self._arq.pipeline(transaction=False) as pipe:
            for listener in listeners:
                pipe.zcard(self._address.work(listener))
            waiting = await pipe.execute()
        return {listener for listener, count in zip(listeners, waiting, strict=True) if count >= MOST_WAITING}

    @contextlib.asynccontextmanager
    async def _together(self) -> AsyncIterator[Any]:
        """What is put into it inside is sent at once, in that order. Raises what Redis raises."""
        async with self._arq.pipeline(transaction=False) as pipe:
            yield pipe
            await pipe.execute()

    async def send_events(
        self, producer: str, listener: str, organization_id: UUID, events: Sequence[tuple[float, SentEvent]]
    ) -> None:
        """Queue events for a listener. Raises what Redis raises."""
        async with self._together() as pipe:
            self._put_events(pipe, producer, listener, organization_id, events)

    def _put_events(
        self, pipe: Any, producer: str, listener: str, organization_id: UUID, events: Sequence[tuple[float, SentEvent]]
    ) -> None:
        for start in range(0, len(events), EVENTS_PER_JOB):
            part = events[start : start + EVENTS_PER_JOB]
            oldest = min(sent_at for sent_at, _ in part)
            batch = Batch(producer, organization_id, oldest, [event for _, event in part])
            if listener != NOBODY:
                self._put_job(pipe, listener, "deliver", msgspec.msgpack.encode(batch))
            live.copy(pipe, self._address, listener, organization_id, batch.events)

    async def send_tasks(self, service: str, due: Sequence[DueTask]) -> None:
        """Wake a worker of `service` for tasks. Raises what Redis raises."""
        async with self._together() as pipe:
            self._put_tasks(pipe, service, due)

    def _put_tasks(self, pipe: Any, service: str, due: Sequence[DueTask]) -> None:
        for together, most in ((False, TASKS_PER_JOB), (True, TASKS_TOGETHER_PER_JOB)):
            alike = [task for task in due if task.together == together]
            for start in range(0, len(alike), most):
                part = alike[start : start + most]
                self._put_job(pipe, service, "perform", [[str(t.organization_id or ""), str(t.id)] for t in part])

    async def send_party(self, service: str, party: list[list[str]], *, defer_seconds: float = 0.0) -> None:
        """One job of tasks, each by its organization (or "") and id. Raises what Redis raises."""
        async with self._together() as pipe:
            self._put_job(pipe, service, "perform", party, defer_seconds=defer_seconds)

    async def run_job(self, service: str, organization_id: UUID, job_id: UUID) -> None:
        """Wake a worker of `service` for one job. Raises what Redis raises."""
        async with self._together() as pipe:
            self._put_job(pipe, service, "run_job", str(organization_id), str(job_id))

    async def ping(self) -> None:
        """Raises what Redis raises when it is away."""
        await self._arq.ping()

    async def backlog(self, service: str) -> int:
        """How many arq jobs wait for `service`."""
        waiting: int = await self._arq.zcard(self._address.work(service))
        return waiting

    def _put_job(self, pipe: Any, service: str, function: str, *arguments: Any, defer_seconds: float = 0.0) -> None:
        """Put an arq job into a pipeline, as arq itself would, which asks first whether there is one of the same id.

        Ours are new, and many at a time. The job comes before its place in the queue: there is never one without it.
        """
        job_id, now = uuid4().hex, int(time.time() * 1000)
        job = serialize_job(function, arguments, {}, None, now, serializer=msgspec.msgpack.encode)
        pipe.psetex(job_key_prefix + job_id, JOB_LIFETIME, job)
        pipe.zadd(self._address.work(service), {job_id: now + int(defer_seconds * 1000)})


def _are_many(announced: Mapping[Any, Sequence[Any]]) -> bool:
    return any(len(events) > MANY_EVENTS for events in announced.values())
