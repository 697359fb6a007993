"""NDJSON: one object a line, its keys the headings.

A key may be missing from a line; the headings are those of all lines, in the order in which they first appear. A line
that is no object is the fault of that line alone.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import msgspec

from shared.impex.encoding import HEAD_BYTES, choose_encoding
from shared.impex.errors import HeaderTooWide, InvalidJson, NoRows
from shared.impex.json_values import explained, json_decoder
from shared.impex.records import RECORD_CHARACTERS, BrokenRecord, Record
from shared.impex.source import Source, checked_header, reading_text
from shared.impex.values import Joiner, record_of, refuse_lists, shown

_MOST_KEYS = 1000
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class JsonLinesSource(Source):
    """A file of JSON objects, one a line. `join` says how a list becomes a cell."""

    format: ClassVar[str] = "ndjson"

    def __init__(self, path: Path, encoding: str, header: tuple[str, ...], keys: tuple[str, ...]) -> None:
        self.path = path
        self.encoding: str = encoding
        self.delimiter = None
        self.header = header
        self.join: Joiner = refuse_lists
        self._keys = keys
        self._known = frozenset(keys)

    @classmethod
    def open(cls, path: Path, *, encoding: str | None = None) -> "JsonLinesSource":
        """Raises UnreadableFile, HeaderTooWide."""
        with path.open("rb") as file:
            codec = choose_encoding(file.read(HEAD_BYTES), encoding)
        keys = _keys_of(path, codec)
        source = cls(path, codec, checked_header(keys), keys)
        if next(source.records(), None) is None:
            raise NoRows("The file has objects without any value: add at least one row.")
        return source

    def records(self) -> Iterator[Record | BrokenRecord]:
        """Raises InvalidEncoding."""
        decode = json_decoder().decode
        for number, line in _lines(self.path, self.encoding):
            record = self._record(number, line, decode)
            if record is not None:
                yield record

    def _record(self, number: int, line: str, decode: Callable[[str], object]) -> Record | BrokenRecord | None:
        if len(line) >= RECORD_CHARACTERS:
            message = f"The line is longer than {RECORD_CHARACTERS} characters."
            return BrokenRecord(number, [shown(line[:1000]) + "…"], "row_too_long", message)
        try:
            values = decode(line)
        except (ValueError, RecursionError) as fault:
            return BrokenRecord(number, [shown(line)], *explained(fault))
        if not isinstance(values, dict):
            message = 'The line is valid JSON and no object: write the row\'s values as {"heading": value}.'
            return BrokenRecord(number, [shown(line)], "not_an_object", message)
        if not values.keys() <= self._known:
            message = "A key of the object has characters that no text has."
            return BrokenRecord(number, [shown(line)], "invalid_key", message)
        return record_of(number, list(map(values.get, self._keys)), self.header, self.join)


def _keys_of(path: Path, encoding: str) -> tuple[str, ...]:
    """All keys of a file's objects. Raises InvalidEncoding, InvalidJson, HeaderTooWide."""
    keys: dict[str, None] = {}
    last: tuple[str, ...] = ()
    decode = _KEYS.decode
    for _, line in _lines(path, encoding):
        try:
            found = tuple(decode(line))
        except (ValueError, RecursionError):
            continue
        if found != last:
            keys.update(dict.fromkeys(found))
            last = found
            if len(keys) > _MOST_KEYS:
                raise HeaderTooWide(f"The objects have more than {_MOST_KEYS} different keys.")
    if not keys:
        raise InvalidJson(_no_object(path, encoding))
    return tuple(keys)


def _no_object(path: Path, encoding: str) -> str:
    first = next(_lines(path, encoding), (1, ""))[1]
    try:
        json_decoder().decode(first)
        reason = "the first is no object with values"
    except (ValueError, RecursionError) as fault:
        reason = f"the first says: {explained(fault)[1]}"
    return (
        f"No line of the file is a JSON object of its own ({reason}). Write one object a line, or put all objects into "
        "one array."
    )


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers; of one that is too long the beginning."""
    number = 0
    with reading_text(path, encoding, lambda: number) as lines:
        for line in lines:
            number += 1
            if len(line) >= RECORD_CHARACTERS:
                _skip_rest(line, lines)
            if not line.isspace():
                yield number, line


def _skip_rest(piece: str, lines: Iterator[str]) -> None:
    while len(piece) >= RECORD_CHARACTERS and not piece.endswith(("\n", "\r")):
        piece = next(lines, "")
