"""Tasks that outlive whoever happened to start them."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

A = TypeVar("A")

_CANCEL_AGAIN_SECONDS = 0.5


def begin(work: Coroutine[Any, Any, A]) -> asyncio.Task[A]:
    """Start a task that serves many: what it logs carries the id of no single request."""
    return asyncio.create_task(work, context=contextvars.Context())


async def end(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel tasks until all have ended, however they end. None is no task.

    Once is not enough: a cancellation that meets the end of a wait inside a client's library may be lost there.
    """
    running = {task for task in tasks if task is not None and not task.done()}
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                # Whoever ends it does not ask how it ended; looked at, it is not called forgotten.
                task.exception()
