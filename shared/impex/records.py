"""Records of a delimited file with the line each begins on, going on after a broken one.

The rules are RFC 4180's, read strictly, because the csv module's lenient reading lets one quote that is never closed
swallow the rest of the file without a word. A broken record that spans lines is therefore given up at its first line,
and reading starts again on its second.
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from shared.impex.errors import TooManyBrokenQuotes

RECORD_CHARACTERS = 1_000_000
# Re-reading is quadratic for a file made for the purpose; a real one needs a few records' worth.
_REREAD_CHARACTERS = 64 * RECORD_CHARACTERS

# The module's own limit of 131,072 characters is below the longest product descriptions (512 KB).
csv.field_size_limit(max(csv.field_size_limit(), RECORD_CHARACTERS))

Record = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that does not fit the file. `fields` are what can be made of its first line.

    `column` is the heading below which the fault is, with what stands there, where one cell alone is at fault.
    """

    row: int
    fields: list[str]
    code: str
    message: str
    column: str | None = None
    value: str | None = None


class RecordTooLong(Exception):
    """Raised through the csv module when a record passes RECORD_CHARACTERS; never leaves this module."""


class RecordReader:
    """Reads the records of `lines` (each with its line ending, none longer than RECORD_CHARACTERS).

    `line` is the number of lines read so far. Raises TooManyBrokenQuotes.
    """

    def __init__(self, lines: Iterator[str], delimiter: str) -> None:
        self.line = 0
        self._lines = lines
        self._delimiter = delimiter
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self._has_nul = False
        self._reread = 0
        self._reader = self._new_reader()

    def header(self) -> list[str] | BrokenRecord | None:
        """The first record that is not blank."""
        for record in self._records():
            if isinstance(record, BrokenRecord):
                return record
            if any(cell.strip() for cell in record[1]):
                return record[1]
        return None

    def rows(self, width: int) -> Iterator[Record | BrokenRecord]:
        """The remaining records of `width` fields; those of another width are broken. Blank records are left out."""
        for record in self._records():
            if isinstance(record, BrokenRecord):
                yield record
                continue
            fields = record[1]
            if len(fields) != width:
                if not any(fields):
                    continue
                if len(fields) < width or any(fields[width:]):
                    yield self._wrong_width(record[0], fields, width)
                    continue
                del fields[width:]
            if any(fields):
                yield record

    def _records(self) -> Iterator[Record | BrokenRecord]:
        taken = self._taken
        while True:
            taken.clear()
            self._size = 0
            self._has_nul = False
            start = self.line + 1
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, RecordTooLong) as fault:
                yield self._broken(start, *_explained(fault, len(taken)))
                continue
            if self._has_nul:
                yield self._broken(start, "invalid_character", "The row contains a NUL character, which no text has.")
                continue
            yield start, fields

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed(), delimiter=self._delimiter, strict=True)

    def _feed(self) -> Iterator[str]:
        again, taken = self._again, self._taken
        while (line := again.popleft() if again else next(self._lines, None)) is not None:
            self.line += 1
            taken.append(line)
            self._size += len(line)
            if self._size >= RECORD_CHARACTERS:
                self._skip_rest_of_line(line)
                raise RecordTooLong
            if "\0" in line:
                self._has_nul = True
            yield line

    def _skip_rest_of_line(self, piece: str) -> None:
        while len(piece) >= RECORD_CHARACTERS and not piece.endswith(("\n", "\r")):
            piece = next(self._lines, "")

    def _wrong_width(self, row: int, fields: list[str], width: int) -> BrokenRecord:
        fault = "too_few_fields" if len(fields) < width else "too_many_fields"
        return self._broken(row, fault, f"The row has {len(fields)} fields where the headings have {width}.")

    def _broken(self, row: int, code: str, message: str) -> BrokenRecord:
        """Give up the record at its first line and go back to its second."""
        first, *rest = self._taken
        self._reread += sum(map(len, rest))
        if self._reread > _REREAD_CHARACTERS:
            raise TooManyBrokenQuotes(f"Line {row} is one of very many with a quote that is never closed.")
        self._again.extendleft(reversed(rest))
        self.line = row
        self._reader = self._new_reader()
        return BrokenRecord(row, _leniently(first, self._delimiter), code, message)


def _explained(fault: Exception, lines: int) -> tuple[str, str]:
    if isinstance(fault, RecordTooLong) and lines == 1:
        return "row_too_long", f"The row is longer than {RECORD_CHARACTERS} characters."
    if lines > 1 or "end of data" in str(fault):
        return "unterminated_quote", "A quote is opened in this row and never closed; close it, or double it."
    if "limit" in str(fault):
        return "row_too_long", f"A field is longer than {RECORD_CHARACTERS} characters."
    return "stray_quote", 'A quote stands inside a quoted field; write two of them ("") for one.'


def _leniently(line: str, delimiter: str) -> list[str]:
    """The fields of one line whatever its quotes: for showing it to its uploader."""
    text = line.rstrip("\r\n").replace("\0", "\ufffd")
    if len(text) >= RECORD_CHARACTERS:
        return [text[:1000] + "…"]
    return next(csv.reader([text], delimiter=delimiter), [])
