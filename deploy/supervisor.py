"""Run programs side by side: start them, file what they say, bring back those that die, stop all of them in order."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from deploy.errors import CannotStart, NotReadyInTime, ProgramKeepsEnding
from deploy.leash import leash
from deploy.log import last_line, open_log, read_end
from deploy.process import signal_group

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
# One that lived this long was well: its next death is a new story.
WELL_AFTER_SECONDS = 30.0
ENDINGS_BEFORE_READY = 3


@dataclass(frozen=True)
class Program:
    """A command to keep running. What it prints goes to `<logs>/<name>.log`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


class Process(Protocol):
    """What the supervisor needs of a process that it leads the group of."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...


Launch = Callable[[Program, Path], Awaitable[Process]]


async def launch_command(program: Program, logs: Path) -> Process:
    """Start the program's command as a child that dies with us."""
    with open_log(logs, program.name) as log:
        return await asyncio.create_subprocess_exec(
            *leash(list(program.command), signal.SIGTERM),
            env=dict(program.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )


@dataclass
class Kept:
    """A program with its present process and how often that ended unasked since it was last well."""

    program: Program
    process: Process | None = None
    endings: int = 0
    exit_code: int | None = None
    keeper: asyncio.Task[None] | None = field(default=None, repr=False)


class Supervisor:
    """Keeps programs running until `stop`. Each has a process group of its own and dies with this process."""

    def __init__(
        self, logs: Path, say: Callable[[str], None], grace_seconds: float = 15.0, launch: Launch = launch_command
    ) -> None:
        self.logs = logs
        self._launch = launch
        self.grace_seconds = grace_seconds
        self._say = say
        self._stages: list[list[Kept]] = []

    @property
    def running(self) -> dict[str, int]:
        """The process number of each program that runs now, by the program's name."""
        return {
            kept.program.name: kept.process.pid
            for stage in self._stages
            for kept in stage
            if kept.process and kept.process.returncode is None
        }

    async def start(self, programs: Sequence[Program]) -> None:
        """Start programs as one stage and keep them running. `stop` ends the stages in the opposite order."""
        stage = [Kept(program) for program in programs]
        self._stages.append(stage)
        for kept in stage:
            kept.process = await self._launch(kept.program, self.logs)
            kept.keeper = asyncio.create_task(self._keep(kept))

    async def run(self, program: Program) -> int:
        """Run a program once to its end and return its exit code; cancelling ends it."""
        process = await self._launch(program, self.logs)
        try:
            return await process.wait()
        finally:
            await self._end(process)

    async def wait_ready(self, url: str, timeout_seconds: float) -> None:
        """Return when `url` answers 200. Raises ProgramKeepsEnding, or NotReadyInTime after `timeout_seconds`."""
        deadline = time.monotonic() + timeout_seconds
        while not await asyncio.to_thread(answers_ok, url):
            self._refuse_endless_endings()
            if time.monotonic() > deadline:
                raise NotReadyInTime(
                    f"{url} did not answer within {timeout_seconds:.0f} seconds: look into the logs in {self.logs}."
                )
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End every program: SIGTERM stage by stage, the last started first; SIGKILL after the grace time."""
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._stop_kept(kept) for kept in stage))
        self._stages.clear()

    def kill(self) -> None:
        """End every program at once."""
        for process in self.running.values():
            signal_group(process, signal.SIGKILL)

    async def _keep(self, kept: Kept) -> None:
        while True:
            started = time.monotonic()
            if kept.process:
                kept.exit_code = await kept.process.wait()
                signal_group(kept.process.pid, signal.SIGKILL)  # what it leaves behind would hold its port
                kept.process = None
            kept.endings = 1 if time.monotonic() - started > WELL_AFTER_SECONDS else kept.endings + 1
            delay = restart_delay(kept.endings)
            self._say(f"{kept.program.name} ended with code {kept.exit_code}; it starts again in {delay:g} s.")
            await asyncio.sleep(delay)
            try:
                kept.process = await self._launch(kept.program, self.logs)
            except CannotStart as error:
                self._say(str(error))

    def _refuse_endless_endings(self) -> None:
        for kept in (kept for stage in self._stages for kept in stage):
            if kept.endings >= ENDINGS_BEFORE_READY:
                log = self.logs / f"{kept.program.name}.log"
                raise ProgramKeepsEnding(
                    f"{kept.program.name} ends with code {kept.exit_code} whenever it starts: "
                    f"{last_line(read_end(log))} (more in {log})."
                )

    async def _stop_kept(self, kept: Kept) -> None:
        if kept.keeper:
            kept.keeper.cancel()
            with suppress(asyncio.CancelledError):
                await kept.keeper
        if kept.process:
            await self._end(kept.process)

    async def _end(self, process: Process) -> None:
        """End a process and then whatever is left of its group."""
        if process.returncode is None:
            signal_group(process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.grace_seconds)
        signal_group(process.pid, signal.SIGKILL)
        await process.wait()


def restart_delay(endings: int) -> float:
    """Return the seconds to wait before the restart after this many endings in a row."""
    return min(FIRST_DELAY_SECONDS * 2 ** (endings - 1), LONGEST_DELAY_SECONDS)


def answers_ok(url: str) -> bool:
    """Whether a GET of `url` is answered with 200 within two seconds."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
