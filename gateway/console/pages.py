"""The console's pages: static files from this package, under headers that let nothing else in."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; form-action 'none';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PASSWORD_RESET_PAGE = (_FOLDER / "password_reset.html").read_bytes()
_PASSWORD_RESET_SCRIPT = (_FOLDER / "password_reset.js").read_bytes()


async def password_reset_page(_request: Request) -> Response:
    """What the one-time link in a mail opens; it sends the token behind the # to POST /v1/password-resets/redeem."""
    return Response(_PASSWORD_RESET_PAGE, headers=_HEADERS, media_type="text/html; charset=utf-8")


async def password_reset_script(_request: Request) -> Response:
    return Response(_PASSWORD_RESET_SCRIPT, headers=_HEADERS, media_type="text/javascript; charset=utf-8")


ROUTES = (
    Route("/console/password-resets", password_reset_page, methods=["GET"]),
    Route("/console/password-resets.js", password_reset_script, methods=["GET"], include_in_schema=False),
)
