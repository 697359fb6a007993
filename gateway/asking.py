"""Hot routes whose body is the message: read straight from its JSON, and the answer written straight to its.

FastAPI documents them, and still answers whatever is out of the ordinary: another media type, a query parameter, a body
that does not fit. What it would do for a body that does fit is done here without its machinery.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.request import asker
from shared.contracts.base import Message

Handler = Callable[[Request], Awaitable[Response]]
_JSON = frozenset({"application/json", "application/json; charset=utf-8"})


class AskingRoute(APIRoute):
    """A route of an endpoint that takes `message`, `ask` and `response`, and returns the answer."""

    def get_route_handler(self) -> Any:
        usual: Handler = super().get_route_handler()
        message = _message_of(self.endpoint)
        answer: TypeAdapter[Any] = TypeAdapter(self.response_model)
        status = self.status_code or 200
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            asked = await _read(request, message)
            if asked is None:
                return await usual(request)
            named = Response()
            result = await endpoint(message=asked, ask=await asker(request), response=named)
            response = Response(answer.dump_json(result, by_alias=True), status, media_type="application/json")
            response.raw_headers += [header for header in named.raw_headers if header[0] != b"content-length"]
            return response

        return handle


def _message_of(endpoint: Callable[..., Any]) -> type[Message[Any]]:
    parameters = dict(endpoint.__annotations__)
    parameters.pop("return", None)
    message: type[Message[Any]] = parameters["message"]
    if parameters.keys() != {"message", "ask", "response"}:
        raise TypeError(f"{endpoint.__name__} takes more than message, ask and response")
    return message


async def _read(request: Request, message: type[Message[Any]]) -> Message[Any] | None:
    """The body as the message; None where FastAPI has to say what it makes of it."""
    if request.scope["query_string"] or request.headers.get("content-type") not in _JSON:
        return None
    try:
        return message.model_validate_json(await request.body())
    except ValidationError:
        return None


__all__ = ["AskingRoute"]
