"""What a service's GraphQL module is made of: fields, each of which is one message.

These are only declarations; `schema.py` makes strawberry fields of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.contracts.base import Message, Shape

Kind = Literal["query", "connection", "mutation", "subscription"]


@dataclass(frozen=True)
class Field:
    """A root field: `message` is asked with the field's arguments, and `answer` is what comes back."""

    kind: Kind
    name: str
    message: type[Message[Any]]
    # What the message promises, unless it answers ready-made JSON: then the shape of that JSON.
    answer: Any
    # Argument names that differ from the message's field names: {"service_name": "service"}.
    renamed: Mapping[str, str] = field(default_factory=dict)

    def argument(self, field_name: str) -> str:
        return self.renamed.get(field_name, field_name)


@dataclass(frozen=True)
class Node:
    """A shape that has a global id, and the message that finds it again by its own `id`."""

    shape: type[Shape]
    message: type[Message[Any]]
    key: str
    # Other shapes of the same thing, as lists have them: their `id` is the same and leads to `shape`.
    also: tuple[type[Shape], ...] = ()
    # Whether `id` of the shapes is the global one already, and what `message` takes.
    has_global_id: bool = False


@dataclass(frozen=True)
class Link:
    """A field of `shape` that leads to other things by their ids, all of one list fetched with one message."""

    shape: type[Shape]
    name: str
    target: type[Shape]
    # The field of `shape` that holds the id (or the ids).
    by: str
    # Asked with all distinct ids of the moment.
    message: type[Message[Any]]
    ids: str
    # The list in the answer, and the field of its entries that is the id.
    found: Callable[[Any], list[Any]]
    key: str = "id"


Declaration = Field | Node | Link


def query(
    name: str, message: type[Message[Any]], *, answer: Any = None, renamed: Mapping[str, str] | None = None
) -> Field:
    """A field of Query that answers one thing. Its arguments are the message's fields."""
    return Field("query", name, message, answer or promised(message), renamed or {})


def connection(
    name: str, message: type[Message[Any]], *, answer: Any = None, renamed: Mapping[str, str] | None = None
) -> Field:
    """A field of Query that answers a Relay connection.

    The message has `first` and `after`, its answer `items` and `next` (a Page, or a shape of more: what else it has
    becomes fields of the connection).
    """
    return Field("connection", name, message, answer or promised(message), renamed or {})


def mutation(
    name: str, message: type[Message[Any]], *, answer: Any = None, renamed: Mapping[str, str] | None = None
) -> Field:
    """A field of Mutation: the command's answer, or a Problem."""
    return Field("mutation", name, message, answer or promised(message), renamed or {})


def subscription(name: str, message: type[Message[Any]], *, renamed: Mapping[str, str] | None = None) -> Field:
    """A field of Subscription: the answer now, and again each time it has become another, until it is finished.

    The answer has `finished_at`, null for as long as there is more to come.
    """
    return Field("subscription", name, message, promised(message), renamed or {})


def node(
    shape: type[Shape],
    message: type[Message[Any]],
    key: str,
    also: tuple[type[Shape], ...] = (),
    *,
    has_global_id: bool = False,
) -> Node:
    """Give `shape` a global id, and the same to `also`; `message(key=…)` finds it again for `node(id:)`."""
    return Node(shape, message, key, also, has_global_id)


def link(
    shape: type[Shape],
    name: str,
    target: type[Shape],
    *,
    by: str,
    message: type[Message[Any]],
    ids: str,
    found: Callable[[Any], list[Any]] = lambda answer: answer.items,
    key: str = "id",
) -> Link:
    """A field `name` of `shape` that leads to `target`: `message(ids=[…])` is asked once for a whole list."""
    return Link(shape, name, target, by, message, ids, found, key)


def promised(message: type[Message[Any]]) -> Any:
    """The type a message says it answers. Raises TypeError for ready-made JSON: say its shape with `answer=`."""
    if message.answers_bytes():
        raise TypeError(f"{message.__name__} answers JSON as bytes: say its shape with answer=")
    return message.answer_type()._type
