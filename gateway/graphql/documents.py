"""Documents: each text parsed, limited and validated once, and remembered with what was made of it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar, cast

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry import Schema
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from gateway.graphql.limits import MAX_CHARACTERS, MAX_TOKENS, FragmentCycle, OperationTooLarge, find_excess

T = TypeVar("T")

_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
# Each costs a search for what may have been meant.
_MOST_ERRORS = 10
# Of all texts remembered by a process. A document takes up to 200 bytes for each character of its text.
_REMEMBERED_CHARACTERS = 500_000
_LONGEST_REMEMBERED = 20_000


class Document:
    """A text that is GraphQL, and what is wrong with it."""

    def __init__(self, schema: Schema, text: str) -> None:
        """Raises GraphQLError for a text that is no document, and for one that is too long."""
        if len(text) > MAX_CHARACTERS:
            raise _too_large(f"The document has {len(text)} characters; at most {MAX_CHARACTERS} are read.")
        self.text = text
        self.node: DocumentNode = parse(text, max_tokens=MAX_TOKENS, no_location=False)
        _refuse_empty(self.node)
        self.operations = [node for node in self.node.definitions if isinstance(node, OperationDefinitionNode)]
        self.errors = _errors(schema, self.node)
        self._made: dict[Hashable, Any] = {}

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation of this name; the only one, where none is named."""
        meant = [node for node in self.operations if name is None or (node.name and node.name.value == name)]
        return meant[0] if len(meant) == 1 else None

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes of the document, made once."""
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])


class Documents:
    """The documents that were asked for last."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0

    def of(self, text: str) -> Document:
        """Raises GraphQLError for a text that is no document, and for one that is too long."""
        known = self._known.get(text)
        if known is not None:
            self._known.move_to_end(text)
            return known
        document = Document(self._schema, text)
        if not document.errors and len(text) <= _LONGEST_REMEMBERED:
            self._remember(document)
        return document

    def _remember(self, document: Document) -> None:
        self._known[document.text] = document
        self._characters += len(document.text)
        while self._characters > _REMEMBERED_CHARACTERS:
            text, _ = self._known.popitem(last=False)
            self._characters -= len(text)


def _refuse_empty(document: DocumentNode) -> None:
    """Raises GraphQLSyntaxError for `{ }`, which the parser takes, and the grammar has not (GraphQL, §2.4)."""
    waiting: list[Any] = list(document.definitions)
    while waiting:
        selections = getattr(waiting.pop(), "selection_set", None)
        if selections is None:
            continue
        if not selections.selections and selections.loc is not None:
            raise GraphQLSyntaxError(selections.loc.source, selections.loc.end - 1, "Expected Name, found '}'.")
        waiting += selections.selections


def _errors(schema: Schema, document: DocumentNode) -> list[GraphQLError]:
    try:
        excess = find_excess(document)
    except FragmentCycle:
        return validate(schema._schema, document, (NoFragmentCyclesRule,), max_errors=_MOST_ERRORS)
    if excess is not None:
        return [_too_large(excess)]
    try:
        return validate(schema._schema, document, _RULES, max_errors=_MOST_ERRORS)
    except RecursionError:
        return [_too_large("The operation is nested too deeply.")]


def _too_large(sentence: str) -> GraphQLError:
    return GraphQLError(sentence, original_error=OperationTooLarge(sentence))


class Prepared(SchemaExtension):
    """Hands the ordinary executor the document that is parsed and validated already.

    In place of strawberry's own caches and limiters: their fragments are walked without memory (a few hundred tokens
    keep them busy for ever), and validation would run before any limit was looked at.
    """

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            context.graphql_document = self._document(context.query).node
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        assert context.query is not None
        context.pre_execution_errors = self._document(context.query).errors
        yield

    def _document(self, text: str) -> Document:
        documents: Documents = self.execution_context.schema.documents  # type: ignore[attr-defined]
        return documents.of(text)


__all__ = ["Document", "Documents", "Prepared"]
