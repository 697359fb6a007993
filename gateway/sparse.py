"""Sparse fields: `?fields=id,title,variants.sku` on every GET that answers objects (FEATURES GAT-1).

What can be named is what the answer's shape has. A route says nothing of it: `gateway.parameters` notes the wish,
`Sparse` fulfils it in the answer.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import ValidationFailed

PARAMETER = "fields"
# Each name with what is below it; nothing below it where a value is not looked into.
Fields = dict[str, "Fields"]
_STATE = "sparse_fields"


class UnknownField(ValidationFailed):
    """The answer has no field of this name."""


@cache
def fields_of(answer: Any) -> Fields:
    """The fields of an answer of this type, with those below them; none when it is not an object."""
    schema = TypeAdapter(answer).json_schema(mode="serialization")
    return _fields(schema, schema.get("$defs", {}), ())


def _fields(schema: dict[str, Any], definitions: dict[str, Any], within: tuple[str, ...]) -> Fields:
    reference = schema.get("$ref")
    if reference is not None:
        # A shape inside itself is taken whole.
        if reference in within:
            return {}
        return _fields(definitions[reference.rsplit("/", 1)[1]], definitions, (*within, reference))
    found: Fields = {}
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        found |= _fields(choice, definitions, within)
    if isinstance(schema.get("items"), dict):
        found |= _fields(schema["items"], definitions, within)
    return found | {name: _fields(below, definitions, within) for name, below in schema.get("properties", {}).items()}


def is_collection(fields: Fields) -> bool:
    """Whether these are the fields of a page: it stays a page, and its items are made sparse."""
    return {"items", "next"} <= set(fields)


def wanted_fields(given: Iterable[str], answer: Any) -> Fields:
    """The fields that the values of `fields` name, in answers of this type. Raises UnknownField naming each unknown."""
    possible = fields_of(answer)
    of_one = possible["items"] if is_collection(possible) else possible
    wanted: Fields = {}
    wrong: list[str] = []
    for path in ",".join(given).split(","):
        if not _add(wanted, path.strip().split("."), of_one):
            wrong.append(path.strip())
    if wrong:
        raise UnknownField(
            f"There is no field '{wrong[0]}' in this answer; there are: {', '.join(sorted(of_one))}.",
            [{"pointer": f"/query/{PARAMETER}", "code": "unknown_field", "message": f"No field '{w}'."} for w in wrong],
        )
    if "id" in of_one:
        wanted["id"] = {}
    return {name: {} for name in possible} | {"items": wanted} if is_collection(possible) else wanted


def _add(wanted: Fields, path: list[str], possible: Fields) -> bool:
    """Add one dotted name; False when there is no such field."""
    name, below = path[0], path[1:]
    if name not in possible:
        return False
    if not below:
        wanted[name] = {}
        return True
    if wanted.get(name) == {}:
        # All of it is wanted already; the name below is still looked at.
        return _add({}, below, possible[name])
    inner = wanted.setdefault(name, {})
    is_known = _add(inner, below, possible[name])
    if not inner:
        del wanted[name]
    return is_known


def note(scope: Scope, fields: Fields) -> None:
    """Let `Sparse` know what is wanted of this request's answer."""
    scope["state"][_STATE] = fields


class Sparse:
    """Leaves out of a JSON answer what the request did not ask for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["query_string"]:
            send = _SparseAnswer(scope, send).send
        await self.app(scope, receive, send)


class _SparseAnswer:
    def __init__(self, scope: Scope, send: Any) -> None:
        self._scope, self._send = scope, send
        self._held: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if _STATE in self._scope["state"] and message["status"] == 200 and _is_json(message):
                self._held = message
                return
        elif self._held is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_sparse(self._held)
            return
        await self._send(message)

    async def _send_sparse(self, start: Message) -> None:
        body = chosen(self._body, self._scope["state"][_STATE])
        headers = [header for header in start["headers"] if header[0] != b"content-length"]
        await self._send({**start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
        await self._send({"type": "http.response.body", "body": body})


def chosen(body: bytes, fields: Fields) -> bytes:
    """These fields of a JSON answer."""
    return orjson.dumps(_chosen(orjson.loads(body), fields))


def _is_json(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in start["headers"])


def _chosen(value: Any, fields: Fields) -> Any:
    if not fields:
        return value
    if isinstance(value, list):
        return [_chosen(item, fields) for item in value]
    if isinstance(value, dict):
        return {name: _chosen(below, fields[name]) for name, below in value.items() if name in fields}
    return value
