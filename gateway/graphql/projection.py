"""A selection over plain data as a function that writes it: from shapes or parsed JSON to what is answered.

The functions are made as Python text once per selection, as dataclasses make theirs: walking the selection anew for
each object costs the ordinary executor most of its time. They write what graphql-core's executor would, and raise for
whatever it would not simply write (a null where none may be, a value that a type does not take); the executor then
says itself what it makes of that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    Undefined,
    is_enum_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

Projection = Callable[[Any], Any]
# The fields below a field, as graphql-core collects them.
Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]

_DEFINITION = "strawberry-definition"
# What a scalar writes as it is; whatever else comes is left to the scalar.
_AS_IT_IS = {
    GraphQLString.name: "type({0}) is str",
    "ID": "type({0}) is str",
    GraphQLBoolean.name: "type({0}) is bool",
    GraphQLInt.name: "type({0}) is int and -2147483648 <= {0} <= 2147483647",
    "Long": "type({0}) is int",
    "UUID": "type({0}) is str",
    "DateTime": "type({0}) is str",
    "Date": "type({0}) is str",
    "Decimal": "type({0}) is str",
}


# Stands in expressions for the kind of function that is called; it stands in no name.
_EITHER = "@"


def _calling(kind: str, expression: str) -> str:
    """Objects lie in objects of their own kind: JSON in JSON, shapes in shapes."""
    return expression.replace(_EITHER, kind)


class Parsed(msgspec.Struct, gc=False):
    """What `parsing.py` reads JSON as: it has what is selected, under the names of the JSON."""


class NotPlain(Exception):
    """The selection has something that is more than plain data."""


class Unfit(Exception):
    """The data is not such as can simply be written."""


def projection(
    schema: GraphQLSchema, type_: GraphQLOutputType, field: FieldDetailsList, collect: Collect
) -> Projection:
    """A function that writes values of one field, `None` included, and raises anything for unfit ones.

    Raises NotPlain.
    """
    return _Writer(schema, collect).made(type_, field)


class _Writer:
    def __init__(self, schema: GraphQLSchema, collect: Collect) -> None:
        self._schema, self._collect = schema, collect
        self._functions: list[str] = []
        self._known: dict[str, Any] = {"listed": _listed}

    def made(self, type_: GraphQLOutputType, field: FieldDetailsList) -> Projection:
        expression = self._value("v", type_, field)
        text = "\n".join([*self._functions, f"def made(v): return {_calling('s', expression)}"])
        # Only names of this module's own making and names out of the schema and the document stand in it.
        exec(compile(text, "<projection>", "exec"), self._known)  # noqa: S102
        made: Projection = self._known["made"]
        return made

    def _name(self, value: Any) -> str:
        """A name that the functions know `value` by."""
        name = f"k{len(self._known)}"
        self._known[name] = value
        return name

    # --- values, as expressions of the variable that holds them

    def _value(self, var: str, type_: GraphQLOutputType, field: FieldDetailsList) -> str:
        is_nullable = not is_non_null_type(type_)
        inner: Any = type_.of_type if is_non_null_type(type_) else type_
        if is_leaf_type(inner):
            return self._leaf(var, inner, is_nullable)
        written = (
            self._list(var, inner, field) if is_list_type(inner) else f"{_EITHER}{self._object(inner, field)}({var})"
        )
        return f"(None if {var} is None else {written})" if is_nullable else written

    def _leaf(self, var: str, type_: Any, is_nullable: bool) -> str:
        completed = f"{self._name(_completion(type_, is_nullable))}({var})"
        if is_enum_type(type_):
            return f"({self._name(_enum_names(type_))}.get({var}) or {completed})"
        as_it_is = _AS_IT_IS.get(type_.name)
        if as_it_is is None:
            return completed
        condition = as_it_is.format(var) + (f" or {var} is None" if is_nullable else "")
        return f"({var} if {condition} else {completed})"

    def _list(self, var: str, type_: Any, field: FieldDetailsList) -> str:
        item = f"{var}x"
        written = self._value(item, type_.of_type, field)
        return f"[{written} for {item} in ({var} if type({var}) is list else listed({var}))]"

    # --- objects, as functions

    def _object(self, type_: Any, field: FieldDetailsList) -> int:
        """The number of two functions that write an object: `m…` reads mappings, `s…` shapes; each knows the other."""
        if not is_object_type(type_):
            raise NotPlain(f"{type_} is one of several types.")
        if type_.is_type_of is not None and not type_.is_type_of({}, None):  # type: ignore[arg-type]
            raise NotPlain(f"{type_} is not read from parsed JSON.")
        entries, of_mapping, of_shape = [], [], []
        for number, (key, group) in enumerate(self._collect(type_, field).items()):
            name = group[0].node.name.value
            if name == "__typename":
                entries.append(f"{key!r}: {type_.name!r}")
                continue
            definition = plain_field(self._schema, type_, name)
            var = f"v{number}"
            by_key, by_attribute = self._reading(definition)
            of_mapping.append(f"    {var} = {by_key}")
            of_shape.append(f"    {var} = {by_attribute}")
            entries.append(f"{key!r}: {self._value(var, definition.type, group)}")
        return self._function(type_, of_mapping, of_shape, "    return {" + ", ".join(entries) + "}")

    def _function(self, type_: GraphQLObjectType, of_mapping: list[str], of_shape: list[str], returns: str) -> int:
        number = len(self._functions)
        fitting: set[type] = set()
        known, check = self._name(fitting), self._name(_check(type_, fitting))
        lines = [
            f"def m{number}(o):",
            f"    if type(o) is not dict: return s{number}(o)",
            "    get = o.get",
            *of_mapping,
            _calling("m", returns),
            f"def s{number}(o):",
            f"    if type(o) not in {known}:",
            f"        if type(o) is dict: return m{number}(o)",
            f"        {check}(o)",
            *of_shape,
            _calling("s", returns),
        ]
        self._functions.append("\n".join(lines))
        return number

    def _reading(self, field: "PlainField") -> tuple[str, str]:
        """How a field is read from a mapping, and from a shape."""
        if field.of_source is None:
            return f"get({field.python_name!r})", f"o.{field.python_name}"
        reads = f"{self._name(field.of_source)}(o)"
        return reads, reads


@dataclass(frozen=True)
class PlainField:
    """A field that is read by its name, or made by `of_source` of the object and nothing else."""

    type: GraphQLOutputType
    python_name: str
    of_source: Projection | None


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
    if not field.python_name.isidentifier():
        raise NotPlain(f"{field.python_name} is no attribute.")
    return PlainField(definition.type, field.python_name, of_source)


def _completion(type_: Any, is_nullable: bool) -> Projection:
    """What graphql-core makes of a leaf that is not written as it is."""
    coerce = type_.coerce_output_value

    def completed(value: Any) -> Any:
        if value is None and is_nullable:
            return None
        written = coerce(value) if value is not None else None
        if written is None or written is Undefined:
            raise Unfit(f"{type_} cannot write {value!r}.")
        return written

    return completed


def _enum_names(type_: GraphQLEnumType) -> Mapping[str, str]:
    """Names by what shapes and ready JSON have for them."""
    return {name_of.value: type_.coerce_output_value(name_of) for name_of in type_.wrapped_cls}  # type: ignore[attr-defined]


def _listed(value: Any) -> Any:
    if not isinstance(value, tuple | list | set | frozenset):
        raise Unfit("A list is needed.")
    return value


def _check(type_: GraphQLObjectType, fitting: set[type]) -> Callable[[Any], None]:
    """Raises Unfit for an object that is not of the type; remembers the classes of those that are."""

    def check(source: Any) -> None:
        if source is None or isinstance(source, Mapping | Exception):
            raise Unfit(f"{type_} is not read from {type(source)}.")
        is_of_type = type_.is_type_of is None or isinstance(source, Parsed) or type_.is_type_of(source, None)  # type: ignore[arg-type]
        if not is_of_type:
            raise Unfit(f"{source!r} is no {type_}.")
        fitting.add(type(source))

    return check
