"""The one place that reads the time, so that tests can replace it. Nothing a client sends moves it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(UTC)


_read: Callable[[], datetime] = _system_time


def now() -> datetime:
    """The current time, timezone-aware, in UTC."""
    return _read()


@contextmanager
def replaced(read: Callable[[], datetime]) -> Iterator[None]:
    """Let `now()` answer `read()` inside the block. For test processes only: no setting or header reaches this."""
    global _read
    before, _read = _read, read
    try:
        yield
    finally:
        _read = before
