"""What goes on in the background is nobody's request."""

import asyncio

import pytest
import structlog

from shared import background

pytestmark = pytest.mark.feature("GAT-5")


async def test_a_task_for_many_carries_no_requests_id() -> None:
    async def seen() -> dict[str, object]:
        return structlog.contextvars.get_contextvars()

    with structlog.contextvars.bound_contextvars(request_id="of-whoever-came-first"):
        assert "request_id" not in await background.begin(seen())
        assert "request_id" in await seen()


async def test_a_task_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    lost = 0

    async def stubborn() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("ends in its own way")

    tasks = [background.begin(stubborn()), background.begin(failing())]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await background.end(*tasks, None)
    assert lost == 2
    assert all(task.done() for task in tasks)
