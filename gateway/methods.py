"""`HEAD` wherever there is `GET`, and the whole `Allow` of a path (RFC 9110 §9.3.2, §15.5.6)."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class HeadAsGet:
    """Lets the application answer HEAD as it would GET, and keeps the body to itself.

    Whoever is outside, as the log and the metrics are, goes on seeing HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            # It is routed and answered by now, and the server looks: to a HEAD it expects no body.
            scope["method"] = "HEAD"
            if message["type"] == "http.response.body":
                message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
            await send(message)

        # The same scope, not a copy: the router writes into it which route it was.
        scope["method"] = "GET"
        try:
            await self.app(scope, receive, send_head)
        finally:
            scope["method"] = "HEAD"


def allowed(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """The methods that some route takes at the path of `scope`, as `Allow` has them."""
    routes = list(routes)
    taken = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join([*(["GET", "HEAD", *taken[1:]] if taken[:1] == ["GET"] else taken), "OPTIONS"])
