"""Files that a process of its own reads: what it found is a Source like any other."""

import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import orjson

from shared.impex import sandbox
from shared.impex.errors import EmptyFile
from shared.impex.records import BrokenRecord, Record
from shared.impex.source import Source, checked_header
from shared.impex.values import Joiner, Unreadable, checked, record_of, refuse_lists

_Lines = Callable[[], AbstractContextManager[Iterator[bytes]]]
_NO_TEXT = b"\xff"


class ConvertedSource(Source):
    """A JSON array, a workbook or a Parquet file. `join` says how a list becomes a cell."""

    def __init__(self, name: str, header: tuple[str, ...], lines: _Lines) -> None:
        self.format = name  # type: ignore[misc]
        self.encoding = self.delimiter = None
        self.header = header
        self.join: Joiner = refuse_lists
        self._lines = lines

    @classmethod
    def spooled(cls, task: dict[str, Any], folder: Path) -> "ConvertedSource":
        """Read the whole file now, once; its rows lie in a temporary file for as long as the source lives.

        Raises UnreadableFile, TooDemanding, UnknownSheet.
        """
        with tempfile.NamedTemporaryFile(prefix="crossdock-", dir=folder, delete=False) as file:
            spool = Path(file.name)
            try:
                sandbox.run(task, file)
                source = cls(*_head(spool), lambda: _file_lines(spool))
            except BaseException:
                spool.unlink()
                raise
        weakref.finalize(source, spool.unlink, missing_ok=True)
        return source

    @classmethod
    def streamed(cls, task: dict[str, Any]) -> "ConvertedSource":
        """Read the file anew each time, never holding more than a part of it. Raises UnreadableFile, TooDemanding."""
        with sandbox.streamed(task) as lines:
            first = next(lines, b"")
            sandbox.refuse(first)
            # A file that is damaged in its first rows should be said so now.
            sandbox.refuse(next(lines, b""))
        return cls(*_described(first), lambda: sandbox.streamed(task))

    def records(self) -> Iterator[Record | BrokenRecord]:
        with self._lines() as lines:
            for line in lines:
                if line.startswith(b"["):
                    record = self._record(*orjson.loads(line))
                    if record is not None:
                        yield record
                else:
                    sandbox.refuse(line)

    def _record(
        self, row: int, cells: list[Any], code: str | None = None, message: str = ""
    ) -> Record | BrokenRecord | None:
        cells += [""] * (len(self.header) - len(cells))
        if code is None:
            return record_of(
                row, [cell if type(cell) is str else _value(cell) for cell in cells], self.header, self.join
            )
        return checked(row, [str(cell or "") for cell in cells], (code, message))


def _value(cell: Any) -> object:
    if isinstance(cell, list):
        return [_value(item) for item in cell]
    if isinstance(cell, dict) and "number" in cell:
        return Unreadable(cell["number"])
    return _NO_TEXT if isinstance(cell, dict) and "bytes" in cell else cell


def _head(spool: Path) -> tuple[str, tuple[str, ...]]:
    """Format and headings, after a look at all lines. Raises what one of them says."""
    found = b""
    with spool.open("rb") as lines:
        for line in lines:
            sandbox.refuse(line)
            if line.startswith(b"{"):
                found = line
    return _described(found)


def _described(line: bytes) -> tuple[str, tuple[str, ...]]:
    if not line:
        raise EmptyFile("The file has no rows.")
    said = orjson.loads(line)
    return said["format"], checked_header(said["header"])


@contextmanager
def _file_lines(spool: Path) -> Iterator[Iterator[bytes]]:
    with spool.open("rb") as lines:
        yield lines
