"""The log files of what we run: one per program, in the data folder's `logs`."""

from pathlib import Path
from typing import IO

ROTATE_BYTES = 20_000_000
TAIL_BYTES = 20_000


def open_log(folder: Path, name: str) -> IO[bytes]:
    """Open a program's log for appending; one that has grown large becomes `<name>.log.1` first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > ROTATE_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def read_end(path: Path, start: int = 0) -> str:
    """Return what a file says from byte `start` on, the last 20 kB of it at most."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(start if start <= end else 0, end - TAIL_BYTES))  # the file may have been rotated since
        return file.read().decode(errors="replace")


def last_line(text: str) -> str:
    """Return the last line that says something, without its full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"
