"""Indexes that a process keeps open for whoever asks, and that follow a table of documents, of whatever kind.

Only so many are open at once, and none that nobody asks for. What is closed keeps its folder, and goes on from there.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncGenerator, Coroutine, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import Histogram

from services.search.engines.base import IndexUnreadable
from services.search.engines.place import Place
from services.search.repository.documents import Followed
from services.search.settings import search_settings
from services.search.use_cases.ahead import ahead
from shared import background, clock
from shared.bus.answering import Surroundings
from shared.bus.envelope import service_envelope
from shared.errors import CrossdockError
from shared.metrics import set_freshness_target
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.search")

# A writer's threads and memory are given back when nothing came for so long.
_REST_SECONDS = 20.0
_WEATHER = (CrossdockError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

FRESHNESS = Histogram(
    "crossdock_search_freshness_seconds",
    "From the write in catalog, inventory or orders until this process shows it: offers in lists, pages and searches"
    " at once, which one index answers; operators in what they find.",
    ("shown",),
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 60),
)
TARGET_SECONDS = 1.0


class Standing(Protocol):
    """How far an index has to be, as the database says; in a new generation it is filled anew."""

    @property
    def organization_id(self) -> UUID: ...

    @property
    def generation(self) -> int: ...

    @property
    def sequence(self) -> int: ...


K = TypeVar("K", bound=Hashable)
S = TypeVar("S", bound=Standing)
I = TypeVar("I", bound=Any)  # noqa: E741
F = TypeVar("F", bound="Follower[Any, Any]")


class Follower(Generic[S, I]):
    """One index as this process knows it. It has `sequence`, `apply`, `rest` and `close`, as `engines/base.py` says."""

    def __init__(self, standing: S, index: I) -> None:
        self.standing = standing
        self.index = index
        self.is_busy = False
        self.rests_at = 0.0
        self.asked_at = 0.0


class Followers(ABC, Generic[K, S, F]):
    """Every reader of one kind in this process, by what it is asked for."""

    # What they are called in logs, and where their folders are.
    kind: ClassVar[str]
    folder: ClassVar[str]

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        # The one that was asked longest ago comes first.
        self._readers: OrderedDict[K, F] = OrderedDict()
        self._opening: dict[K, asyncio.Task[F]] = {}
        # By folder: whoever opens it again waits until the last one has left it.
        self._closing: dict[Hashable, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._place: Place | None = None
        set_freshness_target(self.kind, TARGET_SECONDS)

    async def close(self) -> None:
        await background.end(*self._tasks, *self._opening.values(), self._following)
        for reader in self._readers.values():
            await asyncio.to_thread(reader.index.close)
        if self._place is not None:
            self._place.close()

    # --- what a kind is

    @abstractmethod
    async def _find(self, key: K) -> S:
        """Where it stands now; raises what whoever asked is told."""

    @abstractmethod
    async def _made(self, standing: S, index: Any) -> F: ...

    @abstractmethod
    def _index_folder(self, place: Place, standing: S) -> Path: ...

    @abstractmethod
    def _open_folder(self, folder: Path, standing: S, *, afresh: bool) -> Any:
        """The index in a folder, emptied when it cannot be read, or `afresh`. Blocks."""

    @abstractmethod
    async def _follow_rows(self, uow: UnitOfWork, standing: S, after: int) -> Followed[Any]: ...

    @abstractmethod
    async def _list_standing(self, uow: UnitOfWork, readers: Sequence[F]) -> Mapping[Hashable, S]:
        """Where these stand now, by `_folder_of`. Across tenants."""

    def _folder_of(self, standing: S) -> Hashable:
        """What has a folder of its own."""
        return standing.organization_id

    def _is_gone(self, reader: F, standing: S | None) -> bool:
        """Whether nobody is to find it here any more."""
        return standing is None

    def _is_another(self, reader: F, standing: S) -> bool:
        return bool(standing.generation != reader.standing.generation)

    def _is_behind(self, reader: F, standing: S) -> bool:
        return bool(standing.sequence > reader.index.sequence)

    async def _prepare(self, reader: F, standing: S) -> None:
        """Bring what is not in the index to where it stands."""

    def _leave(self, place: Place, reader: F, standing: S | None) -> None:
        """After one that is gone was closed. Blocks."""

    # --- opening

    async def _reader(self, key: K) -> F:
        """The reader of `key`, caught up at first. Raises what `_find` raises."""
        known = self._readers.get(key)
        if known is not None:
            self._note_asked(key, known)
            return known
        opening = self._opening.get(key)
        if opening is None:
            opening = self._opening[key] = background.begin(self._open(key))
            opening.add_done_callback(lambda _: self._opening.pop(key, None))
        # Who asked may give up waiting; what was begun goes on for the next.
        return await asyncio.shield(opening)

    def _note_asked(self, key: K, reader: F) -> None:
        reader.asked_at = asyncio.get_running_loop().time()
        self._readers.move_to_end(key)

    async def _open(self, key: K) -> F:
        standing = await self._find(key)
        if (closing := self._closing.get(self._folder_of(standing))) is not None:
            await asyncio.wait([closing])
        index = await self._opened(standing)
        reader = self._readers[key] = await self._made(standing, index)
        self._note_asked(key, reader)
        self._rest_later(reader)
        if self._following is None:
            self._following = background.begin(self._follow())
        return reader

    async def _opened(self, standing: S, *, afresh: bool = False) -> Any:
        """The index, taken over from an earlier process or new, with all rows there are."""
        if self._place is None:
            self._place = Place(Path(settings().data) / self.folder)
        folder = self._index_folder(self._place, standing)
        index = await asyncio.to_thread(self._open_folder, folder, standing, afresh=afresh)
        await self._catch_up(standing, index, is_new=True)
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
                log.warning("readers_wait", kind=self.kind, error=str(error))
            except Exception as error:
                # A follower that ends would find ever less, and older, without a word.
                log.error("readers_stumble", kind=self.kind, exc_info=error)

    async def _look(self) -> None:
        self._close_unasked()
        readers = list(self._readers.items())
        if not readers:
            return
        uow = self._unit(None)
        try:
            standing = await self._list_standing(uow, [reader for _, reader in readers])
        finally:
            await uow.rollback()
        for key, reader in readers:
            if not reader.is_busy:
                self._bring_on(key, reader, standing.get(self._folder_of(reader.standing)))

    def _bring_on(self, key: K, reader: F, standing: S | None) -> None:
        if standing is None or self._is_gone(reader, standing):
            self._close(key, reader, standing, is_gone=True)
        elif self._is_another(reader, standing):
            self._start(reader, self._renew(reader, standing))
        elif self._is_behind(reader, standing):
            self._start(reader, self._go_on(reader, standing))
        elif reader.rests_at and asyncio.get_running_loop().time() > reader.rests_at:
            reader.rests_at = 0.0
            self._start(reader, asyncio.to_thread(reader.index.rest))

    def _close_unasked(self) -> None:
        """Close the readers nobody asked for in a long time and, of too many, those that were asked longest ago."""
        surplus = len(self._readers) - search_settings().readers
        since = asyncio.get_running_loop().time() - search_settings().reader_idle_seconds
        for key, reader in list(self._readers.items()):
            if surplus <= 0 and reader.asked_at > since:
                return
            surplus -= 1
            # One that is at work has its turn at a later look.
            if not reader.is_busy:
                self._close(key, reader, reader.standing)

    def _close(self, key: K, reader: F, standing: S | None, *, is_gone: bool = False) -> None:
        """Let go of a reader; who still has it may read to the end."""
        folder = self._folder_of(reader.standing)
        del self._readers[key]

        async def close() -> None:
            await asyncio.to_thread(reader.index.close)
            if is_gone and self._place is not None:
                await asyncio.to_thread(self._leave, self._place, reader, standing)

        closing = self._closing[folder] = self._start(reader, close())
        closing.add_done_callback(lambda _: self._closing.pop(folder, None))

    def _start(self, reader: F, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do one thing for a reader beside the others; the next look finds what it left."""
        reader.is_busy = True

        async def do() -> None:
            try:
                await work
            except _WEATHER as error:
                log.warning("reader_waits", kind=self.kind, of=str(self._folder_of(reader.standing)), error=str(error))
            except Exception as error:
                log.error("reader_failed", kind=self.kind, of=str(self._folder_of(reader.standing)), exc_info=error)
            finally:
                reader.is_busy = False

        task = asyncio.create_task(do())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _go_on(self, reader: F, standing: S) -> None:
        await self._prepare(reader, standing)
        try:
            await self._catch_up(standing, reader.index)
        except IndexUnreadable as error:
            log.warning("index_filled_anew", kind=self.kind, of=str(self._folder_of(standing)), error=str(error))
            await self._renew(reader, standing, afresh=True)
        reader.standing = standing
        self._rest_later(reader)

    def _rest_later(self, reader: F) -> None:
        reader.rests_at = asyncio.get_running_loop().time() + _REST_SECONDS

    async def _renew(self, reader: F, standing: S, *, afresh: bool = False) -> None:
        """Fill a new index beside the present one, which answers until the new one takes its place."""
        before = reader.index
        reader.index = await self._opened(standing, afresh=afresh)
        reader.standing = standing
        self._rest_later(reader)
        await asyncio.to_thread(before.close)

    async def _catch_up(self, standing: S, index: Any, *, is_new: bool = False) -> None:
        """Take over all rows the index has not seen. Nobody waits for the first of what a new one takes over."""
        is_open = False
        async with contextlib.aclosing(ahead(self._pages(standing, index.sequence))) as pages:
            async for followed in pages:
                if not followed.changed_at and not is_open:
                    return
                is_open = is_new and bool(followed.changed_at) and followed.sequence < standing.sequence
                await asyncio.to_thread(index.apply, followed.rows, followed.sequence, is_more=is_open)
                if not is_new:
                    self._observe(followed)

    async def _pages(self, standing: S, after: int) -> AsyncGenerator[Followed[Any], None]:
        """Rows behind a sequence, until there are none or the index stands where it has to."""
        while True:
            uow = self._unit(standing.organization_id)
            try:
                followed = await self._follow_rows(uow, standing, after)
            finally:
                await uow.rollback()
            yield followed
            after = followed.sequence
            if not followed.changed_at or after >= standing.sequence:
                return

    def _observe(self, followed: Followed[Any]) -> None:
        now = clock.now()
        for changed_at in followed.changed_at:
            FRESHNESS.labels(self.kind).observe((now - changed_at).total_seconds())
