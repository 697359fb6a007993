"""Cursors: opaque to clients, and only ever a position, so that a forged one can at worst point elsewhere."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
from pydantic import Field

from shared.contracts.base import Page
from shared.errors import Invalid

A = TypeVar("A")
R = TypeVar("R", bound=Mapping[str, Any])

# How many items a page may have; every collection takes it.
First = Annotated[int, Field(ge=1, le=200)]


class InvalidCursor(Invalid):
    """The cursor is not one that this collection gave out."""


def cursor_for(*values: str | int) -> str:
    """The position after the item with these sort values."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def cursor_values(cursor: str | None, count: int) -> tuple[str | int, ...] | None:
    """The `count` sort values in a cursor, or None for the first page. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        values = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise InvalidCursor("The cursor is not one that this collection gave out.") from None
    if not isinstance(values, list) or len(values) != count or not all(isinstance(v, str | int) for v in values):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return tuple(values)


def cursor_id(value: str | int) -> UUID:
    """A sort value that is an id. Raises InvalidCursor."""
    try:
        return UUID(str(value))
    except ValueError:
        raise InvalidCursor("The cursor is not one that this collection gave out.") from None


def cursor_time(value: str | int) -> datetime:
    """A sort value that is an instant (ISO 8601 with its offset). Raises InvalidCursor."""
    try:
        time = datetime.fromisoformat(str(value))
        # Beyond what UTC can hold is beyond what a database takes.
        time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidCursor("The cursor is not one that this collection gave out.") from None
    if time.tzinfo is None:
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return time


def id_after(cursor: str | None) -> UUID | None:
    """The id that a page by ids goes on behind; None for the first page. Raises InvalidCursor."""
    position = cursor_values(cursor, 1)
    return cursor_id(position[0]) if position else None


def page_by_id(rows: Sequence[R], first: int, shape: Callable[[R], A]) -> Page[A]:
    """A page of `first` of these rows, of which one more was read if there is one; they go by their `id`."""
    following = cursor_for(str(rows[first - 1]["id"])) if len(rows) > first else None
    return Page(items=[shape(row) for row in rows[:first]], next=following)
