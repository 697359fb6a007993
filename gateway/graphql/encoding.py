"""Lists of plain objects written to JSON at once, where every value is written as it is.

Texts, truths and whole numbers of shapes (and of what `parsing.py` reads), in objects in objects, under whatever names:
half of what a large answer is made of. Everything else is left to `projection.py`, and so is a list that does not fit.
An object that has all that is selected is not asked for its class: services answer what they promise.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import orjson
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from pydantic import BaseModel

from gateway.graphql.plain import Collect, own_names, plain_field

# A list as JSON; None where it does not fit.
Encode = Callable[[Any], orjson.Fragment | None]

_LEAVES: dict[str, Any] = {
    "String": str,
    "Boolean": bool,
    "Int": Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    "Long": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
}
_UNFIT = (msgspec.MsgspecError, AttributeError, TypeError, ValueError)


def plain_value(value: object) -> object:
    """What JSON has no word for, as REST writes it: a shape in a mapping with free keys is an object there as well."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


class _NotDirect(Exception):
    """A value is not written as it is."""


def encoder(schema: GraphQLSchema, type_: Any, field: FieldDetailsList, collect: Collect) -> Encode | None:
    """What writes a list of objects of this selection; None where it takes more than writing. Raises NotPlain."""
    try:
        listed = _Types(schema, collect).of(type_, field)
    except _NotDirect:
        return None
    encode = msgspec.json.Encoder().encode

    def encoded(value: Any) -> orjson.Fragment | None:
        # Mappings are looked at by the names of the answer, which are not their own.
        if type(value) is not list or not value or isinstance(value[0], dict):
            return None
        try:
            return orjson.Fragment(encode(msgspec.convert(value, listed, from_attributes=True)))
        except _UNFIT:
            return None

    return encoded


class _Types:
    """The types that a selection is written as: fields in its order, read by their own names, written by its."""

    def __init__(self, schema: GraphQLSchema, collect: Collect) -> None:
        self._schema, self._collect = schema, collect

    def of(self, type_: Any, field: FieldDetailsList) -> Any:
        if not is_non_null_type(type_):
            return self._required(type_, field) | None
        return self._required(type_.of_type, field)

    def _required(self, type_: Any, field: FieldDetailsList) -> Any:
        if is_list_type(type_):
            return list[self.of(type_.of_type, field)]  # type: ignore[misc]
        if is_object_type(type_):
            return self._object(type_, field)
        if is_leaf_type(type_) and type_.name in _LEAVES:
            return _LEAVES[type_.name]
        raise _NotDirect

    def _object(self, type_: GraphQLObjectType, field: FieldDetailsList) -> Any:
        own = own_names(type_)
        fields, names = [], {}
        for key, group in self._collect(type_, field).items():
            name = group[0].node.name.value
            if name == "__typename":
                raise _NotDirect
            plain = plain_field(self._schema, type_, name)
            # A mapping among the shapes would be read by the key: that shall be no other field of it.
            is_ambiguous = key != plain.python_name and key in own
            if plain.of_source is not None or plain.python_name in names or is_ambiguous:
                raise _NotDirect
            names[plain.python_name] = key
            fields.append((plain.python_name, self.of(plain.type, group)))
        return msgspec.defstruct("Written", fields, rename=names, gc=False)
