"""One transaction per entry: opened at first use, committed by whoever called the use case, never by the use case.

Inside it everything is seen through the service's role and the caller's organization. What it records (events, tasks,
audit) is written in the same transaction; the relay hears of it only after the commit, and may fail: the rows remain.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from shared import causes, clock
from shared.bus.envelope import Caller, Envelope
from shared.causes import Cause
from shared.contracts.base import Event, Message
from shared.contracts.platform.events import AuditRecorded
from shared.contracts.platform.shapes import Actor, AuditEntry
from shared.database import POSTGRES_AWAY, Database
from shared.errors import Conflict
from shared.identifiers import new_id
from shared.messaging import outbox, tasks
from shared.messaging.schema import roles

A = TypeVar("A")


class Ask(Protocol):
    """Asks a service and waits for its answer."""

    async def __call__(self, message: Message[A], envelope: Envelope) -> A: ...


class AfterCommit(Protocol):
    """Who hears, once a transaction has committed, of what it left to be done. May forget: the rows are the truth."""

    def announce(self, announcement: outbox.Announcement) -> None: ...

    def wake(self, service: str, due: Sequence[tasks.DueTask]) -> None: ...


class AskInsideTransaction(RuntimeError):
    """A use case asked another service while holding a transaction open: a defect, not a situation."""


class ConcurrentChange(Conflict):
    """Somebody else changed the same thing at the same moment; asking again is safe."""

    title = "Somebody else changed this at the same moment"


class UnitOfWork:
    """One transaction of one service for one caller."""

    def __init__(
        self,
        service: str,
        database: Database,
        envelope: Envelope,
        ask: Ask,
        after_commit: AfterCommit,
        *,
        across_tenants: bool = False,
        resident: Callable[[type[Any]], Any] | None = None,
    ) -> None:
        self.service = service
        self.envelope = envelope
        # What listeners hear was written then, by the database's clock; None where it is not known.
        self.written_at: datetime | None = None
        self._database = database
        self._ask = ask
        self._after_commit = after_commit
        self._across_tenants = across_tenants
        self._resident = resident
        self._opening: list[Callable[[UnitOfWork], Awaitable[None]]] = []
        self._connection: Any = None
        self._session: AsyncSession | None = None
        self._events: list[tuple[UUID, Event]] = []
        self._tasks: list[tasks.Task] = []
        self._audit: list[tuple[Any, ...]] = []
        self._committed: list[Callable[[], None]] = []
        self._cause: Cause | None = None

    @property
    def caller(self) -> Caller:
        return self.envelope.caller

    @property
    def organization_id(self) -> UUID:
        """The tenant this unit of work is confined to. Raises RuntimeError where there is none."""
        if self.caller.organization_id is None:
            raise RuntimeError(f"{self.service}: this work belongs to no organization")
        return self.caller.organization_id

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def act_as(self, caller: Caller) -> None:
        """Go on as `caller`, whom the credential in a public message turned out to be.

        Only from nobody, and only before this unit of work is opened: a tenant is never changed for another.
        """
        if self.is_open or self.caller.organization_id is not None:
            raise RuntimeError(f"{self.service}: this work belongs to somebody already")
        self.envelope = msgspec.structs.replace(self.envelope, caller=caller)

    def because(self, cause: Cause) -> None:
        """Say what this is done for, where it is more than somebody's request. Only before this is opened."""
        if self.is_open:
            raise RuntimeError(f"{self.service}: what is being done has its cause already")
        self._cause = cause

    def when_opened(self, hook: Callable[["UnitOfWork"], Awaitable[None]]) -> None:
        """Run `hook` as the transaction's first statements."""
        self._opening.append(hook)

    def when_committed(self, hook: Callable[[], None]) -> None:
        """Run `hook` once everything is durable: for caches of this process, never for effects."""
        self._committed.append(hook)

    async def ask(self, message: Message[A], *, timeout_seconds: float | None = None) -> A:
        """Ask another service. Only before this unit of work is opened: nobody waits on a network in a transaction."""
        if self.is_open:
            raise AskInsideTransaction(f"{self.service} asked {message.wire_name} inside an open transaction")
        return await self._ask(message, self.envelope.from_service(self.service, timeout_seconds))

    @asynccontextmanager
    async def beforehand(self) -> AsyncIterator["UnitOfWork"]:
        """A short transaction of its own, over before this one opens: to read what must be known before asking.

        It is always rolled back; nothing can be written in it.
        """
        if self.is_open:
            raise AskInsideTransaction(f"{self.service} wanted to read beforehand inside an open transaction")
        earlier = UnitOfWork(self.service, self._database, self.envelope, self._ask, self._after_commit)
        try:
            yield earlier
        finally:
            await earlier.rollback()

    def resident(self, kind: type[A]) -> A:
        """This process's one `kind`, which outlives this unit of work (see `Surroundings.resident`)."""
        if self._resident is None:
            raise RuntimeError(f"{self.service}: nothing lives in this process")
        resident: A = self._resident(kind)
        return resident

    # --- reading and writing

    async def connection(self) -> Any:
        """The asyncpg connection, inside the transaction. Raises DatabaseUnavailable."""
        if self._connection is None:
            await self._open()
        return self._connection

    async def session(self) -> AsyncSession:
        """A SQLModel session in the same transaction; flushed before the commit."""
        if self._session is None:
            self._session = await self._database.session(await self.connection())
        return self._session

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        return await (await self.connection()).fetch(sql, *arguments)

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        return await (await self.connection()).fetchrow(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        return await (await self.connection()).fetchval(sql, *arguments)

    async def execute(self, sql: str, *arguments: Any) -> str:
        return await (await self.connection()).execute(sql, *arguments)

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        await (await self.connection()).executemany(sql, rows)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo only what happens inside when it raises."""
        connection = await self.connection()
        marks = len(self._events), len(self._tasks), len(self._audit), len(self._committed)
        await connection.execute("SAVEPOINT inner_work")
        try:
            yield
            await self._flush()
        except BaseException:
            del self._events[marks[0] :], self._tasks[marks[1] :], self._audit[marks[2] :], self._committed[marks[3] :]
            # Released as well: left there, it would be what an outer one of the same name goes back to.
            await connection.execute("ROLLBACK TO SAVEPOINT inner_work; RELEASE SAVEPOINT inner_work")
            raise
        await connection.execute("RELEASE SAVEPOINT inner_work")

    # --- what is left to be done

    def record(self, event: Event) -> UUID:
        """Announce a fact to whoever subscribed to it; it leaves with the commit. Returns the event's id."""
        event_id = new_id()
        self._events.append((event_id, event))
        return event_id

    def defer(
        self, kind: str, payload: dict[str, Any], *, due_at: datetime | None = None, key: str | None = None
    ) -> None:
        """Leave work of `kind` for later, at once by default. With `key`, a task that already waits is not doubled."""
        self._tasks.append(tasks.Task(new_id(), kind, payload, due_at, key))

    def audit(
        self,
        action: str,
        subject_kind: str,
        subject_id: object,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Write down who did what to what (ACC-10): append-only, in this transaction, listed by accounts."""
        caller = self.caller
        actor = {"kind": caller.kind, "id": caller.id, "name": caller.name, "address": caller.address}
        self._audit.append((new_id(), actor, action, subject_kind, str(subject_id), before, after, reason))

    # --- edges, for the bus alone

    async def commit(self) -> None:
        """Make everything durable, then let the relay know. For entry points alone."""
        if self._events or self._tasks or self._audit:
            await self.connection()
        if self._connection is None:
            return
        await self._flush()
        announcement, due = await self._write_what_is_left()
        # A cancelled COMMIT would leave nobody knowing whether it happened.
        await asyncio.shield(self._finish("COMMIT"))
        if announcement is not None:
            self._after_commit.announce(announcement)
        if due:
            self._after_commit.wake(self.service, due)
        for hook in self._committed:
            hook()

    async def rollback(self) -> None:
        """Undo everything. For entry points alone; harmless when nothing was opened."""
        if self._connection is not None:
            await asyncio.shield(self._finish("ROLLBACK"))

    async def _open(self) -> None:
        role, system_role = roles(self.service)
        organization_id = self.caller.organization_id
        statements = f"SET LOCAL ROLE {system_role if self._across_tenants else role}"
        if organization_id is not None and not self._across_tenants:
            statements += f"; SET LOCAL crossdock.organization_id = '{UUID(str(organization_id))}'"
        if self.service in causes.KEEPERS:
            statements += f"; {(self._cause or causes.of_envelope(self.envelope)).settings()}"
        connection = await self._database.acquire()
        try:
            # By itself: inside the transaction it would be a query, after which nobody can say how isolated that is.
            if first := connection.to_begin_with():
                await connection.execute(first)
            await connection.execute(f"BEGIN; {statements}; SET LOCAL search_path = {self.service}")
        except BaseException:
            await self._database.release(connection)
            raise
        self._connection = connection
        for hook in self._opening:
            await hook(self)

    async def _flush(self) -> None:
        if self._session is not None:
            await self._session.flush()

    async def _write_what_is_left(self) -> tuple[outbox.Announcement | None, list[tasks.DueTask]]:
        if self._audit:
            await self._write_audit()
        announcement = None
        if self._events:
            announcement = await outbox.write(
                self._connection, self.service, self.organization_id, self._events, self.envelope.traceparent
            )
        due = await tasks.write(self._connection, self.caller.organization_id, self._tasks) if self._tasks else []
        return announcement, due

    async def _write_audit(self) -> None:
        organization_id, request_id = self.organization_id, self.envelope.request_id
        await self._connection.executemany(
            "INSERT INTO audit_entries (organization_id, id, actor, action, subject_kind, subject_id, before, after,"
            " reason, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            [
                (
                    organization_id,
                    id_,
                    _json(actor),
                    action,
                    kind,
                    subject,
                    _json(before),
                    _json(after),
                    reason,
                    request_id,
                )
                for id_, actor, action, kind, subject, before, after, reason in self._audit
            ],
        )
        recorded_at = clock.now()
        for id_, actor, action, kind, subject, before, after, reason in self._audit:
            entry = AuditEntry(
                id=id_,
                service=self.service,
                occurred_at=recorded_at,
                actor=Actor(**actor),
                action=action,
                subject_kind=kind,
                subject_id=subject,
                before=before,
                after=after,
                reason=reason,
                request_id=request_id,
            )
            self.record(AuditRecorded(entry=entry))

    async def _finish(self, statement: str) -> None:
        connection, self._connection = self._connection, None
        session, self._session = self._session, None
        try:
            if session is not None:
                if statement == "ROLLBACK":
                    session.expunge_all()
                await session.close()
            await connection.execute(statement)
        except POSTGRES_AWAY:
            # With its connection a transaction is undone already; whoever undoes it has a reason of their own to tell.
            if statement != "ROLLBACK":
                raise
        finally:
            await self._database.release(connection)


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value, default=str).decode()
