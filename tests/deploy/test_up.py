"""`crossdock up` as a person meets it: started, stopped, killed, misused. With pretended programs, so that each of
their bad ways can be had; `test_system.py` does it with the real ones.
"""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from deploy.external import login_as
from deploy.port import find_free_port
from deploy.process import find_servers, wait_until
from tests.deploy.running import NOBODY, PATIENCE_SECONDS, StartChild, answers, lay, remaining

SETTLED = pytest.mark.usefixtures("settled")


@pytest.fixture(autouse=True)
def no_servers_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def port() -> int:
    return find_free_port()


def ready(port: int) -> bool:
    return answers(f"http://127.0.0.1:{port}/readyz")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(data: Path, port: int, start_child: StartChild, number: signal.Signals) -> None:
    up = start_child("up", data, port)
    assert f"http://127.0.0.1:{port}" in up.wait_for("Crossdock is up")
    assert ready(port)
    up.signal(number)
    assert up.end() == 0
    assert remaining(data) == []
    assert not ready(port)


@pytest.mark.parametrize(
    ("words", "slow"),
    [
        ("data in", ""),
        ("postgres runs", ""),
        ("redis runs", ""),
        ("migrating the database", "migrate"),
        ("starting the programs", "serve"),
    ],
)
def test_ctrl_c_in_the_middle_of_the_start_leaves_nothing(
    data: Path, port: int, start_child: StartChild, words: str, slow: str
) -> None:
    up = start_child("up", data, port, environment={"PRETEND_SLOW": slow})
    up.wait_for(words)
    up.signal(signal.SIGINT)
    assert up.end() == 130, up.said
    assert "Everything is stopped." in up.said
    assert remaining(data) == []


@SETTLED
def test_a_second_ctrl_c_ends_what_would_not_stop(data: Path, port: int, start_child: StartChild) -> None:
    up = start_child("up", data, port, environment={"PRETEND_STUBBORN": "work"})
    up.wait_for("Crossdock is up")
    wait_until(lambda: "began" in (data / "logs" / "work.log").read_text(), PATIENCE_SECONDS)
    up.signal(signal.SIGINT)
    up.wait_for("Stopping")
    up.signal(signal.SIGINT)
    assert up.end() == 130
    assert wait_until(lambda: remaining(data) == [], PATIENCE_SECONDS)


@pytest.mark.parametrize("words", ["data in", "migrating", "Crossdock is up"])
def test_a_kill_at_any_moment_blocks_nothing(data: Path, port: int, start_child: StartChild, words: str) -> None:
    up = start_child("up", data, port)
    up.wait_for(words)
    up.signal(signal.SIGKILL)
    up.end()
    again = start_child("up", data, port)
    again.wait_for("Crossdock is up")
    assert ready(port)
    again.signal(signal.SIGINT)
    assert again.end() == 0
    assert remaining(data) == []


@SETTLED
def test_programs_that_outlive_a_kill_are_ended_by_the_next_start(
    data: Path, port: int, start_child: StartChild
) -> None:
    """A program that ignores SIGTERM ignores the news of its parent's death as well, and holds the port."""
    up = start_child("up", data, port, environment={"PRETEND_STUBBORN": "serve"})
    up.wait_for("Crossdock is up")
    up.signal(signal.SIGKILL)
    up.end()
    assert ready(port), "it was to outlive its parent"
    again = start_child("up", data, port)
    again.wait_for("Crossdock is up")
    again.signal(signal.SIGINT)
    assert again.end() == 0
    assert remaining(data) == []


@SETTLED
def test_a_second_one_on_the_same_folder_is_told_so(data: Path, port: int, start_child: StartChild) -> None:
    first = start_child("up", data, port)
    first.wait_for("Crossdock is up")
    second = start_child("up", data, find_free_port())
    assert second.end() == 1
    assert second.said.startswith(f"crossdock: Another `crossdock up` runs on {data}")
    assert len(second.said.splitlines()) == 1
    assert ready(port)


def test_a_taken_port_is_named(data: Path, start_child: StartChild) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = start_child("up", data, port)
        assert up.end() == 1
    assert f"Port {port} of 127.0.0.1 is taken" in up.said
    assert "Traceback" not in up.said
    assert remaining(data) == []


