"""`/`, `/docs`, and what `/graphql` shows to a browser: from this installation; no other host is asked for anything."""

import hashlib
import html
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import orjson
import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.settings import settings

_FOLDER = Path(__file__).parent
# Swagger UI sets styles in elements and draws its icons from data: addresses. Scripts come from files alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Kept, and asked for again each time: a new version is seen at once.
    "Cache-Control": "no-cache",
}
_HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
# The package brings Swagger UI's own files (Apache-2.0) unchanged; nothing else of it is used.
_SWAGGER_UI = files("fastapi_offline") / "static"


def _file(path: str, media_type: str, read: Callable[[], bytes]) -> Route:
    """A file at `path`, read once, with a tag of its content."""

    @cache
    def content() -> tuple[bytes, str]:
        found = read()
        return found, f'"{hashlib.blake2b(found, digest_size=12).hexdigest()}"'

    async def send_file(request: Request) -> Response:
        body, tag = content()
        headers = {**_HEADERS, "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=media_type)

    return Route(path, send_file, methods=["GET"], include_in_schema=path == "/docs")


def _is_for_a_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


async def _home(request: Request) -> Response:
    headers = _HEADERS | {"Vary": "Accept"}
    if _is_for_a_browser(request):
        return Response((_FOLDER / "home.html").read_bytes(), headers=headers, media_type=_HTML)
    return Response(orjson.dumps(HOME), headers=headers, media_type="application/json")


# What `/` says to a program: the links of the page.
HOME = {
    "name": "Crossdock",
    "description": "A commerce backend: products and prices, stock, orders and payments of merchants and their shops.",
    "links": {"docs": "/docs", "openapi": "/openapi.json", "graphql": "/graphql", "health": "/healthz"},
}

ROUTES: Sequence[Route] = (
    Route("/", _home, methods=["GET"]),
    _file("/docs", _HTML, (_FOLDER / "docs.html").read_bytes),
    _file("/docs/start.js", _SCRIPT, (_FOLDER / "start.js").read_bytes),
    _file("/docs/swagger-ui-bundle.js", _SCRIPT, (_SWAGGER_UI / "swagger-ui-bundle.js").read_bytes),
    _file("/docs/swagger-ui.css", "text/css; charset=utf-8", (_SWAGGER_UI / "swagger-ui.css").read_bytes),
)


class GraphqlPage:
    """`/graphql` as a browser opens it gets a page; whatever asks something goes on to `endpoint`."""

    def __init__(self, endpoint: ASGIApp) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if request.method == "GET" and not scope["query_string"] and _is_for_a_browser(request):
            await _graphql_page()(scope, receive, send)
        else:
            await self._endpoint(scope, receive, send)


def _graphql_page() -> Response:
    text = (_FOLDER / "graphql.html").read_text("utf-8").replace("ORIGIN", html.escape(settings().base_url))
    return Response(text, headers=_HEADERS | {"Vary": "Accept"}, media_type=_HTML)


def schema_route(schema: strawberry.Schema) -> Route:
    """`/graphql/schema.graphql`: the schema as a file."""

    @cache
    def text() -> str:
        return schema.as_str()

    async def download_schema(_request: Request) -> Response:
        headers = {"Content-Disposition": 'attachment; filename="crossdock.graphql"'}
        return Response(text(), headers=_HEADERS | headers, media_type="text/plain; charset=utf-8")

    return Route("/graphql/schema.graphql", download_schema, methods=["GET"])
