"""`crossdock import`: a file into a running system, over HTTP as any client's, with a bar and a report."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from deploy.speaking import Access, Refused, checked, opened

_OVER = ("succeeded", "failed", "cancelled", "held", "undone")
_ASK_AGAIN_SECONDS = 0.2
_SHOWN = 10


@dataclass(frozen=True)
class Options:
    """What to import, how, and where. `source` is a file, or an address that the system fetches."""

    source: str
    parameters: dict[str, Any]
    access: Access


def import_file(options: Options, console: Console | None = None) -> int:
    """Import and wait for the end; returns the exit code: 0, 1 when it failed, 3 when it is held."""
    console = console or Console()
    try:
        with contextlib.closing(opened(options.access)) as http:
            started = _start(http, options)
            done = _follow(http, started, console)
            _report(http, done, console)
    except (Refused, httpx.HTTPError, OSError) as error:
        console.print(f"[red]✗[/] {error}", soft_wrap=True)
        return 1
    return {"succeeded": 0, "held": 3}.get(done["state"], 1)


def _start(http: httpx.Client, options: Options) -> dict[str, Any]:
    given = {name: value for name, value in options.parameters.items() if value is not None}
    if options.source.startswith(("http://", "https://")):
        return checked(http.post("/v1/imports", params=given, json={"url": options.source}))
    path = Path(options.source)
    with path.open("rb") as file:
        return checked(http.post("/v1/imports", params=given, files={"file": (path.name, file)}))


def _follow(http: httpx.Client, started: dict[str, Any], console: Console) -> dict[str, Any]:
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows")),
        *(TimeElapsedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        task = progress.add_task(started["file_name"] or "import", total=None)
        while True:
            job = checked(http.get(f"/v1/jobs/{started['job_id']}"))
            progress.update(task, completed=job["progress"]["done"], total=job["progress"]["total"])
            if job["state"] in _OVER:
                done: dict[str, Any] = checked(http.get(f"/v1/imports/{started['id']}"))
                return done
            time.sleep(_ASK_AGAIN_SECONDS)


# --- the report


def _report(http: httpx.Client, done: dict[str, Any], console: Console) -> None:
    sign = {"succeeded": "[green]✓[/]", "held": "[yellow]![/]"}.get(done["state"], "[red]✗[/]")
    tried = " (a dry run: nothing was changed)" if done["dry_run"] else ""
    seconds = f" in {done['duration_seconds']} s" if done["duration_seconds"] is not None else ""
    console.print(f"{sign} Import {done['id']} has {done['state']}{seconds}{tried}", soft_wrap=True)
    if done["error"]:
        console.print(f"  {done['error']['detail']} ({done['error']['code']})", soft_wrap=True, markup=False)
    if done["same_as"]:
        console.print(f"  The same file was imported before, as {done['same_as']}.", soft_wrap=True)
    for harm in done["harms"]:
        console.print(f"  {harm['what'].replace('_', ' ')}: {harm['count']} of {harm['of']}", soft_wrap=True)
    if done["state"] == "held":
        console.print(f"  Nothing was changed. To go on: POST /v1/imports/{done['id']}/confirm", soft_wrap=True)
    console.print(_counters(done["counters"]))
    for line in _lines(http, done):
        console.print(line, soft_wrap=True, markup=False)


def _counters(counters: dict[str, int]) -> Table:
    table = Table("what", "count", box=None, pad_edge=False, show_header=False)
    for name, count in counters.items():
        if count:
            table.add_row(f"  {name.replace('_', ' ')}", f"{count:,}")
    return table


def _lines(http: httpx.Client, done: dict[str, Any]) -> Iterator[str]:
    if done["dry_run"]:
        for sample in _items(http, done, "samples"):
            changes = ", ".join(f"{f['field']}: {f['before']!r} → {f['after']!r}" for f in sample["fields"])
            yield f"  {sample['kind']} {sample['part']} {sample['name']}: {changes}"[:400]
    errors = list(_items(http, done, "remarks"))
    for error in errors:
        where = f"row {error['row']}" + (f", {error['column']}" if error["column"] else "")
        yield f"  {where}: {error['message']} ({error['code']})"
    if errors:
        yield f"  The refused rows, to correct and import again: GET /v1/imports/{done['id']}/errors"


def _items(http: httpx.Client, done: dict[str, Any], what: str) -> list[dict[str, Any]]:
    page = checked(http.get(f"/v1/imports/{done['id']}/{what}", params={"first": _SHOWN}))
    items: list[dict[str, Any]] = page["items"]
    return items
