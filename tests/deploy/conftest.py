"""Data folders, servers and whole `up` runs for the tests of how Crossdock starts. Nothing survives a test."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from deploy.process import send_signal, wait_until
from tests.deploy.running import NOBODY, PATIENCE_SECONDS, PROGRAMS, ROOT, Child, StartChild, lay, remaining


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that does not exist yet, in a folder that only we may enter."""
    with tempfile.TemporaryDirectory(prefix="crossdock-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "data"
        yield path
        for process in remaining(path):
            send_signal(process, signal.SIGKILL)
        wait_until(lambda: not remaining(path), PATIENCE_SECONDS)


@pytest.fixture(scope="session")
def made_cluster() -> Iterator[Path]:
    """The folder of a PostgreSQL that was started and stopped once: making one takes a second."""
    with tempfile.TemporaryDirectory(prefix="crossdock-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder)) as server:
            pass
        yield server.folder


@pytest.fixture
def settled(data: Path, made_cluster: Path) -> Path:
    """A data folder where an earlier start has made the database's cluster."""
    lay(made_cluster, data)
    return data


@pytest.fixture
def postgres(data: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(data) as server:
        yield server


@pytest.fixture
def redis(data: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(data) as server:
        yield server


@pytest.fixture
def start_child() -> Iterator[StartChild]:
    """Start `programs/<name>.py` with arguments; `environment=` adds variables."""
    children: list[Child] = []

    def start(name: str, *arguments: object, python: str = sys.executable, **options: object) -> Child:
        command = [python, "-P", str(PROGRAMS / f"{name}.py"), *(str(argument) for argument in arguments)]
        child = Child(command, **options)
        children.append(child)
        return child

    yield start
    for child in children:
        child.close()


@pytest.fixture(scope="session")
def nobody_python() -> tuple[str, dict[str, str]]:
    """A Python that the account `nobody` can run with our packages, and the environment it needs for that."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    import redis

    packages = [ROOT, Path(redis.__file__).parent.parent, PROGRAMS / "before_3_11_3"]
    paths = {"PYTHONPATH": ":".join(map(str, packages)), "HOME": "/", "PATH": "/usr/bin:/bin"}
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            check = [python, "-P", "-c", "import ctypes, deploy.start"]
            subprocess.run(
                check, env=paths, user=NOBODY, group=NOBODY, extra_groups=[], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python, paths
    pytest.skip("the account `nobody` can run no Python with our packages on this machine")
