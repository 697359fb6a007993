"""Every error leaves as `application/problem+json` (RFC 9457), rendered in this one place."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic.fields import FieldInfo
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.methods import allowed
from shared.errors import (
    CrossdockError,
    DeadlineExceeded,
    InternalError,
    Invalid,
    MissingScope,
    NotFound,
    TooLarge,
    Unavailable,
    ValidationFailed,
)
from shared.validation import entry_of, field_at

log = structlog.get_logger("crossdock.gateway")

PROBLEM_JSON = "application/problem+json"
_CHALLENGE = 'Bearer realm="crossdock"'


class MalformedJson(Invalid):
    title = "The body is not JSON"


class UnknownPath(NotFound):
    title = "There is nothing at this path"


class MethodNotAllowed(Invalid):
    """`allow` names the methods the path takes, for the header of that name (RFC 9110 §15.5.6)."""

    status = 405

    def __init__(self, detail: str = "", *, allow: str = "") -> None:
        super().__init__(detail)
        self.allow = allow


class NotAcceptable(Invalid):
    status = 406
    title = "The answer does not exist in a media type you accept"


class UnsupportedMediaType(Invalid):
    status = 415


class BodyTooLarge(TooLarge):
    """The body is larger than this path takes."""


class BodyTooSlow(Invalid):
    """The body did not arrive within the time that the whole request has (RFC 9110 §15.5.9)."""

    status = 408
    title = "The body did not arrive in time"


class RequestTimedOut(DeadlineExceeded):
    """The whole request took longer than any may."""


def problem_response(error: CrossdockError, request_id: str | None = None) -> Response:
    """`error` as problem+json, with `Retry-After`, `WWW-Authenticate` and `Allow` where they belong."""
    body: dict[str, Any] = error.problem()
    if request_id is not None:
        body["request_id"] = request_id
    return Response(_encoded(body), error.status, _headers(error), media_type=PROBLEM_JSON)


def _headers(error: CrossdockError) -> dict[str, str]:
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    elif error.status == Unavailable.status:
        headers["Retry-After"] = "1"
    if error.status == 401:
        headers["WWW-Authenticate"] = (
            f'{_CHALLENGE}, error="{error.code}"' if error.code == "invalid_token" else _CHALLENGE
        )
    if error.status == 403 and (scope := _needed_scope(error)) is not None:
        headers["WWW-Authenticate"] = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
    if isinstance(error, MethodNotAllowed) and error.allow:
        headers["Allow"] = error.allow
    return headers


def _needed_scope(error: CrossdockError) -> str | None:
    """The scope that would have been enough (RFC 6750 §3.1); of several that would, the first."""
    return next((each["scope"] for each in error.errors if error.code == MissingScope.code and "scope" in each), None)


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body, default=str)
    except TypeError:
        # A lone surrogate that a client sent comes back in a sentence: orjson refuses it, escaped it is harmless.
        return json.dumps(body, default=str).encode()


def install(app: FastAPI) -> None:
    """Route every exception of `app` through `problem_response`."""
    app.add_exception_handler(CrossdockError, _named)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)


class NamedErrors:
    """A route by itself, whose errors are answered as those of the whole application are."""

    def __init__(self, route: Route) -> None:
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self._route
        try:
            await self._route.app(scope, receive, send)
        except CrossdockError as error:
            await problem_response(error, scope["state"].get("request_id"))(scope, receive, send)
        except ClientDisconnect:
            await GONE(scope, receive, send)


# Nobody reads this answer; 499 is what the log calls it.
GONE = Response(status_code=499)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


async def _named(request: Request, error: Exception) -> Response:
    assert isinstance(error, CrossdockError)
    return problem_response(error, _request_id(request))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    named: CrossdockError
    if any(item["type"] == "json_invalid" for item in found):
        named = MalformedJson(f"The body is not JSON: {found[0]['ctx']['error']}.")
    elif tuple(found[0]["loc"]) == ("body",) and not is_json(media_type_of(request)):
        named = UnsupportedMediaType("Send the body as application/json.")
    else:
        errors = [entry_of(item, _field(request, item["loc"])) for item in found]
        named = ValidationFailed(f"{errors[0]['pointer']}: {errors[0]['message']}", errors)
    return problem_response(named, _request_id(request))


def _field(request: Request, place: Sequence[int | str]) -> FieldInfo | None:
    """The parameter, or the field of the body, that FastAPI found something wrong with."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return None
    told = route.dependant
    if place[0] == "body":
        # A body of one shape is that shape; of several, each has its name in it.
        body = route.body_field
        return None if body is None else field_at(body.field_info.annotation, place[1:])
    parameters = {"query": told.query_params, "path": told.path_params, "header": told.header_params}
    known = {each.alias: each.field_info for each in parameters.get(str(place[0]), ())}
    if place[1:2] == () or (info := known.get(str(place[1]))) is None:
        return None
    return field_at(Annotated[info.annotation, info], place[2:])


def media_type_of(request: Request) -> str:
    """The body's media type without its parameters; empty where none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    named: CrossdockError
    match error.status_code:
        case 404:
            named = UnknownPath(f"There is nothing at {request.url.path}.")
        case 405:
            allow = allowed(request.app.routes, request.scope)
            if request.method == "OPTIONS":
                # RFC 9110 §9.3.7. Preflights that are granted have been answered before.
                return Response(status_code=204, headers={"Allow": allow})
            named = MethodNotAllowed(f"{request.url.path} takes {allow}.", allow=allow)
        case 400:
            named = _unreadable(error)
        case _:
            named = Invalid(str(error.detail))
            named.status = error.status_code
    return problem_response(named, _request_id(request))


def _unreadable(error: HTTPException) -> MalformedJson:
    """What FastAPI refuses before it looks at what the JSON says."""
    match error.__cause__:
        case RecursionError():
            return MalformedJson("The body is nested deeper than can be read.")
        case UnicodeDecodeError():
            return MalformedJson("The body is not text in UTF-8; send the JSON as it is, not compressed.")
        case _:
            return MalformedJson("The body cannot be read as JSON in UTF-8.")


async def _defect(request: Request, error: Exception) -> Response:
    request_id = _request_id(request)
    log.error("defect", path=request.url.path, request_id=request_id, exc_info=error)
    return problem_response(
        InternalError(f"Something went wrong on our side; mention the request id {request_id}."), request_id
    )
