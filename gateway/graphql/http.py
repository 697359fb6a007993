"""GraphQL over HTTP, as its working draft has it (https://graphql.github.io/graphql-over-http/draft/).

`POST` takes `application/json` with `query`, `operationName`, `variables`, `extensions`; `GET` the same as parameters,
queries only (405 for a mutation). The answer is `application/graphql-response+json` to whom accepts it, otherwise
`application/json`. What cannot be read (not JSON, no query) is 400. A document that cannot be run (syntax, validation,
limits, variables, a hash that nobody knows) is 400 as graphql-response and 200 as application/json, without a `data`
entry. What was run is 200, whatever its fields came to: each failed field has an entry in `errors` with
`extensions.code`, the same as in REST.

Subscriptions are answered to whom accepts `text/event-stream`, as GraphQL over SSE has it in its "distinct connections
mode" (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md): an event `next` per result, then `complete`.

Without a credential, what is public runs, and the rest of the fields fail with `unauthenticated`; a credential that
does not hold is refused as a whole, as in REST (401, problem+json), and so are bodies beyond the limit and batches.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from strawberry.types.execution import ExecutionResult

from gateway.errors import MalformedJson, MethodNotAllowed, NotAcceptable, UnsupportedMediaType
from gateway.graphql.context import Context
from gateway.graphql.documents import Document
from gateway.graphql.encoding import plain_value
from gateway.graphql.execution import chosen, execute, is_subscription
from gateway.graphql.persisted import Asked, Operations
from gateway.graphql.schema import Schema
from gateway.graphql.written import Written
from gateway.ready import ReadyAnswers, ReadyResponse
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


class MutationByGet(MethodNotAllowed):
    """A mutation came by GET, which changes nothing."""


class GraphqlEndpoint:
    """`/graphql` as an ASGI application."""

    def __init__(self, schema: Schema, operations: Operations | None = None) -> None:
        self._schema, self._operations = schema, operations or Operations(schema)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await answer(Request(scope, receive), self._schema, self._operations)
        await response(scope, receive, send)


@dataclass(frozen=True)
class _Operation:
    asked: Asked
    name: str | None = None
    variables: dict[str, Any] | None = None


async def answer(request: Request, schema: Schema, operations: Operations) -> Response:
    """Answer one GraphQL request. Raises CrossdockError for what is refused as a whole."""
    if EVENT_STREAM in request.headers.get("accept", "").lower():
        return await _subscribed(request, schema, operations)
    media_type = accepted(request.headers.get("accept", ""))
    operation = _from_url(request) if request.method == "GET" else await _from_body(request)
    context = Context(await asker(request))
    answers: ReadyAnswers = request.app.state.ready
    # What came by GET was looked for before, ahead of all this. A text that comes with its hash is to be remembered.
    body = b"" if request.method == "GET" else await request.body()
    is_kept = not (operation.asked.text and operation.asked.hash)
    if body and is_kept and (kept := answers.find(request.scope, context.caller, body)) is not None:
        request.app.state.at_once.note(request.scope, kept, kept.response)
        return kept.response
    try:
        document = _document(schema, operations, operation, context)
        meant = chosen(document, operation.name)
    except GraphQLError as error:
        return _response(media_type, Written(None, [error]), context)
    if is_subscription(meant):
        raise NotAcceptable(f"A subscription is answered as {EVENT_STREAM}: say so with `Accept`.")
    if request.method == "GET" and meant.operation is not OperationType.QUERY:
        raise MutationByGet("A mutation is sent by POST.", allow="POST")
    result = await execute(schema, document, operation.name, operation.variables, context)
    if result.errors or not _was_run(result):
        return _response(media_type, result, context)
    named = f"{media_type}; charset=utf-8"
    response = ReadyResponse(body_of(result, context), named, varies_by=b"Accept", is_tagged=request.method == "GET")
    return answers.keep(request.scope, response, body) if is_kept else response


def _document(schema: Schema, operations: Operations, operation: _Operation, context: Context) -> Document:
    """The document that is asked for, by its text or by what it is known by. Raises GraphQLError."""
    organization_id = context.caller.organization_id
    text = operations.text(operation.asked, organization_id)
    document = schema.documents.of(text)
    if not document.errors:
        operations.remember(operation.asked, text, organization_id)
    return document


async def _subscribed(request: Request, schema: Schema, operations: Operations) -> Response:
    """The results of a subscription, each as it comes. Raises CrossdockError for what is refused as a whole."""
    operation = _from_url(request) if request.method == "GET" else await _from_body(request)
    context = Context(await asker(request))
    try:
        results: Any = await schema.subscribe(
            _document(schema, operations, operation, context).text,
            variable_values=operation.variables,
            operation_name=operation.name,
            context_value=context,
        )
    except GraphQLError as error:
        results = Written(None, [error])

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
    return _checked(parameters)


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
    return _checked(body)


def _json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(f"{what} is not JSON: {error}.") from None


def _checked(parameters: dict[str, Any]) -> _Operation:
    expected = {"query": str, "operationName": str, "variables": dict, "extensions": dict}
    for name, kind in expected.items():
        if parameters.get(name) is not None and not isinstance(parameters[name], kind):
            raise InvalidGraphqlRequest(f"`{name}` must be {'a text' if kind is str else 'an object'}.")
    asked = Asked.of(parameters)
    if not (asked.text or asked.hash or asked.id):
        raise InvalidGraphqlRequest("`query` is missing.")
    return _Operation(asked, parameters.get("operationName"), parameters.get("variables"))


# --- answering


def _response(media_type: str, result: Written | ExecutionResult, context: Context) -> Response:
    status = 200 if _was_run(result) or media_type == JSON else 400
    return Response(body_of(result, context), status, media_type=f"{media_type}; charset=utf-8")


def body_of(result: Written | ExecutionResult, context: Context) -> bytes:
    """What an operation came to, as it is sent."""
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [worded(error, context) for error in result.errors]
    if _was_run(result):
        body["data"] = result.data
        if result.extensions:
            body["extensions"] = result.extensions
    return orjson.dumps(body, default=plain_value)


def _was_run(result: Written | ExecutionResult) -> bool:
    """An error without a path is of the request itself: nothing was run, so there is no `data`, not even null."""
    return result.data is not None or any(error.path is not None for error in result.errors or ())


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
