"""An export of all products beside a bare COPY of the same rows out of the same tables in the same run."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from deploy.bench.figures import Figure
from deploy.bench.load import cpu_seconds
from deploy.bench.system import System

_DRAFT = {"group": "products", "format": "csv", "profile": "crossdock", "shop": "main"}
_ROWS = (
    "SELECT p.*, v.* FROM catalog.products p JOIN catalog.variants v"
    " ON (v.organization_id, v.product_id) = (p.organization_id, p.id)"
)


def export_products(system: System) -> Figure:
    """What the imports before it left in the catalog, as Crossdock's CSV with categories and prices."""
    bare = asyncio.run(_bare_copy(system))
    before, started = cpu_seconds(system.server.process), time.perf_counter()
    export = _done(system)
    seconds, after = time.perf_counter() - started, cpu_seconds(system.server.process)
    rows = export["counters"].get("rows", 0)
    python, postgres = after[0] - before[0], after[1] - before[1]
    costs = f"{python / max(rows, 1) * 1e6:.0f} µs Python and {postgres / max(rows, 1) * 1e6:.0f} µs PostgreSQL a row"
    note = f"{costs}; {export['state']}, {rows} rows, {export['size']} bytes"
    return Figure("export", rows / seconds, "rows", note=note, bare_rate=rows / bare)


def _done(system: System) -> dict[str, Any]:
    started = system.ask("POST", "/v1/exports", party="supplier", json=_DRAFT)
    while (found := system.ask("GET", f"/v1/exports/{started['id']}", party="supplier"))["finished_at"] is None:
        time.sleep(0.02)
    return dict(found)


async def _bare_copy(system: System) -> float:
    """Seconds of COPY of products with their variants into a file."""
    connection = await asyncpg.connect(system.admin_url(), database="crossdock")
    try:
        with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
            started = time.perf_counter()
            await connection.copy_from_query(_ROWS, output=Path(folder) / "bare.csv", format="csv", header=True)
            return time.perf_counter() - started
    finally:
        await connection.close()
