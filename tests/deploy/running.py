"""What the tests of how Crossdock starts share: its processes, a child whose words are read, addresses."""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from deploy.process import find_by_environment, find_servers
from deploy.start import RUN_VARIABLE

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = Path(__file__).parent / "programs"
NOBODY = 65534
PATIENCE_SECONDS = 180.0


def remaining(data: Path) -> list[int]:
    """Every process that belongs to the data folder: servers and programs."""
    servers = [find_servers(server(data).mark) for server in (EmbeddedPostgres, EmbeddedRedis)]
    return sorted([*servers[0], *servers[1], *find_by_environment(RUN_VARIABLE, str(data))])


def lay(cluster: Path, data: Path) -> None:
    """Make the data folder with a copy of a PostgreSQL's folder, owners and all."""
    data.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", cluster, data], check=True)


def answers(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        with urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


class Child:
    """A process whose words are read as they come."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None, **options: object) -> None:
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            **options,
        )
        self.said = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, words: str) -> str:
        """Return the line that contains the words; fails when the process ends before, or after three minutes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            line = self._lines.get(timeout=max(0.1, deadline - time.monotonic()))
            assert line is not None, f"it ended without saying {words!r}: {self.said}"
            self.said += line
            if words in line:
                return line.strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; returns the exit code. `said` holds all it said."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        while (line := self._lines.get()) is not None:
            self.said += line
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_SECONDS)
        self.process.stdin.close()
        self.process.stdout.close()


StartChild = Callable[..., Child]
