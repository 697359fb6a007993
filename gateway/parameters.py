"""A parameter that nobody reads is a mistake of the sender: it is named (a mistyped `dry_run` would write)."""

from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request

from gateway import sparse
from gateway.request import asker
from shared.errors import ValidationFailed


class UnknownParameter(ValidationFailed):
    """The path takes no such query parameter."""


async def known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not read, and note `fields`. Raises UnknownParameter, UnknownField.

    Nobody is told: who must say first who they are hears that, not what the path would take.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    if (await asker(request)).caller.kind == "anonymous":
        return
    known = {field.alias for field in route.dependant.query_params}
    if takes_fields(route):
        known.add(sparse.PARAMETER)
        note_fields(request, route.response_model)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        possible = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise UnknownParameter(
            f"There is no parameter '{unknown[0]}' here; {possible}.",
            [{"pointer": f"/query/{name}", "code": "unknown_parameter"} for name in unknown],
        )


def takes_fields(route: APIRoute) -> bool:
    """Whether a route answers objects, of which single fields can be asked for."""
    if "GET" not in (route.methods or ()) or route.response_model is None:
        return False
    return bool(sparse.fields_of(route.response_model))


def note_fields(request: Request, answer: Any) -> None:
    """Make this request's answer, of this type, sparse when it asks for `fields`. Raises UnknownField."""
    given = request.query_params.getlist(sparse.PARAMETER)
    if given:
        sparse.note(request.scope, sparse.wanted_fields(given, answer))
