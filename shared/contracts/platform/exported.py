"""What other services give to exports: the rows of their groups of files, as an import takes them."""

from typing import Annotated, Generic, TypeVar

from pydantic import Field, JsonValue

from shared.contracts.base import Message, Query, Shape
from shared.contracts.platform.imports import service_of_group

A = TypeVar("A")


class CountedRows(Shape):
    """How many rows a group's file has."""

    number: int


class ReadRows(Shape):
    """Some of the rows, their cells in the order of the group's template. `next` is where more begins.

    `number` is of how many things they are, where a thing may have several.
    """

    rows: list[list[str]]
    number: int | None = None
    next: str | None = None


class _OfGroup(Message[A], Generic[A]):
    group: str
    filter: dict[str, JsonValue] | None = None

    def destination(self) -> str:
        return service_of_group(self.group)


class CountRowsOfGroup(_OfGroup[CountedRows], Query[CountedRows]):
    """How many things of a group there are. Internal: exports ask."""


class ReadRowsOfGroup(_OfGroup[ReadRows], Query[ReadRows]):
    """Things of a group for a file, up to 2,000 at a time. Internal: exports ask."""

    timeout_seconds = 60.0
    first: Annotated[int, Field(ge=1, le=2000)] = 2000
    after: str | None = None
