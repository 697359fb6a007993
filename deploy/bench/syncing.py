"""Sync with a shop on the loopback address that answers at once: first scan, the same again, and sends at a budget.

A scan is from its start until everything that was read is compared, before anything is made of it here: that is the
import's work, measured by its own paths. Rates per core are by the CPU of Python and PostgreSQL together.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import psutil

from deploy.bench import shop
from deploy.bench.figures import Figure
from deploy.bench.load import cpu_seconds
from deploy.bench.system import System

# Requests a second that the shop of the sends permits; of a hundred writes each.
PERMITTED = 10
STOCK = 20_000
_UNBOUND = 1_000_000
_PAGE = 1000
_LOOK_SECONDS = 0.2
_STOCK_ROWS = 10_000
_QUIET_SECONDS = 120


def sync_first_scan(system: System) -> Figure:
    """Everything is new."""
    with _shop(_products(system), 0, _UNBOUND) as address:
        connection = _connected(system, address, "Bench scan")
        return _scan("sync, first scan", system, connection)


def sync_rescan(system: System) -> Figure:
    """Everything is read once more, and is as it was."""
    with _shop(_products(system), 0, _UNBOUND) as address:
        connection = _connected(system, address, "Bench rescan")
        _ended(system, _started(system, connection, "import_products", is_full=True))
        return _scan("sync, unchanged rescan", system, connection)


def sync_sends(system: System) -> Figure:
    """Stock of every SKU has changed here: how much of what the shop permits is used while there is work."""
    with _shop(0, STOCK, PERMITTED) as address:
        connection = _live(system, address)
        _change_stock(system, connection)
        before = _figures(address)
        done = _ended(system, _started(system, connection, "export_stock"))
        after = _figures(address)
    writes = after["writes"][len(before["writes"]) :]
    if len(writes) < 2:
        return Figure("sync, sends", None, "of the budget", note=f"nothing was sent: {done}")
    seconds = writes[-1] - writes[0]
    # What had gathered before the first of them, and what came back until the last.
    share = len(writes) / (shop.Budget(PERMITTED).most + seconds * PERMITTED)
    refused = after["refused"] - before["refused"]
    sent = done["counters"].get("sent", 0)
    note = (
        f"{share:.1%} of {PERMITTED} requests a second for {seconds:.0f} s, {refused} refused; {done['state']},"
        f" {sent} of {STOCK} levels"
    )
    return Figure("sync, sends at a budget", sent / seconds, "levels", note=note)


# --- scans


def _products(system: System) -> int:
    """A product is a listing, and so is each of its variants."""
    return system.listings // (1 + shop.VARIANTS)


@dataclass
class _Watched:
    """What a run took until it was over, and the largest its worker was."""

    done: dict[str, Any]
    seconds: float
    python: float
    postgres: float
    worker_before: int
    worker_most: int


def _scan(name: str, system: System, connection: dict[str, Any]) -> Figure:
    watched = _watched(system, connection, "import_products")
    products = watched.done["counters"].get("scanned", 0)
    cpu = watched.python + watched.postgres
    if not products or not cpu:
        return Figure(name, None, "products", note=f"nothing was read, or it runs on another host: {watched.done}")
    counted = {what: count for what, count in watched.done["counters"].items() if count}
    note = (
        f"{products / cpu:,.0f} a second per core: {watched.python / products * 1e6:.0f} µs Python and"
        f" {watched.postgres / products * 1e6:.0f} µs PostgreSQL a product of {shop.VARIANTS} variants;"
        f" worker {watched.worker_before >> 20} → at most {watched.worker_most >> 20} MB;"
        f" {watched.done['state']} {counted}"
    )
    return Figure(name, products / watched.seconds, "products", note=note)


def _watched(system: System, connection: dict[str, Any], kind: str) -> _Watched:
    workers = system.working()
    before, started = cpu_seconds(system.server.process), time.perf_counter()
    resident = most = _resident(workers)
    execution = _started(system, connection, kind, is_full=True)
    while (found := system.ask("GET", f"/v1/feed-executions/{execution['id']}"))["finished_at"] is None:
        most = max(most, _resident(workers))
        time.sleep(_LOOK_SECONDS)
    seconds, after = time.perf_counter() - started, cpu_seconds(system.server.process)
    return _Watched(found, seconds, after[0] - before[0], after[1] - before[1], resident, most)


def _resident(workers: list[psutil.Process]) -> int:
    """Bytes of the largest of the processes that do background work."""
    sizes = [0]
    for process in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes.append(process.memory_info().rss)
    return max(sizes)


# --- a connection


@contextlib.contextmanager
def _shop(products: int, stock: int, per_second: float) -> Iterator[str]:
    """Its address, while it runs."""
    command = [sys.executable, "-m", "deploy.bench.shop", str(products), str(stock), str(per_second)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _figures(address: str) -> dict[str, Any]:
    figures: dict[str, Any] = httpx.get(f"{address}/figures").raise_for_status().json()
    return figures


def _connected(system: System, address: str, name: str) -> dict[str, Any]:
    """A connection none of whose feeds runs by itself."""
    draft = {
        "platform": "custom",
        "name": name,
        "shop": "main",
        "settings": {"platform": {"url": address, "page_size": _PAGE}, "locations": {"main": "main"}},
        "credentials": {"token": shop.TOKEN},
    }
    connection: dict[str, Any] = system.ask("POST", "/v1/connections", json=draft)
    for feed in system.ask("GET", f"/v1/feeds?connection_id={connection['id']}")["items"]:
        system.ask("PATCH", f"/v1/feeds/{feed['id']}", json={"cron": None})
    return connection


def _live(system: System, address: str) -> dict[str, Any]:
    """A connection that is live, whose stock is ours."""
    connection = _connected(system, address, "Bench sends")
    _ended(system, _started(system, connection, "import_products"))
    system.ask("POST", f"/v1/connections/{connection['id']}/matches/confirm")
    for kind in ("import_products", "import_stock"):
        _ended(system, _started(system, connection, kind))
    system.ask("POST", f"/v1/connections/{connection['id']}/go-live")
    return connection


def _change_stock(system: System, connection: dict[str, Any]) -> None:
    for start in range(0, STOCK, _STOCK_ROWS):
        rows = [
            {"sku": shop.stock_sku(number), "centre": "main", "on_hand": 1 + number % 50}
            for number in range(start, min(start + _STOCK_ROWS, STOCK))
        ]
        system.ask("POST", "/v1/stock/bulk", json=rows)
    asyncio.run(_until_heard(system, connection["id"]))


async def _until_heard(system: System, connection_id: str) -> None:
    """Until sync has been told of all of it, so that one run sends it."""
    database = await asyncpg.connect(system.admin_url(), database="crossdock")
    try:
        deadline = time.perf_counter() + _QUIET_SECONDS
        while time.perf_counter() < deadline:
            marked = await database.fetchval(
                "SELECT count(*) FROM sync.listings WHERE connection_id = $1::text::uuid AND marks > 0", connection_id
            )
            if marked >= STOCK:
                return
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await database.close()


def _started(system: System, connection: dict[str, Any], kind: str, **how: Any) -> dict[str, Any]:
    feeds = system.ask("GET", f"/v1/feeds?connection_id={connection['id']}")["items"]
    feed = next(each for each in feeds if each["kind"] == kind)
    started: dict[str, Any] = system.ask("POST", f"/v1/feeds/{feed['id']}/run", json=how)
    return started


def _ended(system: System, execution: dict[str, Any]) -> dict[str, Any]:
    while (found := system.ask("GET", f"/v1/feed-executions/{execution['id']}"))["finished_at"] is None:
        time.sleep(_LOOK_SECONDS)
    return dict(found)
