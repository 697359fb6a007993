"""CSV, NDJSON and Parquet are read in bounded memory, whatever their size: to 1 GB with CROSSDOCK_TEST_SCALE=full."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
import pytest

from tests.conftest import scale

pytestmark = pytest.mark.feature("CAT-5")

LIMIT = 400 << 20
# A row of about one kilobyte, and one that does not shrink.
COLUMNS = [f"Google Shopping / Custom Label {n}" for n in range(5)]

READER = """
import os, resource, sys, threading, time
import psutil
from pathlib import Path
from shared.impex.opening import open_source
from shared.impex.products import ProductFile

peak, done = 0, threading.Event()
def watch():
    global peak
    me = psutil.Process()
    while not done.wait(0.02):
        total = 0
        for process in [me, *me.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                pass
        peak = max(peak, total)
thread = threading.Thread(target=watch)
thread.start()
file = ProductFile(open_source(Path(sys.argv[1])), "shopify", "USD")
rows = sum(chunk.rows for chunk in file.chunks(2000))
done.set()
thread.join()
print(rows, peak)
"""


def rows(count: int) -> Iterator[dict[str, str]]:
    for n in range(count):
        noise = [f"{(n * 7919 + k) * 2654435761 % 2**61:x}" * 10 for k in range(5)]
        yield {
            "Handle": f"product-{n}",
            "Title": f"Product {n}",
            "Variant SKU": f"SKU-{n}",
            "Variant Price": f"{n % 1000}.50",
            **dict(zip(COLUMNS, noise, strict=True)),
        }


def write_csv(path: Path, count: int) -> None:
    with path.open("w") as file:
        for n, row in enumerate(rows(count)):
            if n == 0:
                file.write(",".join(row) + "\n")
            file.write(",".join(row.values()) + "\n")


def write_ndjson(path: Path, count: int) -> None:
    with path.open("wb") as file:
        file.writelines(orjson.dumps(row) + b"\n" for row in rows(count))


def write_parquet(path: Path, count: int) -> None:
    lines = path.with_suffix(".lines")
    write_ndjson(lines, count)
    pl.scan_ndjson(lines).sink_parquet(path, compression="uncompressed")
    lines.unlink()


WRITERS = {"csv": write_csv, "ndjson": write_ndjson, "parquet": write_parquet}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WRITERS)
def test_a_large_file_is_read_in_little_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "products"
    count = int(1_000_000 * scale())
    WRITERS[name](path, count)
    command = [sys.executable, "-c", READER, str(path)]
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    counted, peak = map(int, read.stdout.split())
    assert counted == count
    assert path.stat().st_size > 0.7 * scale() * (1 << 30)
    assert peak < LIMIT, f"{peak >> 20} MB"
