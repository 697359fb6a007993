"""What is written in one turn of the loop leaves in one piece, and never more of it is held than a little."""

import asyncio
from typing import Any

import pytest

from gateway.protocol import Gathering

pytestmark = pytest.mark.feature("GAT-1")


class _Transport:
    """Notes what reaches it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done


@pytest.fixture
def inner() -> _Transport:
    return _Transport()


@pytest.fixture
async def transport(inner: _Transport) -> Gathering:
    return Gathering(inner, asyncio.get_running_loop())


async def test_head_and_body_leave_together_and_the_next_answer_after_them(
    inner: _Transport, transport: Gathering
) -> None:
    transport.write(b"head ")
    transport.write(b"body")
    assert inner.done == []
    await asyncio.sleep(0)
    assert inner.done == [b"head body"]
    transport.write(b"next")
    await asyncio.sleep(0)
    assert inner.done == [b"head body", b"next"]


async def test_who_never_pauses_is_not_gathered_without_end(inner: _Transport, transport: Gathering) -> None:
    """A long answer reaches the transport at once, which says when to stop: else all of it would lie in memory."""
    for _ in range(100):
        transport.write(b"x" * 4096)
    assert sum(map(len, inner.done)) >= 96 * 4096
    await asyncio.sleep(0)
    assert b"".join(inner.done) == b"x" * 409600


async def test_what_was_written_leaves_before_the_connection_is_closed(inner: _Transport, transport: Gathering) -> None:
    transport.write(b"last words")
    assert not transport.is_closing()
    transport.close()
    await asyncio.sleep(0)
    assert inner.done == [b"last words", "closed"]
    assert transport.is_closing()
