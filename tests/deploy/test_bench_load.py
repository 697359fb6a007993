"""Load at a given rate: requests leave when their time has come, and who is late has waited."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from deploy.bench.generator import Outcome, Plan
from deploy.bench.load import Server
from deploy.bench.system import NobodyWorks, System
from tests.waiting import until

pytestmark = pytest.mark.feature("PAY-2")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Door(asyncio.Protocol):
    """Answers after a while, one connection not waiting for another."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._transport.write, _ANSWER)  # type: ignore[attr-defined]


async def _outcome(folder: Path, *, seconds_to_answer: float, connections: int, per_second: float | None) -> Outcome:
    """What a generator makes of a second's load on a server that takes so long to answer."""
    server = await asyncio.get_running_loop().create_server(lambda: _Door(seconds_to_answer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    plan = Plan("127.0.0.1", port, [b"GET / HTTP/1.1\r\n\r\n"], connections, 1.0, per_second=per_second)
    (folder / "plan").write_bytes(msgspec.msgpack.encode(plan))
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.bench.generator", str(folder / "plan")), stdout=subprocess.PIPE
    )
    output, _ = await running.communicate()
    server.close()
    return msgspec.msgpack.decode(output, type=Outcome)


async def test_no_more_leave_than_the_rate_says(tmp_path: Path) -> None:
    outcome = await _outcome(tmp_path, seconds_to_answer=0.0, connections=4, per_second=40)
    assert outcome.statuses == {200: 40}


async def test_who_waits_for_a_connection_has_waited(tmp_path: Path) -> None:
    """One connection answers ten a second of twenty: the last has waited for half the time that it took."""
    outcome = await _outcome(tmp_path, seconds_to_answer=0.1, connections=1, per_second=20)
    assert outcome.statuses == {200: 20}
    assert max(outcome.latencies) > 0.9


def _system(process: psutil.Process, folder: Path) -> System:
    return System("as it runs", Server("127.0.0.1", 1, process), {}, folder, None)


@contextlib.contextmanager
def _called(*words: str) -> Iterator[psutil.Process]:
    """A process that does nothing, under this command line."""
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "-m", "deploy.cli", *words]
    ) as program:
        try:
            yield psutil.Process(program.pid)
        finally:
            program.kill()


async def test_processing_stands_still_and_goes_on(tmp_path: Path) -> None:
    with _called("work", "all") as worker, _called("serve", "web") as web:
        # A signal takes effect a moment after it was sent, and a program is its parent until it was begun.
        async def has_begun() -> bool:
            return "work" in worker.cmdline()

        async def stands_still() -> bool:
            return worker.status() == psutil.STATUS_STOPPED

        async def goes_on() -> bool:
            return worker.status() != psutil.STATUS_STOPPED

        await until(has_begun)
        with _system(psutil.Process(os.getpid()), tmp_path).processing_stopped():
            await until(stands_still)
            assert web.status() != psutil.STATUS_STOPPED
        await until(goes_on)


def test_where_nobody_works_that_is_said(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as idle:
        try:
            with pytest.raises(NobodyWorks), _system(psutil.Process(idle.pid), tmp_path).processing_stopped():
                pass
        finally:
            idle.kill()
