"""Answers that the client has already are not sent again (RFC 9110 §13.1.2)."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CONDITIONAL = frozenset({"GET", "HEAD"})


class Conditional:
    """`ETag` from the answer's `version`, and 304 for whom already has it (RFC 9110 §13.1.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_conditional(scope["path"]):
            await self.app(scope, receive, send)
            return
        is_known = False

        async def send_tagged(message: Message) -> None:
            nonlocal is_known
            if message["type"] == "http.response.start" and message["status"] in (200, 201):
                tag = _tag_of(scope, message)
                if tag is not None and scope["method"] in _CONDITIONAL and is_among(tag, scope["headers"]):
                    is_known = True
                    message = {**message, "status": 304, "headers": list(_without_body(message["headers"]))}
            elif is_known:
                message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
            await send(message)

        await self.app(scope, receive, send_tagged)


def _tag_of(scope: Scope, message: Message) -> bytes | None:
    for name, value in message["headers"]:
        if name == b"etag":
            return value
    version = scope["state"].get("version")
    # A change that is not made under `If-Match` gives out no tag for one.
    if version is None or (scope["method"] not in _CONDITIONAL and message["status"] != 201):
        return None
    tag = b'"%d"' % version
    message["headers"] = [*message["headers"], (b"etag", tag)]
    return tag


def _is_conditional(path: str) -> bool:
    return path.startswith("/v1/") or path == "/graphql"


def is_among(tag: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the client said with `If-None-Match` that it has what this tag stands for."""
    given = b",".join(value for name, value in headers if name == b"if-none-match")
    # Weak comparison (RFC 9110 §8.8.3.2): W/ makes no difference.
    return given.strip() == b"*" or tag.removeprefix(b"W/") in {
        each.strip().removeprefix(b"W/") for each in given.split(b",")
    }


def _without_body(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    return (header for header in headers if header[0] not in (b"content-length", b"content-type"))
