"""Reads: root fields of plain data, each one `ask`; the ordinary executor and the compiled path answer them alike."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import strawberry
from pydantic import ValidationError

from gateway.graphql.fields import Field
from gateway.graphql.identifiers import edge_cursor, inner_position, own_ids
from gateway.graphql.streams import Stream
from gateway.graphql.types import plain, value_of
from shared.bus.ask import Asker
from shared.contracts.base import Message
from shared.errors import ValidationFailed
from shared.pagination import InvalidCursor
from shared.validation import entries_of


@dataclass(frozen=True)
class Read:
    """A field of Query. `id_types` are names of types by what messages call their ids."""

    field: Field
    id_types: Mapping[str, Sequence[str]]

    @property
    def is_connection(self) -> bool:
        return self.field.kind == "connection"

    def message(self, given: Mapping[str, Any]) -> Message[Any]:
        """The question that these arguments make. Raises ValidationFailed, InvalidNodeId.

        Null for an argument that is never null is as if it were not given: clients send it for a variable without a
        value.
        """
        message: Message[Any] = arguments(self.field, given, self.id_types, takes_nulls=True)
        return message

    def message_of(self, plainly: Mapping[str, Any], spared: Iterable[str]) -> Message[Any]:
        """As `message`, from arguments that are mappings, lists and values alone; what is `spared` is not asked for."""
        names = self._names
        values = {names[name]: own_ids(names[name], value, self.id_types) for name, value in plainly.items()}
        for name in spared:
            values.setdefault(name, False)
        message: Message[Any] = _made(self.field.message, values, takes_nulls=True)
        return message

    @cached_property
    def _names(self) -> dict[str, str]:
        return _fields_by_argument(self.field)

    async def answer(self, ask: Asker, message: Message[Any], read: Callable[[bytes], Any] = orjson.loads) -> Any:
        """The source of the field: a shape or what `read` makes of ready-made JSON, for a connection a `Connected`.

        Raises CrossdockError.
        """
        if self.is_connection:
            return await _page(ask, message, read)
        return readable(await ask(message), read)


def arguments(
    field: Field | Stream, given: Mapping[str, Any], types: Mapping[str, Sequence[str]], *, takes_nulls: bool = False
) -> Any:
    """A field's arguments as the shape that has them; `types` by what their ids are called.

    With `takes_nulls` a null that the shape refuses is left out. Raises ValidationFailed, with a pointer to each
    argument that is wrong, and InvalidNodeId.
    """
    names = _fields_by_argument(field)
    values = {
        names[name]: own_ids(names[name], plain(value), types)
        for name, value in given.items()
        if value is not strawberry.UNSET
    }
    return _made(field.message, values, takes_nulls=takes_nulls)


def _fields_by_argument(field: Field | Stream) -> dict[str, str]:
    return {field.argument(name): name for name in field.message.model_fields}


def _made(message: Any, values: Mapping[str, Any], *, takes_nulls: bool) -> Any:
    try:
        return message.model_validate(values)
    except ValidationError as error:
        if takes_nulls and (fewer := _without_refused_nulls(values, error)) is not None:
            return _made(message, fewer, takes_nulls=False)
        errors = entries_of(error, message)
        raise ValidationFailed(f"{errors[0]['pointer']}: {errors[0]['message']}", errors) from None


def _without_refused_nulls(values: Any, error: ValidationError) -> Any:
    """The values without those nulls that were refused; None where none was."""
    refused = [each["loc"] for each in error.errors(include_url=False) if each["input"] is None]
    for loc in refused:
        values = _without(values, loc)
    return values if refused else None


def _without(value: Any, path: Sequence[str | int]) -> Any:
    """`value` but for what lies at `path`, where there is anything."""
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping) and step in value:
        others = {name: item for name, item in value.items() if name != step}
        return {**others, step: _without(value[step], rest)} if rest else others
    if isinstance(value, list) and isinstance(step, int) and rest:
        return [_without(item, rest) if place == step else item for place, item in enumerate(value)]
    return value


def readable(answer: Any, read: Callable[[bytes], Any] = orjson.loads) -> Any:
    """Ready-made JSON is read here; the types then take the mappings for the shapes they stand for."""
    return read(answer) if isinstance(answer, bytes) else answer


# --- connections


class Connected:
    """The source of a connection: edges, page information, and what else the answer has.

    Cursors are made when they are asked for: most clients read nodes.
    """

    def __init__(
        self, question: Message[Any], answer: Any, items: list[Any], after: str | None, *, has_previous: bool
    ) -> None:
        self.nodes, self._question = items, question
        self._answer, self._after, self._has_previous = answer, after, has_previous
        self._next: str | None = value_of(answer, "next") if items else None

    def __getattr__(self, name: str) -> Any:
        return value_of(self.__dict__["_answer"], name)

    @cached_property
    def edges(self) -> list["Edge"]:
        return [Edge(self, item, position) for position, item in enumerate(self.nodes, 1)]

    @cached_property
    def page_info(self) -> dict[str, Any]:
        return {
            "has_next_page": self._next is not None,
            "has_previous_page": self._has_previous,
            "start_cursor": self.cursor_of(1) if self.nodes else None,
            "end_cursor": self.cursor_of(len(self.nodes)) if self.nodes else None,
        }

    def cursor_of(self, position: int) -> str:
        """Of the `position`th edge, from 1. A page's end is the service's own."""
        if position == len(self.nodes) and self._next is not None:
            return self._next
        return edge_cursor(self._after, position, self._asked)

    @cached_property
    def _asked(self) -> str:
        return _digest(self._question)


class Edge:
    """One place of a page."""

    __slots__ = ("_page", "_position", "node")

    def __init__(self, page: Connected, node: Any, position: int) -> None:
        self.node, self._page, self._position = node, page, position

    @property
    def cursor(self) -> str:
        return self._page.cursor_of(self._position)


async def _page(ask: Asker, message: Message[Any], read: Callable[[bytes], Any]) -> Connected:
    """One page, from wherever its cursor points: a page's end, or an edge inside a page."""
    after = getattr(message, "after", None)
    inner = inner_position(after)
    if inner is not None and inner[2] != _digest(message):
        raise InvalidCursor("The cursor was given out for another question; begin at its first page.")
    if inner is not None:
        skipped = readable(await ask(message.model_copy(update={"after": inner[0], "first": inner[1]})), read)
        after = value_of(skipped, "next")
        message = message.model_copy(update={"after": after})
        if after is None:
            return Connected(message, skipped, [], None, has_previous=True)
    answer = readable(await ask(message), read)
    return Connected(message, answer, value_of(answer, "items"), after, has_previous=after is not None)


def _digest(question: Message[Any]) -> str:
    """What an edge's cursor belongs to: all that is asked but for the page, and for what nobody reads of it."""
    asked = question.model_dump_json(exclude={"after", "first", *question.spares})
    return hashlib.blake2b(f"{question.wire_name}{asked}".encode(), digest_size=6).hexdigest()
