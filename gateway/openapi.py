"""`/openapi.json`: what FastAPI derives from the routes, completed with what holds for all of them.

Each operation is named after the message it asks. Errors, security, `Idempotency-Key`, conditional requests and
examples follow from the message and the shapes; a route says none of it.
"""

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter

from gateway import openapi_plain
from gateway.errors import PROBLEM_JSON
from gateway.sparse import PARAMETER
from shared.contracts.accounts.shapes import OFFERS_READ
from shared.contracts.base import Message
from shared.contracts.inventory import shipment_states
from shared.contracts.orders import states

Json = dict[str, Any]

# What a message's answer is refused to whoever does not hold; by wire name. The topology knows, the gateway does not.
Rights = Mapping[str, tuple[str, ...]]

_DESCRIPTION = """\
One API for storefronts, suppliers and operators. `POST /oauth/token` gives access tokens (client credentials); errors
are `application/problem+json` with a stable `code`; collections are read with `first` and `after`; every POST takes an
`Idempotency-Key`. The same operations are at `/graphql`."""

_SCOPES = {
    **{
        f"{area}:{right}": f"{'Read' if right == 'read' else 'Read and change'} {area}."
        for area in ("accounts", "catalog", "inventory", "orders", "payments", "sync", "search")
        for right in ("read", "write")
    },
    "storefront": "Read offers, quote, place and read one's own orders.",
    "admin": "Everything.",
}
_SECURITY_SCHEMES: Json = {
    "oauth2": {
        "type": "oauth2",
        "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": _SCOPES}},
    },
    "basic": {"type": "http", "scheme": "basic", "description": "A client's id and secret, for /oauth alone."},
    "publishableKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Publishable-Key",
        "description": "Reads the offers of one shop; safe in a browser.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, an API key, or a session's token."},
}
_PROBLEM: Json = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For a person: what is wrong and what to do."},
        "code": {"type": "string", "description": "For a program: stable."},
        "errors": {
            "type": "array",
            "items": {"type": "object"},
            "description": "One entry for each thing that is wrong.",
        },
        "request_id": {"type": "string"},
    },
}
_REFUSALS: dict[int, tuple[str, str, str]] = {
    400: ("malformed_json", "The body is not JSON", "The request cannot be read."),
    401: ("unauthenticated", "Unauthenticated", "No credential, or one that does not hold."),
    403: ("missing_scope", "The credential does not carry the scope this needs", "Not allowed with this credential."),
    404: ("not_found", "Not found", "Not there, or another organization's."),
    406: ("not_acceptable", "The answer does not exist in a media type you accept", "See `Accept`."),
    408: ("body_too_slow", "Body too slow", "The body did not arrive in time."),
    409: ("conflict", "Conflict", "Right once, not now."),
    412: ("precondition_failed", "Precondition failed", "It changed since you read it (`If-Match`)."),
    413: ("body_too_large", "Body too large", "The body is beyond the limit."),
    415: ("unsupported_media_type", "Unsupported media type", "The body is of a kind this path does not take."),
    422: ("validation_failed", "Validation failed", "Well-formed, but its content is not; see `errors`."),
    429: ("too_many_requests", "Too many requests", "Slower, please; `Retry-After` says when."),
    500: ("internal_error", "Something went wrong on our side", "A defect; mention the `request_id`."),
    503: ("overloaded", "More is waiting than can be answered in time", "Later, please; `Retry-After` says when."),
    504: (
        "deadline_exceeded",
        "No answer arrived before the deadline",
        "Nobody knows whether it was done: repeat it with its key.",
    ),
}
_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key again gives the first answer and changes nothing; with another body it is 422.",
    "example": "0b9f7a52-order-1001",
}
_IF_NONE_MATCH: Json = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "An `ETag` you have: 304 without a body while it is the current one.",
}
_FIELDS: Json = {
    "name": PARAMETER,
    "in": "query",
    "required": False,
    "style": "form",
    "explode": False,
    "schema": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "description": (
        "Only these fields, separated by commas; those of a part with a dot (`variants.sku`). Of a collection, the"
        " fields of its items. The `id` always comes along; a field that is not there is 422 `unknown_field`."
    ),
}


@dataclass(frozen=True)
class PlainRoute:
    """A hot route without FastAPI's machinery: `endpoint` takes a Starlette request and answers with an `ETag`.

    Its documentation comes from `parameters`, or else the message (fields in the path, the rest in the query), and from
    `answer`, the shape of the JSON that is answered.
    """

    method: str
    path: str
    endpoint: Callable[..., Any]
    message: type[Message[Any]]
    answer: Any
    tag: str
    parameters: type[BaseModel] | None = None


