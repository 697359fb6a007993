"""A SQL database as an agent's system, on SQLite and PostgreSQL: pages of whole records, writes with their memory."""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from sqlalchemy.dialects import mssql, mysql, sqlite

from deploy.agent.database import database_at, execute
from deploy.agent.queries import Queries, queries_in
from deploy.agent.source import NotNow, Refused
from deploy.agent.sql import SqlSource
from shared import clock
from tests.conftest import Servers

pytestmark = pytest.mark.feature("SYN-1", "SYN-10")
TABLES = """
CREATE TABLE products (id INTEGER PRIMARY KEY, slug TEXT, title TEXT, changed_at {moment} NOT NULL);
CREATE TABLE variants (product INTEGER, sku TEXT, size TEXT, price NUMERIC(10, 2));
CREATE TABLE stock (sku TEXT, place TEXT, quantity INTEGER);
CREATE TABLE orders (number TEXT, sku TEXT, quantity INTEGER, price NUMERIC(10, 2), placed_at {moment});
CREATE TABLE shipments (id TEXT PRIMARY KEY, order_number TEXT, carrier TEXT, tracking TEXT);
CREATE TABLE shipment_lines (shipment TEXT, sku TEXT, quantity INTEGER)"""
ROWS = """
INSERT INTO products VALUES (1, 'cap', 'Cap', '2026-11-01T00:00:00Z'), (2, 'scarf', 'Scarf', '2026-11-02T00:00:00Z'),
    (10, 'sock', NULL, '2026-11-03T00:00:00Z');
INSERT INTO variants VALUES (1, 'CAP', 'One', 9.5), (2, 'SCARF-1', 'S', 19.99), (2, 'SCARF-2', 'M', 19.99),
    (2, 'SCARF-3', 'L', 21), (10, '=SOCK', 'One', 3);
INSERT INTO stock VALUES ('CAP', 'main', 5), ('SCARF-1', 'depot', 1), ('SCARF-1', 'main', 2), ('SCARF-2', 'main', 0);
INSERT INTO orders VALUES ('5001', 'CAP', 1, 9.5, '2026-11-30T10:00:00Z'),
    ('5001', 'SCARF-1', 1, 19.99, '2026-11-30T10:00:00Z')"""
PRODUCTS = (
    "SELECT p.id AS cursor, p.slug AS handle, p.title, 'active' AS status, v.sku,"
    " 'Size' AS option_1_name, v.size AS option_1_value, v.price"
    " FROM products p JOIN variants v ON v.product = p.id"
)
ORDERS = (
    "SELECT number AS external_id, 'paid' AS status, 'true' AS is_paid, placed_at, 'EUR' AS currency, '29.49' AS total,"
    " 'ada@example.com' AS customer_email, 'Ada' AS customer_name, '1 Quay' AS line1, 'Portsea' AS city,"
    " 'GB' AS country, sku, quantity, price AS unit_price FROM orders"
)
QUERIES = f"""
name = "ERP"
places = [{{ id = "main", name = "Main" }}, {{ id = "depot", name = "Depot" }}]

[products]
page = "{PRODUCTS} WHERE p.changed_at >= :since AND p.id > :after ORDER BY p.id, v.sku LIMIT :limit"
read = "{PRODUCTS} WHERE p.slug IN :ids ORDER BY p.id"
after = 0

[stock]
page = "SELECT sku, place AS location, quantity FROM stock WHERE sku > :after ORDER BY sku, place LIMIT :limit"
read = "SELECT sku, place AS location, quantity FROM stock WHERE sku IN :ids"
current = "SELECT quantity FROM stock WHERE sku = :sku AND place = :location"
write = ["UPDATE stock SET quantity = :quantity WHERE sku = :sku AND place = :location AND quantity = :current"]

[orders]
page = "{ORDERS} WHERE placed_at >= :since AND number > :after ORDER BY number LIMIT :limit"

[shipments]
order = "SELECT 1 FROM orders WHERE number = :order_id"
write = ["INSERT INTO shipments VALUES (:operation_key, :order_id, :carrier, :tracking_numbers)"]
line = ["INSERT INTO shipment_lines VALUES (:operation_key, :sku, :quantity)"]
"""


