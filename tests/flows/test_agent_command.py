"""`crossdock agent` beside a system behind a firewall, in both topologies: connected, live, killed, and ended."""

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from deploy.bench.system import System

pytestmark = [pytest.mark.feature("SYN-1", "SYN-2", "SYN-9", "SYN-10"), pytest.mark.timeout(600)]
PRODUCTS, CHANGED = 120, 40
_STATUSES = '{"paid": "import"}'
_ORDER = {
    "external_id": "A-1",
    "status": "paid",
    "is_paid": "true",
    "placed_at": "2026-11-30T10:00:00Z",
    "currency": "USD",
    "total": "20.00",
    "customer_email": "ada@example.com",
    "customer_name": "Ada",
    "line1": "1 Quay",
    "city": "Portsea",
    "country": "GB",
    "title": "Scarf",
    "quantity": "2",
    "unit_price": "10.00",
}


class Erp(Protocol):
    """A merchant's system. SKUs are `NAME-001` and so on, ten of each in stock, and there is one order of the first."""

    name: str
    options: list[str]

    def rename(self, words: str) -> None: ...

    def stock(self) -> dict[str, int]: ...

    def shipments(self) -> list[tuple[str, str, int]]:
        """Order, SKU and quantity of what was said to have left."""

    def writes(self) -> dict[str, int] | None:
        """How often the stock of each SKU was written; None where nobody counts."""


class FolderErp:
    name = "FOLD"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.options = ["--source", f"folder:{folder}?currency=USD&location=main"]
        self.rename("Scarf")
        self._lay("stock", [{"sku": sku, "quantity": "10"} for sku in skus(self.name)])
        self._lay("orders", [{**_ORDER, "external_id": "A-FOLD", "sku": "FOLD-001"}])

    def rename(self, words: str) -> None:
        same = {"status": "active", "price": "10.00"}
        rows = [{"handle": sku.lower(), "title": f"{words} {sku}", "sku": sku, **same} for sku in skus(self.name)]
        self._lay("products", rows)

    def _lay(self, name: str, rows: list[dict[str, str]]) -> None:
        part = self._folder / f"{name}.new"
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        part.rename(self._folder / f"{name}.csv")

    def stock(self) -> dict[str, int]:
        with (self._folder / "stock.csv").open(newline="") as file:
            return {row["sku"]: int(row["quantity"]) for row in csv.DictReader(file)}

    def shipments(self) -> list[tuple[str, str, int]]:
        found = []
        for path in (self._folder / "out").glob("*"):
            with path.open(newline="", encoding="utf-8-sig") as file:
                found += [(row["external_id"], row["sku"], int(row["quantity"])) for row in csv.DictReader(file)]
        return found

    def writes(self) -> dict[str, int] | None:
        return None


class SqlErp:
    name = "BASE"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "erp.db"
        self.options = ["--source", f"sqlite:///{self._path}", "--queries", str(folder / "erp.toml")]
        (folder / "erp.toml").write_text(QUERIES)
        with self._connected() as connection:
            connection.executescript(TABLES)
            for table, rows in (
                ("products", [(sku, f"Scarf {sku}", 0) for sku in skus(self.name)]),
                ("stock", [(sku, 10) for sku in skus(self.name)]),
            ):
                places = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = self._connected()
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def rename(self, words: str) -> None:
        with self._connected() as connection:
            connection.execute("UPDATE products SET title = ? || ' ' || sku, changed_at = ?", (words, time.time()))

    def stock(self) -> dict[str, int]:
        return dict(self._rows("SELECT sku, quantity FROM stock"))

    def shipments(self) -> list[tuple[str, str, int]]:
        return self._rows("SELECT order_number, sku, quantity FROM shipments")

    def writes(self) -> dict[str, int] | None:
        return dict(self._rows("SELECT sku, count(*) FROM written GROUP BY sku"))


TABLES = """
CREATE TABLE products (sku TEXT PRIMARY KEY, title TEXT, changed_at REAL);
CREATE TABLE stock (sku TEXT PRIMARY KEY, quantity INTEGER);
CREATE TABLE shipments (id TEXT, order_number TEXT, sku TEXT, quantity INTEGER);
CREATE TABLE written (sku TEXT);
CREATE TRIGGER stock_is_written AFTER UPDATE ON stock BEGIN INSERT INTO written VALUES (new.sku); END;
"""
# What takes a moment, so that a kill meets it.
_SLOW = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) SELECT count(*) FROM n"
_ORDER_COLUMNS = ", ".join(f"'{value}' AS {name}" for name, value in _ORDER.items() if name != "external_id")
QUERIES = f'''
name = "Database of the quay"
currency = "USD"
[products]
page = """SELECT lower(sku) AS handle, title, 'active' AS status, sku, '10.00' AS price FROM products
    WHERE datetime(changed_at, 'unixepoch') >= datetime(:since) AND lower(sku) > :after AND ({_SLOW}) > 0
    ORDER BY lower(sku) LIMIT :limit"""
[stock]
page = "SELECT sku, quantity FROM stock WHERE sku > :after ORDER BY sku LIMIT :limit"
read = "SELECT sku, quantity FROM stock WHERE sku IN :ids"
current = "SELECT quantity FROM stock WHERE sku = :sku"
write = ["UPDATE stock SET quantity = :quantity WHERE sku = :sku AND quantity = :current", "{_SLOW}"]
[orders]
page = "SELECT 'A-BASE' AS external_id, {_ORDER_COLUMNS}, 'BASE-001' AS sku WHERE 'A-BASE' > :after LIMIT :limit"
[shipments]
order = "SELECT 1 WHERE :order_id = 'A-BASE'"
write = ["SELECT 1"]
line = ["INSERT INTO shipments VALUES (:operation_key, :order_id, :sku, :quantity)"]
'''


