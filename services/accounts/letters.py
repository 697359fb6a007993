"""What the mails say. Plain text: it reads the same everywhere and hides no link."""

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_LISTED = 50


@dataclass(frozen=True)
class Letter:
    subject: str
    text: str


def password_reset(organization: str, link: str) -> Letter:
    return Letter(
        "Set a new password",
        f"Somebody, hopefully you, asked for a new password for {organization}.\n\n"
        f"Set it within the next hour:\n{link}\n\n"
        "The link works once. If it was not you, do nothing: your password stays as it is.\n",
    )


def welcome(organization: str, name: str, link: str) -> Letter:
    return Letter(
        f"Your access to {_one_line(organization)}",
        f"Hello {name},\n\nyou have been given access to {organization}.\n\n"
        f"Set your password within seven days:\n{link}\n\nThe link works once.\n",
    )


@dataclass(frozen=True)
class ListedAlert:
    severity: str
    title: str
    detail: str
    count: int


def alerts(organization: str, raised: Sequence[ListedAlert], link: str) -> Letter:
    """One mail for all that was raised since the last one."""
    first = _one_line(raised[0].title)
    subject = f"{organization}: {first}" if len(raised) == 1 else f"{organization}: {len(raised)} alerts, {first} …"
    lines = [_lines_of(alert) for alert in raised[:_MOST_LISTED]]
    if len(raised) > _MOST_LISTED:
        lines.append(f"… and {len(raised) - _MOST_LISTED} more.\n")
    return Letter(_one_line(subject)[:200], "\n".join([*lines, f"All alerts: {link}\n"]))


def _lines_of(alert: ListedAlert) -> str:
    times = "" if alert.count == 1 else f" ({alert.count} times)"
    return f"[{alert.severity}] {alert.title}{times}\n{alert.detail}\n"


def _one_line(text: str) -> str:
    """Names come from people, and a line break in a header would begin another header."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
