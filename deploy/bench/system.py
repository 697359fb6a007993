"""A system of the bench's own: started in a folder of its own, measured, and stopped."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import psutil

from deploy.bench.load import Server
from deploy.embedded import EmbeddedPostgres
from deploy.port import find_free_port

_START_SECONDS = 240
_STOP_SECONDS = 90
HOST = "127.0.0.1"


class DidNotStart(Exception):
    """The system under measurement did not come up."""


class NobodyWorks(Exception):
    """The processes that do background work are not to be found: they may be on another host."""


@dataclass
class System:
    """A running Crossdock with the demo business, and what it took to start it."""

    topology: str
    server: Server
    credentials: dict[str, Any]
    data: Path
    seconds_to_answer: float | None
    # How large a file the imports take.
    import_rows: int = 30_000
    # How many listings the connections that are scanned have.
    listings: int = 30_000
    # What paths have made for themselves and those after them.
    prepared: set[str] = field(default_factory=set)
    # What paths took that others are measured by: requests a second by the path's name.
    rates: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://{self.server.host}:{self.server.port}", timeout=120)
        self.tokens: dict[str, str] = {}

    def token(self, party: str) -> str:
        """An access token of one of the demo's clients; tokens outlive a bench."""
        if party not in self.tokens:
            client = self.credentials["clients"][party]
            answer = self.http.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(client["client_id"], client["client_secret"]),
            )
            self.tokens[party] = answer.raise_for_status().json()["access_token"]
        return self.tokens[party]

    def headers(self, party: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(party)}"}

    def ask(self, method: str, path: str, *, party: str = "admin", **request: Any) -> Any:
        headers = {**self.headers(party), **request.pop("headers", {})}
        response = self.http.request(method, path, headers=headers, **request)
        return response.raise_for_status().json()

    def admin_url(self) -> str:
        """The embedded PostgreSQL, for the bare COPY beside the import."""
        return EmbeddedPostgres(self.data).url

    def working(self) -> list[psutil.Process]:
        """The processes that do background work, and those that they started."""
        top = self.server.process
        family = [] if top is None else top.children(recursive=True)
        return [process for process in family if _does_background_work(process)]

    @contextlib.contextmanager
    def processing_stopped(self) -> Iterator[None]:
        """Background work stands still inside: its processes are stopped and go on at the end."""
        working = self.working()
        if not working:
            raise NobodyWorks("No process of this system does background work here.")
        try:
            for process in working:
                process.suspend()
            yield
        finally:
            for process in working:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def memory(self) -> dict[str, int]:
        """Resident bytes now: `python`, `postgres` (shared memory counted once per process), `redis`."""
        found = {"python": 0, "postgres": 0, "redis": 0}
        top = self.server.process
        for process in [] if top is None else [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                kind = "postgres" if "postgres" in process.name() else "python"
                kind = "redis" if "redis" in process.name() or "valkey" in process.name() else kind
                found[kind] += process.memory_info().rss
        return found


@contextlib.contextmanager
def running_system(
    topology: str,
    workers: int,
    import_rows: int = 30_000,
    listings: int = 30_000,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[System]:
    """Start `crossdock up` in a folder of its own, with further `environment`; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-", ignore_cleanup_errors=True) as folder:
        data, port = Path(folder) / "data", find_free_port()
        Path(folder).chmod(0o755)
        command = [sys.executable, "-m", "deploy.cli", "up", "--data", str(data), "--port", str(port)]
        command += ["--workers", str(workers), *(["--distributed"] if topology == "distributed" else [])]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **environment}) as process:
            try:
                answers = _wait(lambda: _is_ready(port), process) - started
                _wait((data / "credentials.json").exists, process)
                credentials = json.loads((data / "credentials.json").read_text())
                server = Server(HOST, port, psutil.Process(process.pid))
                yield System(topology, server, credentials, data, answers, import_rows, listings)
            finally:
                process.terminate()
                process.wait(timeout=_STOP_SECONDS)


def _does_background_work(process: psutil.Process) -> bool:
    """Whether this is `crossdock work …`."""
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return _is_crossdock(words) and "work" in words


def _is_crossdock(words: list[str]) -> bool:
    return any(word.endswith("crossdock") or word == "deploy.cli" for word in words)


def given_system(credentials: Path, import_rows: int, listings: int = 30_000) -> System:
    """The system that `crossdock up` runs already, found by what it wrote. Raises DidNotStart when it is not there."""
    try:
        known = json.loads(credentials.read_text())
    except (OSError, ValueError) as error:
        raise DidNotStart(f"No credentials: {error}. Start the system with deploy/up, or name --credentials.") from None
    address = httpx.URL(known["base_url"])
    port = address.port or 80
    if not _is_ready(port):
        raise DidNotStart(f"{address} does not answer.")
    server = Server(HOST, port, _serving(port))
    return System("as it runs", server, known, credentials.parent, None, import_rows, listings)


def _serving(port: int) -> psutil.Process | None:
    """The process that started whoever listens on `port`: with its descendants it is the whole system."""
    connections = [found for found in psutil.net_connections("tcp") if found.status == "LISTEN" and found.pid]
    listening = [found.pid for found in connections if found.laddr and found.laddr.port == port]
    if not listening:
        return None
    family = [psutil.Process(listening[0]), *psutil.Process(listening[0]).parents()]
    ours = [process for process in family if _is_crossdock(process.cmdline())]
    return ours[-1] if ours else family[0]


def running_bare(workers: int) -> contextlib.AbstractContextManager[Server]:
    """The bare endpoint, under the same server with the same number of workers."""
    return _running("deploy.bench.bare:app", "/items", workers)


def running_memory(workers: int) -> contextlib.AbstractContextManager[Server]:
    """GraphQL from memory, under the same server."""
    return _running("deploy.bench.memory:app", "/graphql?query={__typename}", workers)


@contextlib.contextmanager
def _running(app: str, path: str, workers: int) -> Iterator[Server]:
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--host", HOST, "--port", str(port)]
    command += ["--workers", str(workers), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    with subprocess.Popen([*command, "--log-level", "warning"]) as process:
        try:
            _wait(lambda: _answers(f"http://{HOST}:{port}{path}"), process)
            yield Server(HOST, port, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(timeout=_STOP_SECONDS)


def _is_ready(port: int) -> bool:
    return _answers(f"http://{HOST}:{port}/readyz")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _wait(condition: Any, process: "subprocess.Popen[bytes]") -> float:
    """When `condition` came true, by the performance counter. Raises DidNotStart."""
    deadline = time.perf_counter() + _START_SECONDS
    while time.perf_counter() < deadline and process.poll() is None:
        if condition():
            return time.perf_counter()
        time.sleep(0.02)
    raise DidNotStart("the system did not come up; run `crossdock up` to see why")
