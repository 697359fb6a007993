"""`crossdock up`: everything one machine needs to run Crossdock, started in order, kept running, stopped in order."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import typer

from deploy.data_folder import DataFolder
from deploy.embedded import HOST, EmbeddedPostgres, EmbeddedRedis, EmbeddedServer
from deploy.errors import CannotStart, MigrationFailed, PortBusy
from deploy.external import Addresses, check_external, ensure_database, find_external, login_as
from deploy.log import last_line, read_end
from deploy.nursery import Nursery
from deploy.port import find_free_port, is_port_free
from deploy.process import end_leftovers, find_by_environment
from deploy.supervisor import Process, Program, Supervisor, launch_command, restart_delay

DEFAULT_PORT = 8000
# A crowded machine is slow, not broken; a program that keeps ending is told of long before.
READY_SECONDS = 180.0
LEFTOVER_SECONDS = 5.0
WATCH_SECONDS = 0.2
APP_ROLE = "crossdock_app"
# Children carry it in their environment: what a killed `up` has left behind is recognized by it.
RUN_VARIABLE = "CROSSDOCK_RUN"


@dataclass(frozen=True)
class Options:
    """What the caller of `up` may choose. Without a port it is 8000, or a free one when that is taken."""

    data: Path
    port: int | None = None
    distributed: bool = False
    workers: int = 1
    demo: bool = True

    @property
    def mode(self) -> str:
        return "distributed" if self.distributed else "embedded"


# -P: a folder named `deploy` where the person happens to stand is not ours.
CROSSDOCK = (sys.executable, "-P", "-m", "deploy.cli")


@dataclass(frozen=True)
class Commands:
    """What `up` runs: a program that understands Crossdock's words, and the services it knows."""

    crossdock: Sequence[str] = CROSSDOCK
    services: Sequence[str] = ()

    @property
    def are_ours(self) -> bool:
        """Whether it is this version of Crossdock that runs, which can be forked and knows its services."""
        return tuple(self.crossdock) == CROSSDOCK


def up(options: Options, commands: Commands | None = None) -> int:
    """Run Crossdock until SIGINT, SIGTERM or SIGHUP and return the exit code: 0 after it was up, 1 when it could not
    start, 130 when it was stopped before it was up. A second signal ends everything at once.
    """
    try:
        with DataFolder(options.data) as folder:
            return asyncio.run(System(options, folder, commands or Commands()).run())
    except CannotStart as error:
        typer.echo(f"crossdock: {error}", err=True)
        return 1


def say(text: str) -> None:
    """Tell the person at the terminal, if there still is one."""
    with suppress(OSError):
        typer.echo(text)