@SETTLED
def test_without_a_wish_a_taken_port_is_replaced(data: Path, start_child: StartChild) -> None:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", 8000))
        taken.listen()
    except OSError:
        pass  # somebody else has it, which serves as well
    with taken:
        up = start_child("up", data)
        up.wait_for("port 8000 is taken")
        port = int(up.wait_for("Crossdock is up").rpartition(":")[2])
        assert port != 8000
        assert ready(port)


def test_a_folder_that_cannot_be_is_named(data: Path, start_child: StartChild) -> None:
    data.write_text("a file")
    up = start_child("up", data)
    assert up.end() == 1
    assert f"The data folder {data} cannot be used" in up.said
    assert "Traceback" not in up.said


def test_a_folder_with_other_things_in_it_is_left_alone(data: Path, start_child: StartChild) -> None:
    """Met by `--data ""`, which is the current folder: databases and secrets lay among somebody's sources."""
    data.mkdir(parents=True)
    (data / "README.md").write_text("a project")
    up = start_child("up", data)
    assert up.end() == 1
    assert "holds other things (README.md)" in up.said
    assert [entry.name for entry in data.iterdir()] == ["README.md"]


def test_a_folder_of_somebody_else_is_named(
    data: Path, start_child: StartChild, nobody_python: tuple[str, dict[str, str]]
) -> None:
    python, environment = nobody_python
    data.parent.chmod(0o755)
    up = start_child("up", data, python=python, environment=environment, user=NOBODY, group=NOBODY, extra_groups=[])
    assert up.end() == 1
    assert "cannot be used (Permission denied" in up.said
    assert len(up.said.splitlines()) == 1


def test_an_ordinary_user_has_all_of_it(
    data: Path, port: int, start_child: StartChild, nobody_python: tuple[str, dict[str, str]]
) -> None:
    python, environment = nobody_python
    data.parent.chmod(0o777)
    up = start_child(
        "up", data, port, python=python, environment=environment, user=NOBODY, group=NOBODY, extra_groups=[]
    )
    up.wait_for("Crossdock is up")
    assert {Path(f"/proc/{process}").stat().st_uid for process in remaining(data)} == {NOBODY}
    up.signal(signal.SIGINT)
    assert up.end() == 0
    assert remaining(data) == []


def test_a_data_folder_of_another_postgresql_is_named(data: Path, start_child: StartChild) -> None:
    cluster = EmbeddedPostgres(data).cluster
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("99\n")
    up = start_child("up", data)
    assert up.end() == 1
    assert "was made by PostgreSQL 99" in up.said
    assert "Traceback" not in up.said


def test_secrets_are_drawn_once_and_kept_from_others(data: Path, port: int, start_child: StartChild) -> None:
    drawn = []
    for _ in range(2):
        up = start_child("up", data, port)
        up.wait_for("Crossdock is up")
        up.signal(signal.SIGINT)
        up.end()
        drawn.append(json.loads((data / "secrets.json").read_text()))
    assert drawn[0] == drawn[1]
    assert (data / "secrets.json").stat().st_mode & 0o077 == 0
    assert data.stat().st_mode & 0o077 == 0


@SETTLED
def test_a_migration_that_fails_ends_the_start(data: Path, port: int, start_child: StartChild) -> None:
    up = start_child("up", data, port, environment={"PRETEND_FAIL": "migrate"})
    assert up.end() == 1
    assert "could not be migrated: migrate cannot do this" in up.said
    assert "Traceback" not in up.said
    assert remaining(data) == []


@SETTLED
@pytest.mark.parametrize(("verb", "name"), [("serve", "web"), ("work", "work")])
def test_a_program_that_cannot_run_ends_the_start(
    data: Path, port: int, start_child: StartChild, verb: str, name: str
) -> None:
    """Also a worker: a system that never does its background work is not up."""
    up = start_child("up", data, port, environment={"PRETEND_FAIL": verb, "PRETEND_SLOW": "serve"})
    assert up.end() == 1
    assert f"{name} ends with code 1 whenever it starts: {verb} cannot do this" in up.said
    assert remaining(data) == []


