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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import orjson
from msgspec import structs

from shared.impex.keys import folded
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import Notice, RowError, shortened
from shared.impex.source import Source

# Above every platform's limit (Shopify allows 2,048 variants and 250 images); a bound on what is held at once.
PRODUCT_ROWS = 5000
# Rows that are sorted in memory at once: some 20 MB.
_RUN_ROWS = 20_000
_MOST_RUN_CHARACTERS = 16_000_000


Said = TypeVar("Said", RowError, Notice)


class Misplaced(Exception):
    """A row that belongs to nothing, or to a group that is full; `code` and `message` become a row error.

    `columns` are the headings of the cell that is at fault, where there is one: the first that the file has is named.
    """

    def __init__(self, code: str, message: str, *columns: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.columns = columns


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
    # Of headings that it adds, the file's own columns that their cells are made of, folded, the likeliest first.
    origins: Mapping[str, Sequence[str]] = MappingProxyType({})

    @abstractmethod
    def learn(self, row: int, fields: Sequence[str]) -> None:
        """Every row, in the order of the file, before any is placed. What is kept of them is small."""

    def origins_of(self, heading: str, fields: Sequence[str]) -> Sequence[str]:
        """The file's own columns that a row's cell below an added heading is made of."""
        return self.origins.get(heading, ())

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
        self._arrangement = arrangement
        self.format = original.format  # type: ignore[misc]
        self.encoding, self.delimiter = original.encoding, original.delimiter
        for record in original.records():
            if isinstance(record, tuple):
                arrangement.learn(*record)
            else:
                arrangement.pass_over(record)
        self.header = (*original.header, *arrangement.added)
        self._own = {folded(heading): column for column, heading in reversed(list(enumerate(original.header)))}
        self._added = frozenset(arrangement.added)
        self.notices = tuple(arrangement.notices)
        with tempfile.NamedTemporaryFile(prefix="crossdock-", dir=folder, delete=False) as file:
            spool = Path(file.name)
            weakref.finalize(self, spool.unlink, missing_ok=True)
            with ExitStack() as runs:
                for line in _merged(self._placed(), runs, folder):
                    file.write(line)
        self._spool = spool

    def told(self, said: Said, fields: Sequence[str]) -> Said:
        """What is said of a row, with heading and cell of the file itself in place of those that were added."""
        if said.column not in self._added:
            return said
        origins = self._arrangement.origins_of(said.column, fields)
        columns = [self._own[name] for name in origins if name in self._own]
        if not columns:
            return structs.replace(said, column=None)
        column = _likeliest([(column, fields[column].strip()) for column in columns], said.value)
        cell, value = fields[column].strip(), said.value
        if value is not None and cell and value not in cell:
            value = shortened(cell)
        return structs.replace(said, column=self.original.header[column], value=value)

    def _placed(self) -> Iterator[list[Any]]:
        """Group, rank, row, cells, and what is wrong with it, of each row."""
        for record in self.original.records():
            if isinstance(record, BrokenRecord):
                yield [record.row, 0, record.row, record.fields, record.code, record.message]
                continue
            row, fields = record
            try:
                yield [*self._arrangement.place(row, fields), row, fields]
            except Misplaced as fault:
                yield [row, 0, row, fields, fault.code, fault.message, *self._cell_at_fault(fault, fields)]

    def _cell_at_fault(self, fault: Misplaced, fields: Sequence[str]) -> list[str]:
        """Its heading and what stands there, if there is one."""
        column = next((self._own[name] for name in map(folded, fault.columns) if name in self._own), None)
        return [] if column is None else [self.original.header[column], fields[column].strip()]

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


def _likeliest(cells: Sequence[tuple[int, str]], value: str | None) -> int:
    """Of columns and their cells the one with this value; the one with nothing, if it is a value that is missed."""
    if value is None:
        found = next((column for column, cell in cells if not cell), None)
    else:
        having = next((column for column, cell in cells if value in cell), None)
        found = having if having is not None else next((column for column, cell in cells if cell), None)
    return cells[0][0] if found is None else found


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
