"""The rows that were refused, in their uploader's own format with the reason before them: to correct and upload again.

CSV comes back as CSV, and so on; a file from a zip comes back unzipped. The two columns stand first, so that in CSV a
row with a field too few or too many needs no padding that would make it look whole. The row that describes a product
comes along, without a reason, when only later rows of it were refused: alone they would not say what they belong to.
Uploaded again, it is unchanged.
"""

import csv
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from shared.impex import sandbox
from shared.impex.arranging import ArrangedSource
from shared.impex.layout import Layout
from shared.impex.profiles.base import ERROR_COLUMNS
from shared.impex.records import BrokenRecord, Record
from shared.impex.refusals import Refusals
from shared.impex.rows import RowError
from shared.impex.source import CsvSource, Source
from shared.impex.workbook_file import write_workbook

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    fields: list[str]


def write_error_file(source: Source, layout: Layout, errors: Refusals, file: BinaryIO) -> int:
    """Write the rows of `source` that `errors` name, and return how many.

    The format is the uploader's. CSV keeps its delimiter; UTF-16 stays, everything else becomes UTF-8 with the mark by
    which spreadsheets know it. `ERROR_FILE_TYPES` has the extension and media type.
    """
    if isinstance(source, ArrangedSource):
        refused = _refused_of_groups(source, layout, errors)
        source = source.original
    else:
        refused = _refused(source, layout, errors)
    counted = _Counted(refused)
    if isinstance(source, CsvSource):
        _write_csv(source, counted, file)
    else:
        _WRITERS[source.format](source, counted, file)
    return counted.refused


# Extension and media type of an error file, by the format of the upload.
ERROR_FILE_TYPES = {
    "csv": ("csv", "text/csv"),
    "ndjson": ("ndjson", "application/x-ndjson"),
    "json": ("json", "application/json"),
    "parquet": ("parquet", "application/vnd.apache.parquet"),
    "xlsx": ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
# What stands for the cells of a line that cannot be taken apart.
_WHOLE_LINE = "error_line"


class _Counted:
    """Rows on their way out, each with its reasons; `refused` are those that have any."""

    def __init__(self, rows: Iterator[tuple[list[RowError], _Row]]) -> None:
        self._rows = rows
        self.refused = 0

    def __iter__(self) -> Iterator[tuple[list[RowError], _Row]]:
        for reasons, row in self._rows:
            self.refused += bool(reasons)
            yield reasons, row


def _write_csv(source: CsvSource, rows: _Counted, file: BinaryIO) -> None:
    encoding = "utf-16" if source.encoding.startswith("utf-16") else "utf-8-sig"
    text = io.TextIOWrapper(file, encoding, newline="", write_through=True)
    try:
        writer = csv.writer(text, delimiter=source.delimiter)
        writer.writerow([*ERROR_COLUMNS, *_own_headings(source)])
        for reasons, row in rows:
            writer.writerow([*_reason_cells(reasons), *_own_cells(source, row.fields)])
    finally:
        text.detach()


def _write_lines(source: Source, rows: _Counted, file: BinaryIO) -> None:
    for entry in _objects(source, rows):
        file.write(entry + b"\n")


def _write_array(source: Source, rows: _Counted, file: BinaryIO) -> None:
    mark = b"[\n"
    for entry in _objects(source, rows):
        file.write(mark + entry)
        mark = b",\n"
    file.write(b"\n]\n")


def _write_sheet(source: Source, rows: _Counted, file: BinaryIO) -> None:
    def sheet() -> Iterator[list[str]]:
        yield [*ERROR_COLUMNS, *_own_headings(source)]
        for reasons, row in rows:
            yield [*_reason_cells(reasons), *_own_cells(source, row.fields)]

    write_workbook(sheet(), file)


def _write_parquet(source: Source, rows: _Counted, file: BinaryIO) -> None:
    with tempfile.NamedTemporaryFile(prefix="crossdock-") as lines, tempfile.NamedTemporaryFile() as table:
        for entry in _objects(source, rows):
            lines.write(entry + b"\n")
        lines.flush()
        header = [*ERROR_COLUMNS, *_own_headings(source)]
        task = {"task": "write_parquet", "path": lines.name, "target": table.name, "header": header}
        with tempfile.TemporaryFile() as answer:
            sandbox.run(task, answer)
        while piece := table.read(1 << 20):
            file.write(piece)


_WRITERS = {"ndjson": _write_lines, "json": _write_array, "parquet": _write_parquet, "xlsx": _write_sheet}


def _objects(source: Source, rows: _Counted) -> Iterator[bytes]:
    """Each row as an object of texts; what could not be taken apart is one text."""
    headings = _own_headings(source)
    for reasons, row in rows:
        made = dict(zip(ERROR_COLUMNS, _reason_cells(reasons), strict=True)) if reasons else {}
        if len(row.fields) == len(source.header):
            made.update(zip(headings, _own_cells(source, row.fields), strict=True))
        else:
            made[_WHOLE_LINE] = " ".join(row.fields)
        yield orjson.dumps(made)


def _own_headings(source: Source) -> list[str]:
    return [heading for heading in source.header if heading not in ERROR_COLUMNS]


def _own_cells(source: Source, fields: list[str]) -> list[str]:
    """A row of a file that may itself be a corrected error file, without the reasons of last time."""
    dropped = {column for column, heading in enumerate(source.header) if heading in ERROR_COLUMNS}
    return [cell for column, cell in enumerate(fields) if column not in dropped] if dropped else fields


def _refused(source: Source, layout: Layout, errors: Refusals) -> Iterator[tuple[list[RowError], _Row]]:
    """Each refused row with its reasons, before it the row that describes its product where that has none."""
    reasons = iter(errors)
    row, found = next(reasons, (0, []))
    first: _Row | None = None
    handle = ""
    for record in source.records():
        current = _row(record)
        cell = current.fields[layout.handle] if layout.handle < len(current.fields) else ""
        if isinstance(record, tuple) and cell != handle:
            first, handle = current, cell
        if current.line != row:
            continue
        if cell == handle:
            if first is not None and first is not current:
                yield [], first
            first = None
        yield found, current
        row, found = next(reasons, (0, []))
        if not row:
            return


def _refused_of_groups(
    source: ArrangedSource, layout: Layout, errors: Refusals
) -> Iterator[tuple[list[RowError], _Row]]:
    """As `_refused`, where the rows of a product do not stand together: those of one come out together."""
    width = len(source.original.header)
    first: _Row | None = None
    handle = ""
    for record in source.records():
        current = _row(record)
        cell = current.fields[layout.handle] if layout.handle < len(current.fields) else ""
        own = _Row(current.line, current.fields[:width])
        if isinstance(record, tuple) and cell != handle:
            first, handle = own, cell
        reasons = errors.of(current.line)
        if not reasons:
            continue
        if cell == handle and first is not None:
            if first.line != current.line and not errors.of(first.line):
                yield [], first
            first = None
        yield reasons, own


def _row(record: Record | BrokenRecord) -> _Row:
    return _Row(record.row, record.fields) if isinstance(record, BrokenRecord) else _Row(*record)


def _reason_cells(reasons: list[RowError]) -> tuple[str, str]:
    codes = " ".join(dict.fromkeys(error.code for error in reasons))
    messages = " ".join(f"{error.column}: {error.message}" if error.column else error.message for error in reasons)
    return _harmless(codes), _harmless(messages)


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet executes."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
