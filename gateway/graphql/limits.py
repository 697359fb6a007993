"""What an operation may cost before it is looked at any closer: tokens, depth, aliases, fields.

Fragments are counted once each and remembered, so that fragments of fragments cannot make the counting itself dear.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import Schema, validate_document

from shared.errors import Invalid

MAX_TOKENS = 4000
# The introspection query of GraphiQL and codegen tools nests types 13 to 16 deep.
MAX_DEPTH = 20
MAX_ALIASES = 50
MAX_FIELDS = 2000
# Distinct texts remembered per process; a text is at most MAX_TOKENS long.
REMEMBERED = 512


class OperationTooLarge(Invalid):
    """The GraphQL operation is deeper or larger than is answered."""


class Limited(SchemaExtension):
    """Parses and validates each text once, after checking it against the limits.

    In place of strawberry's own caches and limiters: their fragments are walked without memory (a few hundred tokens
    keep them busy for ever), and validation would run before any limit was looked at.
    """

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            context.graphql_document = parsed(context.query)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        assert context.graphql_document is not None
        assert isinstance(context.schema, Schema)
        context.pre_execution_errors = validated(context.schema, context.graphql_document)
        yield


@lru_cache(REMEMBERED)
def parsed(text: str) -> DocumentNode:
    """Raises GraphQLError for a text that is no document, and for one of too many tokens."""
    return parse(text, max_tokens=MAX_TOKENS, no_location=False)


@lru_cache(REMEMBERED)
def validated(schema: Schema, document: DocumentNode) -> list[GraphQLError]:
    """What is wrong with a document: that it is too large, or else every rule of GraphQL that it breaks."""
    excess = find_excess(document)
    if excess is not None:
        return [GraphQLError(excess, original_error=OperationTooLarge(excess))]
    return validate_document(schema._schema, document, tuple(specified_rules))


def find_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """The operation of this name; the only one, where none is named."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    meant = [node for node in operations if name is None or (node.name and node.name.value == name)]
    return meant[0] if len(meant) == 1 else None


def find_excess(document: DocumentNode) -> str | None:
    """What is too large about a document, as a sentence; None when nothing is."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    size = _Size(fragments)
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            depth, aliases, fields = size.of(operation.selection_set)
            for what, found, most in (
                ("levels deep", depth, MAX_DEPTH),
                ("aliases", aliases, MAX_ALIASES),
                ("fields", fields, MAX_FIELDS),
            ):
                if found > most:
                    return f"The operation has {min(found, 10**9)} {what}; at most {most} are answered."
    return None


class _Size:
    """Depth, number of aliases and of fields of selections, fragments counted wherever they are spread."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, tuple[int, int, int]] = {}

    def of(self, selections: SelectionSetNode | None) -> tuple[int, int, int]:
        depth = aliases = fields = 0
        for node in selections.selections if selections is not None else ():
            inner = self._of_node(node)
            depth, aliases, fields = max(depth, inner[0]), aliases + inner[1], fields + inner[2]
        return depth, aliases, fields

    def _of_node(self, node: Any) -> tuple[int, int, int]:
        match node:
            case FieldNode():
                depth, aliases, fields = self.of(node.selection_set)
                return depth + 1, aliases + (node.alias is not None), fields + 1
            case InlineFragmentNode():
                return self.of(node.selection_set)
            case FragmentSpreadNode():
                return self._of_fragment(node.name.value)
        return 0, 0, 0

    def _of_fragment(self, name: str) -> tuple[int, int, int]:
        if name not in self._known:
            # A cycle ends here; validation refuses it by its name.
            self._known[name] = (0, 0, 0)
            fragment = self._fragments.get(name)
            self._known[name] = self.of(fragment.selection_set) if fragment is not None else (0, 0, 0)
        return self._known[name]
