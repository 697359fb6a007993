"""Which fields are plain data: read by their name, or made of the object alone."""

from collections.abc import Callable
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from graphql import GraphQLObjectType, GraphQLOutputType, GraphQLSchema
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

# The fields below a field, as graphql-core collects them.
Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]

_DEFINITION = "strawberry-definition"


class NotPlain(Exception):
    """The selection has something that is more than plain data."""


@dataclass(frozen=True)
class PlainField:
    """A field that is read by its name, or made by `of_source` of the object and nothing else."""

    type: GraphQLOutputType
    python_name: str
    of_source: Callable[[Any], Any] | None


def plain_field(schema: GraphQLSchema, type_: GraphQLObjectType, name: str) -> PlainField:
    """Raises NotPlain for a field with arguments, or with a resolver of its own."""
    definition = schema.get_field(type_, name)
    if definition is None or definition.args or _DEFINITION not in definition.extensions:
        raise NotPlain(f"{type_}.{name} is not a field of plain data.")
    field: StrawberryField = definition.extensions[_DEFINITION]
    of_source = None
    if field.base_resolver is not None:
        of_source = getattr(field.base_resolver.wrapped_func, "of_source", None)
        if of_source is None:
            raise NotPlain(f"{type_}.{name} has a resolver of its own.")
    if not field.python_name.isidentifier() or iskeyword(field.python_name):
        raise NotPlain(f"{field.python_name} is no attribute.")
    return PlainField(definition.type, field.python_name, of_source)


def own_names(type_: GraphQLObjectType) -> set[str]:
    """What the fields of a type are called in shapes and in ready JSON."""
    return {field.extensions[_DEFINITION].python_name for field in type_.fields.values()}
