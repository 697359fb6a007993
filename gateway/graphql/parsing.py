"""Ready-made JSON read for one selection: only what is selected becomes an object, the rest is passed over.

Whatever does not fit is read whole, as the ordinary executor reads it.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

import msgspec
import orjson
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_leaf_type, is_list_type, is_non_null_type
from graphql.execution.collect_fields import FieldDetailsList

from gateway.graphql.plain import Collect, plain_field
from gateway.graphql.projection import Parsed

Read = Callable[[bytes], Any]
_ITEMS = "items"
_NEXT = "next"


def reader(
    schema: GraphQLSchema, type_: Any, field: FieldDetailsList, collect: Collect, *, is_connection: bool
) -> Read:
    """Reads the answer of a read of plain data whose field has this type and this selection."""
    types = _Types(schema, collect)
    named = get_named_type(type_)
    shape = types.of_connection(named, field) if is_connection else types.of_object(named, field)
    decoder = msgspec.json.Decoder(shape)

    def read(answer: bytes) -> Any:
        try:
            return decoder.decode(answer)
        except msgspec.DecodeError:
            return orjson.loads(answer)

    return read


class _Types:
    """The types that JSON is read as."""

    def __init__(self, schema: GraphQLSchema, collect: Collect) -> None:
        self._schema, self._collect = schema, collect

    def of_connection(self, type_: GraphQLObjectType, field: FieldDetailsList) -> Any:
        """Of an answer with `items` and `next`, and what else of it is selected."""
        selected = self._selected(type_, field)
        items = selected.pop("nodes", [])
        edges = self._selected(get_named_type(type_.fields["edges"].type), selected.pop("edges", []))
        items += edges.get("node", [])
        selected.pop("pageInfo", None)
        item = get_named_type(type_.fields["nodes"].type)
        fields = [(_NEXT, Any, None), (_ITEMS, list[self.of_object(item, items) | None] | None, None)]  # type: ignore[misc]
        for name, details in selected.items():
            python_name, of_field = self._field(type_, name, details)
            fields.append((python_name, of_field, None))
        return _struct(fields)

    def of_object(self, type_: GraphQLObjectType, field: FieldDetailsList) -> Any:
        """Of an object; a mapping where a field is made of what is not selected."""
        fields = []
        for name, details in self._selected(type_, field).items():
            if plain_field(self._schema, type_, name).of_source is not None:
                return dict
            python_name, of_field = self._field(type_, name, details)
            fields.append((python_name, of_field, None))
        return _struct(fields)

    def _field(self, type_: GraphQLObjectType, name: str, details: FieldDetailsList) -> tuple[str, Any]:
        field = plain_field(self._schema, type_, name)
        return field.python_name, self._of(field.type, details)

    def _of(self, type_: Any, field: FieldDetailsList) -> Any:
        inner = type_.of_type if is_non_null_type(type_) else type_
        if is_leaf_type(get_named_type(inner)):
            return Any
        if is_list_type(inner):
            return list[self._of(inner.of_type, field)] | None  # type: ignore[misc]
        return self.of_object(inner, field) | None

    def _selected(self, type_: GraphQLObjectType, field: FieldDetailsList) -> dict[str, FieldDetailsList]:
        """The fields that are selected anywhere, under whatever alias, each with all that is selected below it."""
        found: dict[str, FieldDetailsList] = defaultdict(list)
        for group in self._collect(type_, field).values():
            for each in group:
                found[each.node.name.value].append(each)
        found.pop("__typename", None)
        return found


def _struct(fields: list[tuple[str, Any, Any]]) -> type[Parsed]:
    return cast(type[Parsed], msgspec.defstruct("Parsed", fields, bases=(Parsed,), gc=False))
