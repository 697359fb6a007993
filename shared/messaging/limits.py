"""A time within which work has to end, told apart from every other timeout."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.errors import CrossdockError


@contextlib.asynccontextmanager
async def within(seconds: float, error: type[CrossdockError]) -> AsyncIterator[None]:
    """Raises `error` when the block has not ended in time; a timeout of the block's own stays what it is."""
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise error(f"It did not end within {seconds:g} s.") from None
