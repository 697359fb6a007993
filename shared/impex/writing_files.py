"""Rows of texts as files: CSV, NDJSON, JSON, Parquet and XLSX, perhaps in a zip.

A file is made of parts that are written one by one, at any time and by anybody, and put together at the end, so that
long work can be killed and go on. The cells are the same texts in every format; what is empty is null where there is
such a thing. Plain Python and disk: in a thread.
"""

import csv
import io
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, ClassVar

import orjson

from shared.errors import ValidationFailed
from shared.impex import json_array
from shared.impex.workbook_file import write_workbook
from shared.impex.writing_guard import RISKY, escaped, guarded

Rows = Sequence[Sequence[str]]

# Excel's own (https://support.microsoft.com/en-us/office/excel-specifications-and-limits).
SHEET_ROWS = 1_048_576
SHEET_CELL = 32_767
# The earliest that a zip can say: the same content is the same file.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


class CellTooLong(ValidationFailed):
    """A text is longer than a cell of a workbook; nothing is cut off in silence."""

    title = "A text is too long for a workbook"


class TooManyRowsForWorkbook(ValidationFailed):
    """A sheet of a workbook has room for 1,048,575 rows below its headings."""

    title = "There are too many rows for a workbook"


class ArrayTooLarge(ValidationFailed):
    """An array of JSON is read to 100 MB; a larger one could not be imported again."""

    title = "The file is too large for one array of JSON"


class FileFormat(ABC):
    """One format. Holds no state: one instance serves all files."""

    name: ClassVar[str]
    media_type: ClassVar[str]

    @abstractmethod
    def part(self, headings: Sequence[str], rows: Rows) -> bytes:
        """Some rows as they are kept until the file is put together. Raises CellTooLong."""

    @abstractmethod
    def join(self, headings: Sequence[str], parts: Sequence[Path], out: BinaryIO, folder: Path) -> None:
        """Write the file of these parts, in constant memory; `folder` is for what needs a file of its own.

        Raises TooManyRowsForWorkbook, ArrayTooLarge.
        """


class Csv(FileFormat):
    """Commas, quotes where they are needed, UTF-8 with the mark by which spreadsheets know it; cells guarded."""

    name = "csv"
    media_type = "text/csv"

    def part(self, headings: Sequence[str], rows: Rows) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([_each(guarded, row) for row in rows])
        return text.getvalue().encode()

    def join(self, headings: Sequence[str], parts: Sequence[Path], out: BinaryIO, folder: Path) -> None:
        out.write(b"\xef\xbb\xbf" + self.part(headings, [headings]))
        _copy(parts, out)


class NdJson(FileFormat):
    """One object a line, its keys the headings, its values texts or null."""

    name = "ndjson"
    media_type = "application/x-ndjson"

    def part(self, headings: Sequence[str], rows: Rows) -> bytes:
        return b"".join(
            orjson.dumps(
                {heading: cell or None for heading, cell in zip(headings, _each(escaped, row), strict=True)},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for row in rows
        )

    def join(self, headings: Sequence[str], parts: Sequence[Path], out: BinaryIO, folder: Path) -> None:
        _copy(parts, out)


class JsonArray(NdJson):
    """One array of such objects, each on a line of its own."""

    name = "json"
    media_type = "application/json"

    def join(self, headings: Sequence[str], parts: Sequence[Path], out: BinaryIO, folder: Path) -> None:
        written = 0
        for line in _lines(parts):
            piece = (b",\n" if written else b"[\n") + line.rstrip(b"\n")
            written += out.write(piece)
            if written > json_array.MOST_BYTES - len(_END):
                raise ArrayTooLarge(
                    f"An array of more than {json_array.MOST_BYTES >> 20} MB is not read again: choose NDJSON, one"
                    " object a line."
                )
        out.write(_END if written else b"[]\n")


_END = b"\n]\n"


class Parquet(FileFormat):
    """Columns of texts, one row group a part."""

    name = "parquet"
    media_type = "application/vnd.apache.parquet"

    def part(self, headings: Sequence[str], rows: Rows) -> bytes:
        import polars  # large, and for this format alone

        cells = [_each(escaped, row) for row in rows]
        columns = {heading: [row[n] or None for row in cells] for n, heading in enumerate(headings)}
        file = io.BytesIO()
        polars.DataFrame(columns, schema=dict.fromkeys(headings, polars.String)).write_parquet(file)
        return file.getvalue()

    def join(self, headings: Sequence[str], parts: Sequence[Path], out: BinaryIO, folder: Path) -> None:
        import polars  # as above

        whole = folder / "whole.parquet"
        if parts:
            polars.scan_parquet(list(parts)).sink_parquet(whole)
        else:
            whole.write_bytes(self.part(headings, []))
        _copy([whole], out)


class Xlsx(FileFormat):
    """One sheet of texts: no cell is a formula, a number or a link, whatever it looks like."""

    name = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def part(self, headings: Sequence[str], rows: Rows) -> bytes:
        pieces = []
        for row in rows:
            cells = _each(escaped, row)
            for heading, cell in zip(headings, cells, strict=True):
                if len(cell) > SHEET_CELL:
                    raise CellTooLong(
                        f"'{heading}' of '{row[0]}' has {len(cell)} characters, and a cell of a workbook at most"
                        f" {SHEET_CELL}: choose another format."
                    )
            pieces.append(orjson.dumps(cells, option=orjson.OPT_APPEND_NEWLINE))
        return b"".join(pieces)

    def join(self, headings: Sequence[str], parts: Sequence[Path], out: BinaryIO, folder: Path) -> None:
        write_workbook(_rows_of(headings, parts), out)


FORMATS: dict[str, FileFormat] = {each.name: each for each in (Csv(), NdJson(), JsonArray(), Parquet(), Xlsx())}


def write_file(
    form: FileFormat, headings: Sequence[str], parts: Sequence[Path], target: Path, zipped_as: str | None
) -> None:
    """Put the file together at `target`, or in a zip under the name `zipped_as`. Raises as `join` does."""
    folder = target.parent
    with target.open("wb") as file:
        if zipped_as is None:
            form.join(headings, parts, file, folder)
            return
        with zipfile.ZipFile(file, "w") as archive:
            entry = zipfile.ZipInfo(zipped_as, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as inside:
                form.join(headings, parts, inside, folder)  # type: ignore[arg-type]


def _each(change: Callable[[str], str], row: Sequence[str]) -> list[str]:
    return [change(cell) if cell and cell[0] in RISKY else cell for cell in row]


def _rows_of(headings: Sequence[str], parts: Iterable[Path]) -> Iterable[Sequence[str]]:
    """The rows of a sheet. Raises TooManyRowsForWorkbook."""
    yield headings
    number = 1
    for line in _lines(parts):
        number += 1
        if number > SHEET_ROWS:
            raise TooManyRowsForWorkbook(f"A sheet has room for {SHEET_ROWS - 1} rows: choose another format.")
        yield orjson.loads(line)


def _lines(parts: Iterable[Path]) -> Iterator[bytes]:
    for part in parts:
        with part.open("rb") as lines:
            yield from lines


def _copy(parts: Iterable[Path], out: BinaryIO) -> None:
    for part in parts:
        with part.open("rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)
