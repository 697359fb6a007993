"""Search's own work over whatever the imports left: offers built anew, and a reader that catches up from nothing."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import psutil

from deploy.bench.figures import Figure
from deploy.bench.system import System
from services.search.engines.tantivy import TantivyIndex
from services.search.repository.documents import stored_offer

_SHOP = "main"
# As many rows as a reader takes over at once.
_ROWS = 2000


def index_rebuild(system: System) -> Figure:
    """All offers of one shop from catalog and inventory to documents; what has not changed is not written again."""
    started = time.perf_counter()
    job = system.ask("POST", f"/v1/search-indexes/{_SHOP}/rebuild")
    while (job := system.ask("GET", f"/v1/jobs/{job['id']}"))["finished_at"] is None:
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    built = job["counters"].get("built", 0)
    return Figure("index rebuild", built / seconds, "offers", note=f"{job['state']}, {built} products looked at")


def index_catch_up(system: System) -> Figure:
    """A process of its own follows a shop's documents into an empty index, as a new replica does."""
    command = [sys.executable, "-m", "deploy.bench.indexes", system.admin_url()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    told = json.loads(run.stdout)
    note = f"{told['offers']} offers; the reader's process grew by {told['bytes'] / 1e6:.0f} MB"
    return Figure("index catch-up", told["offers"] / told["seconds"], "offers", note=note)


async def _catch_up(url: str, folder: Path) -> dict[str, float]:
    connection = await asyncpg.connect(url, database="crossdock")
    try:
        shop_id = await connection.fetchval("SELECT id FROM search.shops WHERE code = $1 ORDER BY id LIMIT 1", _SHOP)
        index = TantivyIndex(folder, "en-US")
        before, started = psutil.Process().memory_info().rss, time.perf_counter()
        offers, sequence = 0, 0
        while rows := await connection.fetch(_FOLLOW, shop_id, sequence, _ROWS):
            sequence = rows[-1]["sequence"]
            index.apply([stored_offer(row) for row in rows], sequence, is_more=len(rows) == _ROWS)
            offers += len(rows)
        index.apply([], sequence)
        seconds = time.perf_counter() - started
        index.rest()
        grown = psutil.Process().memory_info().rss - before
        return {"offers": offers, "seconds": seconds, "bytes": grown}
    finally:
        await connection.close()


_FOLLOW = """
SELECT product_id, number, sequence, slug, fields, document, page, groups FROM search.documents
WHERE shop_id = $1 AND sequence > $2 AND NOT is_deleted ORDER BY sequence LIMIT $3
"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as made:
        sys.stdout.write(json.dumps(asyncio.run(_catch_up(sys.argv[1], Path(made) / "index"))))
