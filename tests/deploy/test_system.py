"""The real system, started by the real command in both topologies."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from deploy.port import find_free_port
from deploy.process import find_by_environment, wait_until
from deploy.start import RUN_VARIABLE
from tests.deploy.running import PATIENCE_SECONDS, Child, answers, remaining

pytestmark = pytest.mark.timeout(600)
BOTH = pytest.mark.parametrize("flags", [(), ("--distributed",)], ids=["embedded", "distributed"])


@pytest.fixture
def port() -> int:
    return find_free_port()


@contextmanager
def run_up(data: Path, port: int, *flags: str) -> Iterator[Child]:
    words = ("up", "--data", str(data), "--port", str(port), "--no-demo", *flags)
    child = Child([sys.executable, "-P", "-m", "deploy.cli", *words])
    try:
        yield child
    finally:
        child.close()


@pytest.fixture
def system(data: Path, port: int, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    for variable in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    with run_up(data, port, *flags) as child:
        yield child


@BOTH
def test_it_comes_up_comes_back_and_stops(data: Path, port: int, system: Child) -> None:
    """One program that is killed comes back alone, and all of them at once."""
    system.wait_for("Crossdock is up")
    ready = f"http://127.0.0.1:{port}/readyz"
    assert answers(ready)
    programs = {process: command_line(process) for process in find_by_environment(RUN_VARIABLE, str(data))}
    victim, words = next((process, words) for process, words in programs.items() if "crossdock\0serve" in words)
    os.kill(victim, signal.SIGKILL)
    system.wait_for("it starts again")
    assert wait_until(lambda: words in [command_line(process) for process in remaining(data)], PATIENCE_SECONDS)
    assert set(programs) - {victim} <= set(remaining(data))
    assert wait_until(lambda: answers(ready), PATIENCE_SECONDS)
    everybody = find_by_environment(RUN_VARIABLE, str(data))
    for process in everybody:
        os.kill(process, signal.SIGKILL)
    assert wait_until(lambda: not set(everybody) & set(remaining(data)), PATIENCE_SECONDS)
    assert wait_until(lambda: answers(ready), PATIENCE_SECONDS)
    system.signal(signal.SIGINT)
    assert system.end() == 0, system.said
    assert remaining(data) == []


def command_line(process: int) -> str:
    """The words that the process list shows."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().rstrip("\0")
    except OSError:
        return ""


def test_programs_do_not_inherit_the_administrators_login(
    data: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With servers given, it is in the environment of `up`."""
    elsewhere = data.parent / "elsewhere"
    with EmbeddedPostgres(elsewhere) as postgres, EmbeddedRedis(elsewhere) as redis:
        monkeypatch.setenv("DATABASE_URL", postgres.url)
        monkeypatch.setenv("REDIS_URL", redis.url)
        with run_up(data, port) as system:
            system.wait_for("Crossdock is up")
            programs = find_by_environment(RUN_VARIABLE, str(data))
            password = (elsewhere / "postgres" / "password").read_bytes()
            assert len(programs) >= 3
            assert not any(password in Path(f"/proc/{process}/environ").read_bytes() for process in programs)
            system.signal(signal.SIGINT)
            assert system.end() == 0
