"""Arguments as graphql-core read them, made what messages are made of: by functions that are made once for each type.

strawberry makes objects of its own input types of them, which then are read again as mappings; for a filter with one
price, that took as long as to write the answer.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLField, GraphQLInputObjectType, is_input_object_type, is_list_type, is_non_null_type

_DEFINITION = "strawberry-definition"
_Plain = Callable[[Any], Any]


def arguments_of(definition: GraphQLField) -> _Plain:
    """A function of a field's arguments, by their names in GraphQL; it gives them by their names here.

    Input objects become mappings without what was left out, members of enumerations their values.
    """
    known: dict[str, _Plain] = {}
    arguments = {
        name: (argument.extensions[_DEFINITION].python_name, _plain(argument.type, known))
        for name, argument in definition.args.items()
    }
    return lambda given: _named(arguments, given)


def _named(names: Mapping[str, tuple[str, _Plain]], given: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in given.items():
        own, plain = names[name]
        found[own] = None if value is None else plain(value)
    return found


def _plain(type_: Any, known: dict[str, _Plain]) -> _Plain:
    """`known` are those of input types, which may lie in themselves."""
    inner = type_.of_type if is_non_null_type(type_) else type_
    if is_list_type(inner):
        each = _plain(inner.of_type, known)
        return lambda values: [None if value is None else each(value) for value in values]
    if is_input_object_type(inner):
        return known.get(inner.name) or _plain_object(inner, known)
    return _plain_leaf


def _plain_object(type_: GraphQLInputObjectType, known: dict[str, _Plain]) -> _Plain:
    names: dict[str, tuple[str, _Plain]] = {}
    known[type_.name] = plain = lambda given: _named(names, given)
    for name, field in type_.fields.items():
        names[name] = field.extensions[_DEFINITION].python_name, _plain(field.type, known)
    return plain


def _plain_leaf(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value