@dataclass
class System:
    """One running system: its servers, its programs, and the signals that end it."""

    options: Options
    folder: DataFolder
    commands: Commands
    servers: list[EmbeddedServer] = field(default_factory=list)
    began_something: bool = False
    is_up: bool = False
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.nursery = Nursery(self.folder.logs, {**os.environ, **self._common})
        self.supervisor = Supervisor(self.folder.logs, say, launch=self._launch)
        self.watchers: list[asyncio.Task[None]] = []
        self.asked_to_stop = asyncio.Event()

    async def run(self) -> int:
        """Start everything, wait for the end, stop everything; raises CannotStart after having stopped everything."""
        self._listen_to_signals()
        living = asyncio.create_task(self._live())
        asked = asyncio.create_task(self.asked_to_stop.wait())
        try:
            await asyncio.wait({living, asked}, return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                living.result()
        finally:
            await end_tasks([living, asked, *self.watchers])
            await self._stop()
        return 0 if self.is_up else 130

    async def _live(self) -> None:
        say(f"Crossdock {version('crossdock')}, {self.options.mode}; data in {self.folder.path}")
        given = find_external(os.environ)
        self._end_leftovers()
        self.port = choose_port(self.options.port)
        self.began_something = True
        if self.commands.are_ours:
            await self.nursery.warm()
        addresses = await self._use(given) if given else await self._start_servers()
        await self._migrate(addresses)
        environment = self._environment(addresses)
        await self._serve(environment)
        await self._load_demo(environment)
        self._announce()
        self.is_up = True
        await asyncio.Event().wait()

    def _end_leftovers(self) -> None:
        """An `up` that was killed may have left programs behind that hold its port for a moment."""
        end_leftovers(
            lambda: find_by_environment(RUN_VARIABLE, str(self.folder.path)),
            list,
            signal.SIGTERM,
            LEFTOVER_SECONDS,
        )

    async def _use(self, given: Addresses) -> Addresses:
        """Use the PostgreSQL and Redis of DATABASE_URL and REDIS_URL; raises what is wrong with them."""
        say("  using the PostgreSQL and Redis of DATABASE_URL and REDIS_URL")
        await check_external(given)
        return given

    async def _start_servers(self) -> Addresses:
        """Start a PostgreSQL and a Redis of our own and keep them running."""
        postgres, redis = EmbeddedPostgres(self.folder.path), EmbeddedRedis(self.folder.path)
        for server in (postgres, redis):
            self.servers.append(server)
            await finish_in_thread(server.start)
            say(f"  {server.name} runs on {HOST}:{server.port} ({self._elapsed()})")
            self.watchers.append(asyncio.create_task(watch(server)))
        return Addresses(database=await ensure_database(postgres.url, "crossdock"), redis=redis.url)

    async def _migrate(self, addresses: Addresses) -> None:
        say("  migrating the database")
        environment = {
            **self._environment(addresses),
            "CROSSDOCK_ADMIN_URL": addresses.database,
            "CROSSDOCK_APP_PASSWORD": self._app_password,
        }
        program = self._crossdock("migrate", ("migrate",), environment)
        if await self.supervisor.run(program) != 0:
            self.nursery.check_loaded()
            log = self.folder.logs / "migrate.log"
            raise MigrationFailed(f"The database could not be migrated: {last_line(read_end(log))} (more in {log}).")

    async def _serve(self, environment: dict[str, str]) -> None:
        say(f"  starting the programs ({self._elapsed()})")
        for stage in await self._stages(environment):
            await self.supervisor.start(stage)
        await self.supervisor.wait_ready(f"{self.base_url}/readyz", READY_SECONDS)
        say(f"  it answers on {self.base_url} ({self._elapsed()})")

    async def _load_demo(self, environment: dict[str, str]) -> None:
        """Load the demo business, which changes nothing where it is loaded already."""
        if not self.options.demo:
            return
        say("  loading the demo business")
        if await self.supervisor.run(self._crossdock("demo", ("load-sample",), environment)) != 0:
            log = self.folder.logs / "demo.log"
            say(f"  the demo business could not be loaded: {last_line(read_end(log))} (more in {log})")

    def _announce(self) -> None:
        say(f"\nCrossdock is up after {self._elapsed()}: {self.base_url}")
        if self.folder.credentials.exists():
            say(f"Credentials, from {self.folder.credentials}:\n{self.folder.credentials.read_text().rstrip()}")
            say(f"See it at work: crossdock demo --credentials {shlex.quote(str(self.folder.credentials))}")
        say(f"Logs are in {self.folder.logs}. Ctrl-C stops everything.")

    async def _stages(self, environment: dict[str, str]) -> list[list[Program]]:
        """Background work first and the gateway last, so that the gateway is the first to be stopped."""
        door = ("--host", HOST, "--port", str(self.port), "--workers", str(self.options.workers))
        if not self.options.distributed:
            return [
                [self._crossdock("work", ("work", "all"), environment)],
                [self._crossdock("web", ("serve", "web", *door), environment)],
            ]
        services = await self.nursery.services() if self.commands.are_ours else self.commands.services
        return [
            [self._crossdock(f"work-{name}", ("work", name), environment) for name in services],
            [self._crossdock(f"serve-{name}", ("serve", name), environment) for name in services],
            [self._crossdock("gateway", ("serve", "gateway", *door), environment)],
        ]

    def _crossdock(self, name: str, words: Sequence[str], environment: dict[str, str]) -> Program:
        return Program(name, (*self.commands.crossdock, *words), environment)

    async def _launch(self, program: Program, logs: Path) -> Process:
        """Fork our own programs, and execute others."""
        own = len(CROSSDOCK)
        if tuple(program.command[:own]) != CROSSDOCK:
            return await launch_command(program, logs)
        return await self.nursery.launch(program.name, program.command[own:], program.environment)

    def _environment(self, addresses: Addresses) -> dict[str, str]:
        return {
            "CROSSDOCK_SECRET_KEY": self.folder.secrets.secret_key,
            **os.environ,
            "DATABASE_URL": login_as(addresses.database, APP_ROLE, self._app_password),
            "REDIS_URL": addresses.redis,
            "CROSSDOCK_DATA": str(self.folder.path),
            "CROSSDOCK_BASE_URL": self.base_url,
            "CROSSDOCK_MODE": self.options.mode,
            **self._common,
        }

    @property
    def _common(self) -> dict[str, str]:
        return {RUN_VARIABLE: str(self.folder.path), "PYTHONUNBUFFERED": "1"}

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def _app_password(self) -> str:
        return os.environ.get("CROSSDOCK_APP_PASSWORD", self.folder.secrets.app_password)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self.began:.1f} s"

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if self.asked_to_stop.is_set():
            self.supervisor.kill()
            # Whatever else we started dies with us (deploy/leash.py).
            os._exit(130)
        say("\nStopping; once more to end everything at once.")
        self.asked_to_stop.set()

    async def _stop(self) -> None:
        await self.supervisor.stop()
        await self.nursery.close()
        for server in reversed(self.servers):
            await finish_in_thread(server.stop)
        if self.began_something:
            say("Everything is stopped.")


def choose_port(wanted: int | None) -> int:
    """Return the wanted port, or 8000, or a free one when nothing was wanted and 8000 is taken. Raises PortBusy."""
    port = wanted if wanted is not None else DEFAULT_PORT
    if is_port_free(port):
        return port
    if wanted is not None:
        raise PortBusy(
            f"Port {wanted} of {HOST} is taken or not allowed: stop what uses it, or choose another with --port."
        )
    free = find_free_port()
    say(f"  port {port} is taken, so this runs on {free}")
    return free


async def watch(server: EmbeddedServer) -> None:
    """Bring a server back whenever it dies, with growing delay while it does not come back. It keeps its address."""
    failures = 0
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if server.pid is not None:
            continue
        say(f"{server.name} ended; it starts again.")
        address = server.url
        try:
            await finish_in_thread(server.start)
            failures = 0
            if server.url != address:
                say(f"{server.name} lost its port to another program: stop this `up` and start it again.")
        except CannotStart as error:
            failures += 1
            say(str(error))
            await asyncio.sleep(restart_delay(failures))


async def finish_in_thread(call: Callable[[], object]) -> None:
    """Run `call` in a thread. Cancelling waits for its end, so that nobody else acts on the same server meanwhile."""
    work = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


async def end_tasks(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Cancel tasks and wait until they have ended, however they end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
