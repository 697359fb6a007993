"""Answers of a storefront's reads, kept as bytes until the shop's index goes on.

An answer is for whoever sees the same: it is kept by request and by the caller's visibility, beside how far the index
of each shop in it was. It is given again only while this process's readers are exactly there, or, where search is a
process of its own, while nothing further was heard of it (`standings.py`): so it is never older than what this process
knows. A date on which something begins or ends to be sold changes the index, too, and ends all answers of the shop
with it: nobody here has to know the day.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any
from uuid import UUID

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.conditional import is_among
from gateway.errors import problem_response
from gateway.request import asker
from gateway.shops_read import StandingOf, States
from shared import metrics
from shared.bus.envelope import Caller
from shared.errors import CrossdockError

_PREFIX = "/v1/shops/"
_VARY = b"Authorization, X-Publishable-Key, Origin"
# What an answer takes beside its bytes; and no answer takes more of the room than this part.
_OVERHEAD, _LARGEST_PART = 1000, 16
# So many clients, or ways to ask, are known for one answer, and no more in so many seconds: where each request is
# another, as with an id of its own, to remember them is only a loss.
_MOST_REQUESTS, _FORGET_EVERY_SECONDS = 64, 60.0


class ReadyResponse(Response):
    """Bytes that are sent as they are, any number of times, at the route that was asked."""

    def __init__(self, body: bytes, media_type: str, *, varies_by: bytes = b"", is_tagged: bool = True) -> None:
        self.status_code, self.body, self.background = 200, body, None
        self.tag = b'"%b"' % hashlib.sha256(body).hexdigest()[:24].encode() if is_tagged else None
        self._conditions: list[tuple[bytes, bytes]] = []
        if self.tag is not None:
            vary = b", ".join(filter(None, (varies_by, _VARY)))
            self._conditions = [(b"cache-control", b"private, no-cache"), (b"vary", vary), (b"etag", self.tag)]
        about = [(b"content-length", b"%d" % len(body)), (b"content-type", media_type.encode())]
        self.raw_headers = [*about, *self._conditions]

    def unless_known(self, scope: Scope) -> Response:
        """This, or that the client has it already (RFC 9110 §15.4.5)."""
        if self.tag is None or not is_among(self.tag, scope["headers"]):
            return self
        known = Response(status_code=304)
        known.raw_headers = self._conditions
        return known


class Kept:
    """One answer that is kept: to whom and for what, what it stands on, and requests it is given to byte for byte."""

    __slots__ = ("full_until", "key", "organization_id", "requests", "response", "route", "size", "states")

    def __init__(self, key: Hashable, response: ReadyResponse, organization_id: UUID, states: States) -> None:
        self.key, self.response, self.organization_id, self.states = key, response, organization_id, states
        self.route: Any = None
        self.requests: list[bytes] = []
        self.size, self.full_until = 0, 0.0


class ReadyAnswers:
    """The answers that this process keeps, those that were asked for last."""

    def __init__(self, standing_of: StandingOf, room: int) -> None:
        """`room` is in bytes, for all answers together."""
        self._standing_of, self._room = standing_of, room
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._bytes = 0
        # By all their bytes, the requests that are known to ask for what is kept (`at_once.py`).
        self.repeated: dict[bytes, Any] = {}

    def find(self, scope: Scope, caller: Caller, body: bytes = b"") -> Kept | None:
        """The answer to this request, if it was given to somebody who sees the same, and is what would be given now."""
        kept = self._kept.get(_key(scope, caller, body))
        if kept is None or not self.is_current(kept):
            return None
        # Which one it is, for the log and the metrics.
        scope["route"] = kept.route
        return kept

    def is_current(self, kept: Kept) -> bool:
        """Whether this, which is kept still, is what would be given now; otherwise it is let go. Counts as asking."""
        organization_id = kept.organization_id
        if any(self._standing_of(organization_id, shop) != standing for shop, standing in kept.states):
            self._drop(kept)
            return False
        self._kept.move_to_end(kept.key)
        return True

    def keep(self, scope: Scope, response: ReadyResponse, body: bytes = b"") -> ReadyResponse:
        """Keep what has just been answered, where it may be; `body` is the request's."""
        ask, reads = scope["state"].get("asker"), scope["state"].get("shops_read")
        states = None if reads is None else reads.states
        size = len(response.body) + len(body) + _OVERHEAD
        if ask is None or states is None or size > self._room // _LARGEST_PART:
            return response
        key = _key(scope, ask.caller, body)
        if key in self._kept:
            self._drop(self._kept[key])
        kept = self._kept[key] = Kept(key, response, ask.caller.organization_id, states)
        kept.route = scope.get("route")
        self._grow(kept, size)
        return response

    def takes_more(self, kept: Kept) -> bool:
        """Whether another request may be known for this."""
        now = time.monotonic()
        if len(kept.requests) < _MOST_REQUESTS or now < kept.full_until:
            return len(kept.requests) < _MOST_REQUESTS
        while kept.requests:
            self._forget(kept, kept.requests.pop())
        kept.full_until = now + _FORGET_EVERY_SECONDS
        return True

    def repeat(self, kept: Kept, request: bytes, meaning: Any) -> None:
        """From now on all bytes of a request mean what is kept, for as long as it is."""
        if self._kept.get(kept.key) is not kept:
            return
        if request not in self.repeated:
            kept.requests.append(request)
            self._grow(kept, len(request) + _OVERHEAD)
        self.repeated[request] = meaning

    def _grow(self, kept: Kept, size: int) -> None:
        kept.size += size
        self._bytes += size
        while self._bytes > self._room:
            self._drop(next(iter(self._kept.values())))

    def _forget(self, kept: Kept, request: bytes) -> None:
        self.repeated.pop(request, None)
        kept.size -= len(request) + _OVERHEAD
        self._bytes -= len(request) + _OVERHEAD

    def _drop(self, kept: Kept) -> None:
        del self._kept[kept.key]
        self._bytes -= kept.size
        for request in kept.requests:
            self.repeated.pop(request, None)


