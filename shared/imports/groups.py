"""What a service says of a group of files it takes."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from shared.contracts.platform.imports import Harm, ImportOptions, ImportSample, SampleKind
from shared.impex.rows import Notice, RowError
from shared.imports.keeping import KeptFiles
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

# How many samples of each kind a dry run keeps.
MOST_SAMPLES = 100


class Chunk(Protocol):
    """A portion of a file; what applying it finds out about rows is added to its errors and notices."""

    rows: int
    errors: list[RowError]
    notices: list[Notice]


class GroupFile(ABC):
    """One file of a group, opened. It is read in threads and applied in the steps of a job."""

    # Where the columns stand, as the error file wants to know it.
    layout: Any
    # Whose headings these are, where files of the group come with those of several platforms.
    profile: str | None = None

    @abstractmethod
    def chunks(self) -> Iterator[Any]:
        """The file in portions, the same each time."""

    async def prepare(self, job: RunningJob, chunk: Any) -> None:  # noqa: B027
        """Whatever can be made ready for a portion while the one before it is written. Nothing by default."""

    @abstractmethod
    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: Any, number: int) -> None:
        """Write a portion and count. A dry run does the same, and takes it back afterwards."""

    async def harms(self, uow: UnitOfWork) -> list[Harm]:
        """What the file would delete, deactivate or set to zero. Asked before anything is written."""
        return []

    async def finish(self, uow: UnitOfWork, job: RunningJob) -> bool:
        """What remains to be done after the last portion, a bit at a time; whether there is more."""
        return False

    async def finish_dry(self, uow: UnitOfWork, job: RunningJob, most: int) -> list[ImportSample]:
        """Count what `finish` would do, in a transaction that is taken back; up to `most` samples of it."""
        return []

    async def skipped(self, uow: UnitOfWork, chunk: Any, most: int) -> list[ImportSample]:
        """Up to `most` of what the mode leaves out; asked before a dry run applies a portion."""
        return []

    async def samples(self, uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        """Up to so many of each kind of what this transaction has done; asked before it is taken back."""
        return []


@dataclass(frozen=True)
class Opening:
    """A file to be opened: its import's row, what `prepare` made of it, and its rows."""

    row: asyncpg.Record
    prepared: Any
    source: Any

    @property
    def import_id(self) -> UUID:
        import_id: UUID = self.row["id"]
        return import_id


async def _no_check(_uow: UnitOfWork, _options: ImportOptions) -> UUID | None:
    return None


async def _nothing(_uow: UnitOfWork, _row: asyncpg.Record) -> Any:
    return None


@dataclass(frozen=True)
class Group:
    """A group of files. `check` refuses options that make no sense and returns the id of the shop that is meant.

    `open` runs in a thread, on what `prepare` read before. Files of groups that write the same things, and so say the
    same `writes`, are written in the order in which they came. `without` says why there is not this or that mode.
    """

    name: str
    modes: Sequence[str]
    open: Callable[[Opening], GroupFile]
    check: Callable[[UnitOfWork, ImportOptions], Awaitable[UUID | None]] = _no_check
    prepare: Callable[[UnitOfWork, asyncpg.Record], Awaitable[Any]] = _nothing
    may_archive_missing: bool = False
    # With all rows or none, in one transaction: what moves on at once is not to be taken back row by row.
    is_written_at_once: bool = False
    writes: str | None = None
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def turn(self) -> str:
        return self.writes or self.name


class Undoing(Protocol):
    """How a service takes back what an import wrote, from what it keeps of its history."""

    async def __call__(self, job: RunningJob, import_id: UUID) -> None:
        """Work through it in steps."""
        ...


@dataclass(frozen=True)
class Importing:
    """All that one service imports. `also_kept`: what else it takes as files, which are kept as long.

    `keeps_images`: an undo goes by images of its own (images.py), kept as long as files are.
    """

    service: str
    groups: Mapping[str, Group] = field(default_factory=dict)
    undo: Undoing | None = None
    also_kept: Sequence[KeptFiles] = ()
    keeps_images: bool = False
