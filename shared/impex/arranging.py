"""Files in which the rows of one thing do not stand together: they are brought together by sorting on disk.

The things are products, whose gathering needs their rows in one place, or orders. A profile of such files, or the group
they are of, has an Arrangement. It sees all rows once, to learn which belong together; then each row is put
beside the first of its group, and the rows of a group are given the cells that only the whole group tells. What it adds
stands in columns behind the uploader's own, so that his cells, headings and row numbers stay what they are.
"""

import heapq
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import orjson

from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import Notice
from shared.impex.source import Source

# Above every platform's limit (Shopify allows 2,048 variants and 250 images); a bound on what is held at once.
PRODUCT_ROWS = 5000
# Rows that are sorted in memory at once: some 20 MB.
_RUN_ROWS = 20_000
_MOST_RUN_CHARACTERS = 16_000_000


class Misplaced(Exception):
    """A row that belongs to nothing, or to a group that is full; `code` and `message` become a row error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


TOO_MANY_ROWS = Misplaced("too_many_rows", f"A product has at most {PRODUCT_ROWS} rows.")


class Arrangement(ABC):
    """How the rows of one file belong together. `added` are the headings of the columns it adds, once it has learnt.

    `most_rows` of a group are held at once, and what it is made of; each row beyond them is `beyond`, an error. By
    default these are as many as gathering takes for one product.
    """

    added: Sequence[str]
    # What is to be said about single rows, or all of them, once it has learnt.
    notices: Sequence[Notice] = ()
    most_rows: ClassVar[int] = PRODUCT_ROWS
    beyond: ClassVar[Misplaced] = TOO_MANY_ROWS

    @abstractmethod
    def learn(self, row: int, fields: Sequence[str]) -> None:
        """Every row, in the order of the file, before any is placed. What is kept of them is small."""

    def pass_over(self, record: BrokenRecord) -> None:  # noqa: B027
        """A row that cannot be read, where it stands among those that are learnt. Nothing by default."""

    @abstractmethod
    def place(self, row: int, fields: Sequence[str]) -> tuple[int, int]:
        """The number of the row that a row's group begins with, and its rank there. Raises Misplaced."""

    @abstractmethod
    def complete(self, group: Sequence[Record]) -> Iterator[tuple[int, dict[str, str]] | BrokenRecord]:
        """For each row of a group that makes a row, its number and what stands in the added columns."""


class ArrangedSource(Source):
    """The rows of `original`, those of a group together, with columns added. Each row keeps its number."""

    def __init__(self, original: Source, arrangement: Arrangement, folder: Path) -> None:
        """Reads the original twice. Raises UnreadableFile."""
        self.original = original
        self.format = original.format  # type: ignore[misc]
        self.encoding, self.delimiter = original.encoding, original.delimiter
        for record in original.records():
            if isinstance(record, tuple):
                arrangement.learn(*record)
            else:
                arrangement.pass_over(record)
        self.header = (*original.header, *arrangement.added)
        self.notices = tuple(arrangement.notices)
        with tempfile.NamedTemporaryFile(prefix="crossdock-", dir=folder, delete=False) as file:
            spool = Path(file.name)
            weakref.finalize(self, spool.unlink, missing_ok=True)
            with ExitStack() as runs:
                for line in _merged(_placed(original, arrangement), runs, folder):
                    file.write(line)
        self._spool = spool
        self._arrangement = arrangement

    def records(self) -> Iterator[Record | BrokenRecord]:
        with self._spool.open("rb") as lines:
            for _, group in groupby(map(orjson.loads, lines), key=_group_of):
                yield from self._completed(group)

    def _completed(self, group: Iterator[list[Any]]) -> Iterator[Record | BrokenRecord]:
        rows: list[Record] = []
        for _, _, row, fields, *fault in group:
            if fault:
                yield BrokenRecord(row, fields, *fault)
            elif len(rows) < self._arrangement.most_rows:
                rows.append((row, fields))
            else:
                beyond = self._arrangement.beyond
                yield BrokenRecord(row, fields, beyond.code, beyond.message)
        cells = dict(rows)
        for completed in self._arrangement.complete(rows) if rows else ():
            if isinstance(completed, BrokenRecord):
                yield completed
            else:
                row, added = completed
                yield row, [*cells[row], *(added.get(heading, "") for heading in self._arrangement.added)]


def _group_of(line: list[Any]) -> int:
    group: int = line[0]
    return group


def _placed(original: Source, arrangement: Arrangement) -> Iterator[list[Any]]:
    """Group, rank, row, cells, and what is wrong with it, of each row."""
    for record in original.records():
        if isinstance(record, BrokenRecord):
            yield [record.row, 0, record.row, record.fields, record.code, record.message]
            continue
        row, fields = record
        try:
            yield [*arrangement.place(row, fields), row, fields]
        except Misplaced as fault:
            yield [row, 0, row, fields, fault.code, fault.message]


def _merged(lines: Iterator[list[Any]], runs: ExitStack, folder: Path) -> Iterator[bytes]:
    """All lines by group, rank and row, never more than a run of them in memory."""
    sorted_runs = [_run(part, runs, folder) for part in _parts(lines)]
    for line in heapq.merge(*sorted_runs, key=_order):
        yield orjson.dumps(line) + b"\n"


def _order(line: list[Any]) -> list[int]:
    return line[:3]


def _parts(lines: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    part: list[list[Any]] = []
    size = 0
    for line in lines:
        part.append(line)
        size += sum(map(len, line[3]))
        if len(part) >= _RUN_ROWS or size > _MOST_RUN_CHARACTERS:
            yield part
            part, size = [], 0
    yield part


def _run(part: list[list[Any]], runs: ExitStack, folder: Path) -> Iterable[list[Any]]:
    """A part in order, on disk. Its file goes with the context."""
    file = runs.enter_context(tempfile.TemporaryFile(prefix="crossdock-", dir=folder))  # noqa: SIM115
    part.sort(key=_order)
    file.writelines(orjson.dumps(line) + b"\n" for line in part)
    file.seek(0)
    return map(orjson.loads, file)
