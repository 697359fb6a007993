"""Start our own programs in a tenth of the time: forked from one process that has imported everything already.

Importing costs seconds of CPU per program and a hundred megabytes that forked programs share; with fifteen of them on
two cores it would be most of a start. Each is a process of its own all the same.
"""

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.errors import ProgramsDidNotLoad
from deploy.leash import leash
from deploy.log import last_line, open_log, read_end
from deploy.process import signal_group

# The fork server's own words make room for those its children show in the process list.
ROOM = "." * 120

# Every program gets its own; the process list would show those of the process that forks.
LOGINS = frozenset({"DATABASE_URL", "CROSSDOCK_ADMIN_URL", "CROSSDOCK_APP_PASSWORD"})


class Forked:
    """A forked program, with what Crossdock uses of asyncio's `Process`."""

    def __init__(self, pid: int, ended: "asyncio.Future[int]") -> None:
        self.pid = pid
        self._ended = ended

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)


class Nursery:
    """Forks programs. Its process starts at first use, and again when somebody killed it: its children die with it."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self.logs = logs
        self._environment = {name: value for name, value in environment.items() if name not in LOGINS}
        self._server: Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._services: asyncio.Future[list[str]] | None = None
        self._last_id = 0
        self._unborn: dict[int, asyncio.Future[int]] = {}
        self._living: dict[int, asyncio.Future[int]] = {}
        self._failure: ProgramsDidNotLoad | None = None

    async def warm(self) -> None:
        """Begin to import, which goes on when this has returned: the first program need not wait as long."""
        async with self._starting:
            if self._listener is None or self._listener.done():
                await self._start()

    async def services(self) -> list[str]:
        """Return the names of the services, as `deploy.topology` has them. Raises ProgramsDidNotLoad."""
        await self.warm()
        assert self._services
        return await self._services

    async def launch(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> Forked:
        """Fork `crossdock <words>`, whose words go to the log of that name. Raises ProgramsDidNotLoad."""
        await self.warm()
        with open_log(self.logs, name) as file:
            log = file.name
        assert self._writer
        loop = asyncio.get_running_loop()
        self._last_id += 1
        number = self._last_id
        born: asyncio.Future[int] = loop.create_future()
        ended: asyncio.Future[int] = loop.create_future()
        self._unborn[number], self._living[number] = born, ended
        request = {"id": number, "words": list(words), "environment": dict(environment), "log": log}
        self._writer.write(json.dumps(request).encode() + b"\n")
        return Forked(await born, ended)

    def check_loaded(self) -> None:
        """Raise ProgramsDidNotLoad where importing failed: whatever was forked before that has ended with it."""
        if self._failure:
            raise self._failure

    async def close(self) -> None:
        """End the process that forks. Programs that still run are told to stop."""
        if self._writer:
            self._writer.close()
        if self._server:
            # Not `terminate`, which may reap the process before asyncio does.
            if self._server.returncode is None:
                signal_group(self._server.pid, signal.SIGTERM)
            await self._server.wait()
        if self._listener:
            await self._listener

    async def _start(self) -> None:
        self._services = asyncio.get_running_loop().create_future()
        here, there = socket.socketpair()
        command = [sys.executable, "-P", "-m", "deploy.fork_server", str(there.fileno()), ROOM]
        with there, open_log(self.logs, "nursery") as log:
            self._server = await asyncio.create_subprocess_exec(
                *leash(command, signal.SIGTERM),
                env=self._environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[there.fileno()],
                process_group=0,
            )
        reader, self._writer = await asyncio.open_connection(sock=here)
        self._listener = asyncio.create_task(self._listen(reader, self._writer))

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self._hear(json.loads(line))
        writer.close()
        self._give_up()

    def _hear(self, fact: dict[str, Any]) -> None:
        if "services" in fact:
            assert self._services
            self._services.set_result(fact["services"])
            return
        number = fact["id"]
        if "exit_code" in fact:
            self._living.pop(number).set_result(fact["exit_code"])
        elif (born := self._unborn.pop(number)).cancelled():
            signal_group(fact["process"], signal.SIGKILL)  # nobody waits for it any more
        else:
            born.set_result(fact["process"])

    def _give_up(self) -> None:
        """The process that forks has ended: its children are ending, and what was asked of it never comes."""
        log = self.logs / "nursery.log"
        failure = f"The programs could not be loaded: {last_line(read_end(log))} (more in {log})."
        self._failure = ProgramsDidNotLoad(failure) if self._services and not self._services.done() else None
        for waiting in (self._services, *self._unborn.values()):
            if waiting and not waiting.done():
                waiting.set_exception(ProgramsDidNotLoad(failure))
                waiting.exception()  # whether or not somebody waits
        for ended in self._living.values():
            if not ended.done():
                ended.set_result(-signal.SIGTERM)
        self._unborn.clear()
        self._living.clear()
