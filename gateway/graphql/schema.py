"""The schema: strawberry fields made of the services' declarations, each resolving with one `ask`."""

import asyncio
import inspect
import types as types_
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

from gateway.errors import NotAcceptable
from gateway.graphql.context import Context
from gateway.graphql.documents import Documents, Prepared
from gateway.graphql.fields import Declaration, Field, Link, Node
from gateway.graphql.identifiers import node_parts, node_type
from gateway.graphql.introspection import Introspections
from gateway.graphql.reads import Read, arguments, readable
from gateway.graphql.streams import Stream
from gateway.graphql.types import (
    SCALAR_MAP,
    NodeInterface,
    Registry,
    described,
    named_union,
    optional,
    text_of,
    type_name,
    value_of,
)
from shared.bus.ask import Asker
from shared.errors import CrossdockError, NotFound
from shared.security import SEALED


class OnlyOverWebSocket(NotAcceptable):
    """Events are followed over a WebSocket."""


# How often a subscription looks whether there is something new.
_LOOK_AGAIN_SECONDS = 0.3


@strawberry.type(description="Why a mutation was refused (RFC 9457); `code` is stable, `detail` is for a person.")
class Problem:
    code: str
    title: str
    detail: str
    status: int
    errors: list[JSON]
    retry_after_seconds: int | None
    request_id: str

    @classmethod
    def of(cls, error: CrossdockError, request_id: str) -> "Problem":
        return cls(
            code=error.code,
            title=error.title,
            detail=error.detail,
            status=error.status,
            errors=error.errors,  # type: ignore[arg-type]
            retry_after_seconds=error.retry_after_seconds,
            request_id=request_id,
        )


