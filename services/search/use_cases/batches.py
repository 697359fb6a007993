"""From marks to what is written, a batch at a time, whatever it is that is built.

Nothing is locked while others are asked. Instead each build takes a version after it has read the marks and before it
asks: of two builds of one thing, whoever took the greater version asked later and knows more, so what is written is
only ever replaced by what has a greater version, and only marks of a smaller version go.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from services.search.repository import mark_table
from services.search.repository.mark_table import Mark, MarkTable
from shared.bus.answering import translated
from shared.errors import CrossdockError
from shared.unit_of_work import UnitOfWork

B = TypeVar("B")
S = TypeVar("S")
Units = Callable[[], UnitOfWork]


@dataclass(frozen=True)
class Work(Generic[S, B]):
    """How to build what is marked in a scope `S`: ask for what becomes of it (`B` each), and write that."""

    marks: MarkTable[S]
    gather: Callable[[Units, S, dict[UUID, datetime]], Awaitable[list[B]]]
    put: Callable[[UnitOfWork, S, Sequence[B], int], Awaitable[object]]
    # After the marks are gone, in the same transaction.
    then: Callable[[UnitOfWork, S, Sequence[B]], Awaitable[None]] | None = None

    async def build(self, units: Units, scope: S, due: Sequence[Mark]) -> None:
        """Build these marks; when they fail together, find out which one is to blame, so that it holds up none."""
        version = await take_version(units)
        try:
            built = await self.gather(units, scope, {mark.id: mark.marked_at for mark in due})
        except Exception as error:
            named = translated(error, "building documents", str(scope))
            if is_passing(named):
                raise
            await self._build_apart(units, scope, due, version, named)
            return
        async with writing(units) as uow:
            await self.put(uow, scope, built, version)
            await self.marks.settle(uow, scope, [mark.id for mark in due], version)
            if self.then is not None:
                await self.then(uow, scope, built)

    async def _build_apart(
        self, units: Units, scope: S, due: Sequence[Mark], version: int, error: CrossdockError
    ) -> None:
        if len(due) == 1:
            async with writing(units) as uow:
                await self.marks.note_failure(uow, scope, due[0].id, version, f"{error.code}: {error.detail}")
            return
        for part in (due[: len(due) // 2], due[len(due) // 2 :]):
            await self.build(units, scope, part)


def is_passing(error: CrossdockError) -> bool:
    """Whether asking again later may well succeed."""
    return error.status in (503, 504)


async def take_version(units: Units) -> int:
    """The version of what is about to be asked."""
    async with reading(units) as uow:
        return await mark_table.next_version(uow)


@asynccontextmanager
async def reading(units: Units) -> AsyncIterator[UnitOfWork]:
    """A transaction that is undone."""
    uow = units()
    try:
        yield uow
    finally:
        await uow.rollback()


@asynccontextmanager
async def writing(units: Units) -> AsyncIterator[UnitOfWork]:
    """A transaction that is committed, unless something is raised."""
    uow = units()
    try:
        yield uow
        await uow.commit()
    except BaseException:
        await uow.rollback()
        raise