@SETTLED
def test_a_demo_business_that_cannot_be_loaded_is_said_and_all_the_same_it_serves(
    data: Path, port: int, start_child: StartChild
) -> None:
    up = start_child("up", data, port, environment={"PRETEND_FAIL": "load-sample"})
    up.wait_for("the demo business could not be loaded: load-sample cannot do this")
    up.wait_for("Crossdock is up")
    assert ready(port)


@SETTLED
@pytest.mark.parametrize("distributed", [False, True])
def test_whatever_is_killed_comes_back(data: Path, port: int, start_child: StartChild, distributed: bool) -> None:
    up = start_child("up", data, port, *(["--distributed"] if distributed else []))
    up.wait_for("Crossdock is up")
    before = remaining(data)
    mains = [find_servers(server(data).mark)[0] for server in (EmbeddedPostgres, EmbeddedRedis)]
    programs = [process for process in before if process not in find_servers(EmbeddedPostgres(data).mark)]
    for victim in {*mains, *programs}:
        os.kill(victim, signal.SIGKILL)
    assert wait_until(lambda: len(remaining(data)) >= len(before), PATIENCE_SECONDS)
    assert not set(remaining(data)) & {*mains, *programs}
    assert wait_until(lambda: ready(port), PATIENCE_SECONDS)
    up.signal(signal.SIGINT)
    assert up.end() == 0
    assert remaining(data) == []


@pytest.mark.parametrize("given", ["DATABASE_URL", "REDIS_URL"])
def test_half_of_the_servers_given_is_refused(data: Path, start_child: StartChild, given: str) -> None:
    up = start_child("up", data, environment={given: "postgresql://somewhere/else"})
    assert up.end() == 1
    assert f"{given} is set but" in up.said
    assert len(up.said.splitlines()) == 2


class TestGivenServers:
    """With DATABASE_URL and REDIS_URL set, nothing is embedded."""

    @pytest.fixture
    def elsewhere(self, data: Path, made_cluster: Path) -> Iterator[dict[str, str]]:
        place = data.parent / "elsewhere"
        lay(made_cluster, place)
        with EmbeddedPostgres(place) as postgres, EmbeddedRedis(place) as redis:
            yield {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}

    def test_they_are_used(self, data: Path, port: int, start_child: StartChild, elsewhere: dict[str, str]) -> None:
        up = start_child("up", data, port, environment=elsewhere)
        up.wait_for("Crossdock is up")
        assert "as crossdock_app, administrator postgres" in (data / "logs" / "migrate.log").read_text()
        assert "as crossdock_app, administrator None" in (data / "logs" / "web.log").read_text()
        assert not (data / "postgres").exists()
        assert not (data / "redis").exists()
        up.signal(signal.SIGINT)
        assert up.end() == 0

    @pytest.mark.parametrize(
        ("variable", "value", "words"),
        [
            ("DATABASE_URL", "postgresql://postgres:wrong@127.0.0.1:{port}/postgres", "leads to no database"),
            ("DATABASE_URL", "postgresql://postgres:x@127.0.0.1:1/postgres", "leads to no database"),
            ("DATABASE_URL", "not a url", "leads to no database"),
            ("REDIS_URL", "redis://127.0.0.1:1/0", "leads to no Redis"),
            ("REDIS_URL", "not a url", "leads to no Redis"),
        ],
    )
    def test_ones_that_cannot_be_used_are_named(
        self, data: Path, start_child: StartChild, elsewhere: dict[str, str], variable: str, value: str, words: str
    ) -> None:
        port = elsewhere["DATABASE_URL"].rpartition(":")[2].partition("/")[0]
        up = start_child("up", data, environment={**elsewhere, variable: value.format(port=port)})
        assert up.end() == 1
        assert f"{variable} {words}" in up.said
        assert "Traceback" not in up.said

    async def test_a_role_that_may_not_migrate_is_named(
        self, data: Path, start_child: StartChild, elsewhere: dict[str, str]
    ) -> None:
        connection = await asyncpg.connect(elsewhere["DATABASE_URL"])
        await connection.execute("CREATE ROLE feeble LOGIN PASSWORD 'feeble'")
        await connection.close()
        url = login_as(elsewhere["DATABASE_URL"], "feeble", "feeble")
        up = start_child("up", data, environment={**elsewhere, "DATABASE_URL": url})
        assert up.end() == 1
        assert "The role feeble of DATABASE_URL may not create roles" in up.said
        assert "Traceback" not in up.said
