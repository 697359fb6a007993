"""What an operation costs: the objects that it may be answered with, and what asking takes.

A root field costs ten, for what it asks of a service. Each selection of an object costs one; those in a connection
cost that for each of the `first` that are asked for, and those in a list of an object (variants, facets, tiers), whose
length nobody knows before, as if there were five. Values are free. Introspection counts like everything else, its lists
once. The cost is known before anything is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NamedTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from gateway.graphql.documents import Document
from gateway.graphql.reads import Read
from gateway.graphql.schema import Schema

MAX_COST = 10_000
_ASKING = 10
# As many objects as a list in an object is taken for.
LISTED = 5
# What a connection calls its items.
_PER_ITEM = frozenset({"nodes", "edges"})


_Type = GraphQLNamedType | None


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
        return Price(document.node, operation, schema._schema, reads)

    return document.once(("price", name), made)


class Price:
    """What an operation costs, for given variables."""

    def __init__(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        types: GraphQLSchema,
        reads: Mapping[str, Read],
    ) -> None:
        self._types = types
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._reads = reads
        self._variables = {
            each.variable.name.value: int(each.default_value.value)
            for each in operation.variable_definitions or ()
            if isinstance(each.default_value, IntValueNode)
        }
        root = types.get_root_type(operation.operation)
        self._roots = [self._root(node, type_) for node, type_ in self._fields(operation.selection_set, root)]

    def of(self, variables: Mapping[str, Any] | None) -> int:
        given = variables or {}
        return sum(root.of(given) for root in self._roots)

    def _root(self, node: FieldNode, within: _Type) -> _Root:
        read = self._reads.get(node.name.value)
        if node.selection_set is None:
            return _Root(0, 0, 0, 0)
        fixed = each = 0
        type_, _ = _answered(node, within)
        for below, within_this in self._fields(node.selection_set, type_):
            is_per_item = read is not None and read.is_connection and below.name.value in _PER_ITEM
            cost = self._objects(below, within_this, is_counted=is_per_item)
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

    def _objects(self, node: FieldNode, within: _Type, *, is_counted: bool = False) -> int:
        """What a selection costs; a list only once where it is counted by somebody else."""
        if node.selection_set is None:
            return 0
        type_, is_list = _answered(node, within)
        cost = 1 + sum(self._objects(*below) for below in self._fields(node.selection_set, type_))
        return cost * LISTED if is_list and not is_counted else cost

    def _fields(self, selections: SelectionSetNode, within: _Type) -> list[tuple[FieldNode, _Type]]:
        """The fields of a selection, those of its fragments included, each with the type that has it."""
        found: list[tuple[FieldNode, _Type]] = []
        for node in selections.selections:
            match node:
                case FieldNode():
                    found.append((node, within))
                case InlineFragmentNode():
                    found += self._fields(node.selection_set, self._named(node.type_condition) or within)
                case FragmentSpreadNode():
                    fragment = self._fragments[node.name.value]
                    found += self._fields(fragment.selection_set, self._named(fragment.type_condition) or within)
        return found

    def _named(self, condition: NamedTypeNode | None) -> _Type:
        return None if condition is None else self._types.get_type(condition.name.value)


def _answered(node: FieldNode, within: _Type) -> tuple[_Type, bool]:
    """What type a field is of, and whether it is a list; None for what no type of ours has, as introspection."""
    field = getattr(within, "fields", {}).get(node.name.value)
    if field is None:
        return None, False
    return get_named_type(field.type), is_list_type(get_nullable_type(field.type))
