"""A parameter that nobody reads is a mistake of the sender: it is named (a mistyped `dry_run` would write).

So is a second value where one is read: which was meant is not known. And so is a body where none is read.
"""

from collections.abc import Collection, Sequence
from typing import Any, get_args, get_origin

from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request

from gateway import sparse
from gateway.request import asker
from shared.errors import ValidationFailed


class UnknownParameter(ValidationFailed):
    """The path takes no such query parameter."""


class RepeatedParameter(ValidationFailed):
    """The path takes one value of this query parameter."""


class UnexpectedBody(ValidationFailed):
    """The path reads no body; what is in this one would have no effect."""


async def known_parameters(request: Request) -> None:
    """Refuse what the route does not read: query parameters, a second one of a name, a body. Note `fields`.

    Raises UnknownParameter, RepeatedParameter, UnknownField, UnexpectedBody. Nobody is told: who must say first who
    they are hears that, not what the path would take.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    takes_none = request.method in _WITH_BODY and not _reads_body(route)
    if not (request.query_params or takes_none) or (await asker(request)).caller.kind == "anonymous":
        return
    if takes_none and await _has_body(request):
        raise UnexpectedBody("This path reads no body, and nothing was done: leave it out, or send {}.")
    single, several = _read_by(route)
    refuse_unread(request.query_params, single, several)
    if takes_fields(route):
        note_fields(request, route.response_model)


_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# What clients send that cannot send nothing; and as much of a body as is looked at.
_NOTHING = frozenset({b"", b"{}"})
_MOST_BLANKS = 1024


def _reads_body(route: APIRoute) -> bool:
    """Whether a body becomes a parameter of the endpoint, or the endpoint is given the request to read it itself."""
    return route.body_field is not None or route.dependant.request_param_name is not None


async def _has_body(request: Request) -> bool:
    """Whether there is something in the body. No more of it is read than shows that."""
    said, read = b"", 0
    async for part in request.stream():
        said, read = said + b"".join(part.split()), read + len(part)
        if read > _MOST_BLANKS or not b"{}".startswith(said):
            return True
    return said not in _NOTHING


def refuse_unread(given: QueryParams, single: Collection[str], several: Collection[str]) -> None:
    """Refuse names that are in neither, and a second value of one that is read once.

    Raises UnknownParameter, RepeatedParameter, naming each in `errors`.
    """
    if unknown := sorted(name for name in given if name not in single and name not in several):
        known = sorted({*single, *several})
        possible = f"it takes {', '.join(known)}" if known else "it takes none"
        raise _wrong(UnknownParameter, unknown, f"There is no parameter '{{}}' here; {possible}.")
    if repeated := sorted(name for name in given if name in single and len(given.getlist(name)) > 1):
        raise _wrong(RepeatedParameter, repeated, "'{}' may be given once.")


def _wrong(error: type[ValidationFailed], names: Sequence[str], sentence: str) -> ValidationFailed:
    """An error of this kind about the first of the names, which has an entry for each."""
    told = [sentence.format(name) for name in names]
    entries = zip(names, told, strict=True)
    return error(
        told[0], [{"pointer": f"/query/{name}", "code": error.code, "message": message} for name, message in entries]
    )


def _read_by(route: APIRoute) -> tuple[frozenset[str], frozenset[str]]:
    """The query parameters that a route reads one value of, and those it reads several of."""
    fields = route.dependant.query_params
    several = {field.alias for field in fields if _is_list(field.field_info.annotation)}
    single = {field.alias for field in fields} - several
    return frozenset(single), frozenset(several | ({sparse.PARAMETER} if takes_fields(route) else set()))


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def takes_fields(route: APIRoute) -> bool:
    """Whether a route answers objects, of which single fields can be asked for."""
    if "GET" not in (route.methods or ()) or route.response_model is None:
        return False
    return bool(sparse.fields_of(route.response_model))


def fields_asked(request: Request, answer: Any) -> sparse.Fields | None:
    """What the request wants of its answer, of this type; None for all of it. Raises UnknownField."""
    given = request.query_params.getlist(sparse.PARAMETER)
    return sparse.wanted_fields(given, answer) if given else None


def note_fields(request: Request, answer: Any) -> None:
    """Make this request's answer, of this type, sparse when it asks for `fields`. Raises UnknownField."""
    fields = fields_asked(request, answer)
    if fields is not None:
        sparse.note(request.scope, fields)
