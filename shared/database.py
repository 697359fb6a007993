"""One asyncpg pool per process, and SQLAlchemy sessions that borrow its connections.

Hot reads and bulk work speak asyncpg directly; the everyday uses SQLModel through a session on the *same* connection
and in the same transaction. SQLAlchemy therefore neither pools, nor begins, nor commits here: it only speaks SQL.
`json` and `jsonb` are ready JSON text on the asyncpg side, Python objects on the SQLAlchemy side.
"""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg
import orjson
from sqlalchemy import URL, make_url
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection, PGDialect_asyncpg
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import NullPool

from shared.errors import Unavailable

Connection = asyncpg.Connection

# What a caller sees when PostgreSQL is away. asyncpg says "internal" where the server hung up before it was spoken to.
POSTGRES_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

_FIRST_PLANS_SECONDS = 0.5

# Types below are PostgreSQL's own, and the same in all databases (FirstNormalObjectId).
_FIRST_OF_USERS = 16_384
_built_in: dict[frozenset[int], Any] = {}


class _Named:
    """A statement that left the one alone that was prepared before it, as asyncpg sees it."""

    name = "known"


_NOTHING_PREPARED = _Named()

_borrowed: ContextVar[asyncpg.Connection] = ContextVar("borrowed_connection")


class DatabaseUnavailable(Unavailable):
    """PostgreSQL did not answer; nothing was stored."""

    title = "The database does not answer"


async def _keep_state(connection: asyncpg.Connection) -> None:
    """Nothing to reset: everything a transaction sets is local to it (worth 16 % of a hot read's throughput)."""


class _Connection(asyncpg.Connection):
    """A connection that knows how old its plans are.

    What PostgreSQL plans for a prepared statement, or for a foreign key, it keeps for as long as the connection lives
    and nobody analyses the tables: made while they were empty, when one index is as good as another, it reads all of
    them once they are full. So young connections plan anew, each time when they are twice as old as before.
    """

    __slots__ = ("_plans_are_good_until", "_seconds_until_then")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seconds_until_then = _FIRST_PLANS_SECONDS
        self._plans_are_good_until = time.monotonic() + _FIRST_PLANS_SECONDS

    def to_begin_with(self) -> str:
        """What is said before a transaction begins: mostly nothing."""
        if time.monotonic() < self._plans_are_good_until:
            return ""
        self._seconds_until_then *= 2
        self._plans_are_good_until = time.monotonic() + self._seconds_until_then
        return "DISCARD PLANS"

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> tuple[Any, Any]:
        """What types are made of, as asyncpg asks for it on each connection: those of PostgreSQL itself once for all.

        Its question takes PostgreSQL longer than the statement that has an array of JSON among its arguments.
        """
        asked = frozenset(typeoids)
        if asked in _built_in:
            return _built_in[asked], _NOTHING_PREPARED
        types, statement = await super()._introspect_types(typeoids, timeout)
        if max(asked) < _FIRST_OF_USERS:
            _built_in[asked] = types
        return types, statement


class _BorrowedConnection(AsyncAdapt_asyncpg_connection):
    """SQLAlchemy's view of a connection that belongs to a unit of work."""

    async def _prepare(self, operation: str, invalidate_timestamp: float) -> tuple[Any, Any]:
        # asyncpg voids its statement objects when a connection goes back to the pool but keeps the parsed statement on
        # the server. Only its own (private, hence the pin) cache finds that again; SQLAlchemy's would hold void ones.
        connection: Any = self._connection
        statement = await connection._prepare(operation, timeout=None, use_cache=True, record_class=None)
        return statement, statement.get_attributes()


class _BorrowingDialect(PGDialect_asyncpg):
    """asyncpg's dialect on a connection that belongs to somebody else, inside a transaction that does, too."""

    supports_statement_cache = True
    supports_native_json_deserialization = False
    dialect_injects_custom_json_deserializer = False

    def on_connect(self) -> None:
        return None

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        adapter = _BorrowedConnection(self.loaded_dbapi, _borrowed.get())
        adapter.isolation_level = "autocommit"
        return adapter

    def do_close(self, dbapi_connection: Any) -> None:
        return None

    def do_terminate(self, dbapi_connection: Any) -> None:
        return None


def _engine() -> AsyncEngine:
    dialect = _BorrowingDialect(
        dbapi=_BorrowingDialect.import_dbapi(),
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )
    pool = NullPool(lambda: dialect.connect())
    pool._dialect = dialect
    return AsyncEngine(Engine(pool, dialect, URL.create("postgresql+asyncpg")))


class Database:
    """The process's connections to PostgreSQL, all as a role that can see nothing until a transaction takes another."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._engine = _engine()

    @classmethod
    async def connect(cls, url: str, *, max_connections: int = 10) -> "Database":
        """Open the pool. Raises DatabaseUnavailable."""
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=max_connections,
                reset=_keep_state,
                connection_class=_Connection,
                command_timeout=60,
                statement_cache_size=500,
                server_settings={
                    "application_name": "crossdock",
                    "timezone": "UTC",
                    "jit": "off",
                    # A host that vanished in the middle of a transaction must not keep its locks for hours.
                    "idle_in_transaction_session_timeout": "60s",
                    "tcp_keepalives_idle": "30",
                    "tcp_keepalives_interval": "10",
                    "tcp_keepalives_count": "3",
                },
            )
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
            raise DatabaseUnavailable(f"PostgreSQL does not answer: {error}") from error
        return cls(pool)

    async def close(self) -> None:
        await self._pool.close()

    def terminate(self) -> None:
        self._pool.terminate()

    async def acquire(self, timeout_seconds: float = 10.0) -> Any:
        """Take a connection out of the pool. Raises DatabaseUnavailable."""
        try:
            return await self._pool.acquire(timeout=timeout_seconds)
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
            raise DatabaseUnavailable("PostgreSQL does not answer; nothing was stored.") from error

    async def release(self, connection: Any) -> None:
        await self._pool.release(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection outside any transaction: for health checks and functions that name their own rights."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            await self.release(connection)

    async def session(self, connection: Any) -> AsyncSession:
        """A SQLAlchemy session inside the transaction that `connection` already runs."""
        raw = connection._con if hasattr(connection, "_con") else connection
        token = _borrowed.set(raw)
        try:
            session = AsyncSession(self._engine, expire_on_commit=False)
            await session.connection()
            return session
        finally:
            _borrowed.reset(token)


def server_url(url: str) -> str:
    """`url` as SQLAlchemy's asyncpg driver wants it."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


__all__ = ["POSTGRES_AWAY", "Connection", "Database", "DatabaseUnavailable", "server_url"]
