"""What a file is to those who read it: headings, and rows in constant memory. Delimited text is read here."""

import asyncio
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from shared.impex.delimiter import choose_delimiter
from shared.impex.encoding import HEAD_BYTES, choose_encoding, refuse_other_texts
from shared.impex.errors import DuplicateHeaders, EmptyFile, HeaderTooWide, InvalidEncoding, InvalidHeader, NoRows
from shared.impex.records import RECORD_CHARACTERS, BrokenRecord, Record, RecordReader
from shared.impex.rows import Notice
from shared.impex.values import is_text

_WIDEST_HEADER = 1000
_LONGEST_HEADING = 2000


class Source(ABC):
    """A file that can be read any number of times, each time from its beginning.

    `header` has the uploader's own headings in the order of the file, without surrounding space; one may be empty. Each
    row comes with the number by which its uploader finds it: the line of a text, the record of a list, the row of
    a sheet.
    """

    format: ClassVar[str]
    # What is a text says how it was written, and what has rows of cells between delimiters says which.
    encoding: str | None
    delimiter: str | None
    header: tuple[str, ...]
    # What is to be said of rows before they are read.
    notices: tuple[Notice, ...] = ()

    @abstractmethod
    def records(self) -> Iterator[Record | BrokenRecord]:
        """The rows below the headings: (number, fields), as many fields as headings, or why not.

        Raises UnreadableFile where the file turns out to be unreadable.
        """


@dataclass(frozen=True)
class CsvSource(Source):
    """A delimited text file."""

    format: ClassVar[str] = "csv"

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]

    @classmethod
    def open(
        cls, path: Path, *, encoding: str | None = None, delimiter: str | None = None, is_asked_for: bool = False
    ) -> "CsvSource":
        """Look at the head of a file and make sure that it is one of rows under headings.

        With `is_asked_for` a text that begins like JSON is one too. Raises EmptyFile, NotAText, NotATable,
        UnknownEncoding, InvalidEncoding, InvalidDelimiter, InvalidHeader, HeaderTooWide, DuplicateHeaders, NoRows.
        """
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        codec = choose_encoding(head, encoding)
        text = head.decode(codec, "replace")
        refuse_other_texts(text, is_json_fine=is_asked_for)
        separator = choose_delimiter(text, delimiter)
        source = cls(path, codec, separator, _read_header(path, codec, separator))
        if next(source.records(), None) is None:
            raise NoRows("The file has headings only: add at least one row.")
        return source

    def records(self) -> Iterator[Record | BrokenRecord]:
        """The rows below the headings: (line, fields), as many fields as headings, or why not.

        Raises InvalidEncoding, TooManyBrokenQuotes where the file turns out to be unreadable.
        """
        with _reading(self.path, self.encoding, self.delimiter) as reader:
            reader.header()
            yield from reader.rows(len(self.header))


@contextmanager
def reading_text(path: Path, encoding: str, lines_read: Callable[[], int]) -> Iterator[Iterator[str]]:
    """The lines of a text, none longer than RECORD_CHARACTERS. Raises InvalidEncoding, which names the line."""
    with path.open(encoding=encoding, newline="") as text:
        try:
            yield iter(partial(text.readline, RECORD_CHARACTERS), "")
        except UnicodeDecodeError as fault:
            raise InvalidEncoding(_where(lines_read(), encoding, fault)) from fault


@contextmanager
def spooled(chunks: Iterable[bytes], folder: Path | None = None) -> Iterator[Path]:
    """A temporary file with what `chunks` bring, for as long as the context lasts."""
    with tempfile.NamedTemporaryFile(prefix="crossdock-", dir=folder) as file:
        file.writelines(chunks)
        file.flush()
        yield Path(file.name)


@asynccontextmanager
async def spooled_stream(chunks: AsyncIterable[bytes], folder: Path | None = None) -> AsyncIterator[Path]:
    """As `spooled`, from a stream such as a request's body or a blob."""
    with tempfile.NamedTemporaryFile(prefix="crossdock-", dir=folder) as file:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.flush)
        yield Path(file.name)


@contextmanager
def _reading(path: Path, encoding: str, delimiter: str) -> Iterator[RecordReader]:
    readers: list[RecordReader] = []
    with reading_text(path, encoding, lambda: readers[0].line) as lines:
        readers.append(RecordReader(lines, delimiter))
        yield readers[0]


def _where(lines_read: int, encoding: str, fault: UnicodeDecodeError) -> str:
    before = fault.object[: fault.start].decode(encoding, "ignore")
    line = lines_read + 1 + before.count("\n")
    return (
        f"Line {line} contains bytes that are not {encoding.removesuffix('-sig')}. Save the file as UTF-8, or name its"
        " encoding when you upload it (windows-1252 is the usual one of spreadsheets)."
    )


def _read_header(path: Path, encoding: str, delimiter: str) -> tuple[str, ...]:
    with _reading(path, encoding, delimiter) as reader:
        cells = reader.header()
    if cells is None:
        raise EmptyFile("The file has nothing but blank lines.")
    if isinstance(cells, BrokenRecord):
        raise InvalidHeader(f"Line {cells.row}: {cells.message}")
    return checked_header(cells)


def checked_header(cells: Sequence[str]) -> tuple[str, ...]:
    """Headings without surrounding space. Raises HeaderTooWide, InvalidHeader, DuplicateHeaders."""
    if len(cells) > _WIDEST_HEADER:
        raise HeaderTooWide(f"The file has {len(cells)} columns; {_WIDEST_HEADER} is the limit.")
    header = tuple(cell.strip() for cell in cells)
    for column, heading in enumerate(header, start=1):
        if len(heading) > _LONGEST_HEADING or not is_text(heading):
            raise InvalidHeader(f"The heading of column {column} is too long, or has characters that no text has.")
    _refuse_duplicates(header)
    return header


def _refuse_duplicates(header: tuple[str, ...]) -> None:
    twice = [heading for heading, count in Counter(map(str.casefold, header)).items() if heading and count > 1]
    if twice:
        raise DuplicateHeaders(f"More than one column is headed {', '.join(map(repr, twice))}: rename or remove one.")
