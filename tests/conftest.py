"""Servers of the tests' own, one migrated template, and a fresh database for whoever asks for one."""

import base64
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from deploy import migrating, topology
from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from shared.settings import Settings, settings
from tests.parsing import parse_undisturbed

parse_undisturbed()
pytest_plugins = ("tests.doors", "tests.systems")
# The short run judges a change by what it changed: the same examples each time. The full run looks for new ones.
hypothesis.settings.register_profile("short", derandomize=True, print_blob=True)
if os.environ.get("CROSSDOCK_TEST_SCALE") != "full":
    hypothesis.settings.load_profile("short")
APP_PASSWORD = secrets.token_urlsafe(12)
TEMPLATE = "crossdock_template"
_END_OF_A_DAY = timedelta(seconds=60)


@dataclass(frozen=True)
class Servers:
    """The PostgreSQL and Redis of this test run, with every schema migrated in a template database."""

    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    admin_url: str

    def url_of(self, database: str, *, admin: bool = False) -> str:
        base = self.admin_url.rsplit("/", 1)[0]
        if not admin:
            host = base.rsplit("@", 1)[1]
            base = f"postgresql://crossdock_app:{APP_PASSWORD}@{host}"
        return f"{base}/{database}"


def scale() -> float:
    """1.0 with `deploy/test --full`, one twentieth otherwise."""
    return 1.0 if os.environ.get("CROSSDOCK_TEST_SCALE") == "full" else 0.05


def examples(full: int) -> int:
    """How many examples a property test tries that asks a database for each: a third of `full` in the short run."""
    return full if scale() == 1.0 else max(8, full // 3)


def pytest_runtest_setup() -> None:
    """No test begins when the day is about to end: many ask for what is of today."""
    now = datetime.now(UTC)
    left = datetime.combine(now + timedelta(days=1), datetime.min.time(), UTC) - now
    if left < _END_OF_A_DAY:
        time.sleep(left.total_seconds())


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="crossdock-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder), survives_power_cuts=False)
        redis = EmbeddedRedis(Path(folder))
        try:
            admin_url = postgres.start()
            redis.start()
            started = Servers(postgres, redis, admin_url)
            _make_template(started)
            yield started
        finally:
            postgres.stop()
            redis.stop()


def _make_template(servers: Servers) -> None:
    import asyncio

    asyncio.run(_execute(servers.admin_url, f"CREATE DATABASE {TEMPLATE}"))
    migrating.migrate(servers.url_of(TEMPLATE, admin=True), APP_PASSWORD)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session", autouse=True)
def installation_key() -> Iterator[None]:
    """Every process of a test run shares one master key."""
    os.environ["CROSSDOCK_SECRET_KEY"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    yield
    settings.cache_clear()


@pytest.fixture(scope="module")
async def configuration(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """A fresh database and Redis prefix for one module, as the settings of this process."""
    name = f"test_{secrets.token_hex(6)}"
    await _execute(servers.admin_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    environment = {
        "DATABASE_URL": servers.url_of(name),
        "CROSSDOCK_ADMIN_URL": servers.url_of(name, admin=True),
        "REDIS_URL": servers.redis.url,
        "CROSSDOCK_REDIS_PREFIX": name,
        "CROSSDOCK_DATA": str(tmp_path_factory.mktemp(name)),
    }
    os.environ.update(environment)
    settings.cache_clear()
    yield settings()
    settings.cache_clear()
    for variable in environment:
        os.environ.pop(variable, None)
    await _execute(servers.admin_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def process(configuration: Settings) -> AsyncIterator[topology.Surrounded]:
    """This process as `web` would be: every service answers here."""
    async with topology.surrounded(answers_here=True, configuration=configuration) as surrounded:
        yield surrounded
