"""Answers of a storefront's reads, kept as bytes until the shop's index goes on.

An answer is for whoever sees the same: it is kept by request and by the caller's visibility, beside how far the index
of each shop in it was before it was asked for. It is given again only while this process's readers are exactly there,
so it is never older than what they would find now. A date on which something begins or ends to be sold changes the
index, too, and ends all answers of the shop with it: nobody here has to know the day.

Where services answer in processes of their own, this one reads no index and keeps nothing; search itself keeps what it
answered.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any
from uuid import UUID

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.conditional import is_among
from gateway.request import asker
from gateway.shops_read import ShopStates, States
from shared import metrics
from shared.bus.envelope import Caller
from shared.errors import CrossdockError

_PREFIX = "/v1/shops/"
# What is read of a shop, by what follows its code in the path.
_OF_SHOPS = frozenset({"offers", "offer-suggestions", "categories", "offers-by-sku"})
_VARY = b"Authorization, X-Publishable-Key, Origin"
# What an answer takes beside its bytes; and no answer takes more of the room than this part.
_OVERHEAD, _LARGEST_PART = 1000, 16


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


class ReadyAnswers:
    """The answers that this process keeps, those that were asked for last."""

    def __init__(self, state_of: ShopStates, room: int) -> None:
        """`room` is in bytes, for all answers together."""
        self._state_of, self._room = state_of, room
        self._kept: OrderedDict[Hashable, tuple[ReadyResponse, UUID, States, Any]] = OrderedDict()
        self._bytes = 0

    def find(self, scope: Scope, caller: Caller, body: bytes = b"") -> ReadyResponse | None:
        """The answer to this request, if it was given to somebody who sees the same, and is what would be given now."""
        key = _key(scope, caller, body)
        known = self._kept.get(key)
        if known is None:
            return None
        response, organization_id, states, route = known
        if any(self._state_of(organization_id, shop) != state for shop, state in states):
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        # Which one it is, for the log and the metrics.
        scope["route"] = route
        return response

    def keep(self, scope: Scope, response: ReadyResponse, body: bytes = b"") -> ReadyResponse:
        """Keep what has just been answered, where it may be; `body` is the request's."""
        ask, reads = scope["state"].get("asker"), scope["state"].get("shops_read")
        states = None if reads is None else reads.states
        size = _size(response, body)
        if ask is None or states is None or size > self._room // _LARGEST_PART:
            return response
        key = _key(scope, ask.caller, body)
        if key in self._kept:
            self._drop(key)
        self._kept[key] = response, ask.caller.organization_id, states, scope.get("route")
        self._bytes += _size(response, body)
        while self._bytes > self._room:
            self._drop(next(iter(self._kept)))
        return response

    def _drop(self, key: Any) -> None:
        response, *_ = self._kept.pop(key)
        self._bytes -= _size(response, key[-1])


def _size(response: ReadyResponse, body: bytes) -> int:
    return len(response.body) + len(body) + _OVERHEAD


def _key(scope: Scope, caller: Caller, body: bytes) -> Hashable:
    """All that an answer depends on: what is asked, in which form, and what who asks may see."""
    form: tuple[bytes, ...] = ()
    if scope["path"] == "/graphql":
        form = tuple(value for name, value in scope["headers"] if name in (b"accept", b"content-type"))
    visibility = (caller.kind, caller.organization_id, caller.scopes, caller.shop_ids, caller.permissions)
    return scope["method"], scope["path"], scope["query_string"], form, visibility, body


class Ready:
    """Answers what was answered before, ahead of limits, routing and the question itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and _may_be_kept(scope):
            found = await _found(scope)
            if found is not None:
                await found.unless_known(scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _may_be_kept(scope: Scope) -> bool:
    path: str = scope["path"]
    if path.startswith(_PREFIX):
        parts = path.split("/", 5)
        return len(parts) > 4 and parts[4] in _OF_SHOPS
    return path == "/graphql" and bool(scope["query_string"])


async def _found(scope: Scope) -> ReadyResponse | None:
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