class Erp:
    """The database, its address, and what the test looks up there."""

    def __init__(self, address: str, postgres_url: str | None) -> None:
        self.address, self._postgres_url = address, postgres_url

    async def run(self, script: str) -> None:
        if self._postgres_url is None:
            with sqlite3.connect(self.address.removeprefix("sqlite:///")) as connection:
                connection.executescript(script)
            connection.close()
            return
        connection = await asyncpg.connect(self._postgres_url)
        await connection.execute(script)
        await connection.close()

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self._postgres_url is None:
            with sqlite3.connect(self.address.removeprefix("sqlite:///")) as connection:
                found = connection.execute(query).fetchall()
            connection.close()
            return found
        connection = await asyncpg.connect(self._postgres_url)
        found = [tuple(row) for row in await connection.fetch(query)]
        await connection.close()
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
async def erp(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> AsyncIterator[Erp]:
    if request.param == "sqlite":
        made = Erp(f"sqlite:///{tmp_path}/erp.db", None)
        await made.run(TABLES.format(moment="TEXT") + ";" + ROWS)
        yield made
        return
    name = f"erp_{secrets.token_hex(4)}"
    keeper = await asyncpg.connect(servers.admin_url)
    await keeper.execute(f"CREATE DATABASE {name}")
    url = servers.url_of(name, admin=True)
    made = Erp(url, url)
    await made.run(TABLES.format(moment="timestamptz") + ";" + ROWS)
    yield made
    await keeper.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await keeper.close()


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    path = tmp_path / "erp.toml"
    path.write_text(QUERIES)
    return queries_in(path)


@pytest.fixture
async def source(erp: Erp, queries: Queries) -> AsyncIterator[SqlSource]:
    made = SqlSource(database_at(erp.address), queries)
    yield made
    await made.close()


def asked(name: str, after: str | None = None, limit: int = 3, since: str | None = None) -> dict[str, Any]:
    return {"list": name, "since": since, "until": None, "after": after, "limit": limit}


async def pages(source: SqlSource, name: str, limit: int) -> list[list[str]]:
    found, after = [], None
    while True:
        page = await source.page(asked(name, after, limit))
        assert not page["unread"]
        found.append([each["id"] for each in page["items"]])
        after = page["next"]
        if after is None:
            return found


def stock(quantity: int, expected: int | None, key: str = "k1", sku: str = "CAP") -> dict[str, Any]:
    same = {"operation_key": key, "id": f"main/{sku}", "sku": sku, "location": "main"}
    return same | {"quantity": quantity, "expected": expected}


def shipment(key: str = "s1", order: str = "5001") -> dict[str, Any]:
    same = {"operation_key": key, "order_id": order, "carrier": None, "tracking_numbers": ["JD1", "JD2"]}
    return same | {"lines": [{"sku": "CAP", "quantity": 1}], "tracking_url": None}


async def test_pages_have_whole_records_once(source: SqlSource) -> None:
    hello = await source.hello()
    assert hello["can"] == ["read:products", "read:stock", "read:orders", "write:stock", "write:shipments"]
    for limit in (1, 2, 3, 4, 100):
        assert [each for page in await pages(source, "products", limit) for each in page] == ["cap", "scarf", "sock"]
    assert await pages(source, "products", 3) == [["cap"], ["scarf", "sock"]]
    assert await pages(source, "products", 5) == [["cap", "scarf"], ["sock"]]
    first = await source.page(asked("products", limit=100))
    cap, scarf, sock = first["items"]
    assert [each["sku"] for each in scarf["variants"]] == ["SCARF-1", "SCARF-2", "SCARF-3"]
    assert cap["variants"][0]["price"] == {"amount": 950, "currency": "EUR"}
    assert (sock["title"], sock["variants"][0]["sku"]) == (None, "=SOCK")
    assert await pages(source, "stock", 2) == [
        ["main/CAP"],
        ["depot/SCARF-1", "main/SCARF-1", "main/SCARF-2"],
    ]
    (order,) = (await source.page(asked("orders", limit=100)))["items"]
    assert (order["id"], len(order["lines"]), order["total"]["amount"]) == ("5001", 2, 2949)
    assert order["placed_at"].startswith("2026-11-30T10:00:00")


async def test_what_changed_since_and_what_is_asked_for_by_id(source: SqlSource) -> None:
    late = await source.page(asked("products", since="2026-11-02T12:00:00Z"))
    assert [each["id"] for each in late["items"]] == ["sock"]
    assert (await source.page(asked("orders", since="2026-12-01T00:00:00Z")))["items"] == []
    read = await source.read({"list": "products", "ids": ["sock", "gone"]})
    assert [each["id"] for each in read["items"]] == ["sock"]
    read = await source.read({"list": "stock", "ids": ["main/SCARF-1"]})
    assert [each["id"] for each in read["items"]] == ["main/SCARF-1"]
    with pytest.raises(Refused, match=r"\[orders\] read"):
        await source.read({"list": "orders", "ids": ["5001"]})
    with pytest.raises(Refused):
        await source.page(asked("suppliers"))
    for wrong in ("x", "[1]", "null"):
        with pytest.raises(Refused, match="none of ours"):
            await source.page(asked("products", wrong))


async def test_stock_is_written_when_it_is_as_expected_and_once(source: SqlSource, erp: Erp) -> None:
    assert (await source.write("stock", stock(3, 5)))["outcome"] == "ok"
    await erp.run("UPDATE stock SET quantity = 2 WHERE sku = 'CAP'")
    assert (await source.write("stock", stock(3, 5)))["outcome"] == "ok"
    assert await erp.rows("SELECT quantity FROM stock WHERE sku = 'CAP'") == [(2,)]
    assert (await source.write("stock", stock(2, 9, "k2")))["outcome"] == "unchanged"
    stale = await source.write("stock", stock(1, 9, "k3"))
    assert (stale["outcome"], stale["fields"]) == ("stale", {"quantity": 2})
    assert (await source.write("stock", stock(7, None, "k4")))["outcome"] == "ok"
    assert (await source.write("stock", stock(1, 1, "k5", "NONE")))["outcome"] == "person"
    assert await erp.rows("SELECT operation_key FROM crossdock_done ORDER BY 1") == [("k1",), ("k4",)]


async def test_a_shipment_is_written_once_with_its_lines(source: SqlSource, erp: Erp) -> None:
    for _ in range(2):
        assert await source.write("shipments", shipment()) == {"outcome": "ok", "id": "s1"}
    assert await erp.rows("SELECT * FROM shipments") == [("s1", "5001", None, "JD1 JD2")]
    assert await erp.rows("SELECT * FROM shipment_lines") == [("s1", "CAP", 1)]
    assert (await source.write("shipments", shipment("s2", "404")))["outcome"] == "person"


async def test_a_write_that_breaks_in_the_middle_has_done_nothing(
    source: SqlSource, erp: Erp, queries: Queries
) -> None:
    assert queries.shipments is not None
    broken = queries.shipments.model_copy(update={"line": ["INSERT INTO nowhere VALUES (:sku)"]})
    other = SqlSource(database_at(erp.address), queries.model_copy(update={"shipments": broken}))
    with pytest.raises(Refused, match="nowhere"):
        await other.write("shipments", shipment())
    await other.close()
    assert await erp.rows("SELECT * FROM shipments") == []
    assert (await source.write("shipments", shipment()))["outcome"] == "ok"


@pytest.mark.parametrize("erp", ["postgresql"], indirect=True)
async def test_times_without_a_zone_are_those_of_the_files_zone(erp: Erp, queries: Queries) -> None:
    """Both ways, in PostgreSQL, where `:since` is compared with them; without `time_zone` it is universal time."""
    await erp.run("ALTER TABLE orders ALTER placed_at TYPE timestamp USING '2026-11-30T10:00:00'::timestamp")
    for zone, moment in (("Europe/Berlin", "09:00"), (None, "10:00"), ("America/New_York", "15:00")):
        source = SqlSource(database_at(erp.address, zone), queries.model_copy(update={"time_zone": zone}))
        (order,) = (await source.page(asked("orders", since=f"2026-11-30T{moment}:00Z")))["items"]
        assert datetime.fromisoformat(order["placed_at"]) == datetime.fromisoformat(f"2026-11-30T{moment}:00Z")
        assert (await source.page(asked("orders", since=f"2026-11-30T{moment}:01Z")))["items"] == []
        await source.close()


@pytest.mark.parametrize(
    ("dialect", "since", "sent"),
    [
        (sqlite, "2026-11-30T18:00:00+01:00", "2026-11-30T17:00:00.000000Z"),
        (mysql, "2026-11-30T18:00:00+01:00", "2026-11-30 18:00:00"),
        (mssql, "2026-11-30T18:00:00+01:00", "2026-11-30 18:00:00"),
        # The hour that comes twice: what changes in its second half has times before those of the first.
        (mysql, "2026-10-25T02:50:00+02:00", "2026-10-25 01:50:00"),
        (mysql, "2026-10-25T02:50:00+01:00", "2026-10-25 02:50:00"),
    ],
)
def test_since_is_what_each_database_compares_times_with(dialect: Any, since: str, sent: str) -> None:
    given = []
    connection: Any = SimpleNamespace(dialect=dialect.dialect(), execute=given.append)
    moment = datetime.fromisoformat(since).astimezone(ZoneInfo("Europe/Berlin"))
    execute(connection, "SELECT 1 WHERE changed_at >= :since", {"since": moment})
    (parameter,) = given[0].compile().params.values()
    assert str(parameter) == sent


async def test_the_time_is_the_databases_where_it_says_in_which_zone(source: SqlSource, erp: Erp) -> None:
    ahead = timedelta() if erp.address.startswith("sqlite") else timedelta(hours=3)
    with clock.replaced(lambda: datetime.now(UTC) - timedelta(hours=3)):
        assert abs(source.now() - clock.now()) < timedelta(minutes=1)
        await source.page(asked("products"))
        assert abs(source.now() - clock.now() - ahead) < timedelta(minutes=1)


async def test_what_a_rule_of_the_database_forbids_is_for_a_person_unless_another_has_done_it(
    source: SqlSource, erp: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await source.hello()
    await erp.run("CREATE UNIQUE INDEX one_for_each_order ON shipments (order_number)")
    assert (await source.write("shipments", shipment()))["outcome"] == "ok"
    with pytest.raises(Refused, match=r"(?i)unique"):
        await source.write("shipments", shipment("s2"))
    assert await erp.rows("SELECT operation_key FROM crossdock_done") == [("s1",)]
    real, known = source._id_of, []

    def late(*asked: Any) -> str | None:
        """The first look is before another agent has written it."""
        known.append(real(*asked) if known else None)
        return known[-1]

    monkeypatch.setattr(source, "_id_of", late)
    with pytest.raises(NotNow, match=r"(?i)unique"):
        await source.write("shipments", shipment())
    assert known == [None, "s1"]


async def test_a_shipment_whose_statements_touch_nothing_is_for_a_person_and_told_when_they_do(
    source: SqlSource, erp: Erp, queries: Queries
) -> None:
    assert queries.shipments is not None
    wrong = ["UPDATE orders SET quantity = 0 WHERE number = :order_id AND sku = 'nr-' || :sku"]
    line = queries.shipments.model_copy(update={"line": wrong})
    other = SqlSource(database_at(erp.address), queries.model_copy(update={"shipments": line}))
    untouched = await other.write("shipments", shipment())
    assert (untouched["outcome"], "touched nothing" in untouched["message"]) == ("person", True)
    await other.close()
    for table in ("shipments", "crossdock_done"):
        assert await erp.rows(f"SELECT * FROM {table}") == []
    assert (await source.write("shipments", shipment()))["outcome"] == "ok"


async def test_stock_that_changes_in_this_very_moment_is_not_written_over(erp: Erp, queries: Queries) -> None:
    """The statement names the number that was looked at: where it is another by now, nothing is touched."""
    assert queries.stock is not None
    late = queries.stock.model_copy(update={"current": "SELECT quantity - 1 FROM stock WHERE sku = :sku"})
    source = SqlSource(database_at(erp.address), queries.model_copy(update={"stock": late}))
    with pytest.raises(NotNow, match="very moment"):
        await source.write("stock", stock(3, None))
    assert await erp.rows("SELECT quantity FROM stock WHERE sku = 'CAP'") == [(5,)]
    assert await erp.rows("SELECT * FROM crossdock_done") == []
    await source.close()


async def test_queries_that_write_or_are_wrong_are_refused(erp: Erp, queries: Queries) -> None:
    for page, words in (
        ("UPDATE stock SET quantity = 0 RETURNING sku", "read-?only"),
        ("SELECT sku FROM", "syntax|incomplete"),
        ("SELECT quantity FROM stock", "sku"),
        ("SELECT sku, quantity FROM stock ORDER BY sku", "does not heed|gives again"),
    ):
        assert queries.stock is not None
        wrong = queries.stock.model_copy(update={"page": page})
        source = SqlSource(database_at(erp.address), queries.model_copy(update={"stock": wrong}))
        with pytest.raises(Refused, match=f"(?i){words}"):
            found = await source.page(asked("stock", limit=2))
            await source.page(asked("stock", found["next"], limit=2))
        await source.close()
    assert await erp.rows("SELECT sum(quantity) FROM stock") == [(8,)]


async def test_a_database_that_is_away_is_not_now(queries: Queries, tmp_path: Path) -> None:
    for address in ("postgresql://x:y@127.0.0.1:1/erp", f"sqlite:///{tmp_path}/none/erp.db"):
        source = SqlSource(database_at(address), queries)
        with pytest.raises(NotNow) as raised:
            await source.page(asked("stock"))
        assert raised.value.retry_after_seconds
        await source.close()
    for address in ("nothing", "oracle+nothing://x", "mysql://x/y"):
        with pytest.raises(Refused):
            database_at(address)


def test_a_file_of_queries_that_is_wrong_says_where(tmp_path: Path) -> None:
    path = tmp_path / "erp.toml"
    for content, words in (
        ("[products", "can not be read"),
        ("[products]\nread = 'SELECT 1'", "products.page"),
        ("[stock]\npage = 'SELECT 1'\nafter = 1.5", "stock.after"),
        ("memory = 'x; DROP TABLE y'", "memory"),
        ("nmae = 'x'", "nmae"),
        ("time_zone = 'Moon/Sea'", "time_zone"),
    ):
        path.write_text(content)
        with pytest.raises(Refused, match=words):
            queries_in(path)
    with pytest.raises(Refused, match="can not be read"):
        queries_in(tmp_path / "none.toml")
