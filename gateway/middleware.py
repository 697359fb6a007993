"""What surrounds every request, as plain ASGI: cheap, and streaming stays streaming."""

import asyncio
import re
import time
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import GONE, BodyTooLarge, BodyTooSlow, RequestTimedOut, problem_response
from gateway.settings import MEBIBYTE, GatewaySettings
from shared import metrics
from shared.errors import CrossdockError
from shared.identifiers import new_id
from shared.lingering import lingering
from shared.logging import KnownLine

_GIVEN_ID = re.compile(rb"[A-Za-z0-9._\-]{8,64}")
# Asked every few seconds by machines, and about nobody: counted, and logged only when something is wrong.
_UNEVENTFUL = frozenset({"/healthz", "/readyz", "/metrics"})
_CONDITIONAL = frozenset({"GET", "HEAD"})


class RequestRecords:
    """Names each request, takes over a well-formed `X-Request-Id`, and says the name in the answer and every log line.

    One line per request at info, and the request's place in the metrics.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = given_id(scope) or new_id().hex
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        named = (b"x-request-id", request_id.encode())
        began, status = time.perf_counter(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), named]
            await send(message)

        token = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_named)
        finally:
            _record(scope, status, time.perf_counter() - began)
            structlog.contextvars.reset_contextvars(**token)


def given_id(scope: Scope) -> str | None:
    """The name that a request gives itself, if it is well formed."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _GIVEN_ID.fullmatch(value) else None
    return None


def _record(scope: Scope, status: int, seconds: float) -> None:
    if scope["type"] != "http":
        return
    route = route_template(scope)
    # No status: the client went away, or the process is being stopped, before there was an answer.
    metrics.count_request(scope["method"], route, status, seconds)
    if route in _UNEVENTFUL and status < 400:
        return
    caller = getattr(scope["state"].get("asker"), "caller", None)
    organization_id, id_ = (None, None) if caller is None else (caller.organization_id, caller.id)
    line = _line(scope["method"], route, status, organization_id, id_)
    request_id, loop = scope["state"]["request_id"], asyncio.get_running_loop()
    line.write(loop, request_id, seconds * 1000, scope["path"])


@lru_cache(1024)
def _line(method: str, route: str, status: int, organization_id: UUID | None, caller_id: UUID | None) -> KnownLine:
    organization, caller = (str(each) if each else None for each in (organization_id, caller_id))
    return KnownLine("request", method=method, route=route, status=status, organization=organization, caller=caller)


def route_template(scope: Scope) -> str:
    """The path as its route has it: `/v1/products/{product_id}`; one name for everything that no route takes."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if path is None:
        return "(none)"
    return f"{scope.get('root_path', '')}{path}"


class BodyLimits:
    """Refuses bodies beyond the limit of their path: by Content-Length before a byte is read, else as they grow."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self.app = app
        self._usual = settings.body_limit
        self._larger = (
            *((path, settings.upload_limit) for path in UPLOAD_PATHS),
            *((path, settings.bulk_limit) for path in BULK_PATHS),
            *((path, max(settings.body_limit, AGENT_LIMIT)) for path in AGENT_PATHS),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _CONDITIONAL:
            await self.app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        announced = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
        if announced > limit:
            await _refuse_lingering(_too_large(limit), scope, receive, send)
            return
        body = _CountedBody(limit, receive, send)
        try:
            await self.app(scope, body.receive, body.send)
        except BodyTooLarge:
            if not body.is_exceeded or body.is_answered:
                raise
        if body.is_exceeded and not body.is_answered:
            await _refuse_lingering(_too_large(limit), scope, receive, send)

    def _limit_of(self, path: str) -> int:
        return next((limit for start, limit in self._larger if path.startswith(start)), self._usual)


# Paths that take a file.
UPLOAD_PATHS = ("/v1/imports", "/v1/stock-checks/upload")
# Paths that take a page of records.
AGENT_PATHS = ("/v1/agent/work/",)
AGENT_LIMIT = 4 * MEBIBYTE
# Paths that take many rows at once in one body.
BULK_PATHS = ("/v1/stock/bulk", "/v1/prices/bulk", "/v1/products/bulk", "/v1/stock-checks", "/v1/settlement-files")


class _CountedBody:
    """A body on its way. Whoever reads too far gets BodyTooLarge, and whatever is then made of it is not sent.

    Who has answered already and only throws away what still comes is told that this was all.
    """

    def __init__(self, limit: int, receive: Receive, send: Send) -> None:
        self._limit, self._receive, self._send = limit, receive, send
        self._read = 0
        self.is_exceeded = False
        self.is_answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                if self.is_answered:
                    return {"type": "http.request", "body": b"", "more_body": False}
                self.is_exceeded = True
                raise _too_large(self._limit)
        return message

    async def send(self, message: Message) -> None:
        if self.is_exceeded and not self.is_answered:
            return
        self.is_answered = True
        await self._send(message)


def _too_large(limit: int) -> BodyTooLarge:
    size = f"{limit // MEBIBYTE} MiB" if limit >= MEBIBYTE else f"{limit} bytes"
    return BodyTooLarge(f"The body is larger than the {size} this path takes.")


class Timeouts:
    """Ends a request that takes longer than any may: a client that sends a byte a minute holds nothing for ever.

    Uploads may take longer, and exports once they have begun.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self.app = app
        self._usual = settings.request_timeout_seconds
        self._upload = settings.upload_timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_answered = False
        began = asyncio.get_running_loop().time()
        seconds = self._upload if scope["path"].startswith(UPLOAD_PATHS) else self._usual
        within = asyncio.timeout_at(began + seconds)
        body = _AwaitedBody(receive)

        async def send_noted(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            if message["type"] == "http.response.start" and _is_export(message):
                within.reschedule(began + self._upload)
            await send(message)

        try:
            async with within:
                await self.app(scope, body.receive, send_noted)
        except TimeoutError:
            if not within.expired() or is_answered:
                raise
            error: CrossdockError = RequestTimedOut(f"The request took longer than {seconds:g} s.")
            if body.is_awaited:
                error = BodyTooSlow(f"The body did not arrive within {seconds:g} s.")
            await _refuse(error, scope, receive, send)


class _AwaitedBody:
    """A body on its way, and whether somebody waits for the rest of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_ended = False
        self.is_awaited = False

    async def receive(self) -> Message:
        # Whoever is cancelled in it, because time is over, has waited until then.
        self.is_awaited = not self._has_ended
        message = await self._receive()
        self.is_awaited = False
        self._has_ended = self._has_ended or not message.get("more_body", False)
        return message


def _is_export(start: Message) -> bool:
    """Whether an answer is made while it is sent: nobody knows yet how long it is."""
    return not any(name == b"content-length" for name, _ in start.get("headers", ()))


async def _refuse(error: CrossdockError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer before the body was read to its end; the connection cannot be used again."""
    response = problem_response(error, scope["state"].get("request_id"))
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


async def _refuse_lingering(error: CrossdockError, scope: Scope, receive: Receive, send: Send) -> None:
    """As `_refuse`, to a client that goes on sending: it can read the answer before the connection is closed."""
    async with lingering(scope, receive, send) as send_open:
        await _refuse(error, scope, receive, send_open)


async def client_went_away(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ClientDisconnect)
    return GONE
