"""A SQL database: PostgreSQL through asyncpg, anything else through its own blocking driver in a thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    CursorResult,
    DateTime,
    String,
    bindparam,
    create_engine,
    exc,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from deploy.agent.source import FIRST_RETRY_SECONDS, Failure, NotNow, Refused, Unclear

T = TypeVar("T")
# The database itself is away or busy: nothing is wrong with what it was asked.
_AWAY = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, OSError)


_SQLITE_AWAY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL")


class Conflict(Refused):
    """A rule of the database is against it: nothing of the transaction was kept."""


class Database(Protocol):
    """Transactions, one at a time. `work` is given a connection, and what it returns is the answer once it is kept."""

    async def run(self, work: Callable[[Connection], T], *, is_write: bool = False) -> T:
        """Raises NotNow, Unclear (of a write), Refused, and what `work` raises."""

    async def close(self) -> None: ...


def database_at(address: str, time_zone: str | None = None) -> Database:
    """`time_zone` is that of times without one.

    Raises Refused for what is no address, or no database that there is a driver for.
    """
    try:
        url = make_url(address)
        if url.get_backend_name() == "postgresql":
            return _Asyncpg(url, time_zone or "UTC")
        return _Blocking(url)
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
        raise Refused(f"This is no database that can be opened: {error}") from error


def execute(connection: Connection, sql: str, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Run a statement with those of the values that it names."""
    clause = text(sql)
    used = {name: value for name, value in values.items() if name in clause.compile().params}
    dialect = connection.dialect.name
    return connection.execute(clause.bindparams(*(_parameter(name, value, dialect) for name, value in used.items())))


def time_of(connection: Connection) -> datetime | None:
    """What time the database has; None where it does not say in which zone."""
    told = connection.execute(select(func.current_timestamp())).scalar()
    return told if isinstance(told, datetime) and told.tzinfo is not None else None


def _parameter(name: str, value: Any, dialect: str) -> Any:
    """A time is a text to SQLite; to what knows no time zones it is what a clock in the value's own shows."""
    if isinstance(value, list):
        return bindparam(name, value, String(), expanding=True)
    if isinstance(value, datetime) and dialect == "sqlite":
        value = value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, datetime):
        is_postgres = dialect == "postgresql"
        return bindparam(name, value if is_postgres else _shown(value), DateTime(timezone=is_postgres))
    return bindparam(name, value, BigInteger() if isinstance(value, int) else String())


def _shown(moment: datetime) -> datetime:
    """What a clock in the time's zone shows. In an hour that comes twice it is, the first time, as much earlier: what
    changes the second time has earlier times than this.
    """
    shown = moment.replace(tzinfo=None, fold=0)
    first, second = (moment.replace(fold=fold).utcoffset() for fold in (0, 1))
    if moment.fold == 0 and first is not None and second is not None and first > second:
        return shown - (first - second)
    return shown


class _Blocking:
    """Without a pool: between two pieces of work nothing is held open."""

    def __init__(self, url: URL) -> None:
        self._is_sqlite = url.get_backend_name() == "sqlite"
        level: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if self._is_sqlite else {}
        self._engine = create_engine(url, poolclass=NullPool, **level)

    async def run(self, work: Callable[[Connection], T], *, is_write: bool = False) -> T:
        return await asyncio.to_thread(self._run, work, is_write)

    def _run(self, work: Callable[[Connection], T], is_write: bool) -> T:
        has_begun = False
        try:
            with self._engine.connect() as connection:
                # SQLite begins by itself only when it is late for that: another could write between look and write.
                begin = "BEGIN IMMEDIATE" if is_write else "BEGIN"
                if self._is_sqlite:
                    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if is_write else 'ON'}")
                    connection.exec_driver_sql(begin)
                found = work(connection)
                has_begun = is_write
                if self._is_sqlite:
                    connection.exec_driver_sql("COMMIT")
                elif is_write:
                    connection.commit()
                return found
        except (exc.SQLAlchemyError, OSError) as error:
            raise _failure(error, has_begun=has_begun) from error

    async def close(self) -> None:
        self._engine.dispose()


class _Asyncpg:
    def __init__(self, url: URL, time_zone: str) -> None:
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            poolclass=NullPool,
            connect_args={"server_settings": {"timezone": time_zone}},
        )

    async def run(self, work: Callable[[Connection], T], *, is_write: bool = False) -> T:
        has_begun = False
        try:
            async with self._engine.connect() as connection:
                if not is_write:
                    await connection.execute(text("SET TRANSACTION READ ONLY"))
                found = await connection.run_sync(work)
                has_begun = is_write
                if is_write:
                    await connection.commit()
                return found
        except (exc.SQLAlchemyError, OSError) as error:
            raise _failure(error, has_begun=has_begun) from error

    async def close(self) -> None:
        await self._engine.dispose()


def _failure(error: Exception, *, has_begun: bool) -> Failure:
    """`has_begun`: it was about to be kept, and nobody knows whether it was."""
    words = str(getattr(error, "orig", None) or error)
    if isinstance(error, exc.IntegrityError):
        return Conflict(words)
    if has_begun:
        return Unclear(words)
    if isinstance(getattr(error, "orig", None), sqlite3.Error):
        # To SQLite a mistake in a query is as operational as a disk that is away.
        is_away = error.orig.sqlite_errorname.startswith(_SQLITE_AWAY)  # type: ignore[attr-defined]
    else:
        is_away = isinstance(error, _AWAY)
    if is_away or getattr(error, "connection_invalidated", False):
        return NotNow(words, FIRST_RETRY_SECONDS)
    return Refused(words)
