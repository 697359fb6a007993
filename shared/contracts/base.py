"""The four kinds of thing that travel: shapes, queries, commands and events. All frozen, all named after their module.

`shared.contracts.catalog.messages.GetProduct` is asked of the service `catalog`; on the wire it is
`catalog.get_product`.
"""

import re
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar
from uuid import UUID

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
)
from pydantic_core import CoreSchema

from shared.contracts.structs import StructAnswer

A = TypeVar("A")
# What a schema says beside what it takes, and the keys of tables.
_NOT_WITHIN = frozenset({"metadata", "serialization", "config", "default", "keys_schema"})
# The places of a model itself: to look for them each time is most of what making one costs.
_set_values, _set_given, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()


def _make_strict(node: Any, shape: type[BaseModel]) -> None:
    """Make the whole numbers and truth values of `shape` strict, wherever they are; other models answer for theirs.

    Not so the keys of a table: in JSON they are always text.
    """
    if isinstance(node, list | tuple):
        for each in node:
            _make_strict(each, shape)
    elif isinstance(node, dict) and not (node.get("type") == "model" and node["cls"] is not shape):
        if node.get("type") in ("int", "bool"):
            node.setdefault("strict", True)
        for name, each in node.items():
            if name not in _NOT_WITHIN:
                _make_strict(each, shape)


class Shape(BaseModel):
    """Something that messages, answers and events carry.

    Whole numbers and truth values are taken as such alone: a quantity of `true`, "1" or 1.0 is a mistake of the sender.
    A field that is read from text, as a query parameter is, says `Field(strict=False)`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    _names: ClassVar[set[str]]

    @classmethod
    def known(cls, **fields: Any) -> Self:
        """One of which all fields are given and right already: nothing is looked at, at a fifth of the cost.

        For what is made by thousands, of values that were checked when they came in. Raises TypeError when one of the
        fields is missing.
        """
        names = cls.__dict__.get("_names")
        if names is None:
            names = cls._names = set(cls.__pydantic_fields__)
        if len(fields) != len(names):
            raise TypeError(f"{cls.__name__} needs all of its fields: {', '.join(cls.__pydantic_fields__)}")
        made = cls.__new__(cls)
        _set_values(made, fields)
        # One for all: nobody adds to the fields of what is frozen, and copies have their own.
        _set_given(made, names)
        _set_extra(made, None)
        _set_private(made, None)
        return made

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _make_strict(schema, cls)
        return schema


def field_of(answer: Any, name: str) -> Any:
    """A field of whatever was answered; None for what has none of this name. A shape takes 3 µs to say so itself."""
    fields = getattr(type(answer), "__pydantic_fields__", None)
    return getattr(answer, name, None) if fields is None or name in fields else None


class AnswerType(Protocol[A]):
    """How answers of one type are written and read, as pydantic's adapter of it does."""

    _type: Any

    def dump_json(self, instance: A, /, *, context: Any = None) -> bytes: ...

    def validate_json(self, data: bytes | str, /, *, context: Any = None) -> A: ...


class Message(Shape, Generic[A]):
    """Asked of one service, answered once with an `A`. Subclass Query or Command."""

    service: ClassVar[str]
    wire_name: ClassVar[str]
    is_command: ClassVar[bool] = False
    # Fields of the same names as the answer's that say, by false, that nobody will read those.
    spares: ClassVar[frozenset[str]] = frozenset()
    # How long the asker waits when it names no time itself.
    timeout_seconds: ClassVar[float] = 10.0
    _answer: ClassVar[AnswerType[Any]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        if cls.__pydantic_generic_metadata__["origin"] is not None or cls.__pydantic_generic_metadata__["parameters"]:
            return
        if "service" not in cls.__dict__ and cls.__module__.startswith("shared.contracts."):
            cls.service = cls.__module__.split(".")[2]
        cls.wire_name = f"{getattr(cls, 'service', '')}.{_snake(cls.__name__)}"

    def destination(self) -> str:
        """The service that answers."""
        return self.service

    @classmethod
    def answer_type(cls) -> AnswerType[A]:
        """How the answer is read and written. `bytes` are ready-made JSON and travel untouched."""
        if "_answer" not in cls.__dict__:
            promised = _answer_argument(cls)
            is_struct = isinstance(promised, type) and issubclass(promised, msgspec.Struct)
            cls._answer = StructAnswer(promised) if is_struct else TypeAdapter(promised)
        return cls._answer

    @classmethod
    def answers_bytes(cls) -> bool:
        """Whether the answer is ready-made JSON."""
        return _answer_argument(cls) is bytes


class ReadyJson(bytes):
    """Ready-made JSON that says what it stands on: `standing` is for whoever keeps it, and goes wherever it goes."""

    standing: tuple[Any, ...]

    @classmethod
    def of(cls, text: bytes, standing: tuple[Any, ...]) -> Self:
        made = cls(text)
        made.standing = standing
        return made


class Query(Message[A], Generic[A]):
    """A question: changes nothing, may be asked again."""


class Command(Message[A], Generic[A]):
    """An order to change something; with an idempotency key it changes it once."""

    is_command: ClassVar[bool] = True


class Event(Shape):
    """A fact in the past tense. Fields are only added, and optional; a changed meaning is a new event."""

    wire_name: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        cls.wire_name = (
            f"{cls.__module__.split('.')[2]}.{_snake(cls.__name__)}" if "." in cls.__module__ else cls.__name__
        )


class Page(Shape, Generic[A]):
    """One page of a collection; `next` is the cursor of the following one."""

    items: list[A]
    next: str | None = None


class Change(Shape):
    """Some fields of a thing, to be changed: the ones that are given. Null is a value, an absent field is not touched.

    Only what was given travels, so that absent and null stay apart on the other side of a queue, too.
    """

    @model_serializer(mode="wrap")
    def _only_what_was_given(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}

    def given(self) -> dict[str, Any]:
        """The fields that are to change, as attributes of this shape."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Done(Shape):
    """The answer of a command that has nothing more to say."""

    id: UUID | None = None


def _answer_argument(message: type) -> Any:
    for base in message.__mro__:
        metadata = base.__dict__.get("__pydantic_generic_metadata__")
        if metadata and metadata["origin"] in (Query, Command, Message) and metadata["args"]:
            argument = metadata["args"][0]
            if not isinstance(argument, TypeVar):
                return argument
    raise TypeError(f"{message.__name__} does not say what its answer is: class {message.__name__}(Query[Answer])")


__all__ = ["Change", "Command", "Done", "Event", "Message", "Page", "Query", "ReadyJson", "Shape", "field_of"]
