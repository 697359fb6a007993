"""Generated GraphQL: any valid query of the plain reads of a schema, and answers of services to go with it.

Everything is drawn from a `random.Random`, so that a failing example is repeated by its seed.
"""

import types
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import orjson
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)
from pydantic import BaseModel

from gateway.graphql.schema import Schema
from shared.contracts.base import Message
from shared.security import SecretText

_TEXTS = ("", "oak", "ж", '"quoted"\n', "\u2028", "a" * 40)


# --- what services answer


class Answers:
    """Makes answers of a type: as shapes, as parsed JSON, or as ready bytes.

    `misfits` is how many in a thousand values are of another type, or null, against what the shape promises.
    """

    def __init__(self, random: Random, *, as_json: bool = False, misfits: int = 0) -> None:
        self._random, self._as_json, self._misfits = random, as_json, misfits

    def of(self, annotation: Any, depth: int = 0) -> Any:
        if self._misfits and self._random.randrange(1000) < self._misfits:
            return self._random.choice([None, 7, "nothing", [], {}, 2**40, True, 1.5])
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self.of(arguments[0], depth)
        if origin in (Union, types.UnionType):
            members = [each for each in arguments if each is not type(None)]
            is_null = type(None) in arguments and (self._random.random() < 0.3 or depth > 6)
            return None if is_null else self.of(self._random.choice(members), depth)
        if origin in (list, tuple, set, frozenset):
            size = 0 if depth > 6 else self._random.randrange(4)
            return [self.of(arguments[0], depth + 1) for _ in range(size)]
        if origin in (dict, Mapping) or annotation in (dict, Any, object):
            return {"key": "value", "1": [1, None]}
        if origin is Literal:
            return self._random.choice(arguments)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self._shape(annotation, depth)
        return self._scalar(getattr(annotation, "__supertype__", annotation))

    def _shape(self, shape: type[BaseModel], depth: int) -> Any:
        values = {name: self.of(field.annotation, depth + 1) for name, field in shape.model_fields.items()}
        return values if self._as_json else shape.model_construct(None, **values)

    def _scalar(self, kind: Any) -> Any:
        random = self._random
        value: Any = {
            str: lambda: random.choice(_TEXTS),
            bool: lambda: random.random() < 0.5,
            int: lambda: random.choice([0, -3, 12, 2**31 - 1]),
            float: lambda: random.choice([0.5, 2.0, 1e-7]),
            UUID: lambda: UUID(int=random.getrandbits(128)),
            datetime: lambda: datetime(2026, 3, random.randrange(1, 28), 9, 5, tzinfo=UTC),
            date: lambda: date(2026, 1, random.randrange(1, 28)),
            Decimal: lambda: Decimal("12.50"),
            SecretText: lambda: SecretText("hush"),
        }.get(kind, lambda: "something")()
        if not self._as_json or value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, datetime | date):
            return value.isoformat().replace("+00:00", "Z")
        return str(value.reveal() if isinstance(value, SecretText) else value)


def asked_in_full(message: Message[Any]) -> str:
    """A question as it is where all of the answer is wanted: the compiled path asks for what is selected."""
    return repr(message.model_copy(update=dict.fromkeys(message.spares, True)))


class AnsweringBus:
    """Answers every read of a schema, the same to the same question; some of them with `error`."""

    def __init__(self, schema: Schema, seed: int, mode: str, misfits: int = 0, errors: Mapping[str, Exception] = {}):
        self._schema, self._seed, self._mode, self._misfits, self._errors = schema, seed, mode, misfits, errors
        self._reads = {read.field.message: read for read in schema.reads.values()}
        self.asked: list[Message[Any]] = []

    async def ask(self, message: Message[Any], envelope: Any) -> Any:
        self.asked.append(message)
        read = self._reads[type(message)]
        if read.field.name in self._errors:
            raise self._errors[read.field.name]
        as_json = self._mode != "shapes" or message.answers_bytes()
        random = Random(f"{self._seed} {read.field.name} {asked_in_full(message)}")
        answer = Answers(random, as_json=as_json, misfits=self._misfits).of(read.field.answer)
        is_ready = message.answers_bytes() or self._mode == "bytes"
        return orjson.dumps(answer, default=str) if is_ready else answer


# --- what clients ask


def whole(schema: Schema, name: str, depth: int = 6) -> str:
    """An operation that selects everything below a root field, so many levels deep."""
    field = _query(schema).fields[name]
    arguments = Operation(schema, Random(name), [name]).literal_arguments(field)
    return f"query Whole {{ {name}{arguments} {_all_of(get_named_type(field.type), depth)} }}"


def _all_of(type_: Any, depth: int) -> str:
    if is_leaf_type(type_):
        return ""
    chosen = ["__typename"]
    for name, field in type_.fields.items():
        inner = get_named_type(field.type)
        if is_leaf_type(inner):
            chosen.append(name)
        elif depth > 1:
            chosen.append(f"{name} {_all_of(inner, depth - 1)}")
    return "{ " + " ".join(chosen) + " }"


def _query(schema: Schema) -> GraphQLObjectType:
    assert schema._schema.query_type is not None
    return schema._schema.query_type


