"""The process in which files are taken apart that could be made to do harm: see sandbox.

    python -m shared.impex.converting '{"task": "workbook", "path": …}'

Each task answers with lines of JSON. The first of a table is {"format": …, "header": […]} where it is known
beforehand, else the last; its rows are [number, [cell, …]], or [number, [cell, …], code, message] for one that is
refused. A cell is text, null, true, false, a list of these, {"number": …} where the reader has to see whether it is
one, {"bytes": ""} or {} for what no cell can hold.
"""

import contextlib
import importlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from shared.errors import CrossdockError
from shared.impex.errors import InvalidHeader, TooDemanding
from shared.impex.values import Unreadable, shown

_GIGABYTE = 1 << 30
# Memory, addresses (Parquet's library reserves far more than it uses), seconds of processor time, bytes written.
_LIMITS = {
    "unpack": (_GIGABYTE, _GIGABYTE, 120, 2 * _GIGABYTE),
    "workbook": (_GIGABYTE, _GIGABYTE, 120, 2 * _GIGABYTE),
    "json": (_GIGABYTE, _GIGABYTE, 120, 2 * _GIGABYTE),
    "parquet": (_GIGABYTE, 16 * _GIGABYTE, 900, 64 * _GIGABYTE),
    "write_parquet": (_GIGABYTE, 16 * _GIGABYTE, 900, 8 * _GIGABYTE),
}
# The module that does a task and its function: only that one is loaded, and after the limits are set.
_TASKS = {
    "unpack": ("shared.impex.archive", "unpack"),
    "workbook": ("shared.impex.workbook", "convert_workbook"),
    "json": ("shared.impex.json_array", "convert_json"),
    "parquet": ("shared.impex.parquet", "convert_parquet"),
    "write_parquet": ("shared.impex.parquet", "write_parquet"),
}


def _limit(memory: int, addresses: int, seconds: int, size: int) -> None:
    limits = (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_AS, addresses),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_CORE, 0),
    )
    for limit, value in limits:
        # A system may know a limit and not keep it, or keep a lower one already.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def _plain(value: object) -> object:
    if isinstance(value, Unreadable):
        return {"number": value.literal}
    raise TypeError


def main(arguments: str) -> None:
    """Do the task that `arguments` describe."""
    task = orjson.loads(arguments)
    name = task.pop("task")
    task["path"] = Path(task["path"])
    _limit(*_LIMITS[name])
    output = sys.stdout.buffer
    try:
        for line in _work(name, task):
            output.write(line if isinstance(line, bytes) else _line(line))
        output.flush()
    except CrossdockError as error:
        output.write(orjson.dumps({"error": type(error).__name__, "detail": error.detail}) + b"\n")
    except MemoryError:
        detail = "Reading the file takes more memory than any real file of its size does."
        output.write(orjson.dumps({"error": TooDemanding.__name__, "detail": detail}) + b"\n")


def _work(name: str, task: dict[str, Any]) -> Iterator[Any]:
    module, function = _TASKS[name]
    lines: Iterator[Any] = getattr(importlib.import_module(module), function)(**task)
    return lines


def _line(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_plain) + b"\n"
    except TypeError:
        # Half a character (JSON's \\ud800), which no text can hold.
        if isinstance(value, dict):
            raise InvalidHeader("A heading has characters that no text has.") from None
        number, cells, *_ = value
        message = "The row contains half a character, which no text has."
        texts = [shown(cell) if isinstance(cell, str) else "" for cell in cells]
        return orjson.dumps([number, texts, "invalid_character", message]) + b"\n"


if __name__ == "__main__":
    main(sys.argv[1])
