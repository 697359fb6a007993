"""Runs the scenarios in both topologies and prints the table, each figure with its ratio to the bare endpoint."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from deploy.bench.figures import Figure
from deploy.bench.load import Measured, Server, http, measure
from deploy.bench.scenarios import SCENARIOS
from deploy.bench.system import DidNotStart, System, given_system, running_bare, running_system

TOPOLOGIES = ("embedded", "distributed")
Row = tuple[str, ...]
_COLUMNS = ("path", "per second", "× bare", "server CPU µs", "× bare CPU", "p50 ms", "p99 ms", "note")


@dataclass(frozen=True)
class Options:
    """What to measure: own systems in these topologies, or with `credentials` the one that runs already."""

    workers: int = 1
    topologies: tuple[str, ...] = TOPOLOGIES
    credentials: Path | None = None
    only: str | None = None
    import_rows: int = 30_000
    listings: int = 30_000
    markdown: bool = False


def bench(options: Options) -> int:
    """Measure and print. Returns the exit code: 1 when a path failed or there was nothing to measure."""
    console = Console(highlight=False, width=None if os.isatty(1) else 200)
    console.print(_machine(options.workers))
    is_good = True
    try:
        for system in _systems(options):
            with running_bare(options.workers) as bare:
                rows, succeeded = _measure(system, bare, options.only)
            is_good &= succeeded
            _print(console, system.topology, rows, options.markdown)
    except DidNotStart as error:
        console.print(f"[red]{error}[/]", soft_wrap=True)
        return 1
    return int(not is_good)


def _systems(options: Options) -> Iterator[System]:
    if options.credentials is not None:
        yield given_system(options.credentials, options.import_rows, options.listings)
        return
    for topology in options.topologies:
        asks_private = {"CROSSDOCK_FETCH_PRIVATE": "true"}
        with running_system(topology, options.workers, options.import_rows, options.listings, asks_private) as system:
            yield system


def _measure(system: System, bare: Server, only: str | None) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    if system.seconds_to_answer is not None:
        taken = f"{system.seconds_to_answer:.1f} s"
        rows.append(("start to first answer", taken, "", "", "", "", "", "with an empty folder"))
    rows.append(_memory_row(system, "memory after start"))
    is_good = True
    for scenario in SCENARIOS:
        if only is not None and only not in scenario.__name__:
            continue
        before = _bare(bare)
        figure = scenario(system)
        rows.append(_row(figure, _middle(before, _bare(bare))))
        is_good = is_good and not (figure.measured and figure.measured.failures)
    rows.append(_memory_row(system, "memory after load"))
    return rows, is_good


def _bare(server: Server) -> Measured:
    return measure(server, [http("GET", "/items", {})], seconds=1.5)


def _middle(one: Measured, other: Measured) -> tuple[float, float]:
    """Requests a second and CPU a request, of the measurements before and after."""
    rate = median((one.per_second, other.per_second))
    return rate, median((one.server_cpu_per_request or 0.0, other.server_cpu_per_request or 0.0))


def _row(figure: Figure, bare: tuple[float, float]) -> Row:
    rate = (
        "" if figure.rate is None else f"{figure.rate:,.0f} {'' if figure.unit == 'requests' else figure.unit}".strip()
    )
    if figure.measured is None:
        return (figure.name, rate, _copy_ratio(figure), "", "", "", "", figure.note)
    taken = figure.measured
    cpu = taken.server_cpu_per_request or 0.0
    ratio = "generator" if taken.is_bound_by_generator else f"{taken.per_second / bare[0]:.2f}"
    return (
        figure.name,
        rate,
        ratio,
        f"{cpu * 1e6:,.0f}",
        f"{cpu / bare[1]:.2f}" if bare[1] else "",
        f"{taken.p50 * 1000:.1f}",
        f"{taken.p99 * 1000:.1f}",
        figure.note,
    )


def _copy_ratio(figure: Figure) -> str:
    """How the rate stands to that of a COPY of the same rows: bare, and into columns with types and keys."""
    if figure.rate is None or figure.bare_rate is None:
        return ""
    bare = f"{figure.rate / figure.bare_rate:.3f} of COPY"
    return bare if figure.keyed_rate is None else f"{bare}, {figure.rate / figure.keyed_rate:.3f} of keyed COPY"


def _memory_row(system: System, name: str) -> Row:
    used = {kind: size / 2**20 for kind, size in system.memory().items()}
    note = ", ".join(f"{kind} {size:.0f}" for kind, size in used.items())
    return (name, f"{sum(used.values()):.0f} MB", "", "", "", "", "", note)


def _print(console: Console, topology: str, rows: list[Row], markdown: bool) -> None:
    if markdown:
        console.print(f"\n**{topology}**\n\n| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}", soft_wrap=True)
        for row in rows:
            console.print(f"| {' | '.join(row)} |", soft_wrap=True)
        return
    table = Table(*_COLUMNS, title=topology, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _machine(workers: int) -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()};"
        f" {workers} web process(es); load from 2 processes on the same machine."
        " “bare” is a FastAPI endpoint that returns 20 objects, measured before and after each path."
    )
