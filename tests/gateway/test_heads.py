"""Heads of requests that never end, are too large, or never come, on a real port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway import protocol
from gateway.protocol import ProblemProtocol
from gateway.settings import GatewaySettings
from tests.ports import served
from tests.waiting import until

pytestmark = pytest.mark.feature("GAT-1")
_FINE = b"GET /x HTTP/1.1\r\nHost: here\r\n"


ANSWERED: list[str] = []
MAY_ANSWER = asyncio.Event()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    ANSWERED.append(scope["path"])
    if scope["path"] == "/slow":
        await MAY_ANSWER.wait()
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = GatewaySettings.model_construct(head_limit=65536, head_timeout_seconds=0.3)
    monkeypatch.setattr(protocol, "gateway_settings", lambda: settings)


@pytest.fixture
def protocols(monkeypatch: pytest.MonkeyPatch) -> list[ProblemProtocol]:
    """Those of the connections made, in their order."""
    made: list[ProblemProtocol] = []
    begin = ProblemProtocol.connection_made

    def noted(self: ProblemProtocol, transport: asyncio.BaseTransport) -> None:
        made.append(self)
        begin(self, transport)

    monkeypatch.setattr(ProblemProtocol, "connection_made", noted)
    return made


async def is_answering() -> bool:
    return bool(ANSWERED)


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with served(application) as port, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()


@pytest.mark.parametrize("part", [1000, 65536, 1 << 20], ids=["small parts", "parts at the limit", "large parts"])
async def test_a_head_that_never_ends_is_refused_before_it_is_large(part: int) -> None:
    async with connection() as (reader, writer):
        writer.write(_FINE + b"X: ")
        reading, sent = asyncio.create_task(reader.read()), 0
        while not reading.done() and sent < 64 << 20:
            writer.write(b"a" * part)
            sent += part
            try:
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(0)
        try:
            answer = await reading
        except ConnectionResetError:  # it did not wait for all of what we had to say
            answer = b""
        assert answer == b"" or b"HTTP/1.1 431 " in answer
        assert sent < 64 << 20


async def test_a_large_head_in_one_piece_is_refused_in_words() -> None:
    async with connection() as (reader, writer):
        writer.write(_FINE + b"X: " + b"a" * 70_000 + b"\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b'"code":"head_too_large"' in answer
        assert b"larger than 65536 bytes" in answer


async def test_a_head_within_the_limit_is_read_and_the_next_one_too() -> None:
    async with connection() as (reader, writer):
        for body in (b"", b"b" * 200_000):
            head = _FINE + b"X: " + b"a" * 60_000 + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(2) == b"ok"


async def test_half_a_head_is_told_that_it_is_late(patience: None) -> None:
    async with connection() as (reader, writer):
        writer.write(_FINE)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"code":"head_too_slow"' in answer


async def test_half_a_second_head_is_told_so_too(patience: None) -> None:
    async with connection() as (reader, writer):
        writer.write(_FINE + b"\r\n")
        await reader.readuntil(b"ok")
        writer.write(_FINE)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_who_says_nothing_is_let_go(patience: None) -> None:
    async with connection() as (reader, _):
        assert await reader.read() == b""


async def test_a_body_may_take_its_time(protocols: list[ProblemProtocol]) -> None:
    """The bound of time is the head's alone; the whole request has its own."""
    async with connection() as (reader, writer):
        ANSWERED.clear()
        writer.write(_FINE + b"Content-Length: 2\r\n\r\na")
        await until(is_answering)
        assert protocols[-1]._deadline is None
        writer.write(b"b")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_what_follows_a_refused_head_is_not_done() -> None:
    async with connection() as (reader, writer):
        ANSWERED.clear()
        writer.write(_FINE + b"X: " + b"a" * 70_000 + b"\r\n\r\nPOST /next HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = await reader.read()
        assert answer.count(b"HTTP/1.1 ") == 1
        assert ANSWERED == []


async def test_a_large_head_that_would_be_a_websocket_is_refused_as_well() -> None:
    async with connection() as (reader, writer):
        writer.write(_FINE + b"Connection: Upgrade\r\nUpgrade: websocket\r\nX: " + b"a" * 70_000 + b"\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")


async def test_bytes_that_follow_a_request_do_not_break_its_answer(
    patience: None, protocols: list[ProblemProtocol]
) -> None:
    """Half a head waits while the request before it is answered, and has its time after that."""
    MAY_ANSWER.clear()
    ANSWERED.clear()
    async with connection() as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
        await until(is_answering)
        writer.write(_FINE)

        async def has_come() -> bool:
            return protocols[-1]._head_bytes == len(_FINE)

        await until(has_come)
        assert protocols[-1]._deadline is None
        MAY_ANSWER.set()
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"Y: ")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_grows_too_large_behind_a_request_lets_that_be_answered() -> None:
    MAY_ANSWER.clear()
    async with connection() as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
        writer.write(_FINE + b"X: ")
        for _ in range(100):
            writer.write(b"a" * 1000)
            await writer.drain()
        MAY_ANSWER.set()
        answer = await reader.read()
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        # Refused while the answer was made it is just the end, and after it a refusal of its own.
        assert rest == b"ok" or rest.startswith(b"okHTTP/1.1 431 ")
