"""Feeds of a connection are run and followed with a bar, also when the schedule was faster."""

import time
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.speaking import Refused, checked

_OVER = ("succeeded", "partial", "failed", "cancelled")
_ASK_AGAIN_SECONDS = 0.2


class FeedFailed(Exception):
    """A feed did not come to its end; the message says why, in the platform's words where it has any."""


def run(http: httpx.Client, feed: dict[str, Any], label: str, console: Console) -> dict[str, Any]:
    """Run a feed to its end. Where another run reads the same records, that one is waited for first.

    Raises FeedFailed, Refused.
    """
    while True:
        try:
            started: dict[str, Any] = checked(http.post(f"/v1/feeds/{feed['id']}/run", json={}))
        except Refused as refused:
            if refused.code != "feed_is_running":
                raise
            _wait_for_others(http, feed["connection_id"], console)
            continue
        return _ended(_followed(http, started, label, console))


def _wait_for_others(http: httpx.Client, connection_id: str, console: Console) -> None:
    page = checked(http.get("/v1/feed-executions", params={"connection_id": connection_id}))
    for execution in page["items"]:
        if execution["state"] not in _OVER:
            _followed(http, execution, f"{execution['kind'].replace('_', ' ')}, already running", console)


def _followed(http: httpx.Client, execution: dict[str, Any], label: str, console: Console) -> dict[str, Any]:
    columns = (*(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)
        while execution["state"] not in _OVER:
            time.sleep(_ASK_AGAIN_SECONDS)
            execution = checked(http.get(f"/v1/feed-executions/{execution['id']}"))
            said = f"{label}: {execution['log'][-1]}" if execution["log"] else label
            told = execution["progress"]
            progress.update(task, description=said, completed=told["done"], total=told["total"])
    return execution


def _ended(execution: dict[str, Any]) -> dict[str, Any]:
    """Raises FeedFailed."""
    if execution["state"] in ("failed", "cancelled"):
        error = execution["error"] or {}
        detail = error.get("detail") or f"it was {execution['state']}"
        raise FeedFailed(f"{detail} ({error.get('code', execution['state'])})")
    return execution