_ORDERS = f"""Quotes, orders, and what happens to them until their goods are where they belong.

An order goes from one status to another only as this table says; all else is refused with `illegal_transition` (409).

{states.as_markdown()}
"""

_SHIPMENTS = f"""What is to be picked, shipments, and goods that come back.

A shipment goes from one state to another only as this table says; all else is refused with `illegal_shipment_move`
(409).

{shipment_states.as_markdown()}
"""


def install(app: FastAPI, plain: tuple[PlainRoute, ...], rights: Rights) -> None:
    """Make `app.openapi()` the complete document, built once."""

    def document() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = complete(app, plain, rights)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def complete(app: FastAPI, plain: tuple[PlainRoute, ...], rights: Rights) -> Json:
    """The OpenAPI 3.1 document of every route."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": "orders", "description": _ORDERS}, {"name": "shipments", "description": _SHIPMENTS}],
        servers=[{"url": "/"}],
    )
    components = document.setdefault("components", {})
    schemas: Json = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    components["securitySchemes"] = _SECURITY_SCHEMES
    asked = {
        (method, route.path_format): messages_of(route) for route in api_routes(app) for method in route.methods or ()
    }
    for route in plain:
        document["paths"].setdefault(route.path, {})[route.method.lower()] = _operation_of(route, schemas)
        asked[(route.method, route.path)] = [route.message]
    document["paths"] |= copy.deepcopy(dict(openapi_plain.PATHS))
    for method, path, operation in operations(document):
        if path.startswith("/v1/"):
            _Completed(method, path, operation, asked.get((method, path), []), schemas, rights).run()
        else:
            _complete_plain(method, path, operation)
    _name_operations(document, asked)
    _drop_impossible_defaults(document)
    return document


def _drop_impossible_defaults(value: Any) -> None:
    """An empty default that its own schema refuses stands for "not given": it is no value to send."""
    if isinstance(value, dict):
        if value.get("default") in ("", []) and {"minLength", "minItems", "pattern"} & set(value):
            del value["default"]
        for below in value.values():
            _drop_impossible_defaults(below)
    elif isinstance(value, list):
        for below in value:
            _drop_impossible_defaults(below)


def _complete_plain(method: str, path: str, operation: Json) -> None:
    """Add examples and refusals to an operation outside `/v1`."""
    key = (method, path)
    bodies = {"": (operation.get("requestBody", {}), openapi_plain.REQUEST_EXAMPLES.get(key))}
    for status, example in openapi_plain.ANSWER_EXAMPLES.get(key, {}).items():
        media_type = "text/plain" if isinstance(example, str) else "application/json"
        response = operation["responses"].setdefault(status, {"description": "Not now; the parts say why."})
        response.setdefault("content", {media_type: {}})
        bodies[status] = (operation["responses"][status], example)
    for body, example in bodies.values():
        for media in body.get("content", {}).values():
            media.setdefault("schema", {})
            media.setdefault("example", example)
    for refused in openapi_plain.REFUSALS.get(key, ()):
        operation["responses"].setdefault(str(refused), _refusal(refused))


def _name_operations(document: Json, asked: Mapping[tuple[str, str], list[type[Message[Any]]]]) -> None:
    """Each operation has the name of its one message, or of its function where that would not tell it apart."""
    names = {key: messages[0].__name__ for key, messages in asked.items() if len(messages) == 1}
    for method, path, operation in operations(document):
        name = names.get((method, path), "")
        if list(names.values()).count(name) != 1:
            name = operation["operationId"].removesuffix(_generated_suffix(method, path))
            name = "".join(word.capitalize() for word in name.split("_")) if "_" in name else name
        operation["operationId"] = name


def _generated_suffix(method: str, path: str) -> str:
    """What FastAPI puts behind a function's name to make an operation's id unique."""
    return re.sub(r"\W", "_", f"{path}") + f"_{method.lower()}"


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Every operation of an OpenAPI document, with its method and path."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete", "patch", "head", "options"):
                yield method.upper(), path, operation


def api_routes(app: FastAPI) -> Iterator[APIRoute]:
    """The FastAPI routes of an application, those of included routers too."""
    pending: list[Any] = list(app.routes)
    while pending:
        route = pending.pop(0)
        if isinstance(route, APIRoute):
            yield route
        else:
            pending.extend(getattr(getattr(route, "original_router", None), "routes", ()))


def messages_of(route: APIRoute) -> list[type[Message[Any]]]:
    """The messages a route's function asks, found in what it names and what it takes."""
    found: dict[type[Message[Any]], None] = {}
    _note_function(inspect.unwrap(route.endpoint), found, set())
    return list(found)


