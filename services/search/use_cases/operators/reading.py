"""Readers of operators' documents: each process that answers keeps an index per asked-for organization.

As with offers (`use_cases/reading.py`): made at the first question, following the documents table from then on, closed
when nobody asks any more; the folder stays, and what opens it again goes on from there.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from services.search.engines.base import IndexUnreadable
from services.search.engines.operators import VERSION, OperatorIndex, open_operator_index
from services.search.engines.place import Place
from services.search.repository import operator_documents
from services.search.repository.operator_documents import KnownIndex
from services.search.settings import search_settings
from services.search.use_cases.reading import FRESHNESS
from shared import background, clock
from shared.bus.answering import Surroundings
from shared.bus.envelope import service_envelope
from shared.errors import CrossdockError
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.search")

# Rows taken over with one commit of the index.
_ROWS = 5000
# A writer's threads and memory are given back when nothing came for so long.
_REST_SECONDS = 20.0
_WEATHER = (CrossdockError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class OperatorReader:
    """One organization's index as this process knows it."""

    def __init__(self, known: KnownIndex, index: OperatorIndex) -> None:
        self.known = known
        self.index = index
        self.is_busy = False
        self.rests_at = 0.0
        self.asked_at = 0.0


class OperatorReaders:
    """Every such reader of this process."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        # The one that was asked longest ago comes first.
        self._readers: OrderedDict[UUID, OperatorReader] = OrderedDict()
        self._opening: dict[UUID, asyncio.Task[OperatorReader]] = {}
        # Whoever opens a folder again waits until the last one has left it.
        self._closing: dict[UUID, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._place: Place | None = None

    async def reader(self, organization_id: UUID) -> OperatorReader:
        """The organization's reader, caught up at first."""
        known = self._readers.get(organization_id)
        if known is not None:
            self._note_asked(organization_id, known)
            return known
        opening = self._opening.get(organization_id)
        if opening is None:
            opening = self._opening[organization_id] = background.begin(self._open(organization_id))
            opening.add_done_callback(lambda _: self._opening.pop(organization_id, None))
        # Who asked may give up waiting; what was begun goes on for the next.
        return await asyncio.shield(opening)

    async def close(self) -> None:
        await background.end(*self._tasks, *self._opening.values(), self._following)
        for reader in self._readers.values():
            await asyncio.to_thread(reader.index.close)
        if self._place is not None:
            self._place.close()

    def _note_asked(self, organization_id: UUID, reader: OperatorReader) -> None:
        reader.asked_at = asyncio.get_running_loop().time()
        self._readers.move_to_end(organization_id)

    # --- opening

    async def _open(self, organization_id: UUID) -> OperatorReader:
        if (closing := self._closing.get(organization_id)) is not None:
            await asyncio.wait([closing])
        uow = self._unit(organization_id)
        try:
            known = await operator_documents.find_index(uow)
        finally:
            await uow.rollback()
        reader = self._readers[organization_id] = OperatorReader(known, await self._opened(known))
        self._note_asked(organization_id, reader)
        if self._following is None:
            self._following = background.begin(self._follow())
        return reader

    async def _opened(self, known: KnownIndex, *, afresh: bool = False) -> OperatorIndex:
        """The index, taken over from an earlier process or new, with all rows there are."""
        if self._place is None:
            self._place = Place(Path(settings().data) / "operator-index")
        folder = self._place.of_organization(known.organization_id, f"{VERSION}-{known.generation}")
        index = await asyncio.to_thread(open_operator_index, folder, afresh=afresh)
        await self._catch_up(known, index, is_new=True)
        await asyncio.to_thread(self._place.remove_others, folder)
        return index

    def _unit(self, organization_id: UUID | None) -> UnitOfWork:
        envelope = service_envelope("search", organization_id)
        return self._surroundings.unit_of_work("search", envelope, across_tenants=organization_id is None)

    # --- following

    async def _follow(self) -> None:
        """Look every so often how far each is. What goes wrong is logged; what was read stays readable."""
        while True:
            await asyncio.sleep(search_settings().follow_seconds)
            try:
                await self._look()
            except _WEATHER as error:
                log.warning("operator_readers_wait", error=str(error))
            except Exception as error:
                # A follower that ends would find ever less without a word.
                log.error("operator_readers_stumble", exc_info=error)

    async def _look(self) -> None:
        self._close_unasked()
        if not self._readers:
            return
        uow = self._unit(None)
        try:
            standing = {k.organization_id: k for k in await operator_documents.list_followed(uow, list(self._readers))}
        finally:
            await uow.rollback()
        for organization_id, reader in list(self._readers.items()):
            if not reader.is_busy and organization_id in standing:
                self._bring_on(reader, standing[organization_id])

    def _bring_on(self, reader: OperatorReader, known: KnownIndex) -> None:
        if known.generation != reader.known.generation:
            self._start(reader, self._renew(reader, known))
        elif known.sequence > reader.index.sequence:
            self._start(reader, self._go_on(reader, known))
        elif reader.rests_at and asyncio.get_running_loop().time() > reader.rests_at:
            reader.rests_at = 0.0
            self._start(reader, asyncio.to_thread(reader.index.rest))

    def _close_unasked(self) -> None:
        """Close the readers nobody asked for in a long time and, of too many, those that were asked longest ago."""
        surplus = len(self._readers) - search_settings().readers
        since = asyncio.get_running_loop().time() - search_settings().reader_idle_seconds
        for organization_id, reader in list(self._readers.items()):
            if surplus <= 0 and reader.asked_at > since:
                return
            surplus -= 1
            # One that is at work has its turn at a later look.
            if not reader.is_busy:
                self._close(organization_id, reader)

    def _close(self, organization_id: UUID, reader: OperatorReader) -> None:
        """Let go of a reader; who still has it may read to the end."""
        del self._readers[organization_id]
        closing = self._closing[organization_id] = self._start(reader, asyncio.to_thread(reader.index.close))
        closing.add_done_callback(lambda _: self._closing.pop(organization_id, None))

    def _start(self, reader: OperatorReader, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do one thing for a reader beside the others; the next look finds what it left."""
        reader.is_busy = True

        async def do() -> None:
            try:
                await work
            except _WEATHER as error:
                log.warning("operator_reader_waits", error=str(error))
            except Exception as error:
                log.error("operator_reader_failed", exc_info=error)
            finally:
                reader.is_busy = False

        task = asyncio.create_task(do())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _go_on(self, reader: OperatorReader, known: KnownIndex) -> None:
        try:
            await self._catch_up(known, reader.index)
        except IndexUnreadable as error:
            log.warning("operator_index_filled_anew", error=str(error))
            await self._renew(reader, known, afresh=True)
        reader.known = known
        reader.rests_at = asyncio.get_running_loop().time() + _REST_SECONDS

    async def _renew(self, reader: OperatorReader, known: KnownIndex, *, afresh: bool = False) -> None:
        """Fill a new index beside the present one, which answers until the new one takes its place."""
        before = reader.index
        reader.index = await self._opened(known, afresh=afresh)
        reader.known = known
        await asyncio.to_thread(before.close)

    async def _catch_up(self, known: KnownIndex, index: OperatorIndex, *, is_new: bool = False) -> None:
        """Take over all rows the index has not seen."""
        while True:
            uow = self._unit(known.organization_id)
            try:
                followed = await operator_documents.follow(uow, index.sequence, _ROWS)
            finally:
                await uow.rollback()
            if not followed.changed_at:
                return
            await asyncio.to_thread(index.apply, followed.entries, followed.sequence)
            if not is_new:
                now = clock.now()
                for changed_at in followed.changed_at:
                    FRESHNESS.observe((now - changed_at).total_seconds())
            if followed.sequence >= known.sequence:
                return
