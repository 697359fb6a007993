"""GraphQL over HTTP, as its working draft has it (https://graphql.github.io/graphql-over-http/draft/).

`POST` takes `application/json` with `query`, `operationName`, `variables`, `extensions`; `GET` the same as parameters,
queries only (405 for a mutation). The answer is `application/graphql-response+json` to whom accepts it, otherwise
`application/json`. What cannot be read (not JSON, no query) is 400. A document that cannot be run (syntax, validation,
limits, variables) is 400 as graphql-response and 200 as application/json, without a `data` entry. What was run is 200,
whatever its fields came to: each failed field has an entry in `errors` with `extensions.code`, the same as in REST.

Subscriptions are answered to whom accepts `text/event-stream`, as GraphQL over SSE has it in its "distinct connections
mode" (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md): an event `next` per result, then `complete`.

Without a credential, what is public runs, and the rest of the fields fail with `unauthenticated`; a credential that
does not hold is refused as a whole, as in REST (401, problem+json), and so are bodies beyond the limit and batches.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from graphql import GraphQLError, OperationDefinitionNode
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from gateway.errors import MalformedJson, MethodNotAllowed, NotAcceptable, UnsupportedMediaType
from gateway.graphql.compiled import Written
from gateway.graphql.context import Context
from gateway.graphql.execution import execute
from gateway.graphql.limits import find_operation, parsed
from gateway.graphql.schema import Schema
from gateway.request import asker
from shared.errors import CrossdockError, InternalError, Invalid

log = structlog.get_logger("crossdock.graphql")

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


class InvalidGraphqlRequest(Invalid):
    """The request has no `query`, or a parameter of the wrong type."""


class BatchRefused(InvalidGraphqlRequest):
    """Several operations came in one request."""


class InvalidDocument(Invalid):
    """The GraphQL document cannot be run: its syntax, or what it asks for."""


class InvalidVariables(Invalid):
    """The variables do not fit the operation."""


class UnknownOperation(InvalidGraphqlRequest):
    """The document has no operation of this name, or several and none was named."""


class MutationByGet(MethodNotAllowed):
    """A mutation came by GET, which changes nothing."""


class GraphqlEndpoint:
    """`/graphql` as an ASGI application."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await answer(Request(scope, receive), self._schema)
        await response(scope, receive, send)


@dataclass(frozen=True)
class _Operation:
    query: str
    name: str | None = None
    variables: dict[str, Any] | None = None
    allowed: set[OperationType] = field(default_factory=lambda: {OperationType.QUERY, OperationType.MUTATION})


async def answer(request: Request, schema: Schema) -> Response:
    """Answer one GraphQL request. Raises CrossdockError for what is refused as a whole."""
    if EVENT_STREAM in request.headers.get("accept", "").lower():
        return await _subscribed(request, schema)
    media_type = accepted(request.headers.get("accept", ""))
    operation = _from_url(request) if request.method == "GET" else await _from_body(request)
    context = Context(await asker(request))
    if _is_ambiguous(operation):
        error = UnknownOperation("The document has several operations: say which with `operationName`.")
        return _refusal(media_type, error, context)
    try:
        result = await execute(schema, context, operation.query, operation.name, operation.variables, operation.allowed)
    except MissingQueryError:
        raise InvalidGraphqlRequest("`query` is empty.") from None
    except CannotGetOperationTypeError:
        error = UnknownOperation(f"The document has no operation '{operation.name or ''}'.")
        return _refusal(media_type, error, context)
    except InvalidOperationTypeError as error:
        if error.operation_type is OperationType.SUBSCRIPTION:
            raise NotAcceptable(f"A subscription is answered as {EVENT_STREAM}: say so with `Accept`.") from None
        raise MutationByGet("A mutation is sent by POST.", allow="POST") from None
    was_run = result.data is not None or any(error.path is not None for error in result.errors or ())
    status = 200 if was_run or media_type == JSON else 400
    return Response(body_of(result, context), status, media_type=f"{media_type}; charset=utf-8")


async def _subscribed(request: Request, schema: Schema) -> Response:
    """The results of a subscription, each as it comes. Raises CrossdockError for what is refused as a whole."""
    operation = _from_url(request) if request.method == "GET" else await _from_body(request)
    context = Context(await asker(request))
    results = await schema.subscribe(
        operation.query,
        variable_values=operation.variables,
        operation_name=operation.name,
        context_value=context,
    )

    async def events() -> AsyncIterator[bytes]:
        async for result in _each(results):
            yield b"event: next\ndata: " + body_of(result, context) + b"\n\n"
        yield b"event: complete\ndata:\n\n"

    return StreamingResponse(events(), media_type=EVENT_STREAM, headers={"Cache-Control": "no-cache"})


async def _each(results: Any) -> AsyncIterator[Any]:
    """The results of a subscription; the one that says why there are none, where it could not begin."""
    if not hasattr(results, "__aiter__"):
        yield results
        return
    async for result in results:
        yield result


