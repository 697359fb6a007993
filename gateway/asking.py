"""Hot routes whose body is the message: read straight from its JSON, and the answer written straight to its.

FastAPI documents them, and still answers whatever is out of the ordinary: another media type, a query parameter, a body
that does not fit. What it would do for a body that does fit is done here, before its routing and without its machinery,
which cost more than the answer.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Part

from gateway.at_once import WHOLE_REQUEST
from gateway.errors import GONE, problem_response
from gateway.request import asker
from shared.contracts.base import Message
from shared.errors import CrossdockError

_JSON = frozenset({b"application/json", b"application/json; charset=utf-8"})


# What browsers say of pages of other sites, which are told more (`browsers.py`).
_OF_PAGES = frozenset({b"origin", b"x-publishable-key"})


class Asking:
    """Answers the routes of `router`, each an endpoint that takes `message`, `ask` and `response` at a fixed path.

    With `most_bytes` it answers what arrived whole, in no more than these, and not from another site's page: nothing
    that stands between here and the application is meant for that. It has no body to wait for, and its time is its
    message's.
    """

    def __init__(self, app: ASGIApp, router: APIRouter, most_bytes: int | None = None) -> None:
        self.app, self._most_bytes = app, most_bytes
        self._routes = {
            (method, route.path): _HotRoute(route)
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None or scope["query_string"] or not _is_json(scope) or not self._is_taken(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(receive)
        # Which one it is, for the log and the metrics.
        scope["route"] = route.route
        try:
            message = route.read(await body.read())
        except ClientDisconnect:
            await GONE(scope, receive, send)
            return
        if message is None:
            await self.app(scope, body.receive_again, send)
        else:
            await route.answer(message, scope, receive, send)

    def _is_taken(self, scope: Scope) -> bool:
        if self._most_bytes is None:
            return True
        whole = scope["state"].get(WHOLE_REQUEST)
        is_small = whole is not None and len(whole) <= self._most_bytes
        return is_small and all(name not in _OF_PAGES for name, _ in scope["headers"])


class _Body:
    """A body as it came in, which can be handed on as if nobody had read it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._parts: list[Part] = []
        self._next = 0

    async def read(self) -> bytes:
        """All of it. Raises ClientDisconnect when the client went away before its end."""
        more = True
        while more:
            part = await self._receive()
            if part["type"] == "http.disconnect":
                raise ClientDisconnect
            self._parts.append(part)
            more = part.get("more_body", False)
        return b"".join(part.get("body", b"") for part in self._parts)

    async def receive_again(self) -> Part:
        if self._next == len(self._parts):
            return await self._receive()
        self._next += 1
        return self._parts[self._next - 1]


class _Named(Response):
    """Headers that an endpoint names; the answer itself is written elsewhere."""

    def __init__(self) -> None:
        self.raw_headers = []


class _HotRoute:
    """One route, and all that is known of it before it is asked."""

    def __init__(self, route: APIRoute) -> None:
        self.route = route
        self._message = _message_of(route.endpoint)
        self._answer: TypeAdapter[Any] = TypeAdapter(route.response_model)
        self._status = route.status_code or 200

    def read(self, body: bytes) -> Message[Any] | None:
        """The body as the message; None where FastAPI has to say what it makes of it."""
        try:
            return self._message.model_validate_json(body)
        except ValidationError:
            return None

    async def answer(self, message: Message[Any], scope: Scope, receive: Receive, send: Send) -> None:
        named = _Named()
        try:
            ask = await asker(HTTPConnection(scope))
            result = await self.route.endpoint(message=message, ask=ask, response=named)
        except CrossdockError as error:
            await problem_response(error, scope["state"].get("request_id"))(scope, receive, send)
            return
        body = self._answer.dump_json(result, by_alias=True)
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"), *named.raw_headers]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _message_of(endpoint: Callable[..., Any]) -> type[Message[Any]]:
    parameters = dict(endpoint.__annotations__)
    parameters.pop("return", None)
    message: type[Message[Any]] = parameters["message"]
    if parameters.keys() != {"message", "ask", "response"}:
        raise TypeError(f"{endpoint.__name__} takes more than message, ask and response")
    return message


def _is_json(scope: Scope) -> bool:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(types) == 1 and types[0] in _JSON


__all__ = ["Asking"]
