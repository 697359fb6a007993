"""Errors exactly as RFC 6749 §5.2 wants them, not as problem+json: every OAuth library reads these and nothing else."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

# RFC 6749 §5.1: nothing of a token, and nothing about one, is kept by anybody on the way.
NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """`error` is one of the codes of RFC 6749 §5.2 or RFC 7009 §2.2.1."""

    status = 400
    error: str

    def __init__(self, description: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.retry_after_seconds = retry_after_seconds

    def response(self) -> Response:
        headers = dict(NOT_STORED)
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="crossdock", charset="UTF-8"'
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(self.retry_after_seconds)
        return JSONResponse({"error": self.error, "error_description": self.description}, self.status, headers)


class InvalidRequest(OAuthError):
    error = "invalid_request"


class InvalidClient(OAuthError):
    error = "invalid_client"
    status = 401


class TooManyAttempts(OAuthError):
    """Too many wrong secrets for this client from this address (RFC 6585 §4)."""

    error = "invalid_client"
    status = 429


class UnauthorizedClient(OAuthError):
    error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    error = "unsupported_grant_type"


class InvalidScope(OAuthError):
    error = "invalid_scope"


class UnsupportedTokenType(OAuthError):
    error = "unsupported_token_type"


class OAuthRoute(APIRoute):
    """A route whose OAuth errors leave in OAuth's own words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_its_words(request: Request) -> Response:
            try:
                return await handle(request)
            except OAuthError as error:
                return error.response()

        return handle_in_its_words