def _note_function(function: Any, found: dict[type[Message[Any]], None], seen: set[Any]) -> None:
    """Note the messages of a function, and of the functions beside it that it calls."""
    seen.add(function)
    for annotation in inspect.get_annotations(function, eval_str=True).values():
        _note(annotation, found)
    modules = [
        value
        for value in function.__globals__.values()
        if inspect.ismodule(value) and value.__name__.startswith("shared.contracts.")
    ]
    for name in _names_in(function.__code__):
        named = function.__globals__.get(name)
        _note(named, found)
        for module in modules:
            _note(getattr(module, name, None), found)
        if inspect.isfunction(named) and named not in seen and named.__module__ == function.__module__:
            _note_function(named, found, seen)


def _names_in(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return {*code.co_names, *(name for nested in inner for name in _names_in(nested))}


def _note(value: object, found: dict[type[Message[Any]], None]) -> None:
    if inspect.isclass(value) and issubclass(value, Message) and "wire_name" in vars(value):
        found[value] = None


def _operation_of(route: PlainRoute, schemas: Json) -> Json:
    message = (route.parameters or route.message).model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(message.pop("$defs", {}))
    answer = TypeAdapter(route.answer).json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas.update(answer.pop("$defs", {}))
    in_path = set(re.findall(r"{(\w+)", route.path))
    text = inspect.cleandoc(route.message.__doc__ or "")
    return {
        "tags": [route.tag],
        "summary": _words(route.message.__name__),
        "description": text,
        "operationId": route.message.__name__,
        "parameters": [
            {
                "name": name,
                "in": "path" if name in in_path else "query",
                "required": name in in_path or name in message.get("required", ()),
                "schema": schema,
            }
            for name, schema in message["properties"].items()
        ],
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": {"ETag": _header("Of this content. Goes into If-None-Match.")},
                "content": {"application/json": {"schema": answer}},
            }
        },
    }


def _header(description: str) -> Json:
    return {"schema": {"type": "string"}, "description": description}


def _words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).capitalize()


class _Completed:
    """One operation, completed in place."""

    def __init__(
        self, method: str, path: str, operation: Json, messages: list[type[Message[Any]]], schemas: Json, rights: Rights
    ) -> None:
        self.method, self.path, self.operation = method, path, operation
        self.messages, self.schemas, self.rights = messages, schemas, rights
        self.parameters: list[Json] = operation.setdefault("parameters", [])
        self.responses: Json = operation["responses"]

    def run(self) -> None:
        self._secure()
        self._add_headers()
        self._add_refusals()
        self._add_examples()

    @property
    def _scopes(self) -> set[str]:
        return {scope for message in self.messages for scope in self.rights.get(message.wire_name, ())}

    @property
    def _is_public(self) -> bool:
        return all(self.rights.get(message.wire_name) == () for message in self.messages)

    def _secure(self) -> None:
        if self._is_public:
            self.operation["security"] = [{}, {"bearer": []}]
            return
        # One choice for each: any of them is enough. Scopes that no token carries belong to credentials of their own.
        choices: list[Json] = [{"oauth2": [scope]} for scope in sorted(self._scopes & set(_SCOPES))]
        if OFFERS_READ in self._scopes:
            choices.append({"publishableKey": []})
        self.operation["security"] = [*choices, {"bearer": []}]

    def _add_headers(self) -> None:
        if self.method == "POST":
            self.parameters.append(_IDEMPOTENCY_KEY)
        for status, response in self.responses.items():
            if status.startswith("2"):
                headers = response.setdefault("headers", {})
                headers["X-Request-Id"] = _header("Names this request in our logs.")
                if self._has_version(response) and self._is_tagged(status):
                    headers["ETag"] = _header("Goes into If-Match, If-None-Match.")
        if self.method == "GET" and self._is_of_objects:
            self.parameters.append(_FIELDS)
        if self.method == "GET" and "ETag" in self.responses.get("200", {}).get("headers", {}):
            self.parameters.append(_IF_NONE_MATCH)
            self.responses["304"] = {"description": "You have the current version."}

    @property
    def _is_of_objects(self) -> bool:
        schema = _schema_in(self.responses.get("200", {}).get("content", {}))
        return schema is not None and "properties" in _resolved(schema, self.schemas)

    def _is_tagged(self, status: str) -> bool:
        return self.method == "GET" or status == "201" or self._takes_if_match

    @property
    def _takes_if_match(self) -> bool:
        return any(parameter["name"].lower() == "if-match" for parameter in self.parameters)

    def _has_version(self, response: Json) -> bool:
        schema = _schema_in(response.get("content", {}))
        return "version" in _resolved(schema, self.schemas).get("properties", {}) if schema else False

    def _add_refusals(self) -> None:
        wanted = [400, 401, 403, 422, 429, 500, 503, 504]
        if "{" in self.path:
            wanted.append(404)
        if any(message.is_command for message in self.messages):
            wanted += [408, 409, 413]
        if "application/json" in self.operation.get("requestBody", {}).get("content", {}):
            wanted.append(415)
        if self._takes_if_match:
            wanted.append(412)
        for status in sorted(wanted):
            self.responses[str(status)] = _refusal(status)

    def _add_examples(self) -> None:
        answer = self.responses.get("200")
        if answer is not None and not answer.get("content"):
            # A file: FastAPI says nothing of what is streamed.
            schema = {"type": "string", "format": "binary"}
            answer["content"] = {"application/octet-stream": {"schema": schema, "example": "(the file)"}}
        bodies = [self.operation.get("requestBody", {}), *self.responses.values()]
        for body in bodies:
            for media in body.get("content", {}).values():
                if "schema" in media and "example" not in media and "examples" not in media:
                    media["example"] = example_of(media["schema"], self.schemas)


