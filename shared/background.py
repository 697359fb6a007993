"""Tasks that outlive whoever happened to start them."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

A = TypeVar("A")


def begin(work: Coroutine[Any, Any, A]) -> asyncio.Task[A]:
    """Start a task that serves many: what it logs carries the id of no single request."""
    return asyncio.create_task(work, context=contextvars.Context())
