"""The compiled path: a validated operation of plain reads, turned once into what it asks and how its answer is written.

It answers what the ordinary executor would, to the byte; a test compares them. What it does not cover (mutations,
subscriptions, introspection, `node`, links) and whatever goes otherwise than well while an answer is written (a null
where none may be, a value that a type does not take) is left to that executor, which is then given the answers that
the services have sent already: nothing is asked twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import orjson
from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    get_named_type,
    visit,
)
from graphql.error import located_error
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values

from gateway.graphql.documents import Document
from gateway.graphql.given import arguments_of
from gateway.graphql.parsing import reader
from gateway.graphql.plain import NotPlain
from gateway.graphql.projection import Projection, projection
from gateway.graphql.reads import Read
from gateway.graphql.schema import Schema
from gateway.graphql.written import Written
from shared.bus.ask import Asker, Bus
from shared.bus.envelope import Envelope
from shared.contracts.base import Message
from shared.errors import CrossdockError

A = TypeVar("A")

# Of one operation, by the variables that include and skip. Whatever goes beyond is answered ordinarily.
_MOST_FORMS = 16
# Variables of one operation that are remembered with what they ask, and how long they are as JSON.
_MOST_KNOWN = 8
_LONGEST_KNOWN = 1000

Question = Message[Any] | CrossdockError


def plan(schema: Schema, document: Document, name: str | None) -> "Plan | None":
    """The plan of an operation of a valid document; None for what is no query."""

    def made() -> Plan | None:
        operation = document.operation(name)
        is_query = operation is not None and operation.operation is OperationType.QUERY
        return Plan(schema, document.node, operation) if operation is not None and is_query else None

    return document.once(("plan", name), made)


class Plan:
    """One operation, and the forms it takes: what is left of it for given values of including and skipping."""

    def __init__(self, schema: Schema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema, self._operation = schema, operation
        self._fragments = {
            node.name.value: FragmentDetails(node)
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._deciding = _deciding(document)
        self._forms: dict[tuple[Any, ...], _Form | None] = {}
        self._known: dict[bytes, _Asked] = {}

    async def answer(self, ask: Asker, variables: dict[str, Any] | None) -> Written | None:
        """None where the ordinary executor has to answer."""
        asked = self._asked(variables)
        return None if asked is None else await asked.form.answer(ask, asked.questions)

    def _asked(self, variables: dict[str, Any] | None) -> "_Asked | None":
        """What is asked with these variables. Those that were asked with last are remembered: they mean the same."""
        given = _key(variables)
        known = None if given is None else self._known.get(given)
        if known is None:
            values = self._values(variables)
            form = None if values is None else self._form(values)
            questions = None if form is None or values is None else form.questions(values)
            if form is None or questions is None:
                return None
            known = _Asked(form, questions)
            if given is not None and all(isinstance(each, Message) for each in questions):
                self._known[given] = known
                if len(self._known) > _MOST_KNOWN:
                    del self._known[next(iter(self._known))]
        return known

    def form(self, variables: dict[str, Any] | None) -> "_Form | None":
        """What is left of the operation for these variables; None where the ordinary executor has to answer."""
        values = self._values(variables)
        return None if values is None else self._form(values)

    def _values(self, variables: dict[str, Any] | None) -> VariableValues | None:
        definitions = self._operation.variable_definitions or ()
        values = get_variable_values(self._schema._schema, definitions, variables or {})
        return None if isinstance(values, list) else values

    def _form(self, values: VariableValues) -> "_Form | None":
        decided = tuple(values.coerced.get(name) for name in self._deciding)
        if decided not in self._forms:
            if len(self._forms) >= _MOST_FORMS:
                return None
            self._forms[decided] = self._compiled(values)
        return self._forms[decided]

    def _compiled(self, values: VariableValues) -> "_Form | None":
        schema, query = self._schema._schema, self._schema._schema.query_type
        assert query is not None

        def collect(type_: GraphQLObjectType, field: FieldDetailsList) -> GroupedFieldSet:
            return collect_subfields(schema, self._fragments, values, self._operation, type_, field).grouped_field_set

        groups = collect_fields(schema, self._fragments, values, query, self._operation).grouped_field_set
        roots: list[_Root | _Constant] = []
        for key, field in groups.items():
            name = field[0].node.name.value
            if name == "__typename":
                roots.append(_Constant(key, query.name))
                continue
            read = self._schema.reads.get(name)
            if read is None:
                return None
            definition = query.fields[name]
            try:
                write = projection(schema, definition.type, field, collect)
                parse = reader(schema, definition.type, field, collect, is_connection=read.is_connection)
            except NotPlain:
                return None
            selected = collect(cast(GraphQLObjectType, get_named_type(definition.type)), field).values()
            spared = read.field.message.spares - {group[0].node.name.value for group in selected}
            nodes = [each.node for each in field]
            roots.append(_Root(key, nodes, read, definition, parse, write, arguments_of(definition), spared))
        return _Form(roots)


def _key(variables: dict[str, Any] | None) -> bytes | None:
    """What variables are remembered by; None for those that are too long, or too deep to be written."""
    try:
        key = orjson.dumps(variables)
    except orjson.JSONEncodeError:
        return None
    return key if len(key) <= _LONGEST_KNOWN else None


def _deciding(document: DocumentNode) -> list[str]:
    """The variables in `@skip` and `@include`."""
    found: set[str] = set()

    class Conditions(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
            found.update(each.value.name.value for each in node.arguments or () if isinstance(each.value, VariableNode))

    visit(document, Conditions())
    return sorted(found)


@dataclass(frozen=True)
class _Constant:
    """`__typename` of the operation itself."""

    key: str
    value: str


@dataclass(frozen=True)
class _Root:
    """One field of the operation: what is asked for it, and how the answer is written under `key`."""

    key: str
    nodes: list[FieldNode]
    read: Read
    definition: GraphQLField
    parse: Callable[[bytes], Any]
    write: Projection
    plainly: Callable[[dict[str, Any]], dict[str, Any]]
    # Parts of the answer that nobody selected, and that need not be found.
    spared: frozenset[str]

    def given(self, values: VariableValues) -> dict[str, Any]:
        """The arguments as graphql-core reads them. Raises GraphQLError."""
        return get_argument_values(self.definition, self.nodes[0], values)

    def question(self, given: dict[str, Any]) -> Question:
        try:
            return self.read.message_of(self.plainly(given), self.spared)
        except CrossdockError as error:
            return error


@dataclass(frozen=True)
class _Asked:
    """An operation with its variables: nothing is left to find out but the answers."""

    form: "_Form"
    questions: list[Question]


class _Form:
    """What is asked and written for one operation, once what is included is known."""

    def __init__(self, roots: Sequence[_Root | _Constant]) -> None:
        self._data: dict[str, Any] = {each.key: each.value if isinstance(each, _Constant) else None for each in roots}
        self._roots = [each for each in roots if isinstance(each, _Root)]

    def questions(self, values: VariableValues) -> list[Question] | None:
        """What is asked, one for each field; the error where arguments make no question. None to ask ordinarily."""
        try:
            given = [root.given(values) for root in self._roots]
        except GraphQLError:
            return None
        return [root.question(each) for root, each in zip(self._roots, given, strict=True)]

    async def answer(self, ask: Asker, questions: list[Question]) -> Written | None:
        errors: list[GraphQLError] = []

        async def source(root: _Root, question: Question) -> Any:
            try:
                if isinstance(question, CrossdockError):
                    raise question
                return await root.read.answer(ask, question, root.parse)
            except Exception as error:  # Every field may be null: the others are answered all the same.
                errors.append(located_error(error, root.nodes, [root.key]))
                return None

        if len(self._roots) == 1:
            sources = [await source(self._roots[0], questions[0])]
        else:
            sources = await asyncio.gather(*map(source, self._roots, questions))
        try:
            written = {root.key: root.write(found) for root, found in zip(self._roots, sources, strict=True)}
        except Exception:  # Whatever it is, the ordinary executor meets it again and says where.
            return None
        return Written(self._data | written, errors)


class AskedBefore(Bus):
    """A bus that remembers what came of each question, so that it can be asked again without being sent."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._known: list[tuple[Message[Any], Any, Exception | None]] = []

    async def ask(self, message: Message[A], envelope: Envelope) -> A:
        try:
            answer = await self._bus.ask(message, envelope)
        except Exception as error:
            self._known.append((message, None, error))
            raise
        self._known.append((message, answer, None))
        return answer

    def again(self) -> Bus:
        """A bus that answers each question that was asked as it was answered, once, and sends on every other."""
        return _Again(self._bus, self._known)


def _is_answered_by(message: Message[Any], asked: Message[Any]) -> bool:
    """Whether the answer to what was asked has all that a selection reads of the answer to `message`."""
    if type(asked) is not type(message):
        return False
    return (
        asked == message or asked.model_copy(update={name: getattr(message, name) for name in asked.spares}) == message
    )


class _Again(Bus):
    def __init__(self, bus: Bus, known: list[tuple[Message[Any], Any, Exception | None]]) -> None:
        self._bus, self._known = bus, known

    async def ask(self, message: Message[A], envelope: Envelope) -> A:
        for position, (asked, answer, error) in enumerate(self._known):
            if _is_answered_by(message, asked):
                del self._known[position]
                if error is not None:
                    raise error
                return cast(A, answer)
        return await self._bus.ask(message, envelope)
