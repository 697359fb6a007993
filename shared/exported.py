"""How a service gives its groups to exports: hand what `exported` returns to `Service`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import cast

from pydantic import JsonValue

from shared.contracts.platform.exported import CountedRows, CountRowsOfGroup, ReadRows, ReadRowsOfGroup
from shared.impex.templates import OF_GROUPS
from shared.service import answers
from shared.unit_of_work import UnitOfWork

Filter = Mapping[str, JsonValue] | None


@dataclass(frozen=True)
class ExportedGroup:
    """A group: how many things it has, and some of them in their order, behind the place that the last ones said.

    Both are told which things are meant, where a group lets that be said.
    """

    name: str
    count: Callable[[UnitOfWork, Filter], Awaitable[int]]
    read: Callable[[UnitOfWork, str | None, int, Filter], Awaitable[ReadRows]]

    @classmethod
    def whole(
        cls,
        name: str,
        count: Callable[[UnitOfWork], Awaitable[int]],
        read: Callable[[UnitOfWork, str | None, int], Awaitable[ReadRows]],
    ) -> "ExportedGroup":
        """A group that is always exported whole."""
        return cls(name, lambda uow, _: count(uow), lambda uow, after, first, _: read(uow, after, first))


def headings_of(group: str) -> tuple[str, ...]:
    """The columns of a group's file: those of its template."""
    return tuple(column.name for column in OF_GROUPS[group].columns)


def exported(groups: Iterable[ExportedGroup]) -> ModuleType:
    """What a service adds to its modules to have these groups exported."""
    by_name = {group.name: group for group in groups}

    @answers(CountRowsOfGroup, internal=True)
    async def count_rows_of_group(message: CountRowsOfGroup, uow: UnitOfWork) -> CountedRows:
        return CountedRows(number=await by_name[message.group].count(uow, message.filter))

    @answers(ReadRowsOfGroup, internal=True)
    async def read_rows_of_group(message: ReadRowsOfGroup, uow: UnitOfWork) -> ReadRows:
        return await by_name[message.group].read(uow, message.after, message.first, message.filter)

    return cast(ModuleType, SimpleNamespace(count_rows=count_rows_of_group, read_rows=read_rows_of_group))
