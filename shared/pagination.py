"""Cursors: opaque to clients, and only ever a position, so that a forged one can at worst point elsewhere."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import orjson
from pydantic import Field

from shared.errors import Invalid

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
