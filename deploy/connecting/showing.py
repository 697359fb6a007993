"""What the guided command shows: who answered, what products would become, what holds and what is next."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

SHOWN = 10
_OUTCOMES = {
    "create": "would be created here",
    "link": "would be linked to one of yours",
    "ambiguous": "could be several of yours: a person decides",
    "linked": "are linked already",
}


def greeting(console: Console, connection: Mapping[str, Any]) -> None:
    """Who answered, and what the credentials may not do."""
    told = connection["greeting"] or {}
    good(console, f"{connection['name']} answers: {told.get('shop_name', '?')}")
    for label, value in (
        ("currency", told.get("currency")),
        ("time zone", told.get("time_zone")),
        ("version", told.get("version")),
        ("places", ", ".join(f"{place['name']} ({place['external_id']})" for place in told.get("places", ()))),
        ("order statuses", ", ".join(told.get("order_statuses", ()))),
    ):
        if value:
            line(console, f"  {label}: {value}")
    for right in told.get("missing", ()):
        bad(console, f"  the credentials lack {right}")
    for kind, reason in connection["lacks"].items():
        line(console, f"  no {kind.replace('_', ' ')}: {reason}")


def agent(console: Console, url: str, token: str) -> None:
    """How the agent of a new connection is started, with its token, which nobody shows again."""
    line(console, "This system comes to us. Start its agent beside it, with the token in a file:")
    line(console, f"  token: {token}")
    line(console, f"  crossdock agent --url {url.rstrip('/')} --token @FILE --source folder:/path")
    line(console, "Waiting for the agent …")


def execution(console: Console, label: str, done: Mapping[str, Any]) -> None:
    """What came of a run."""
    counted = ", ".join(f"{count:,} {name}" for name, count in done["counters"].items() if count)
    said = f"{label}: {counted or 'nothing there'}"
    (good if done["state"] == "succeeded" else warned)(console, said)


def matches(console: Console, preview: Mapping[str, Any]) -> None:
    """How many products would become what, and some of them."""
    for outcome, count in preview["counts"].items():
        if count:
            line(console, f"  {count:,} {_OUTCOMES.get(outcome, outcome)}")
    items = preview["items"]
    if not items:
        return
    table = Table("there", "title", "SKUs", "becomes", "by", box=None, pad_edge=False)
    for item in items:
        skus = ", ".join(item["skus"][:3]) + (" …" if len(item["skus"]) > 3 else "")
        becomes = " ".join([item["outcome"], *item["product_ids"][:2]])
        table.add_row(*map(escape, (f"  {item['external_id']}", item["title"] or "", skus, becomes, item["by"] or "")))
    console.print(table)
    if preview["next"]:
        line(console, "  …")


def statuses(console: Console, proposed: Mapping[str, str]) -> None:
    """What would be done with orders of each status."""
    line(console, "What would be done with orders:")
    for status, action in proposed.items():
        line(console, f"  {status}: {action.replace('_', ' ')}")


def checklist(console: Console, found: Mapping[str, Any]) -> None:
    """What holds of what has to hold before going live."""
    line(console, "Before going live:")
    for item in found["items"]:
        (good if item["is_met"] else bad)(console, f"  {item['code']}: {item['detail']}")


def issues(console: Console, patterns: Iterable[Mapping[str, Any]]) -> None:
    """What went wrong, by what it has in common, and what mends it."""
    for pattern in patterns:
        show = bad if pattern["issue_class"] == "error" else warned
        show(console, f"  {pattern['count']} × {pattern['code']} ({pattern['feed']}), as of {pattern['example']}")
        line(console, f"    {pattern['fix']}")


def good(console: Console, text: str) -> None:
    console.print(f"[green]✓[/] {escape(text)}", soft_wrap=True, highlight=False)


def warned(console: Console, text: str) -> None:
    console.print(f"[yellow]![/] {escape(text)}", soft_wrap=True, highlight=False)


def bad(console: Console, text: str) -> None:
    console.print(f"[red]✗[/] {escape(text)}", soft_wrap=True, highlight=False)


def line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)
