"""The supervisor: what dies comes back, what is stopped goes in order, what does not answer is said."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.errors import NotReadyInTime, ProgramKeepsEnding
from deploy.port import find_free_port
from deploy.supervisor import Program, Supervisor, restart_delay

PATIENCE_SECONDS = 90.0


def program(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code), dict(os.environ))


FOREVER = "import signal; print('began', flush=True)\nwhile True: signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FOREVER}"
LAST_WORDS = """
import signal, sys, time
def stop(*_):
    open({path!r}, 'a').write({name!r} + chr(10))
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print('began', flush=True)
while True: signal.pause()
"""
PARENT = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])
print(child.pid, flush=True)
while True: signal.pause()
"""


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    keeping = Supervisor(tmp_path, lambda text: None, grace_seconds=1.0)
    yield keeping
    keeping.kill()
    await keeping.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def said(supervisor: Supervisor, name: str) -> str:
    path = supervisor.logs / f"{name}.log"
    return path.read_text() if path.exists() else ""


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_what_dies_comes_back(supervisor: Supervisor) -> None:
    await supervisor.start([program("one", FOREVER), program("two", FOREVER)])
    before = supervisor.running
    os.kill(before["one"], signal.SIGKILL)
    await until(lambda: supervisor.running.get("one") not in (None, before["one"]))
    assert supervisor.running["two"] == before["two"]


async def test_what_a_dead_program_leaves_behind_is_ended(supervisor: Supervisor) -> None:
    """Web processes of a killed master would hold its port."""
    await supervisor.start([program("parent", PARENT)])
    await until(lambda: said(supervisor, "parent").strip())
    child = int(said(supervisor, "parent").split()[0])
    os.kill(supervisor.running["parent"], signal.SIGKILL)
    await until(lambda: not is_alive(child))


async def test_stages_stop_in_the_opposite_order(supervisor: Supervisor, tmp_path: Path) -> None:
    path = tmp_path / "order"
    for name in ("first", "second", "third"):
        await supervisor.start([program(name, LAST_WORDS.format(path=str(path), name=name))])
        await until(lambda name=name: "began" in said(supervisor, name))
    await supervisor.stop()
    assert path.read_text().split() == ["third", "second", "first"]
    assert supervisor.running == {}


async def test_what_does_not_stop_is_ended_after_the_grace_time(supervisor: Supervisor) -> None:
    await supervisor.start([program("stubborn", STUBBORN)])
    await until(lambda: "began" in said(supervisor, "stubborn"))
    process = supervisor.running["stubborn"]
    await supervisor.stop()
    assert not is_alive(process)


async def test_stopping_while_something_waits_for_its_restart(supervisor: Supervisor) -> None:
    await supervisor.start([program("short", "print('began', flush=True)")])
    await until(lambda: said(supervisor, "short").count("began") >= 3)
    await supervisor.stop()
    runs = said(supervisor, "short").count("began")
    await asyncio.sleep(restart_delay(5))
    assert said(supervisor, "short").count("began") == runs


async def test_a_run_returns_the_exit_code(supervisor: Supervisor) -> None:
    assert await supervisor.run(program("fine", "pass")) == 0
    assert await supervisor.run(program("bad", "import sys; sys.exit(3)")) == 3


async def test_a_cancelled_run_ends_its_process(supervisor: Supervisor) -> None:
    run = asyncio.create_task(supervisor.run(program("once", "import os; print(os.getpid(), flush=True)\n" + FOREVER)))
    await until(lambda: "began" in said(supervisor, "once"))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert not is_alive(int(said(supervisor, "once").split()[0]))


async def test_a_program_that_always_ends_is_reported_with_its_last_words(supervisor: Supervisor) -> None:
    await supervisor.start([program("broken", "import sys; sys.exit('no such table.')")])
    with pytest.raises(ProgramKeepsEnding, match="broken ends with code 1 whenever it starts: no such table"):
        await supervisor.wait_ready(f"http://127.0.0.1:{find_free_port()}/readyz", PATIENCE_SECONDS)


async def test_a_program_that_never_answers_is_reported(supervisor: Supervisor) -> None:
    await supervisor.start([program("mute", FOREVER)])
    with pytest.raises(NotReadyInTime, match="look into the logs"):
        await supervisor.wait_ready(f"http://127.0.0.1:{find_free_port()}/readyz", 0.3)


def test_delays_grow_up_to_a_limit() -> None:
    assert [restart_delay(endings) for endings in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert restart_delay(50) == 10.0