class Operation:
    """One random operation over some root fields: `text` and `variables`."""

    def __init__(self, schema: Schema, random: Random, names: list[str]) -> None:
        self._schema, self._random = schema, random
        self._fragments: list[str] = []
        self._declared: list[str] = []
        self.variables: dict[str, Any] = {}
        self._aliases = 0
        roots = " ".join(self._roots(names))
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        self.text = " ".join([f"query Q{declared} {{ {roots} }}", *self._fragments])

    def _roots(self, names: list[str]) -> Iterator[str]:
        if self._random.random() < 0.2:
            yield "__typename"
        for number, name in enumerate(names):
            field = _query(self._schema).fields[name]
            selection = self._selection(get_named_type(field.type), 1)
            asked = f"r{number}: {name}{self._arguments(field)}{self._condition()} {selection}"
            yield f"... on Query {{ {asked} }}" if self._random.random() < 0.1 else asked

    # --- selections

    def _selection(self, type_: Any, depth: int) -> str:
        return "{ " + " ".join(self._fields(type_, depth)) + " }"

    def _fields(self, type_: Any, depth: int) -> list[str]:
        random = self._random
        possible = [
            (name, field)
            for name, field in type_.fields.items()
            if depth < 6 or is_leaf_type(get_named_type(field.type))
        ]
        # One without a condition, so that no selection is empty: what is left of an empty one is an empty object.
        chosen = ["__typename"] if not possible or random.random() < 0.3 else []
        wanted = random.sample(possible, min(len(possible), random.randrange(1, 6)))
        for name, field in wanted * (2 if random.random() < 0.15 else 1):
            inner = get_named_type(field.type)
            below = "" if is_leaf_type(inner) else " " + self._selection(inner, depth + 1)
            chosen.append(self._wrapped(type_, f"{self._alias()}{name}{self._condition()}{below}"))
        return chosen

    def _wrapped(self, type_: Any, field: str) -> str:
        """The field as it is, in an inline fragment, or in a fragment of its own."""
        condition = self._random.choice([type_.name, *(each.name for each in type_.interfaces)])
        kind = self._random.random()
        if kind < 0.1:
            return f"...{self._condition()} {{ {field} }}"
        if kind < 0.2 and condition == type_.name:
            return f"... on {condition}{self._condition()} {{ {field} }}"
        if kind < 0.3:
            name = f"F{len(self._fragments)}"
            self._fragments.append(f"fragment {name} on {type_.name} {{ {field} }}")
            return f"...{name}{self._condition()}"
        return field

    def _alias(self) -> str:
        if self._aliases >= 40 or self._random.random() > 0.2:
            return ""
        self._aliases += 1
        return f"a{self._aliases}: "

    def _condition(self) -> str:
        if self._random.random() > 0.15:
            return ""
        value = "true" if self._random.random() < 0.5 else "false"
        if self._random.random() < 0.6:
            name = f"c{len(self._declared)}"
            self._declared.append(f"${name}: Boolean!")
            self.variables[name] = value == "true"
            value = f"${name}"
        return f" @{self._random.choice(['include', 'skip'])}(if: {value})"

    # --- arguments

    def literal_arguments(self, field: GraphQLField) -> str:
        """What the field must be given."""
        given = [
            f"{name}: {_literal(self._value(argument.type), argument.type)}"
            for name, argument in field.args.items()
            if is_required_argument(argument)
        ]
        return f"({', '.join(given)})" if given else ""

    def _arguments(self, field: GraphQLField) -> str:
        given = []
        for name, argument in field.args.items():
            if not is_required_argument(argument) and self._random.random() > 0.2:
                continue
            value = self._value(argument.type)
            if name == "after":
                value = self._random.choice([None, "bm90IG91cnM", value])
            if name == "first":
                value = self._random.choice([1, 3, 20, 0, 201])
            if self._random.random() < 0.5:
                variable = f"v{len(self._declared)}"
                self._declared.append(f"${variable}: {argument.type}")
                self.variables[variable] = value
                given.append(f"{name}: ${variable}")
            else:
                given.append(f"{name}: {_literal(value, argument.type)}")
        return f"({', '.join(given)})" if given else ""

    def _value(self, type_: Any, depth: int = 0) -> Any:
        """A value of an input type, as variables carry it."""
        if is_non_null_type(type_):
            return self._value(type_.of_type, depth)
        if is_list_type(type_):
            return [self._value(type_.of_type, depth + 1) for _ in range(self._random.randrange(1, 3))]
        if is_enum_type(type_):
            return self._random.choice(list(type_.values))
        if is_input_object_type(type_):
            return {
                name: self._value(field.type, depth + 1)
                for name, field in type_.fields.items()
                if is_required_input_field(field) or (depth < 3 and self._random.random() < 0.4)
            }
        random = self._random
        return {
            "Int": lambda: random.choice([1, 5]),
            "Long": lambda: 5,
            "Float": lambda: 1.5,
            "Boolean": lambda: random.random() < 0.5,
            "UUID": lambda: str(UUID(int=random.getrandbits(128))),
            "DateTime": lambda: "2026-03-01T09:00:00Z",
            "Date": lambda: "2026-03-01",
            "Decimal": lambda: "1.5",
        }.get(type_.name, lambda: random.choice(["main", "oak", "x"]))()


def _literal(value: Any, type_: Any) -> str:
    """A value as it stands in a document."""
    named = type_.of_type if is_non_null_type(type_) else type_
    if value is None:
        return "null"
    if is_list_type(named):
        return "[" + ", ".join(_literal(each, named.of_type) for each in value) + "]"
    if is_enum_type(named):
        return str(value)
    if is_input_object_type(named):
        inner = (f"{name}: {_literal(each, named.fields[name].type)}" for name, each in value.items())
        return "{" + ", ".join(inner) + "}"
    return orjson.dumps(value).decode()