def is_subscription(query: str, name: str | None) -> bool:
    """Whether the operation that would be run is a subscription; not, where running it would be refused."""
    try:
        document = parsed(query)
    except GraphQLError:
        return False
    operation = find_operation(document, name)
    return operation is not None and operation.operation.value == "subscription"


def _is_ambiguous(operation: _Operation) -> bool:
    """Whether the document has several operations and none was named; strawberry would take the first."""
    if operation.name:
        return False
    try:
        document = parsed(operation.query)
    except GraphQLError:
        return False
    return sum(isinstance(node, OperationDefinitionNode) for node in document.definitions) > 1


def accepted(accept: str) -> str:
    """The media type to answer in. Raises NotAcceptable."""
    weights = {JSON: 0.0, GRAPHQL_RESPONSE: 0.0}
    for part in accept.split(",") if accept.strip() else [JSON]:
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        weight = _weight(parameters)
        if name in weights:
            weights[name] = max(weights[name], weight)
        elif name in ("*/*", "application/*"):
            # As the draft recommends, who takes anything gets plain JSON.
            weights[JSON] = max(weights[JSON], weight)
    best = max((GRAPHQL_RESPONSE, JSON), key=lambda name: weights[name])
    if weights[best] <= 0:
        raise NotAcceptable(f"GraphQL answers {GRAPHQL_RESPONSE} or {JSON}.")
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


# --- reading


def _from_url(request: Request) -> _Operation:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = _json(parameters[name].encode(), f"The parameter `{name}`")
        else:
            parameters.pop(name, None)
    return _checked(parameters, {OperationType.QUERY})


async def _from_body(request: Request) -> _Operation:
    media_type, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charset = next((each.partition("=")[2].strip('"') for each in parameters if each.startswith("charset=")), "utf-8")
    if media_type != JSON or charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("GraphQL takes application/json, in UTF-8.")
    body = _json(await request.body(), "The body")
    if isinstance(body, list):
        raise BatchRefused("Send one operation per request; several fields fit into one operation.")
    if not isinstance(body, dict):
        raise InvalidGraphqlRequest("The body must be an object with `query`.")
    return _checked(body, {OperationType.QUERY, OperationType.MUTATION})


def _json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(f"{what} is not JSON: {error}.") from None


def _checked(parameters: dict[str, Any], allowed: set[OperationType]) -> _Operation:
    expected = {"query": str, "operationName": str, "variables": dict, "extensions": dict}
    for name, kind in expected.items():
        if parameters.get(name) is not None and not isinstance(parameters[name], kind):
            raise InvalidGraphqlRequest(f"`{name}` must be {'a text' if kind is str else 'an object'}.")
    if not parameters.get("query"):
        raise InvalidGraphqlRequest("`query` is missing.")
    return _Operation(parameters["query"], parameters.get("operationName"), parameters.get("variables"), allowed)


# --- answering


def body_of(result: Written | ExecutionResult, context: Context) -> bytes:
    """What an operation came to, as it is sent."""
    return _body(result.data, [worded(error, context) for error in result.errors or ()], result.extensions)


def _body(data: dict[str, Any] | None, errors: list[dict[str, Any]], extensions: dict[str, Any] | None) -> bytes:
    body: dict[str, Any] = {"errors": errors} if errors else {}
    # An error without a path is of the request itself: nothing was run, so there is no `data`, not even null.
    if data is not None or any("path" in error for error in errors):
        body["data"] = data
    if extensions:
        body["extensions"] = extensions
    return orjson.dumps(body, default=str)


def _refusal(media_type: str, error: CrossdockError, context: Context) -> Response:
    """The answer to an operation that was not run."""
    status = 200 if media_type == JSON else 400
    body = _body(None, [entry_of(error, context)], None)
    return Response(body, status, media_type=f"{media_type}; charset=utf-8")


def worded(error: GraphQLError, context: Context) -> dict[str, Any]:
    """An entry of `errors`: named errors as they are, defects only as such."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, CrossdockError):
        named = cause
    elif cause is not None and error.path is not None:
        log.error("defect", path=error.path, request_id=context.ask.request_id, exc_info=cause)
        named = InternalError(f"Something went wrong on our side; mention the request id {context.ask.request_id}.")
    elif error.path is not None:
        named = InvalidDocument(error.message)
    elif "ariable" in error.message and error.nodes and error.nodes[0].kind == "variable_definition":
        named = InvalidVariables(error.message)
    else:
        named = InvalidDocument(error.message)
    entry = entry_of(named, context)
    if error.locations:
        entry["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    if error.path is not None:
        entry["path"] = error.path
    return entry


def entry_of(error: CrossdockError, context: Context) -> dict[str, Any]:
    members = {name: value for name, value in error.problem().items() if name != "detail"}
    if error.retry_after_seconds is not None:
        members["retry_after_seconds"] = error.retry_after_seconds
    return {"message": error.detail, "extensions": members | {"request_id": context.ask.request_id}}