@strawberry.type(description="Where a page stands in its collection. Collections are read forwards.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class Schema(strawberry.Schema):
    """strawberry's schema, with the plain reads among its queries, by name, and what it remembers of what was asked."""

    reads: Mapping[str, Read]
    documents: Documents
    introspections: Introspections

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Errors are logged and worded in one place, `http.py`."""


def build(modules: Iterable[Sequence[Declaration]], streams: Sequence[Stream] = ()) -> Schema:
    """The schema of these declarations. Raises TypeError for two types or fields of one name."""
    declarations = [declaration for module in modules for declaration in module]
    registry = Registry(
        [each for each in declarations if isinstance(each, Node)],
        [each for each in declarations if isinstance(each, Link)],
    )
    fields = [each for each in declarations if isinstance(each, Field)]
    queries = {"node": _node_field(registry)}
    mutations: dict[str, Any] = {}
    subscriptions: dict[str, Any] = {}
    for field in fields:
        into = {"mutation": mutations, "subscription": subscriptions}.get(field.kind, queries)
        if field.name in into:
            raise TypeError(f"Two GraphQL fields are called {field.name}")
        into[field.name] = _MAKERS[field.kind](registry, field)
    for stream in streams:
        if stream.name in subscriptions:
            raise TypeError(f"Two GraphQL fields are called {stream.name}")
        subscriptions[stream.name] = _stream(registry, stream)
    schema = Schema(
        query=strawberry.type(type("Query", (), queries)),
        mutation=strawberry.type(type("Mutation", (), mutations)) if mutations else None,
        subscription=strawberry.type(type("Subscription", (), subscriptions)) if subscriptions else None,
        types=[registry.object_type(shape) for shape in registry.nodes],
        extensions=[Prepared],
        config=StrawberryConfig(default_resolver=value_of, scalar_map=SCALAR_MAP),
    )
    schema.documents = Documents(schema)
    schema.introspections = Introspections()
    schema.reads = {each.name: Read(each, registry.id_types) for each in fields if each.kind in ("query", "connection")}
    return schema


# --- one field of each kind


def _query(registry: Registry, field: Field) -> Any:
    returns = optional(registry.output(field.answer, _title(field.name)))
    resolve = _reading(Read(field, registry.id_types))
    return _strawberry_field(registry, field, resolve, returns)


def _reading(read: Read) -> Any:
    async def resolve(info: strawberry.Info, **given: Any) -> Any:
        return await read.answer(info.context.ask, read.message(given))

    return resolve


def _mutation(registry: Registry, field: Field) -> Any:
    types = registry.id_types

    async def resolve(info: strawberry.Info, *, idempotency_key: str | None = None, **given: Any) -> Any:
        ask: Asker = info.context.ask
        siblings = len(info.operation.selection_set.selections)
        key = idempotency_key or info.context.idempotency_key(info.path.key, siblings)
        try:
            return readable(await ask.without_key()(arguments(field, given, types), idempotency_key=key))
        except CrossdockError as error:
            return Problem.of(error, ask.request_id)

    answer = registry.output(field.answer, _title(field.name))
    result = named_union(f"{_title(field.name)}Result", [answer, Problem])
    extra = inspect.Parameter(
        "idempotency_key",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=described(optional(str), "Like the header of this name, for this field alone."),
    )
    return _strawberry_field(registry, field, resolve, result, extra)


def _connection(registry: Registry, field: Field) -> Any:
    returns = optional(registry.connection_type(field.answer, PageInfo))
    resolve = _reading(Read(field, registry.id_types))
    return _strawberry_field(registry, field, resolve, returns)


def _subscription(registry: Registry, field: Field) -> Any:
    types = registry.id_types

    async def resolve(info: strawberry.Info, **given: Any) -> AsyncIterator[Any]:
        message = arguments(field, given, types)
        seen = None
        while True:
            answer = readable(await info.context.ask(message))
            if answer != seen:
                yield answer
            if value_of(answer, "finished_at") is not None:
                return
            seen = answer
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    answer = registry.output(field.answer, _title(field.name))
    returns = types_.GenericAlias(AsyncIterator, (answer,))
    return _strawberry_field(registry, field, resolve, returns, of=strawberry.subscription)


def _stream(registry: Registry, stream: Stream) -> Any:
    types = registry.id_types

    async def resolve(info: strawberry.Info, **given: Any) -> AsyncIterator[Any]:
        context: Context = info.context
        asked = arguments(stream, given, types)
        context.caller.require(*stream.scopes)
        organization_id = context.caller.organization_id
        if context.live is None or organization_id is None:
            raise OnlyOverWebSocket(f"'{stream.name}' is followed over a WebSocket (graphql-transport-ws).")
        async with context.live.following(organization_id) as feed:
            while True:
                sent = await feed.next()
                context.caller.require(*stream.scopes)
                if sent.name == stream.event.wire_name:
                    event = stream.event.model_validate_json(sent.payload, context=SEALED)
                    for shown in stream.shown(context.caller, asked, event):
                        yield shown

    returns = types_.GenericAlias(AsyncIterator, (registry.output(stream.answer, _title(stream.name)),))
    return _strawberry_field(registry, stream, resolve, returns, of=strawberry.subscription)


_MAKERS: Mapping[str, Callable[[Registry, Field], Any]] = {
    "query": _query,
    "mutation": _mutation,
    "connection": _connection,
    "subscription": _subscription,
}


def _node_field(registry: Registry) -> Any:
    by_name = {type_name(shape): node for node in registry.nodes.values() for shape in (*node.also, node.shape)}

    async def resolve(info: strawberry.Info, id: strawberry.ID) -> Any:
        node = by_name.get(node_type(id))
        own_id = id if node is not None and node.has_global_id else node_parts(id)[1]
        if node is None:
            return None
        try:
            answer = await info.context.ask(node.message.model_validate({node.key: own_id}))
            # What JSON is of which type, only its shape tells.
            return node.shape.model_validate_json(answer) if isinstance(answer, bytes) else answer
        except CrossdockError as error:
            if error.status == NotFound.status:
                return None
            raise

    resolve.__annotations__ = {
        "info": strawberry.Info,
        "id": strawberry.ID,
        "return": optional(NodeInterface),
    }
    return strawberry.field(resolver=resolve, description="Anything by its global id; null when it is not there.")


# --- arguments and answers


def _strawberry_field(
    registry: Registry,
    field: Field | Stream,
    resolve: Any,
    returns: Any,
    *extra: inspect.Parameter,
    of: Any = strawberry.field,
) -> Any:
    parameters = [
        inspect.Parameter("info", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=strawberry.Info),
        *(
            inspect.Parameter(
                field.argument(name),
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if info.is_required() else strawberry.UNSET,
                annotation=described(registry.argument(field.message, name, info), info.description),
            )
            for name, info in field.message.model_fields.items()
        ),
        *extra,
    ]
    resolve.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    resolve.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": returns}
    return of(resolver=resolve, name=field.name, description=text_of(field.message))


def _title(name: str) -> str:
    return name[0].upper() + name[1:]
