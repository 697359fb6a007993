"""What waits in each service, seen across tenants: for metrics, and for a readiness that tells the truth.

A lag makes unready whoever is to work it off. Others tell of it and go on: an order can be placed while search is late.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.bus.answering import Surroundings, translated
from shared.bus.envelope import service_envelope
from shared.bus.queue import SILENT_SECONDS, RequestQueues
from shared.errors import Unavailable
from shared.metrics import Measure
from shared.redis_connection import REDIS_AWAY, RedisAddress
from shared.unit_of_work import UnitOfWork

# Scrapes and probes come from several sides; the databases are asked once for all of them.
_REMEMBERED_SECONDS = 3.0


class BacklogSettings(BaseSettings):
    """From which lag on a process calls itself unready."""

    model_config = SettingsConfigDict(extra="ignore")

    delivery_seconds: float = Field(default=300.0, validation_alias="CROSSDOCK_READY_DELIVERY_SECONDS", gt=0)
    task_seconds: float = Field(default=300.0, validation_alias="CROSSDOCK_READY_TASK_SECONDS", gt=0)


class FallsBehind(Unavailable):
    """Events or tasks have waited longer than they may."""


class QueueIsFull(Unavailable):
    """A service's queue of requests is at its bound: it answers Overloaded."""


class QueueIsStuck(Unavailable):
    """Nobody takes a service's requests while they wait."""


# What a service counts of its own, by its name.
Measuring = Mapping[str, Sequence[Callable[[UnitOfWork], Awaitable[Sequence[Measure]]]]]


@dataclass(frozen=True)
class Lag:
    """Deliveries to one listener that are not acknowledged, and the age of the oldest in seconds.

    Those that failed have no say in the age: they wait for a person, who hears of them, and not for the listener.
    """

    open: int
    oldest_seconds: float


@dataclass(frozen=True)
class Backlog:
    """One service at one moment. Deliveries are those it owes to others; the queues are its own."""

    service: str
    asks_waiting: int
    work_waiting: int
    receipts_waiting: int
    asks_silent_seconds: float = 0.0
    deliveries: dict[str, Lag] = field(default_factory=dict)
    deliveries_parked: int = 0
    tasks_due: int = 0
    task_oldest_seconds: float = 0.0
    tasks_parked: int = 0
    jobs_open: int = 0
    measures: Sequence[Measure] = ()


