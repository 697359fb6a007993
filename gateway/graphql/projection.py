"""A selection over plain data as a function that writes it: from shapes or parsed JSON to what is answered.

The functions are made as Python text once per selection, as dataclasses make theirs: walking the selection anew for
each object costs the ordinary executor most of its time. They write what graphql-core's executor would, and raise for
whatever it would not simply write (a null where none may be, a value that a type does not take); the executor then
says itself what it makes of that.
"""

from collections.abc import Callable, Mapping
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
    get_named_type,
    is_enum_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList

from gateway.graphql.encoding import encoder
from gateway.graphql.plain import Collect, NotPlain, PlainField, plain_field

Projection = Callable[[Any], Any]

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


class Parsed(msgspec.Struct, gc=False):
    """What `parsing.py` reads JSON as: it has what is selected, under the names of the JSON."""


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
        self._objects = 0
        self._known: dict[str, Any] = {"listed": _listed}

    def made(self, type_: GraphQLOutputType, field: FieldDetailsList) -> Projection:
        expression = self._value("v", type_, field)
        text = "\n".join([*self._functions, f"def made(v): return {expression.replace(_EITHER, 's')}"])
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
        if is_list_type(inner):
            written = self._list(var, inner, field)
        else:
            written = f"{_EITHER}{self._object(inner, field).number}({var})"
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

    def _object(self, type_: Any, field: FieldDetailsList) -> "_Object":
        """Two functions that write an object, `m…` from mappings and `s…` from shapes; each knows the other."""
        if not is_object_type(type_):
            raise NotPlain(f"{type_} is one of several types.")
        if type_.is_type_of is not None and not type_.is_type_of({}, None):  # type: ignore[arg-type]
            raise NotPlain(f"{type_} is not read from parsed JSON.")
        fitting: set[type] = set()
        self._objects += 1
        made = _Object(self._objects, self._name(fitting), self._name(_check(type_, fitting)))
        for position, (key, group) in enumerate(self._collect(type_, field).items()):
            name = group[0].node.name.value
            if name == "__typename":
                made.entries.append(f"{key!r}: {type_.name!r}")
            else:
                self._add(made, f"v{made.number}_{position}", key, plain_field(self._schema, type_, name), group)
        self._functions += made.functions()
        return made

    def _add(self, made: "_Object", var: str, key: str, field: PlainField, group: FieldDetailsList) -> None:
        """Write one more field of an object."""
        if field.of_source is None:
            made.read(f"{var} = {made.getter}({field.python_name!r})", f"{var} = {made.source}.{field.python_name}")
        else:
            made.read(*[f"{var} = {self._name(field.of_source)}({made.source})"] * 2)
        inner = _objects_in_list(field.type)
        if inner is None:
            made.entries.append(f"{key!r}: {self._value(var, field.type, group)}")
            return
        item = self._object(get_named_type(inner), group)
        of_mapping, of_shape = (item.loop(kind, var, field.type) for kind in ("m", "s"))
        at_once = encoder(self._schema, field.type, group, self._collect)
        if at_once is not None:
            of_shape = [
                f"{var}f = {self._name(at_once)}({var})",
                f"if {var}f is not None: {var} = {var}f",
                "else:",
                *_indented(of_shape),
            ]
        made.read(of_mapping, of_shape)
        made.entries.append(f"{key!r}: {var}")


class _Object:
    """The text of what writes one object. Its names are its own, so that it may stand within that of another."""

    def __init__(self, number: int, known: str, check: str) -> None:
        self.number = number
        self.source, self.getter = f"o{number}", f"g{number}"
        self.entries: list[str] = []
        self._known, self._check = known, check
        self._of: dict[str, list[str]] = {"m": [f"{self.getter} = {self.source}.get"], "s": []}
        # Whoever has a loop within does not go into another's: the text would double with every level.
        self._has_loop = False

    def read(self, of_mapping: str | list[str], of_shape: str | list[str]) -> None:
        """Add the lines that read a field."""
        for kind, lines in (("m", of_mapping), ("s", of_shape)):
            self._has_loop = self._has_loop or isinstance(lines, list)
            self._of[kind] += lines if isinstance(lines, list) else [lines]

    def functions(self) -> list[str]:
        number, source = self.number, self.source
        return [
            f"def m{number}({source}):",
            f"    if type({source}) is not dict: return s{number}({source})",
            *_indented(self._of["m"]),
            f"    return {self._written('m')}",
            f"def s{number}({source}):",
            f"    if type({source}) not in {self._known}:",
            f"        if type({source}) is dict: return m{number}({source})",
            f"        {self._check}({source})",
            *_indented(self._of["s"]),
            f"    return {self._written('s')}",
        ]

    def loop(self, kind: str, var: str, type_: GraphQLOutputType) -> list[str]:
        """Lines that make of `var`, a list of such objects, what is written: a call for each costs an eighth."""
        is_nullable, listed = not is_non_null_type(type_), f"({var} if type({var}) is list else listed({var}))"
        item_type = (type_ if is_nullable else type_.of_type).of_type  # type: ignore[union-attr]
        source, called = self.source, f"{kind}{self.number}({self.source})"
        otherwise = called if is_non_null_type(item_type) else f"None if {source} is None else {called}"
        if self._has_loop:
            lines = [f"{var} = [{otherwise} for {source} in {listed}]"]
        else:
            fits = f"type({source}) is dict" if kind == "m" else f"type({source}) in {self._known}"
            lines = [
                f"{var}r = []",
                f"for {source} in {listed}:",
                f"    if {fits}:",
                *_indented(_indented([*self._of[kind], f"{var}r.append({self._written(kind)})"])),
                f"    else: {var}r.append({otherwise})",
                f"{var} = {var}r",
            ]
        return [f"if {var} is not None:", *_indented(lines)] if is_nullable else lines

    def _written(self, kind: str) -> str:
        """The object, as an expression; what lies in it is of its own kind: JSON in JSON, shapes in shapes."""
        return ("{" + ", ".join(self.entries) + "}").replace(_EITHER, kind)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _objects_in_list(type_: Any) -> Any:
    """The type of what lies in a list of objects; None for any other type."""
    inner = type_.of_type if is_non_null_type(type_) else type_
    if not is_list_type(inner):
        return None
    item = inner.of_type.of_type if is_non_null_type(inner.of_type) else inner.of_type
    return None if is_list_type(item) or is_leaf_type(item) else item


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
