"""`crossdock export`: start an export on a running system, show how far it is, and fetch the file.

Everything but the file goes to the error output, so that the file itself may go to the standard one. A file in the
making has another name: what has its own is whole.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_POLL_SECONDS = 0.2
_PARTY = "supplier"


class ExportRefused(Exception):
    """The system says no, or the export did not succeed; the message says why."""


@dataclass(frozen=True)
class Options:
    """What to export (the body of `POST /v1/exports`), from where, and where to: `output` None is the standard one."""

    draft: dict[str, Any]
    url: str | None
    credentials: Path
    output: Path | None
    name_from_server: bool = False


class Exporter:
    """One export over HTTP, as the client named `supplier` in the credentials."""

    def __init__(self, options: Options, console: Console) -> None:
        known = _credentials(options.credentials)
        self._options = options
        self._console = console
        self._http = httpx.Client(base_url=options.url or known["base_url"], timeout=60)
        client = known["clients"][_PARTY]
        answer = self._http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client["client_id"], client["client_secret"]),
        )
        self._http.headers["Authorization"] = f"Bearer {_checked(answer)['access_token']}"

    def run(self) -> None:
        """Raises ExportRefused, httpx.HTTPError, OSError."""
        export = _checked(self._http.post("/v1/exports", json=self._options.draft))
        with _bar(self._console, MofNCompleteColumn()) as bar:
            export = self._followed(export, bar)
        if export["state"] != "succeeded":
            reason = (export["error"] or {}).get("detail", f"it was {export['state']}")
            raise ExportRefused(f"The export came to no file: {reason}")
        target = self._target(export)
        self._fetch(export, target)
        counted = ", ".join(f"{count} {what}" for what, count in sorted(export["counters"].items()))
        self._console.print(f"{target or 'standard output'}: {counted}, {export['size']} bytes")

    def _followed(self, export: dict[str, Any], bar: Progress) -> dict[str, Any]:
        task = bar.add_task(export["group"], total=None)
        while True:
            progress = export["progress"]
            bar.update(task, completed=progress["done"], total=progress["total"])
            if export["finished_at"] is not None:
                return export
            time.sleep(_POLL_SECONDS)
            export = _checked(self._http.get(f"/v1/exports/{export['id']}"))

    def _target(self, export: dict[str, Any]) -> Path | None:
        return Path(export["file_name"]) if self._options.name_from_server else self._options.output

    def _fetch(self, export: dict[str, Any], target: Path | None) -> None:
        with (
            _bar(self._console, DownloadColumn()) as bar,
            self._http.stream("GET", f"/v1/exports/{export['id']}/file") as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                _checked(answer)
            task = bar.add_task("file", total=export["size"])
            with _written(target) as file:
                for piece in answer.iter_raw(1 << 20):
                    file.write(piece)
                    bar.advance(task, len(piece))


@contextmanager
def _written(target: Path | None) -> Iterator[BinaryIO]:
    """A file that gets its name at the end, or the standard output."""
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    arriving = target.with_name(f".{target.name}.arriving")
    try:
        with arriving.open("wb") as file:
            yield file
        shutil.move(arriving, target)
    finally:
        arriving.unlink(missing_ok=True)


def _bar(console: Console, counts: Any) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), counts, TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _credentials(path: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ExportRefused(f"No credentials: {error}. Start the system, or name --credentials FILE.") from None
    return known


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """The answer's body. Raises ExportRefused with the problem's detail."""
    if answer.is_success:
        body: dict[str, Any] = answer.json()
        return body
    try:
        detail = answer.json().get("detail") or answer.text
    except ValueError:
        detail = answer.text
    raise ExportRefused(f"{detail[:500]} ({answer.status_code})")


def export(options: Options) -> int:
    """Do it; returns the exit code."""
    console = Console(stderr=True, highlight=False)
    try:
        Exporter(options, console).run()
    except (ExportRefused, OSError) as failure:
        console.print(f"[red]✗[/] {failure}", soft_wrap=True, markup=True)
        return 1
    except httpx.HTTPError as error:
        console.print(f"[red]✗[/] The system does not answer: {error}", soft_wrap=True)
        return 1
    return 0