def _key(scope: Scope, caller: Caller, body: bytes) -> Hashable:
    """All that an answer depends on: what is asked, in which form, and what who asks may see."""
    form: tuple[bytes, ...] = ()
    if scope["path"] == "/graphql":
        form = tuple(value for name, value in scope["headers"] if name in (b"accept", b"content-type"))
    visibility = (caller.kind, caller.organization_id, caller.scopes, caller.shop_ids, caller.permissions)
    return scope["method"], scope["path"], scope["query_string"], form, visibility, body


class Ready:
    """Answers storefronts' reads ahead of limits and routing: what was answered before, ahead of the question itself.

    `routes` are those of what is read of a shop. They take no body, and bound their time and name their errors
    themselves: nothing that stands between here and them is meant for them. `graphql` takes what is posted there.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route], graphql: ASGIApp) -> None:
        self.app, self._graphql = app, graphql
        self._routes = {_place_of(route.path): route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            # Of a server's own beginning and end there is neither path nor method.
            is_graphql = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/graphql"
            await (self._graphql if is_graphql else self.app)(scope, receive, send)
            return
        route = self._routes.get(_place_of(scope["path"])) if scope["path"].startswith(_PREFIX) else None
        if route is None and not (scope["path"] == "/graphql" and scope["query_string"]):
            await self.app(scope, receive, send)
            return
        kept = await _found(scope)
        if kept is not None:
            response = kept.response.unless_known(scope)
            scope["app"].state.at_once.note(scope, kept, response)
        elif route is not None and (matched := route.matches(scope))[0] is Match.FULL:
            scope.update(matched[1])
            response = await _asked(route, scope, receive)
        else:
            await self.app(scope, receive, send)
            return
        await response(scope, receive, send)


def _place_of(path: str) -> tuple[str, int]:
    """Where below its shop a path is, and how deep."""
    parts = path.split("/", 6)
    return parts[4] if len(parts) > 4 else "", len(parts)


async def _asked(route: Route, scope: Scope, receive: Receive) -> Response:
    try:
        answer: Response = await route.endpoint(Request(scope, receive))
    except CrossdockError as error:
        return problem_response(error, scope["state"].get("request_id"))
    return answer.unless_known(scope) if isinstance(answer, ReadyResponse) else answer


async def _found(scope: Scope) -> Kept | None:
    connection = HTTPConnection(scope)
    try:
        ask = await asker(connection)
    except CrossdockError:
        # Whoever answers meets it again, and refuses it.
        return None
    answers: ReadyAnswers = connection.app.state.ready
    found = answers.find(scope, ask.caller)
    metrics.count_ready(is_found=found is not None)
    return found
