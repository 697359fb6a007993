"""Callbacks on their way into the database: those that wait at the same moment are stored in one transaction.

The first transaction takes whatever waits; the next takes what came meanwhile. Nobody waits for company, and under load
one commit serves hundreds.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson
import structlog

from services.payments.errors import CallbackNotStored
from services.payments.gateway_book import intake_transaction
from services.payments.gateways.base import EventIdentity
from shared import background
from shared.database import Database
from shared.errors import CrossdockError
from shared.identifiers import new_id
from shared.messaging.tasks import DueTask
from shared.unit_of_work import AfterCommit

log = structlog.get_logger("crossdock.payments")

PROCESS = "payments.process_callback"
CHECK = "payments.check_callback"
_PATIENCE_SECONDS = 5.0
# Whoever has waited so long for the groups before is told to come again; a provider would not wait much longer.
_MOST_WAITING_SECONDS = 10.0
_MOST_WAITING = 5_000
_MOST_AT_ONCE = 200
_MOST_BYTES_AT_ONCE = 4 << 20

_AWAY = (
    CrossdockError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


# What makes two arrivals the same: the organization, the gateway, the identity.
Place = tuple[UUID, UUID, bytes]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A callback with its verdict, to be stored. `deliveries` counts those that came in the same group.

    One that `is_pending` is neither genuine nor forged before the worker has checked it.
    """

    organization_id: UUID
    gateway_id: UUID
    event: EventIdentity
    body: bytes
    headers: Sequence[tuple[str, str]]
    source_address: str | None
    received_at: datetime
    is_verified: bool
    reason: str | None
    is_pending: bool = False
    deliveries: int = 1
    id: UUID = field(default_factory=new_id)
    task_id: UUID = field(default_factory=new_id)

    @cached_property
    def identity(self) -> bytes:
        """The same for every delivery of one event. A forged one never stands in for a genuine one.

        Nor does one that may turn out to be forged: of what is pending, that which will tell is a part of it.
        """
        said = f"{self.is_verified}\n{self.event.event_id or ''}\n".encode()
        proof = b"pending\n" + self.event.proof if self.is_pending else b""
        return sha256(said + self.event.digest + proof).digest()

    @property
    def size(self) -> int:
        """Bytes that are kept of it, headers included."""
        return len(self.body) + sum(len(name) + len(value) for name, value in self.headers)

    @property
    def task(self) -> str | None:
        """What is to be done about it: nothing about a forged one."""
        if self.is_pending or (self.is_verified and self.event.is_reread):
            return CHECK
        return PROCESS if self.is_verified else None

    @cached_property
    def place(self) -> Place:
        return self.organization_id, self.gateway_id, self.identity


class _Waiting(NamedTuple):
    """An arrival that is to be stored, whoever waits for that, and since when by the loop's clock."""

    arrival: Arrival
    stored: asyncio.Future[bool]
    since: float


class Arrivals:
    """Stores arrivals in groups. One per process."""

    def __init__(self, database: Database, after_commit: AfterCommit) -> None:
        self._database = database
        self._after_commit = after_commit
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Task[None] | None = None

    async def store(self, arrival: Arrival) -> bool:
        """Store one arrival; when this returns it is durable. Whether it is new. Raises CallbackNotStored."""
        if len(self._waiting) >= _MOST_WAITING:
            raise CallbackNotStored("Too many callbacks wait to be stored; send it again.", retry_after_seconds=1)
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(_Waiting(arrival, stored, loop.time()))
        if self._storing is None or self._storing.done():
            self._storing = background.begin(self._store_all())
        return await stored

    async def close(self) -> None:
        """Finish what waits."""
        if self._storing is not None:
            await asyncio.wait([self._storing])

    async def count_uncollected(self, counts: Iterable[tuple[UUID, UUID, int]], at: datetime) -> None:
        """Add how many forged callbacks of a gateway were not kept. Raises what the database raises."""
        rows = [(organization_id, new_id(), gateway_id, count, at) for organization_id, gateway_id, count in counts]
        async with intake_transaction(self._database) as connection:
            await connection.executemany("INSERT INTO callback_overflows VALUES ($1, $2, $3, $4, $5)", rows)

    async def _store_all(self) -> None:
        while self._waiting:
            group = self._take_group()
            await self._store_group(group)

    def _take_group(self) -> list[_Waiting]:
        size, count = 0, 0
        for waiting in self._waiting[:_MOST_AT_ONCE]:
            size += waiting.arrival.size
            if count and size > _MOST_BYTES_AT_ONCE:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _store_group(self, waiting: Sequence[_Waiting]) -> None:
        group = _still_in_time(waiting)
        if not group:
            return
        try:
            new = await self._write([each.arrival for each in group])
        except _AWAY as error:
            if len(group) > 1 and isinstance(error, asyncpg.IntegrityConstraintViolationError | asyncpg.DataError):
                # One that cannot be stored must not take the others down with it.
                for single in group:
                    await self._store_group([single])
                return
            log.warning("callbacks_not_stored", callbacks=len(group), error=repr(error))
            _refuse(group, CallbackNotStored("The callback could not be stored; send it again."))
        except Exception as error:
            # A defect: it rises where each of them waits, and those behind them have their turn.
            _refuse(group, error)
        except BaseException as error:
            # The end of the process: nobody may wait for ever.
            _refuse([*group, *self._waiting], error)
            self._waiting.clear()
            raise
        else:
            for each in group:
                _settle(each.stored, is_new=each.arrival.place in new)
                # Of several that say the same only the first is.
                new.discard(each.arrival.place)

    async def _write(self, arrivals: Sequence[Arrival]) -> set[Place]:
        """Write all of them in one transaction. Returns which are new."""
        rows = merged(arrivals)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            async with intake_transaction(self._database) as connection:
                new = await connection.fetch(_STORE, *_columns(rows))
        stored = {row["id"] for row in new}
        due = [
            DueTask(arrival.task_id, arrival.organization_id, together=arrival.task == PROCESS)
            for arrival in rows
            if arrival.task is not None and (arrival.id in stored or arrival.event.is_reread)
        ]
        if due:
            self._after_commit.wake("payments", due)
        return {arrival.place for arrival in rows if arrival.id in stored}


