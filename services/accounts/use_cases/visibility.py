"""Which services' happenings a caller may see, and what a cursor of a list holds."""

from datetime import datetime
from uuid import UUID

from shared.bus.envelope import Caller
from shared.messaging.subscriptions import SUBSCRIPTIONS
from shared.pagination import cursor_id, cursor_time, cursor_values

# Every service hears something, so that whoever hears is every service.
SERVICES = tuple(sorted({listener for listeners in SUBSCRIPTIONS.values() for listener in listeners}))


def readable_services(caller: Caller) -> list[str]:
    """The services whose area the caller may read."""
    return [service for service in SERVICES if caller.holds(f"{service}:read")]


def position(cursor: str | None) -> tuple[datetime | None, UUID | None]:
    """The instant and the id that a list goes on after; nothing for the first page. Raises InvalidCursor."""
    values = cursor_values(cursor, 2)
    return (None, None) if values is None else (cursor_time(values[0]), cursor_id(values[1]))
