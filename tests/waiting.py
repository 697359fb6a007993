"""Waiting for a condition, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], Awaitable[T]], timeout_seconds: float = 60.0) -> T:
    """What `condition` answers once that is true; its last answer is in the failure."""
    answer: T | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            while not (answer := await condition()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"still {answer!r} after {timeout_seconds} s") from None
    return answer
