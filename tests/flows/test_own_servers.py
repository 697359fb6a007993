"""The main job on servers that are not ours: Debian's PostgreSQL 15 and redis-server, given by URL."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import binaries, embedded
from deploy.bench.system import running_system
from deploy.embedded import EmbeddedPostgres, EmbeddedRedis

OLDEST_POSTGRES = 15


@dataclass(frozen=True)
class Given:
    database_url: str
    redis_url: str
    redis_program: str


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[Given]:
    """PostgreSQL 15 and Redis as Debian installs them, on ports of this test's own."""
    if not list(Path("/usr/lib/postgresql").glob(f"{OLDEST_POSTGRES}/bin/postgres")):
        pytest.skip(f"Debian's PostgreSQL {OLDEST_POSTGRES} is not installed")
    redis_program = shutil.which("redis-server")
    if redis_program is None:
        pytest.skip("Debian's redis-server is not installed")
    oldest = Path(f"/usr/lib/postgresql/{OLDEST_POSTGRES}/bin")
    monkeypatch.setattr(binaries, "_postgres_folders", lambda: [oldest])
    monkeypatch.setattr(embedded, "get_redis_server", lambda account: redis_program)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        postgres = stack.enter_context(EmbeddedPostgres(folder))
        redis = stack.enter_context(EmbeddedRedis(folder))
        monkeypatch.setenv("DATABASE_URL", postgres.url)
        monkeypatch.setenv("REDIS_URL", redis.url)
        yield Given(postgres.url, redis.url, redis_program)


@pytest.mark.feature("GAT-7")
def test_the_main_job_runs_on_debians_servers(given: Given) -> None:
    with running_system("embedded", workers=1) as system:
        names = {process.name() for process in system.server.process.children(recursive=True)}  # type: ignore[union-attr]
        assert not names & {"postgres", "redis-server", "valkey-server"}
        command = [sys.executable, "-m", "deploy.cli", "demo", "--credentials", str(system.data / "credentials.json")]
        run = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