def merged(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """One arrival per identity, with its deliveries counted, in an order that keeps two writers from deadlock."""
    found: dict[Place, Arrival] = {}
    for arrival in arrivals:
        first = found.get(arrival.place)
        found[arrival.place] = arrival if first is None else replace(first, deliveries=first.deliveries + 1)
    return [found[place] for place in sorted(found)]


def _still_in_time(waiting: Sequence[_Waiting]) -> list[_Waiting]:
    """Those that have not waited too long; the others are told so, and are not stored."""
    earliest = asyncio.get_running_loop().time() - _MOST_WAITING_SECONDS
    group = []
    for each in waiting:
        if each.since < earliest:
            _settle(each.stored, CallbackNotStored("Storing callbacks takes too long; send it again."))
        else:
            group.append(each)
    return group


def _refuse(group: Sequence[_Waiting], error: BaseException) -> None:
    for each in group:
        _settle(each.stored, error)


def _settle(stored: asyncio.Future[bool], error: BaseException | None = None, *, is_new: bool = False) -> None:
    if stored.done():
        return
    if error is None:
        stored.set_result(is_new)
    else:
        stored.set_exception(error)


def _columns(rows: Sequence[Arrival]) -> list[list[object]]:
    table = [
        (
            row.organization_id,
            row.id,
            row.gateway_id,
            row.identity,
            row.event.digest,
            row.event.event_id,
            row.event.event,
            row.body,
            orjson.dumps(row.headers).decode(),
            row.source_address,
            row.received_at,
            row.is_verified,
            row.reason,
            row.deliveries,
            row.task_id,
            row.event.part,
            row.task,
            row.event.is_reread,
        )
        for row in rows
    ]
    return [list(column) for column in zip(*table, strict=True)]


_STORE = """
WITH arrivals AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::bytea[], $6::text[], $7::text[],
        $8::bytea[], $9::text[], $10::text[], $11::timestamptz[], $12::boolean[], $13::text[], $14::int[], $15::uuid[],
        $16::int[], $17::text[], $18::boolean[])
        AS a (organization_id, id, gateway_id, identity, digest, event_id, event, body, headers,
        source_address, received_at, is_verified, reason, deliveries, task_id, part, task, is_reread)
), stored AS (
    INSERT INTO callbacks (organization_id, id, gateway_id, identity, digest, event_id, event, body, headers,
        source_address, received_at, is_verified, status, reason, part)
    SELECT organization_id, id, gateway_id, identity, digest, event_id, event, body, headers::json, source_address,
        received_at, is_verified, CASE WHEN task IS NULL THEN 'invalid' ELSE 'received' END, reason, part
    FROM arrivals ON CONFLICT DO NOTHING RETURNING id
), duties AS (
    INSERT INTO tasks (organization_id, id, kind, payload, due_at)
    SELECT organization_id, task_id, task, CASE WHEN id IN (SELECT id FROM stored)
        THEN json_build_object('callback_id', id)
        ELSE json_build_object('gateway_id', gateway_id, 'identity', encode(identity, 'hex')) END, now()
    FROM arrivals WHERE task IS NOT NULL AND (is_reread OR id IN (SELECT id FROM stored))
), repeats AS (
    INSERT INTO callback_repeats (organization_id, id, gateway_id, identity, deliveries, received_at)
    SELECT organization_id, task_id, gateway_id, identity, count, received_at FROM (SELECT *,
        deliveries - CASE WHEN id IN (SELECT id FROM stored) THEN 1 ELSE 0 END AS count FROM arrivals) a
    WHERE count > 0
)
SELECT id FROM stored
"""
