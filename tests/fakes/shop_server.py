"""The server of a fake shop: real HTTP on the loopback address, which behaves as badly as its `Faults` say."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.fakes.platforms import Faults

# Longer than anybody rests by himself at first.
RETRY_AFTER_SECONDS = 3
_SORRY = "<!DOCTYPE html><html><head><title>Checking your browser</title></head><body>One moment, please.</body></html>"
Answering = Callable[[], Response]


@dataclass
class Manners:
    """How a platform says what it refuses, where it differs from the usual."""

    throttled: Answering = lambda: Response("Slow down", 429, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    away: Answering = lambda: Response("Back soon", 503)
    expired: Answering = lambda: Response("Who are you?", 401)
    html: Answering = lambda: HTMLResponse(_SORRY)


class ShopServer:
    """Serves an application, and spoils its answers. `Faults` are looked at in the order of `_spoiled`."""

    def __init__(self, faults: Callable[[], Faults], manners: Manners | None = None) -> None:
        self._faults = faults
        self._manners = manners or Manners()
        self._server: uvicorn.Server | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self, application: Starlette, port: int = 0) -> str:
        """Listen, by default on a free port. Returns the base address."""
        config = uvicorn.Config(self._spoiling(application), port=port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._running = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """At once: uvicorn by itself takes its time, and every test has a shop of its own."""
        if self._server is None or self._running is None:
            return
        for listening in self._server.servers:
            listening.close()
        for connection in list(self._server.server_state.connections):
            connection.shutdown()
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    def _spoiling(self, application: Starlette) -> ASGIApp:
        async def spoil(scope: Scope, receive: Receive, send: Send) -> None:
            answering = self._instead()
            if answering is not None:
                await answering()(scope, receive, send)
                return
            share = self._share()
            if share is None:
                await application(scope, receive, send)
                return
            # The answer is as long as its header says, and the application ends before: the server cuts the connection.
            told: list[Message] = []
            await application(scope, receive, _into(told))
            body = b"".join(message.get("body", b"") for message in told[1:])
            await send(told[0])
            if part := body[: int(len(body) * share)]:
                await send({"type": "http.response.body", "body": part, "more_body": True})

        return spoil

    def _instead(self) -> Answering | None:
        """What is answered without asking the application."""
        faults = self._faults()
        if faults.expired:
            return self._manners.expired
        for name in ("throttle", "away", "html"):
            if left := getattr(faults, name):
                setattr(faults, name, left - 1)
                answering: Answering = getattr(self._manners, "throttled" if name == "throttle" else name)
                return answering
        return None

    def _share(self) -> float | None:
        """How much of the application's answer is given; None: all of it."""
        faults = self._faults()
        for name, share in (("half", 0.5), ("lost", 0.0)):
            if left := getattr(faults, name):
                setattr(faults, name, left - 1)
                return share
        return None


def _into(told: list[Message]) -> Send:
    async def send(message: Message) -> None:
        told.append(message)

    return send


def plain(value: Any) -> Any:
    """A copy of JSON that shares nothing with it."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value
