"""Imports beside a bare COPY of the same file in the same run: all new, repeated, one row of a hundred changed.

Two tables take the COPY. *bare* has a column of text for each of the file's and nothing else: what PostgreSQL does
with the bytes. *keyed* has columns of the types that the values have, a primary key and two indexes, as whoever wants
to find a row again would have to make it.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg

from deploy.bench.catalog_file import COLUMNS, lines
from deploy.bench.figures import Figure
from deploy.bench.load import cpu_seconds
from deploy.bench.system import System

_QUERY = "/v1/imports?group=products&profile=shopify&shop=main"
_QUIET_SECONDS = 1800
_IMPORTED = "the products of the file"
_TYPES = {
    **dict.fromkeys(("Published", "Variant Requires Shipping", "Variant Taxable", "Gift Card"), "boolean"),
    **dict.fromkeys(("Variant Grams", "Variant Inventory Qty", "Image Position"), "integer"),
    **dict.fromkeys(("Variant Price", "Variant Compare At Price", "Cost per item"), "numeric(12, 2)"),
}
_KEY = "Variant SKU"
_INDEXED = ("Handle", "Variant Barcode")


def import_first(system: System) -> Figure:
    """Every product is new. What follows in inventory and search runs beside it on the same cores."""
    return _import("import, all new", system, changed=False)


def import_left(system: System) -> Figure:
    """What PostgreSQL alone needs for the rows that the first import leaves: read out, and copied ready into tables
    with the same columns, keys and indexes. No import of this catalog can be faster on one core of it.
    """
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        path = Path(folder) / "products.csv"
        with path.open("wb") as file:
            file.writelines(lines(system.import_rows))
        seconds = asyncio.run(_left(system, Path(folder) / "rows"))
        bare, keyed = asyncio.run(_copies(system, path))
    rows, share = (
        system.import_rows,
        ", ".join(f"{name} {taken / seconds['all']:.2f}" for name, taken in seconds.items()),
    )
    note = f"in tables of {share.removeprefix('all 1.00, ')}"
    return Figure(
        "import's rows, copied ready",
        rows / seconds["all"],
        "rows",
        None,
        note,
        bare_rate=rows / bare,
        keyed_rate=rows / keyed,
    )


def import_repeated(system: System) -> Figure:
    return _import("import, the same again", system, changed=False)


def import_changed(system: System) -> Figure:
    return _import("import, 1 % changed", system, changed=True)


def ensure_imported(system: System) -> None:
    """Import the file, unless a path before has, and wait until its offers are built."""
    if _IMPORTED in system.prepared:
        return
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        path = Path(folder) / "products.csv"
        with path.open("wb") as file:
            file.writelines(lines(system.import_rows))
        _done(system, path)
        _seconds_until_quiet(system)


def _import(name: str, system: System, *, changed: bool) -> Figure:
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        path = Path(folder) / "products.csv"
        with path.open("wb") as file:
            file.writelines(lines(system.import_rows, changed=changed))
        bare, keyed = asyncio.run(_copies(system, path))
        seconds, python, postgres, note = _timed(system, lambda: _done(system, path))
        # Offers that are still being built belong to this import, not to the one after it.
        quiet = _seconds_until_quiet(system)
    rows = system.import_rows
    costs = f"{python / rows * 1e6:.0f} µs Python and {postgres / rows * 1e6:.0f} µs PostgreSQL a row"
    settled = f"{costs}; {note}; offers built {quiet:.0f} s later"
    return Figure(name, rows / seconds, "rows", note=settled, bare_rate=rows / bare, keyed_rate=rows / keyed)


def _timed(system: System, work: Callable[[], str]) -> tuple[float, float, float, str]:
    before, started = cpu_seconds(system.server.process), time.perf_counter()
    note = work()
    seconds, after = time.perf_counter() - started, cpu_seconds(system.server.process)
    return seconds, after[0] - before[0], after[1] - before[1], note


def _done(system: System, path: Path) -> str:
    """Upload the file, wait for its end, and say what came of it."""
    with path.open("rb") as file:
        sent = system.ask("POST", _QUERY, party="supplier", content=file, headers={"Content-Type": "text/csv"})
    while (found := system.ask("GET", f"/v1/imports/{sent['id']}", party="supplier"))["finished_at"] is None:
        time.sleep(0.05)
    system.prepared.add(_IMPORTED)
    counted = {what: count for what, count in found["counters"].items() if count and what.startswith("variants")}
    return f"{found['state']} {counted}"


def _seconds_until_quiet(system: System) -> float:
    """Until no offer waits to be built, at two looks that are two seconds apart."""
    started = quiet_since = time.perf_counter()
    while (now := time.perf_counter()) - quiet_since < 2 and now - started < _QUIET_SECONDS:
        if any(index["pending"] for index in system.ask("GET", "/v1/search-indexes")["items"]):
            quiet_since = now
        time.sleep(0.2)
    return quiet_since - started


_LEFT = {
    "catalog": ("products", "variants", "prices", "product_categories", "import_fingerprints"),
    "inventory": ("stock", "stock_movements"),
    "search": ("products", "skus", "documents"),
}


async def _left(system: System, path: Path) -> dict[str, float]:
    """Seconds of copying each service's rows, and all of them."""
    connection = await asyncpg.connect(system.admin_url(), database="crossdock")
    try:
        taken = {"all": 0.0}
        for service, tables in _LEFT.items():
            taken[service] = sum([await _copied_again(connection, f"{service}.{table}", path) for table in tables])
        return {**taken, "all": sum(taken.values())}
    finally:
        await connection.close()


async def _copied_again(connection: asyncpg.Connection, table: str, path: Path) -> float:
    columns = await connection.fetchval(
        "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        table,
    )
    named = ", ".join(f'"{column}"' for column in columns)
    await connection.copy_from_query(f"SELECT {named} FROM {table}", output=path, format="binary")  # noqa: S608
    await connection.execute(f"CREATE TABLE public.copied (LIKE {table} INCLUDING ALL)")
    try:
        started = time.perf_counter()
        await connection.copy_to_table("copied", schema_name="public", source=path, columns=columns, format="binary")
        return time.perf_counter() - started
    finally:
        await connection.execute("DROP TABLE public.copied")


async def _copies(system: System, path: Path) -> tuple[float, float]:
    """Seconds of COPY of the same file into the bare table, and into the keyed one."""
    connection = await asyncpg.connect(system.admin_url())
    try:
        bare = ", ".join(f'"{name}" text' for name in COLUMNS)
        keyed = ", ".join(f'"{name}" {_TYPES.get(name, "text")}' for name in COLUMNS)
        return (
            await _copy(connection, path, f"CREATE TABLE copied ({bare})"),
            await _copy(
                connection,
                path,
                f'CREATE TABLE copied ({keyed}, PRIMARY KEY ("{_KEY}"))',
                *(f'CREATE INDEX ON copied ("{name}")' for name in _INDEXED),
            ),
        )
    finally:
        await connection.close()


async def _copy(connection: asyncpg.Connection, path: Path, *making: str) -> float:
    try:
        for statement in making:
            await connection.execute(statement)
        started = time.perf_counter()
        await connection.copy_to_table("copied", source=path, format="csv", header=True)
        return time.perf_counter() - started
    finally:
        await connection.execute("DROP TABLE IF EXISTS copied")
