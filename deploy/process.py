"""Processes of this machine: finding ours by their mark, ending them, waiting for a condition."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from deploy.errors import FolderInUse

SERVERS = frozenset({"postgres", "valkey-server", "redis-server"})


def find_servers(mark: str) -> list[int]:
    """Return the database servers' processes whose command line contains `mark`, oldest number first."""
    return sorted(
        int(entry.name)
        for entry in _processes()
        if mark.encode() in _read(entry / "cmdline") and _read(entry / "comm").decode().strip() in SERVERS
    )


def find_by_environment(variable: str, value: str) -> list[int]:
    """Return the other processes that have inherited this environment variable with this value."""
    wanted = f"{variable}={value}".encode()
    found = (int(entry.name) for entry in _processes() if wanted in _read(entry / "environ").split(b"\0"))
    return sorted(number for number in found if number != os.getpid())


def send_signal(process: int, number: signal.Signals) -> None:
    """Signal a process that may have ended. Raises FolderInUse when it belongs to another account."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise FolderInUse(f"The folder's programs run as another account: end process {process} first.") from error


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal a process group, which may have ended."""
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Return whether `condition` came true in time, looking at it every few milliseconds."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def end_leftovers(
    find: Callable[[], list[int]], ask: Callable[[list[int]], list[int]], number: signal.Signals, grace_seconds: float
) -> None:
    """End the processes that `find` lists: by signal `number` to those of them that `ask` chooses, and after
    `grace_seconds` by force. Raises FolderInUse when they belong to another account.
    """
    found = find()
    for process in ask(found):
        send_signal(process, number)
    if not wait_until(lambda: not find(), grace_seconds):
        for process in find():
            send_signal(process, signal.SIGKILL)
        wait_until(lambda: not find(), grace_seconds)
    # Who ends gives up its memory, by which it is found, a moment before its sockets.
    wait_until(lambda: not any(map(_has_files, found)), grace_seconds)


def _has_files(process: int) -> bool:
    """Whether a process is there and has not come to its end: a zombie has nothing open any more."""
    state = _read(Path(f"/proc/{process}/stat")).rpartition(b")")[2].split()[:1]
    return state not in ([], [b"Z"], [b"X"])


def _processes() -> Iterator[Path]:
    """The process table, empty where there is none to read (macOS)."""
    return Path("/proc").glob("[0-9]*")


def _read(file: Path) -> bytes:
    with suppress(OSError):  # it ended while we looked, or is not ours
        return file.read_bytes()
    return b""
