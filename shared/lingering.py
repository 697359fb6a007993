"""Answers to a sender whose body is refused halfway.

A connection that is closed while its peer still sends is reset, and the reset takes the answer along before the peer
reads it (RFC 9112 §9.6). So the answer goes out first, and what still comes is read and thrown away for a moment.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_DISCARDED = 4 << 20
MOST_SECONDS = 2.0


@asynccontextmanager
async def lingering(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> AsyncIterator[Send]:
    """A `send` for the whole answer; after it up to 4 MiB or 2 s of the rest of the body is read, then it is closed."""

    async def send_open(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    yield send_open
    # Who asked whether to send at all has been told; reading on would say yes.
    if not any(name == b"expect" for name, _ in scope["headers"]):
        await _discard(receive)
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    size = 0
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while size < MOST_DISCARDED:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                size += len(message.get("body", b""))
    except TimeoutError:
        return