class Backlogs:
    """Reads the backlog of `services`, at most once every few seconds."""

    def __init__(
        self,
        services: Sequence[str],
        surroundings: Surroundings,
        address: RedisAddress,
        *,
        queue_bound: int,
        measuring: Measuring | None = None,
    ) -> None:
        self._services = services
        self._measuring = measuring or {}
        self._surroundings = surroundings
        self._address = address
        self._redis: Any = address.connect()
        self._requests = RequestQueues(self._redis, address)
        self._queue_bound = queue_bound
        self._settings = BacklogSettings()
        self._known: list[Backlog] = []
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def close(self) -> None:
        await self._redis.aclose()

    async def read(self) -> list[Backlog]:
        """One backlog per service. Raises CrossdockError, and what Redis raises when it is away."""
        async with self._reading:
            if time.monotonic() - self._read_at > _REMEMBERED_SECONDS:
                queues = await self._queues()
                self._known = [await self._of(service, queues[service]) for service in self._services]
                self._read_at = time.monotonic()
            return self._known

    async def check(self) -> None:
        """Raises QueueIsFull, QueueIsStuck, FallsBehind, with what is late by how much, of any service."""
        for backlog in await self._read_now():
            self._check_requests(backlog)
            self._check_events(backlog, tuple(backlog.deliveries))
            self._check_tasks(backlog)

    async def check_requests(self, services: Sequence[str]) -> None:
        """Raises QueueIsFull, QueueIsStuck, for whoever answers `services`."""
        for backlog in await self._read_now():
            if backlog.service in services:
                self._check_requests(backlog)

    async def check_work(self, services: Sequence[str]) -> None:
        """Raises FallsBehind, for whoever works for `services`: what waits for them to listen, and their tasks."""
        for backlog in await self._read_now():
            self._check_events(backlog, services)
            if backlog.service in services:
                self._check_tasks(backlog)

    async def _read_now(self) -> list[Backlog]:
        try:
            return await self.read()
        except REDIS_AWAY as error:
            raise Unavailable(f"Redis does not answer: {error}") from error

    def _check_requests(self, backlog: Backlog) -> None:
        if backlog.asks_waiting >= self._queue_bound:
            raise QueueIsFull(f"{backlog.asks_waiting} requests wait for '{backlog.service}'.")
        if backlog.asks_silent_seconds >= SILENT_SECONDS:
            raise QueueIsStuck(
                f"{backlog.asks_waiting} requests wait for '{backlog.service}',"
                f" and none was taken for {backlog.asks_silent_seconds:.0f} s."
            )

    def _check_events(self, backlog: Backlog, listeners: Sequence[str]) -> None:
        for listener in listeners:
            lag = backlog.deliveries.get(listener)
            if lag is not None and lag.oldest_seconds > self._settings.delivery_seconds:
                raise FallsBehind(
                    f"An event of '{backlog.service}' has waited {lag.oldest_seconds:.0f} s for '{listener}'."
                )

    def _check_tasks(self, backlog: Backlog) -> None:
        if backlog.task_oldest_seconds > self._settings.task_seconds:
            raise FallsBehind(f"A task of '{backlog.service}' is {backlog.task_oldest_seconds:.0f} s late.")

    async def _queues(self) -> dict[str, tuple[int, int, int, float]]:
        requests = await self._requests.standing(self._services)
        async with self._redis.pipeline(transaction=False) as pipe:
            for service in self._services:
                pipe.zcard(self._address.work(service))
                pipe.llen(self._address.receipts(service))
            lengths = await pipe.execute()
        return {
            service: (requests[service].waiting, work, receipts, requests[service].silent_seconds)
            for service, work, receipts in zip(self._services, lengths[::2], lengths[1::2], strict=True)
        }

    async def _of(self, service: str, queues: tuple[int, int, int, float]) -> Backlog:
        envelope = service_envelope(service, None, timeout_seconds=5.0)
        uow = self._surroundings.unit_of_work(service, envelope, across_tenants=True)
        try:
            lags = await uow.fetch(_LAGS)
            rest = await uow.fetchrow(_REST)
            measures = [each for measure in self._measuring.get(service, ()) for each in await measure(uow)]
        except Exception as error:
            raise translated(error, f"backlog of {service}", envelope.request_id) from error
        finally:
            await uow.rollback()
        assert rest is not None
        deliveries = {row["listener"]: Lag(row["open"], row["oldest"]) for row in lags}
        return Backlog(service, *queues, deliveries=deliveries, measures=measures, **dict(rest))


_LAGS = """
SELECT d.listener, count(*) AS open,
    coalesce(extract(epoch FROM now() - min(o.occurred_at) FILTER (WHERE d.failures = 0)), 0)::float8 AS oldest
FROM deliveries d JOIN outbox o ON (o.organization_id, o.id) = (d.organization_id, d.event_id)
WHERE d.parked_at IS NULL GROUP BY d.listener
"""
_REST = """
SELECT (SELECT count(*) FROM deliveries WHERE parked_at IS NOT NULL) AS deliveries_parked,
       (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')) AS jobs_open, t.*
FROM (
    SELECT count(*) FILTER (WHERE parked_at IS NULL AND due_at <= now()) AS tasks_due,
           count(*) FILTER (WHERE parked_at IS NOT NULL) AS tasks_parked,
           coalesce(extract(epoch FROM now() - min(due_at)
               FILTER (WHERE parked_at IS NULL AND due_at <= now())), 0)::float8 AS task_oldest_seconds
    FROM tasks
) t
"""
