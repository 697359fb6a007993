"""An array of JSON objects, read in one go and in bounded memory: in the process that `sandbox` limits."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from shared.impex.errors import EmptyFile, HeaderTooWide, InvalidEncoding, InvalidJson, UnpackedTooLarge
from shared.impex.json_values import RepeatedKey, explained, json_decoder

MOST_BYTES = 100 << 20
_MOST_KEYS = 1000
_PIECE = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")


def convert_json(path: Path, encoding: str) -> Iterator[Any]:
    """The rows of a file, then its headings."""
    if path.stat().st_size > MOST_BYTES:
        raise UnpackedTooLarge(
            f"A JSON array is at most {MOST_BYTES} bytes; write one object a line (NDJSON), which may be 1 GB."
        )
    keys: dict[str, int] = {}
    with path.open(encoding=encoding, newline="") as file:
        for number, value in enumerate(_Elements(file), start=1):
            yield _row(number, value, keys)
            if len(keys) > _MOST_KEYS:
                raise HeaderTooWide(f"The objects have more than {_MOST_KEYS} different keys.")
    if not keys:
        raise EmptyFile("The array has no object with a value: add at least one row.")
    yield {"format": "json", "header": list(keys)}


def _row(number: int, value: object, keys: dict[str, int]) -> list[Any]:
    if isinstance(value, RepeatedKey):
        return [number, [], *explained(value)]
    if not isinstance(value, dict):
        return [number, [str(value)[:200]], "not_an_object", "The entry of the array is no object with values."]
    for key in value:
        keys.setdefault(key, len(keys))
    cells: list[object] = [None] * len(keys)
    for key, cell in value.items():
        cells[keys[key]] = {} if isinstance(cell, dict) else cell
    return [number, cells]


class _Elements:
    """The elements of the array in a text, one after the other; a RepeatedKey stands for an object that has one."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._before = 0
        self._decoder = json_decoder()

    def __iter__(self) -> Iterator[object]:
        position = self._after_space(0)
        if self._text[position : position + 1] == "\ufeff":
            position = self._after_space(position + 1)
        if self._text[position : position + 1] != "[":
            raise InvalidJson("The JSON is no array of objects: it has to begin with [.")
        position = self._after_space(position + 1)
        if self._text[position : position + 1] == "]":
            raise EmptyFile("The array is empty: add at least one row.")
        while True:
            value, position = self._decoded(position)
            yield value
            position = self._after_space(position)
            mark = self._text[position : position + 1]
            if mark == "]":
                return self._refuse_more(position + 1)
            if mark != ",":
                raise self._fault(position, "a comma or ] is missing")
            position = self._after_space(position + 1)

    def _refuse_more(self, position: int) -> None:
        position = self._after_space(position)
        if position < len(self._text):
            raise self._fault(position, "something follows the array")

    def _decoded(self, position: int) -> tuple[object, int]:
        """The value at `position` and where it ends; reads on while it may only be cut off."""
        if position > _PIECE:
            self._forget(position)
            position = 0
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, position)
            except json.JSONDecodeError as fault:
                if not self._read():
                    raise self._fault(fault.pos, fault.msg) from None
            except RecursionError:
                raise self._fault(position, "objects are nested too deeply") from None
            except RepeatedKey as fault:
                return self._around(position, fault)
            else:
                if end < len(self._text) or not self._read():
                    return value, end

    def _around(self, position: int, fault: RepeatedKey) -> tuple[object, int]:
        """A value that has a key twice, and where it ends."""
        while True:
            try:
                _, end = json.JSONDecoder().raw_decode(self._text, position)
            except json.JSONDecodeError as cut:
                if not self._read():
                    raise self._fault(cut.pos, cut.msg) from None
            else:
                return fault, end

    def _after_space(self, position: int) -> int:
        while True:
            position = _SPACE.match(self._text, position).end()  # type: ignore[union-attr]
            if position < len(self._text) or not self._read():
                return position

    def _read(self) -> bool:
        """Read as much again as there is, so that a long value costs twice its length; False at the end."""
        try:
            more = self._file.read(max(_PIECE, len(self._text)))
        except UnicodeDecodeError as fault:
            raise InvalidEncoding(
                f"The file contains bytes that are not {codecs.lookup(fault.encoding).name}: save it as UTF-8."
            ) from fault
        self._text += more
        return bool(more)

    def _forget(self, position: int) -> None:
        self._before += position
        self._text = self._text[position:]

    def _fault(self, position: int, reason: str) -> InvalidJson:
        place = self._before + position + 1
        is_cut = position >= len(self._text) or reason.startswith("Unterminated")
        advice = "The file ends in the middle: it was cut off" if is_cut else f"The JSON is not valid: {reason}"
        return InvalidJson(f"{advice} (character {place}).")
