"""Files of plain rows: each names one thing by its key, in columns of its own group."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.impex.errors import DuplicateHeaders, MissingHeaders
from shared.impex.keys import KeyIndex, folded
from shared.impex.profiles.base import ERROR_COLUMNS
from shared.impex.records import BrokenRecord, Record
from shared.impex.rows import Notice, RowError, shortened
from shared.impex.writing_guard import unguarded_records

Convert = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name, which is also its heading, and how its cells are read. Empty cells are None.

    `also` are other headings that mean it. What `is_kept` not is known, and told of in a notice. Where a required one
    `may_be_empty`, only the column has to be there: a thing of several rows says it in one of them.
    """

    name: str
    convert: Convert = cells.text
    is_required: bool = False
    also: tuple[str, ...] = ()
    is_kept: bool = True
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row that can be read. `values` has the columns that the file has, None for an empty cell."""

    row: int
    values: Mapping[str, Any]


@dataclass(slots=True)
class TableChunk:
    items: list[TableRow] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Where the columns stand. `handle` points behind the last one: no row describes another."""

    header: Sequence[str]
    index: Mapping[str, int]
    unknown: Sequence[int]
    handle: int
    not_kept: Sequence[int] = ()

    @classmethod
    def of(cls, header: Sequence[str], columns: Sequence[Column], group: str) -> "TableLayout":
        """Raises MissingHeaders, DuplicateHeaders."""
        names = {folded(heading): column for column in columns for heading in (column.name, *column.also)}
        index: dict[str, int] = {}
        unknown, not_kept = [], []
        for position, heading in enumerate(header):
            column = names.get(folded(heading))
            name = "" if column is None else column.name
            if column is None:
                unknown += [position] if heading and heading not in ERROR_COLUMNS else []
            elif not column.is_kept:
                not_kept.append(position)
            elif name in index:
                raise DuplicateHeaders(f"'{header[index[name]]}' and '{heading}' are the same column: remove one.")
            else:
                index[name] = position
        missing = [column.name for column in columns if column.is_required and column.name not in index]
        if missing:
            known = ", ".join(column.name for column in columns if column.is_kept)
            raise MissingHeaders(
                f"A file of {group} needs a column headed {' and one headed '.join(missing)}; it may have {known}."
            )
        return cls(header, index, tuple(unknown), len(header), tuple(not_kept))

    def heading(self, name: str) -> str | None:
        """The uploader's own heading of a column; None where the file has none."""
        return self.header[self.index[name]] if name in self.index else None


class TableFile:
    """The rows of a file. A key that comes twice is an error on the later row; without a key any may.

    `meant` is what an empty cell of the key stands for.
    """

    def __init__(
        self,
        source: Any,
        columns: Sequence[Column],
        group: str,
        key: Sequence[str],
        meant: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._meant = meant
        self.source = source
        self.layout = TableLayout.of(source.header, columns, group)
        self._columns = [column for column in columns if column.name in self.layout.index]
        self._key = key

    def chunks(self, rows: int) -> Iterator[TableChunk]:
        """The file in portions of `rows`. Raises InvalidEncoding, TooManyBrokenQuotes."""
        chunk = TableChunk(notices=self.notices())
        seen = KeyIndex()
        for record in unguarded_records(self.source.records()):
            outcome = self._read_once(record, seen)
            if isinstance(outcome, TableRow):
                chunk.items.append(outcome)
            else:
                chunk.errors += outcome
            chunk.rows += 1
            if chunk.rows >= rows:
                yield chunk
                chunk = TableChunk()
        if chunk.rows:
            yield chunk

    def notices(self) -> list[Notice]:
        """What is to be said of the headings."""
        return [*map(self._unknown, self.layout.unknown), *self._not_kept()]

    def refused(self, item: TableRow, column: str, code: str, message: str) -> RowError:
        """Why a row that could be read cannot be taken."""
        value = item.values.get(column)
        return RowError(
            item.row, self.layout.heading(column), None if value is None else shortened(str(value)), code, message
        )

    def noticed(self, item: TableRow, column: str, code: str, message: str) -> Notice:
        """What is to be known of a row that is taken."""
        return Notice(item.row, self.layout.heading(column), shortened(str(item.values[column])), code, message)

    def _unknown(self, column: int) -> Notice:
        message = "The column is not known and not read."
        return Notice(1, self.layout.header[column], None, "unknown_column", message)

    def _not_kept(self) -> Iterator[Notice]:
        if self.layout.not_kept:
            headings = ", ".join(self.layout.header[column] for column in self.layout.not_kept)
            yield Notice(1, None, None, "columns_not_kept", f"Nothing of these columns is kept here: {headings}.")

    def read(self, record: Record | BrokenRecord) -> TableRow | list[RowError]:
        """A row by itself, whatever its key, or why it cannot be read."""
        if isinstance(record, BrokenRecord):
            return [RowError(record.row, None, shortened(" ¦ ".join(record.fields)), record.code, record.message)]
        row, fields = record
        values: dict[str, Any] = {}
        errors: list[RowError] = []
        for column in self._columns:
            cell = fields[self.layout.index[column.name]].strip()
            fault = self._convert(column, cell, values)
            if fault is not None:
                errors.append(RowError(row, self.layout.heading(column.name), shortened(cell) or None, *fault))
        return errors or TableRow(row, values)

    def _read_once(self, record: Record | BrokenRecord, seen: KeyIndex) -> TableRow | list[RowError]:
        read = self.read(record)
        if not self._key or not isinstance(read, TableRow):
            return read
        key = (str(read.values.get(name) or self._meant.get(name)) for name in self._key)
        earlier = seen.add("\x1f".join(key), read.row)
        return read if earlier is None else [self._doubled(read.row, earlier)]

    def _convert(self, column: Column, cell: str, values: dict[str, Any]) -> tuple[str, str] | None:
        if not cell:
            values[column.name] = None
            is_missed = column.is_required and not column.may_be_empty
            return ("missing_value", f"The row has no {column.name}.") if is_missed else None
        try:
            values[column.name] = column.convert(cell)
        except InvalidCell as fault:
            return fault.code, fault.message
        return None

    def _doubled(self, row: int, earlier: int) -> RowError:
        heading = self.layout.heading(self._key[0])
        return RowError(row, heading, None, "duplicate_key", f"Row {earlier} is about the same; one of them is wrong.")