def skus(name: str) -> list[str]:
    return [f"{name}-{number:03}" for number in range(1, PRODUCTS + 1)]


def eventually(look: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.05)
    return found


class Story:
    """A system, its agent as a process, and what is asked of Crossdock meanwhile."""

    def __init__(self, system: System, erp: Erp, folder: Path) -> None:
        self.system, self.erp, self.folder = system, erp, folder
        self.agent: subprocess.Popen[bytes] | None = None

    def connect(self) -> str:
        """As a person does: make the connection, start the agent with its token, agree to what is seen."""
        words = ["connect", "--platform", "agent", "--name", self.erp.name, "--shop", "main", "--location", "main=main"]
        words += ["--setting", "page_size=10", "--setting", f"order_statuses={_STATUSES}", "--yes"]
        words += ["--setting", "orders_from=2026-01-01T00:00:00Z"]
        words += ["--credentials", str(self.system.data / "credentials.json")]
        # Its tables would be cut at the width of no terminal.
        environment = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "deploy.cli", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as connecting:
            assert connecting.stdout is not None
            for line in connecting.stdout:
                if "token: cda_" in line:
                    break
            (self.folder / "token").write_text(line.partition("token: ")[2])
            self.start()
            said = connecting.stdout.read()
            assert connecting.wait(240) == 0, said
        return " ".join(said.split())

    def start(self) -> None:
        base = str(self.system.http.base_url)
        command = [sys.executable, "-m", "deploy.cli", "agent", "--url", base, "--token", f"@{self.folder}/token"]
        with (self.folder / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen([*command, *self.erp.options], stderr=log)

    def kill(self) -> None:
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait()

    def end(self) -> int:
        assert self.agent is not None
        self.agent.terminate()
        return self.agent.wait(40)

    def find(self, path: str, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.system.ask("GET", path, params=query)["items"]
        return items

    def begin(self, kind: str, **body: Any) -> str:
        """Run a feed, when none of its kind runs by the clock."""
        (feed,) = [each for each in self.find("/v1/feeds", connection_id=self.id) if each["kind"] == kind]

        def started() -> str | None:
            answer = self.system.http.post(
                f"/v1/feeds/{feed['id']}/run", json=body, headers=self.system.headers("admin")
            )
            assert answer.status_code in (202, 409), answer.text
            return answer.json()["id"] if answer.status_code == 202 else None

        found: str = eventually(started)
        return found

    def execution(self, execution_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.system.ask("GET", f"/v1/feed-executions/{execution_id}")
        return found

    def ended(self, execution_id: str) -> dict[str, Any]:
        eventually(lambda: self.execution(execution_id)["finished_at"], 240)
        done = self.execution(execution_id)
        assert done["state"] == "succeeded", done
        return done

    def order_id(self) -> str:
        """Ours, of the one order of the system, once its goods are reserved."""
        (imported,) = self.find("/v1/imported-orders", connection_id=self.id)
        assert imported["state"] == "imported", imported

        def is_placed() -> bool:
            order = self.system.ask("GET", f"/v1/orders/{imported['order_id']}")
            return bool(order["status"] == "processing")

        eventually(is_placed)
        return str(imported["order_id"])

    def errors(self) -> list[str]:
        """What waits for a person."""
        found = self.find("/v1/issues", connection_id=self.id, issue_class="error")
        return [f"{each['code']}: {each['message']} {each['remote_message']}" for each in found]

    def send(self) -> None:
        """Press the button; what was heard of late goes out by the clock, every minute."""
        self.system.ask("POST", f"/v1/connections/{self.id}/send")

    @property
    def id(self) -> str:
        (found,) = [each for each in self.find("/v1/connections", first=200) if each["name"] == self.erp.name]
        return str(found["id"])


@pytest.fixture
def story(system: System, tmp_path: Path) -> Iterator[Story]:
    """A folder where all is one process, a database where each service is one."""
    erp = FolderErp(tmp_path) if system.topology == "embedded" else SqlErp(tmp_path)
    told = Story(system, erp, tmp_path)
    yield told
    if told.agent is not None:
        told.agent.kill()
        told.agent.wait()


@pytest.mark.feature("SYN-6", "SYN-7", "SYN-12", "ORD-5")
def test_a_system_behind_a_firewall_from_the_first_contact_to_the_last(story: Story) -> None:
    system, erp = story.system, story.erp
    said = story.connect()
    for words in (f"{PRODUCTS} would be created here", f"{PRODUCTS} applied", "✓ matches_seen", "✓ stock_imported"):
        assert words in said, said
    first = f"{erp.name}-001"
    (level,) = story.find("/v1/stock", sku=f"{erp.name}-002")
    assert (level["centre"], level["on_hand"]) == ("main", 10)
    assert story.errors() == []
    assert system.ask("POST", f"/v1/connections/{story.id}/go-live")["mode"] == "production"

    # An order came in, its goods leave, and the system is told once.
    draft = {"order_id": story.order_id(), "lines": [{"sku": first, "quantity": 2}], "tracking_numbers": ["JD1"]}
    system.ask("POST", "/v1/shipments", json=draft)
    eventually(lambda: story.find("/v1/changes", connection_id=story.id, direction="out", state="queued"))
    story.ended(story.begin("confirm_shipments"))
    eventually(erp.shipments)
    assert erp.shipments() == [(f"A-{erp.name}", first, 2)]
    story.ended(story.begin("export_stock"))
    assert erp.stock()[first] == 8

    # Each waits for a lease to end: the folder says how it is read, the database counts how often it is written.
    (_killed_while_it_reads if erp.writes() is None else _killed_while_it_writes)(story)

    # What is left to be said is said; then nothing is left, and nothing is said.
    story.ended(story.begin("export_stock"))
    before = (erp.stock(), erp.shipments(), erp.writes())
    for kind in ("export_stock", "confirm_shipments"):
        assert story.ended(story.begin(kind))["counters"].get("sent", 0) == 0
    assert (erp.stock(), erp.shipments(), erp.writes()) == before
    assert story.end() == 0
    log = (story.folder / "agent.log").read_text()
    assert ("The agent ends." in log, (story.folder / "token").read_text() in log) == (True, False)
    _ended_by_another_token(story)


def _killed_while_it_reads(story: Story) -> None:
    """The scan goes on behind the last page that was kept: every record once."""
    story.erp.rename("Shawl")
    running = story.begin("update_products")
    eventually(lambda: story.execution(running)["progress"]["done"] >= 20)
    story.kill()
    assert story.execution(running)["progress"]["done"] < PRODUCTS, "the kill came too late to prove anything"
    story.start()
    counters = story.ended(running)["counters"]
    assert (counters["scanned"], counters["changed"]) == (PRODUCTS, PRODUCTS), counters
    (product,) = story.find("/v1/products", slug=f"{story.erp.name}-007".lower())
    assert product["title"] == f"Shawl {story.erp.name}-007"


def _killed_while_it_writes(story: Story) -> None:
    """What was written is not written again, and the rest is: each change once."""
    chosen = skus(story.erp.name)[10 : 10 + CHANGED]
    rows = [{"sku": sku, "centre": "main", "delta": -3} for sku in chosen]
    story.system.ask("POST", "/v1/stock/bulk", json=rows)
    story.send()
    eventually(lambda: list(story.erp.stock().values()).count(7) >= 2)
    story.kill()
    written = list(story.erp.stock().values()).count(7)
    assert written < CHANGED, "the kill came too late to prove anything"
    story.start()
    eventually(lambda: [story.erp.stock()[sku] for sku in chosen] == [7] * CHANGED, 240)
    eventually(lambda: not story.find("/v1/changes", connection_id=story.id, direction="out", state="queued"), 240)
    counts = story.erp.writes()
    assert counts is None or [counts[sku] for sku in chosen] == [1] * CHANGED, counts
    assert story.errors() == []


def _ended_by_another_token(story: Story) -> None:
    story.system.ask("POST", f"/v1/connections/{story.id}/agent-token")
    story.start()
    assert story.agent is not None
    assert story.agent.wait(60) == 1
    assert "refuses the token" in (story.folder / "agent.log").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--source", "folder:/nowhere/at/all"], "no folder"),
        (["--source", "folder:/tmp?colour=red"], "told currency and location alone"),
        (["--source", "sqlite:///x.db"], "--queries"),
        (["--source", "sqlite:///x.db", "--queries", "/nowhere.toml"], "can not be read"),
        (["--source", "folder:/tmp", "--token", "@/nowhere"], "token can not be read"),
        (["--source", "parrot"], "--source"),
    ],
)
def test_a_wrong_option_is_said_at_once(options: list[str], words: str) -> None:
    command = [sys.executable, "-m", "deploy.cli", "agent", "--url", "http://127.0.0.1:1", "--token", "cda_x"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_an_agent_that_reaches_nobody_tries_again_until_it_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.cli", "agent", "--url", "http://127.0.0.1:1", "--token", "cda_x"]
    with subprocess.Popen([*command, "--source", f"folder:{tmp_path}"], stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stderr is not None
        said = ""
        while said.count("does not answer") < 2:
            said += agent.stderr.readline()
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
