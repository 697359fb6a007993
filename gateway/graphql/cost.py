"""What an operation costs: the objects that it may be answered with, and what asking takes.

A root field costs ten, for what it asks of a service. Each selection of an object costs one; those in a connection
cost that for each of the `first` that are asked for. Values are free, and so is how many lie in a list of an object:
they come with it. Introspection counts like everything else. The cost is known before anything is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
)

from gateway.graphql.documents import Document
from gateway.graphql.reads import Read
from gateway.graphql.schema import Schema

MAX_COST = 10_000
_ASKING = 10
# What a connection calls its items.
_PER_ITEM = frozenset({"nodes", "edges"})


@dataclass(frozen=True)
class _Root:
    """The cost of one root field: `fixed`, and `each` times `first`, which is a number or a variable's name."""

    fixed: int
    each: int
    first: int | str
    otherwise: int

    def of(self, variables: Mapping[str, Any]) -> int:
        first = variables.get(self.first) if isinstance(self.first, str) else self.first
        return self.fixed + self.each * max(first if isinstance(first, int) else self.otherwise, 0)


def price(schema: Schema, document: Document, name: str | None) -> "Price":
    """The price of an operation of a valid document."""

    def made() -> Price:
        operation = document.operation(name)
        assert operation is not None
        reads = schema.reads if operation.operation is OperationType.QUERY else {}
        return Price(document.node, operation, reads)

    return document.once(("price", name), made)


class Price:
    """What an operation costs, for given variables."""

    def __init__(self, document: DocumentNode, operation: OperationDefinitionNode, reads: Mapping[str, Read]) -> None:
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._reads = reads
        self._variables = {
            each.variable.name.value: int(each.default_value.value)
            for each in operation.variable_definitions or ()
            if isinstance(each.default_value, IntValueNode)
        }
        self._roots = [self._root(node) for node in self._fields(operation.selection_set)]

    def of(self, variables: Mapping[str, Any] | None) -> int:
        given = variables or {}
        return sum(root.of(given) for root in self._roots)

    def _root(self, node: FieldNode) -> _Root:
        read = self._reads.get(node.name.value)
        if node.selection_set is None:
            return _Root(0, 0, 0, 0)
        fixed = each = 0
        for below in self._fields(node.selection_set):
            is_per_item = read is not None and read.is_connection and below.name.value in _PER_ITEM
            cost = self._objects(below)
            fixed, each = (fixed, each + cost) if is_per_item else (fixed + cost, each)
        return _Root(_ASKING + fixed, each, *self._first(node, read))

    def _first(self, node: FieldNode, read: Read | None) -> tuple[int | str, int]:
        """How many are asked for; and how many where the variable says nothing."""
        if read is None or not read.is_connection:
            return 0, 0
        otherwise = read.field.message.model_fields["first"].default
        given = next((each.value for each in node.arguments or () if each.name.value == "first"), None)
        match given:
            case IntValueNode():
                return int(given.value), otherwise
            case VariableNode():
                name = given.name.value
                return name, self._variables.get(name, otherwise)
        return otherwise, otherwise

    def _objects(self, node: FieldNode) -> int:
        if node.selection_set is None:
            return 0
        return 1 + sum(map(self._objects, self._fields(node.selection_set)))

    def _fields(self, selections: SelectionSetNode) -> list[FieldNode]:
        """The fields of a selection, those of its fragments included."""
        found: list[FieldNode] = []
        for node in selections.selections:
            match node:
                case FieldNode():
                    found.append(node)
                case InlineFragmentNode():
                    found += self._fields(node.selection_set)
                case FragmentSpreadNode():
                    found += self._fields(self._fragments[node.name.value].selection_set)
        return found