def _schema_in(content: Json) -> Json | None:
    schema: Json | None = content.get("application/json", {}).get("schema")
    return schema


def _refusal(status: int) -> Json:
    code, title, description = _REFUSALS[status]
    problem = {
        "type": f"urn:crossdock:problem:{code}",
        "title": title,
        "status": status,
        "detail": description,
        "code": code,
    }
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": problem}}
    response: Json = {"description": description, "content": content}
    if status in (401, 403):
        response["headers"] = {
            "WWW-Authenticate": {
                "schema": {"type": "string"},
                "description": "RFC 6750 §3; `insufficient_scope` names the scope that is missing.",
            }
        }
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return response


# --- examples


_BY_FORMAT = {
    "uuid": "0192f0c1-7a10-7cc3-8a52-6d1f0a3b9c11",
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
    "email": "ada@example.com",
    "uri": "https://shop.example.com",
    "password": "(secret)",
}
_BY_NAME: Json = {
    "currency": "USD",
    "amount": 1999,
    "sku": "TEE-BLACK-M",
    "email": "ada@example.com",
    "locale": "en-US",
    "time_zone": "UTC",
    "code": "main",
    "shop": "main",
    "slug": "black-tee",
    "next": None,
    "country": "US",
}


def example_of(schema: Json, schemas: Json, name: str = "", within: tuple[str, ...] = ()) -> Any:
    """A value that fits a JSON schema: its own example or default where it has one, else one made from its kind."""
    if "example" in schema or "examples" in schema:
        return schema.get("example", (schema.get("examples") or [None])[0])
    reference = schema.get("$ref")
    if reference is not None:
        if reference in within:
            return None
        return example_of(_resolved(schema, schemas), schemas, name, (*within, reference))
    is_shape = schema.get("type") in ("array", "object") or any("$ref" in each for each in schema.get("anyOf", ()))
    if name in _BY_NAME and "enum" not in schema and not is_shape:
        return _BY_NAME[name]
    for choice in ("const", "default"):
        # An empty default says nothing, and may stand for "not given" where empty is not allowed.
        if schema.get(choice) not in (None, "", [], {}):
            return schema[choice]
    if "enum" in schema:
        return schema["enum"][0]
    for combined in ("anyOf", "oneOf", "allOf"):
        if combined in schema:
            return example_of(schema[combined][0], schemas, name, within)
    return _of_type(schema, schemas, name, within)


def _of_type(schema: Json, schemas: Json, name: str, within: tuple[str, ...]) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {key: example_of(value, schemas, key, within) for key, value in properties.items()}
        case "array":
            return _of_array(schema, schemas, name.removesuffix("s"), within)
        case "integer" | "number":
            return int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
        case "boolean":
            return True
        case "string":
            kind = "uri" if name.endswith("url") else schema.get("format", "")
            text = _BY_FORMAT.get(kind, name.replace("_", " ") or "text")
            return text[: schema.get("maxLength", 100)].ljust(schema.get("minLength", 0), "x")
    return None


def _of_array(schema: Json, schemas: Json, name: str, within: tuple[str, ...]) -> list[Any]:
    if "prefixItems" in schema:
        return [example_of(each, schemas, name, within) for each in schema["prefixItems"]]
    item = example_of(schema.get("items", {}), schemas, name, within)
    return [] if item is None else [item]


def _resolved(schema: Json, schemas: Json) -> Json:
    reference = schema.get("$ref")
    return schema if reference is None else schemas.get(reference.rsplit("/", 1)[1], {})
