"""An application on a real port, and a client that writes all it has before it reads: what in-process clients hide."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import uvicorn

from gateway.protocol import ProblemProtocol
from tests.waiting import until


@asynccontextmanager
async def served(application: Any, state: Mapping[str, Any] = MappingProxyType({}), **more: Any) -> AsyncIterator[int]:
    """Serve `application` as web processes do, without its lifespan, whose `state` is given. Yields the port."""
    server = uvicorn.Server(
        uvicorn.Config(application, port=0, lifespan="off", http=ProblemProtocol, log_level="warning", **more)
    )
    serving = asyncio.create_task(server.serve())

    async def has_started() -> bool:
        return server.started

    try:
        await until(has_started)
        server.lifespan.state.update(state)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def post_all_then_read(port: int, path: str, size: int, *, chunked: bool) -> bytes:
    """Post `size` bytes, and only then read until the connection is closed. Raises ConnectionError when it is reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{how}\r\n\r\n".encode())
        for _ in range(0, size, 65536):
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n" if chunked else b" " * 65536)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if chunked else b"")
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
