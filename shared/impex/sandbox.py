"""Reading in a process of its own, with limits to memory, time and output: for formats whose files can be made so that
reading them takes far more than they weigh.

The process (`converting`) gets no more of the environment than it needs to run, no secrets above all, and writes lines
of JSON: {"error": …, "detail": …} for a file that cannot be read, else what its task promises.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from shared.impex import errors
from shared.impex.errors import DamagedFile, TooDemanding, UnreadableFile

_PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "TMPDIR", "COVERAGE_PROCESS_START")
_ROOT = Path(__file__).parents[2]
# By far more than any file within the limits of size takes.
MOST_SECONDS = 300
# How Python ends with an exception that nobody expected; it stands in the log.
_TRACEBACK = 1


def _command(task: dict[str, Any]) -> list[str]:
    return [sys.executable, "-m", "shared.impex.converting", orjson.dumps(task).decode()]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    path = [str(_ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(path), "POLARS_MAX_THREADS": "1"}


def run(task: dict[str, Any], output: IO[bytes]) -> None:
    """Do `task` and write its lines to `output`. Raises what the task finds wrong, TooDemanding."""
    process = subprocess.Popen(_command(task), stdin=subprocess.DEVNULL, stdout=output, env=_environment())  # noqa: S603
    try:
        _check(process.wait(MOST_SECONDS))
    except subprocess.TimeoutExpired:
        raise TooDemanding(f"Reading the file takes longer than {MOST_SECONDS} seconds.") from None
    finally:
        process.kill()
        process.wait()


@contextmanager
def streamed(task: dict[str, Any]) -> Iterator[Iterator[bytes]]:
    """The lines of `task` as they come; the process ends with the context."""
    command, environment = _command(task), _environment()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield _to_the_end(process, process.stdout)
        finally:
            process.kill()


def _to_the_end(process: "subprocess.Popen[bytes]", output: IO[bytes]) -> Iterator[bytes]:
    yield from output
    _check(process.wait())


def _check(code: int) -> None:
    if code == _TRACEBACK:
        raise DamagedFile("The file is damaged in a way that we have no word for: write it again, and upload it whole.")
    if code:
        raise TooDemanding("Reading the file takes more memory or time than any real file of its size does.")


def refuse(line: bytes) -> None:
    """Raise the error that a line of output tells of, if it does."""
    if line.startswith(b'{"error"'):
        said = orjson.loads(line)
        raise _ERRORS[said["error"]](said["detail"])


_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, (UnreadableFile, errors.TooLarge, errors.UnknownSheet))
}
