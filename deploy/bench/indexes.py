"""Search's own work over a catalog of products from a file: offers built anew, and a reader that fills from nothing."""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from deploy.bench import imports
from deploy.bench.figures import Figure
from deploy.bench.load import cpu_seconds
from deploy.bench.system import System
from deploy.topology import settle_memory
from services.search.engines.tantivy import TantivyIndex
from services.search.repository.documents import stored_offer
from services.search.use_cases.ahead import ahead

_SHOP = "main"
# As many rows as a reader takes over at once.
_ROWS = 1000


def index_rebuild_new(system: System) -> Figure:
    """All offers of a shop from catalog and inventory to documents of which none was there."""
    imports.ensure_imported(system)
    asyncio.run(_empty(system.admin_url()))
    return _rebuild(system, "index rebuild, all documents new")


def index_rebuild_same(system: System) -> Figure:
    """All offers asked for, assembled and compared; none came out differently, so that no document is written."""
    imports.ensure_imported(system)
    return _rebuild(system, "index rebuild, nothing changed")


def _rebuild(system: System, name: str) -> Figure:
    before, started = cpu_seconds(system.server.process), time.perf_counter()
    job = system.ask("POST", f"/v1/search-indexes/{_SHOP}/rebuild")
    while (job := system.ask("GET", f"/v1/jobs/{job['id']}"))["finished_at"] is None:
        time.sleep(0.05)
    seconds, after = time.perf_counter() - started, cpu_seconds(system.server.process)
    built, changed = job["counters"].get("built", 0), job["counters"].get("changed", 0)
    python, postgres = ((now - then) / max(built, 1) * 1e6 for now, then in zip(after, before, strict=True))
    note = f"{job['state']}, {built} products, {changed} documents written"
    note += f"; {python:.0f} µs Python and {postgres:.0f} µs PostgreSQL an offer"
    return Figure(name, built / seconds, "offers", note=note)


async def _empty(url: str) -> None:
    """Take away the shop's documents, as if none had ever been built; readers begin anew."""
    connection = await asyncpg.connect(url, database="crossdock")
    try:
        shop_id = await _shop_id(connection)
        async with connection.transaction():
            await connection.execute("DELETE FROM search.documents WHERE shop_id = $1", shop_id)
            await connection.execute(
                "UPDATE search.indexes SET generation = generation + 1, offers = 0 WHERE shop_id = $1", shop_id
            )
        await connection.execute("VACUUM search.documents")
    finally:
        await connection.close()


def index_catch_up(system: System) -> Figure:
    """A process of its own follows a shop's documents into an empty index, as a new replica does."""
    imports.ensure_imported(system)
    command = [sys.executable, "-m", "deploy.bench.indexes", system.admin_url()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    told = json.loads(run.stdout)
    note = f"{told['offers']} offers, {told['cpu_seconds'] / told['offers'] * 1e6:.0f} µs of the process each"
    note += f"; it grew by {told['bytes'] / 1e6:.0f} MB, and by {told['most_bytes'] / 1e6:.0f} while it filled"
    return Figure("index catch-up", told["offers"] / told["seconds"], "offers", note=note)


async def _catch_up(url: str, folder: Path) -> dict[str, float]:
    connection = await asyncpg.connect(url, database="crossdock")
    try:
        index, shop_id = TantivyIndex(folder, "en-US"), await _shop_id(connection)
        settle_memory()
        process = psutil.Process()
        before, started, spent = process.memory_info().rss, time.perf_counter(), time.process_time()
        offers, sequence = 0, 0
        async with contextlib.aclosing(ahead(_pages(connection, shop_id))) as pages:
            async for rows in pages:
                offers, sequence = offers + len(rows), rows[-1]["sequence"]
                await asyncio.to_thread(_take_over, index, rows)
        await asyncio.to_thread(index.apply, [], sequence)
        seconds, spent = time.perf_counter() - started, time.process_time() - spent
        most = process.memory_info().rss - before
        index.rest()
        grown = process.memory_info().rss - before
        return {"offers": offers, "seconds": seconds, "cpu_seconds": spent, "bytes": grown, "most_bytes": most}
    finally:
        await connection.close()


async def _shop_id(connection: Any) -> Any:
    return await connection.fetchval("SELECT id FROM search.shops WHERE code = $1 ORDER BY id LIMIT 1", _SHOP)


async def _pages(connection: Any, shop_id: Any) -> AsyncGenerator[list[asyncpg.Record], None]:
    sequence = 0
    while rows := await connection.fetch(_FOLLOW, shop_id, sequence, _ROWS):
        sequence = rows[-1]["sequence"]
        yield rows


def _take_over(index: TantivyIndex, rows: list[asyncpg.Record]) -> None:
    index.apply([stored_offer(row) for row in rows], rows[-1]["sequence"], is_more=True)


_FOLLOW = """
SELECT product_id, number, sequence, slug, fields, document, page, groups FROM search.documents
WHERE shop_id = $1 AND sequence > $2 AND NOT is_deleted ORDER BY sequence LIMIT $3
"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as made:
        sys.stdout.write(json.dumps(asyncio.run(_catch_up(sys.argv[1], Path(made) / "index"))))
