"""A database with the probe services, a Redis that may be killed, and processes that may be, too."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.embedded import EmbeddedRedis
from shared.migrations import running
from tests.conftest import APP_PASSWORD, Servers, _execute
from tests.faults import probe

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Programs:
    """Processes of the probe, by name; a killed one can be started again."""

    environment: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> None:
        self.commands[name] = arguments
        command = [sys.executable, "-m", "tests.faults.probe", *arguments]
        self.running[name] = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def kill(self, name: str) -> None:
        """SIGKILL: no goodbye."""
        process = self.running[name]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def start_again(self, name: str) -> None:
        self.start(name, *self.commands[name])

    def is_running(self, name: str) -> bool:
        return self.running[name].poll() is None

    def end(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.fixture
def fragile_redis() -> Iterator[EmbeddedRedis]:
    """A Redis of this test's own, to be killed and emptied."""
    with tempfile.TemporaryDirectory(prefix="crossdock-redis-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        redis = EmbeddedRedis(Path(folder))
        redis.start()
        yield redis
        redis.stop()


@pytest.fixture
async def probe_database(servers: Servers) -> Iterator[str]:
    """The name of a database that holds the probe's schemas."""
    name = f"probe_{secrets.token_hex(6)}"
    await _execute(servers.admin_url, f"CREATE DATABASE {name}")
    await running.migrate(servers.url_of(name, admin=True), APP_PASSWORD, probe.SERVICES, probe.MIGRATIONS)
    yield name
    await _execute(servers.admin_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def programs(servers: Servers, probe_database: str, fragile_redis: EmbeddedRedis) -> Iterator[Programs]:
    started = Programs(
        {
            "DATABASE_URL": servers.url_of(probe_database),
            "REDIS_URL": fragile_redis.url,
            "CROSSDOCK_REDIS_PREFIX": probe_database,
        }
    )
    yield started
    started.end()
