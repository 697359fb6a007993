"""What a connection keeps, and for how long."""

from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest

from shared import database as database_module
from shared.bus.envelope import service_envelope
from shared.database import Database
from shared.identifiers import new_id
from shared.settings import Settings
from shared.unit_of_work import UnitOfWork

pytestmark = pytest.mark.feature("ORD-1")

# For wide rows, of which few would fill what an empty table is taken for, the younger index looks as good as the key's.
_STATEMENTS = (
    "CREATE TEMPORARY TABLE planned (tenant integer, id integer, changed integer, wide char(900),"
    " PRIMARY KEY (tenant, id))",
    "CREATE INDEX planned_changed ON planned (tenant, changed, id)",
    "SET plan_cache_mode = force_generic_plan",
    "PREPARE find AS SELECT changed FROM planned WHERE tenant = $1 AND id = $2",
    "EXECUTE find(1, 1)",
    "INSERT INTO planned SELECT 1, n, n, '' FROM generate_series(1, 20000) n",
)


class Watch:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(database_module, "time", watch)
    return watch


@pytest.fixture
async def database(configuration: Settings, watch: Watch) -> AsyncIterator[Database]:
    """A pool of one connection, as old as `watch` says."""
    database = await Database.connect(configuration.database_url.get_secret_value(), max_connections=1)
    yield database
    await database.close()


async def test_young_connections_forget_what_was_planned_while_tables_were_empty(
    database: Database, watch: Watch
) -> None:
    async with database.connection() as connection:
        for statement in _STATEMENTS:
            await connection.execute(statement)
        before = await _pages(connection)
        watch.now += 1
        await connection.execute(connection.to_begin_with())
        assert await _pages(connection) < before / 4


async def _pages(connection: asyncpg.Connection) -> int:
    """How many pages it takes to find one row."""
    plan = await connection.fetchval("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE find(1, 15000)")
    found = orjson.loads(plan)[0]["Plan"]
    return int(found["Local Hit Blocks"] + found["Local Read Blocks"])


async def test_a_connection_plans_anew_each_time_it_is_twice_as_old(database: Database, watch: Watch) -> None:
    ages = []
    for quarter in range(40):
        watch.now = 1000 + quarter / 4
        async with database.connection() as connection:
            if connection.to_begin_with():
                ages.append(quarter / 4)
    assert ages == [0.5, 1.5, 3.5, 7.5]


@pytest.mark.feature("CAT-10")
async def test_a_transaction_says_how_isolated_it_is_also_where_plans_are_forgotten(
    database: Database, watch: Watch
) -> None:
    for _ in range(2):
        watch.now += 60
        uow = UnitOfWork("catalog", database, service_envelope("catalog", new_id()), None, None)  # type: ignore[arg-type]
        try:
            await uow.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            assert await uow.fetchval("SHOW transaction_isolation") == "repeatable read"
        finally:
            await uow.rollback()


async def test_what_postgresql_has_itself_is_asked_for_once(configuration: Settings) -> None:
    """An array of JSON among the arguments of a statement is nothing that each connection has to ask for."""
    database = await Database.connect(configuration.database_url.get_secret_value(), max_connections=1)
    try:
        for is_first in (True, False):
            async with database.connection() as connection:
                before = await _statements(connection)
                told = await connection.fetchrow(
                    "SELECT $1::json[] AS texts, $2::timestamptz[] AS moments, ARRAY(SELECT ROW(1, 'a'::text)) AS rows",
                    ['{"a": 1}'],
                    [],
                )
                assert tuple(told) == (['{"a": 1}'], [], [(1, "a")])
                assert is_first or await _statements(connection) - before == 1
                await connection.execute("CREATE TYPE pg_temp.own AS ENUM ('one', 'two')")
                # A type of the database's own is another on each connection.
                assert await connection.fetchval("SELECT $1::pg_temp.own[]", ["two"]) == ["two"]
            await database._pool.expire_connections()
    finally:
        await database.close()


async def _statements(connection: asyncpg.Connection) -> int:
    """How many statements this connection has prepared so far, but for this one."""
    own = "SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'"
    count: int = await connection.fetchval(own)
    return count
