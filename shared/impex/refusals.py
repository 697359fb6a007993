"""What was said about the rows of a file, kept on disk: a million wrong rows take hardly more memory than ten."""

import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from types import TracebackType

import msgspec

from shared.impex.rows import RowError

_DECODER = msgspec.json.Decoder(RowError)


class Refusals:
    """Errors by ascending row: read in their order, or looked up by row. In memory are 16 bytes for each row."""

    def __init__(self, errors: Iterable[RowError] = ()) -> None:
        self._file = tempfile.TemporaryFile(prefix="crossdock-")  # noqa: SIM115
        self._size = 0
        self._rows = array("Q")
        self._places = array("Q")
        self.add(errors)

    def __enter__(self) -> "Refusals":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, errors: Iterable[RowError]) -> None:
        """More of them; none of a row before those that are there."""
        self._file.seek(self._size)
        for error in errors:
            if not self._rows or self._rows[-1] != error.row:
                self._rows.append(error.row)
                self._places.append(self._size)
            self._size += self._file.write(msgspec.json.encode(error) + b"\n")

    def __iter__(self) -> Iterator[tuple[int, list[RowError]]]:
        """Each row that was refused with its reasons."""
        self._file.seek(0)
        found: list[RowError] = []
        for line in self._file:
            error = _DECODER.decode(line)
            if found and error.row != found[0].row:
                yield found[0].row, found
                found = []
            found.append(error)
        if found:
            yield found[0].row, found

    def of(self, row: int) -> list[RowError]:
        """What was said about a row; nothing where it was taken."""
        place = bisect_left(self._rows, row)
        if place == len(self._rows) or self._rows[place] != row:
            return []
        end = self._places[place + 1] if place + 1 < len(self._places) else self._size
        self._file.seek(self._places[place])
        return [_DECODER.decode(line) for line in self._file.read(end - self._places[place]).splitlines()]
