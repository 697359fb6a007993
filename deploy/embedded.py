"""PostgreSQL and a Redis-compatible server of our own: below one data folder, on free ports of the loopback address.

`EmbeddedPostgres` and `EmbeddedRedis` start, stop, kill and restart one server each. Servers die with the process that
started them; what survives all the same is found by its mark and stopped at the next start. Data survives everything.
"""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Self

from redis import Redis
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from deploy.binaries import PostgresBinaries, choose_account, find_postgres, get_redis_server
from deploy.data_folder import lock_file, write_secret
from deploy.errors import (
    BinariesMissing,
    FolderInUse,
    FolderNotWritable,
    PostgresVersionMismatch,
    ServerDidNotStart,
)
from deploy.leash import leash
from deploy.log import last_line, open_log, read_end
from deploy.port import HOST, find_free_port, is_port_free
from deploy.process import end_leftovers, find_servers, wait_until

START_SECONDS = 60.0
STOP_SECONDS = 30.0
LEFTOVER_SECONDS = 10.0
PORT_ATTEMPTS = 5

# The kernel reports a parent's death when the *thread* that spawned the child ends (prctl(2)): servers are therefore
# spawned by one thread that lives as long as the process, whichever thread asked.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class EmbeddedServer(ABC):
    """One server with its files in `<data>/<name>` and its log in `<data>/logs/<name>.log`.

    Not for use by several threads at once. Errors are those of `deploy.errors`.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, data: Path) -> None:
        self.folder = data.absolute() / self.name
        self.log = data.absolute() / "logs" / f"{self.name}.log"
        self.account = choose_account(self.folder)
        # In every command line of the server, so that a later start recognizes it among the machine's processes.
        self.mark = f"crossdock-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:20]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._handle: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port of the loopback address; the same after every start unless somebody else took it meanwhile."""
        return int(self._port_file.read_text())

    @property
    def pid(self) -> int | None:
        """The server's process, or None when it is not running."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with user and password, of a server that was started at least once."""

    def start(self) -> str:
        """Start the server unless it runs, wait until it answers, and return its URL."""
        if self.pid is None:
            self._take_folder()
            try:
                self._end_leftovers()
                self._prepare()
                self._launch()
            except BaseException:
                self.stop()
                raise
        return self.url

    def stop(self) -> None:
        """Stop the server in good order, by force after half a minute; harmless when it is stopped."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()
        self._release_folder()

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL). `start` brings it back with its data, on the same port."""
        if self._process:
            self._process.kill()
        self._reap()

    def restart(self) -> str:
        """Stop the server in good order and start it again; returns its URL."""
        self.stop()
        return self.start()

    @abstractmethod
    def _prepare(self) -> None:
        """Make everything the server needs in its folder. Repeatable, also after a half-finished earlier time."""

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """The command line that runs the server in the foreground, from its working folder."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the running server takes connections."""

    @property
    def _input(self) -> Path:
        return Path(os.devnull)

    @property
    def _port_file(self) -> Path:
        return self.folder / "port"

    def _reap(self) -> None:
        if self._process:
            self._process.wait()
            self._process = None

    def _take_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log.parent.mkdir(exist_ok=True)
            self._hand_over(self.folder)
            if self._lock is None:
                self._lock = lock_file(self.folder / "lock")
                self._hand_over(self.folder / "lock")
                self._handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY) if self.account else None
        except BlockingIOError as error:
            raise FolderInUse(f"{self.folder} is in use by another process: stop that, or choose another.") from error
        except OSError as error:
            raise FolderNotWritable(
                f"{error.filename} cannot be used ({error.strerror}): choose another data folder or change its owner."
            ) from error

    def _hand_over(self, path: Path) -> None:
        """Give a file that we made to the account the server runs as, whose folder it is."""
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def _keep_secret(self, path: Path, text: str) -> None:
        write_secret(path, text)
        self._hand_over(path)

    def _seen_by_server(self, path: Path) -> str:
        """How the server itself names a path in its folder. Its account may be unable to walk there (/root is 0700),
        yet it may use a folder it was handed open, which Linux names without any walk.
        """
        return str(path) if self._handle is None else f"/proc/self/fd/{self._handle}/{path.relative_to(self.folder)}"

    def _release_folder(self) -> None:
        for descriptor in (self._lock, self._handle):
            if descriptor is not None:
                os.close(descriptor)
        self._lock = self._handle = None

    def _end_leftovers(self) -> None:
        """Stop what a parent that was killed has left running on this folder."""
        end_leftovers(lambda: find_servers(self.mark), self._to_ask, self.stop_signal, LEFTOVER_SECONDS)

    def _to_ask(self, processes: list[int]) -> list[int]:
        """Those of the server's processes that understand its stop signal."""
        return processes

    def _launch(self) -> None:
        """Start on the remembered port, on another when it is taken, also when it is taken just before the server."""
        for _ in range(PORT_ATTEMPTS):
            port = self._choose_port()
            written = self.log.stat().st_size if self.log.exists() else 0
            self._process = self._spawn(self._command(port))
            self._port_file.write_text(str(port))
            self._hand_over(self._port_file)
            if wait_until(lambda: self.pid is None or self._is_ready(), START_SECONDS) and self.pid is not None:
                return
            self.kill()
            said = read_end(self.log, written)
            if "Address already in use" not in said:
                break
            self._port_file.unlink()
        raise ServerDidNotStart(f"{self.name} did not start: {last_line(said)} (more in {self.log}).")

    def _choose_port(self) -> int:
        remembered = self._port_file.read_text() if self._port_file.exists() else ""
        if remembered.isdigit() and is_port_free(int(remembered)):
            return int(remembered)
        return find_free_port()

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        return _spawner.submit(self._spawn_here, command).result()

    def _spawn_here(self, command: list[str]) -> subprocess.Popen[bytes]:
        account = self.account
        leashed = leash(
            command,
            self.stop_signal,
            uid=account.uid if account else None,
            gid=account.gid if account else None,
        )
        with self._input.open("rb") as source, open_log(self.log.parent, self.name) as log:
            # A session of its own: Ctrl-C in the terminal is for us, who stop servers last.
            return subprocess.Popen(
                leashed,
                cwd=self.folder,
                pass_fds=[] if self._handle is None else [self._handle],
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                stdin=source,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL cluster; the URL is the superuser's, whose password lies in the folder, for its owner only.

    With `survives_power_cuts` false it leaves writing to the disk to the kernel: its data survives whatever happens to
    its own processes, and nothing that happens to the machine. For tests, whose folders nobody wants back.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, then shuts down with a checkpoint

    def __init__(self, data: Path, *, survives_power_cuts: bool = True) -> None:
        super().__init__(data)
        self.cluster = self.folder / "cluster"
        self._fsync = "on" if survives_power_cuts else "off"

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{self._password_file.read_text()}@{HOST}:{self.port}/postgres"

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _prepare(self) -> None:
        self._binaries = self._get_binaries()
        if not self.cluster.exists():
            self._initialize()
        self._forget_stale_pid()

    def _get_binaries(self) -> PostgresBinaries:
        version_file = self.cluster / "PG_VERSION"
        made_by = int(version_file.read_text()) if version_file.exists() else None
        if found := find_postgres(self.account, made_by):
            return found
        if other := find_postgres(self.account):
            raise PostgresVersionMismatch(
                f"{self.cluster} was made by PostgreSQL {made_by}, but only {other.major} is here: install version "
                f"{made_by}, or start with another data folder."
            )
        raise BinariesMissing("There is no PostgreSQL: install the package `postgresql`, or set DATABASE_URL.")

    def _initialize(self) -> None:
        """Make the cluster beside its place and move it there once complete, so that half of one is never used."""
        for leftover in self.folder.glob("cluster.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        # Not twice the same name: an initdb whose parent was killed may take a moment to end.
        partial = self.folder / f"cluster.{secrets.token_hex(4)}"
        partial.mkdir(mode=0o700)
        self._hand_over(partial)
        self._keep_secret(self._password_file, secrets.token_urlsafe(24))
        self._run_initdb(partial)
        partial.rename(self.cluster)

    def _run_initdb(self, cluster: Path) -> None:
        command = [
            self._binaries.initdb(),
            f"--pgdata={self._seen_by_server(cluster)}",
            "--username=postgres",
            f"--pwfile={self._seen_by_server(self._password_file)}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *self._binaries.locale_options(),
        ]
        written = self.log.stat().st_size if self.log.exists() else 0
        self._process = self._spawn(command)  # `stop` ends it when we are interrupted here
        if self._process.wait() != 0:
            said = last_line(read_end(self.log, written))
            raise ServerDidNotStart(f"initdb did not make a database: {said} (more in {self.log}).")

    def _forget_stale_pid(self) -> None:
        """Nothing of ours runs any more, so the number in the file is nobody's or, since, a stranger's."""
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _command(self, port: int) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": port,
            "unix_socket_directories": "",  # a socket's path may have 107 bytes, a data folder's may not fit
            "cluster_name": self.mark,
            "max_connections": 400,  # distributed: fifteen processes with pools of 16, and the tests
            "shared_buffers": "128MB",
            "synchronous_commit": "on",
            "fsync": self._fsync,
            "full_page_writes": self._fsync,
            "max_wal_size": "2GB",
            "jit": "off",
            # Parallel queries need /dev/shm, of which a container has 64 MB.
            "max_parallel_workers_per_gather": 0,
            "max_parallel_maintenance_workers": 0,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self._binaries.postgres(), "-D", self._seen_by_server(self.cluster), *options]

    def _to_ask(self, processes: list[int]) -> list[int]:
        """The postmaster, if it is among them: to the others the same signal means something else."""
        return [process for process in processes if str(process) == self._read_pid_file()[0]]

    def _is_ready(self) -> bool:
        """By the state in `postmaster.pid`, as `pg_ctl` does: its eighth line."""
        lines = self._read_pid_file()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _read_pid_file(self) -> list[str]:
        """The lines of `postmaster.pid`, an empty one when there is none."""
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines() or [""]
        except FileNotFoundError:
            return [""]


class EmbeddedRedis(EmbeddedServer):
    """A Redis-compatible server with an append-only file, synced to disk every second."""

    name = "redis"
    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        return f"redis://:{self._password_file.read_text()}@{HOST}:{self.port}/0"

    def flush(self) -> None:
        """Empty the server completely, as a loss of all its data would."""
        with Redis.from_url(self.url) as client:
            client.flushall()

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    @property
    def _input(self) -> Path:
        """The configuration goes in by standard input: no password in the process list, no path to walk."""
        return self.folder / "redis.conf"

    def _prepare(self) -> None:
        self._server = get_redis_server(self.account)
        if not self._password_file.exists():
            self._keep_secret(self._password_file, secrets.token_urlsafe(24))

    def _command(self, port: int) -> list[str]:
        lines = (
            f"bind {HOST}",
            f"port {port}",
            f"requirepass {self._password_file.read_text()}",
            "dir .",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
        )
        self._keep_secret(self._input, "\n".join(lines) + "\n")
        # Without a title of its own the server keeps its command line, and with it the mark.
        return [self._server, "-", "--set-proc-title", "no", "--proc-title-template", self.mark]

    def _is_ready(self) -> bool:
        try:
            with Redis.from_url(self.url, socket_timeout=0.5) as client:
                return bool(client.ping())
        except (RedisConnectionError, RedisTimeoutError, BusyLoadingError):
            return False
