"""Publishable keys on the pages of other sites: what their browsers want to hear before they hand an answer over.

A preflight carries no key (the Fetch standard, §4.8), so it is answered for every page; the request that follows is
refused unless the key's allow-list has the page (gateway/identity.py), and only then may the page read the answer.
Cookies never count here: `Access-Control-Allow-Credentials` is not sent.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

from starlette.datastructures import Headers, State
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.budgets import Budgets
from shared.errors import CrossdockError, Unauthenticated

# Where a publishable key can ask anything.
_OFFERS = re.compile(r"/v1/shops/[^/]+/offers(?:/[^/]+)?|/v1/offers/[^/]+")
_PREFLIGHT_IS_KEPT_SECONDS = b"600"
_EXPOSED = b"ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_PAGE, _SPENT, _UNKNOWN = "page", "spent", "page_of_unknown_key"


class Page(NamedTuple):
    """A publishable key at work, and the page it works on, where the browser says which."""

    key_id: UUID
    origin: str | None


def note_page(state: State, key_id: UUID, origin: str | None) -> None:
    """Let the page at `origin` read the answer of this request: its key allows it."""
    setattr(state, _PAGE, Page(key_id, origin))


async def spend(state: State, budgets: Budgets) -> None:
    """Count a request that came with a publishable key, and say in its answer what is left. Raises OverBudget."""
    page: Page | None = getattr(state, _PAGE, None)
    if page is not None:
        spent = await budgets.spend(page.key_id)
        setattr(state, _SPENT, spent)
        spent.check()


class Browsers:
    """Answers preflights where publishable keys are taken, and adds to answers what was noted.

    What was refused before anybody looked at the key, for its path, its body or its parameters, has the key looked at
    by `identify`, so that the page may read why. A key that is none is every page's to hear of.
    """

    def __init__(self, app: ASGIApp, identify: Callable[[HTTPConnection], Awaitable[object]]) -> None:
        self.app = app
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and (granted := _preflight(scope)) is not None:
            await send({"type": "http.response.start", "status": 204, "headers": granted})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    await self._look_at_key(scope)
                message["headers"] = [*message.get("headers", ()), *_noted(scope["state"])]
            await send(message)

        await self.app(scope, receive, send_noted)

    async def _look_at_key(self, scope: Scope) -> None:
        headers, state = Headers(scope=scope), scope["state"]
        if _PAGE in state or "x-publishable-key" not in headers or "origin" not in headers:
            return
        try:
            await self._identify(HTTPConnection(scope))
        except CrossdockError as error:
            if error.status == Unauthenticated.status:
                state[_UNKNOWN] = headers["origin"]


def _preflight(scope: Scope) -> list[tuple[bytes, bytes]] | None:
    """What to grant a preflight; None for a request that is none, or a path that takes no publishable key."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or "access-control-request-method" not in headers:
        return None
    if _OFFERS.fullmatch(scope["path"]):
        methods = b"GET, HEAD"
    elif scope["path"] == "/graphql":
        methods = b"GET, POST"
    else:
        return None
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", b"X-Publishable-Key, Content-Type, If-None-Match, X-Request-Id"),
        (b"access-control-max-age", _PREFLIGHT_IS_KEPT_SECONDS),
        (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    ]


def _noted(state: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    added: list[tuple[bytes, bytes]] = []
    page, spent = state.get(_PAGE), state.get(_SPENT)
    origin = state.get(_UNKNOWN) if page is None else page.origin
    if origin is not None:
        added += [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]
    if spent is not None:
        added += spent.headers()
    return added
