"""Which process does what. The only place that knows every service; it hands each its bus, its database and its relay.

    web       the gateway and every service's answers in one process: `ask` is a direct call
    gateway   the gateway alone: `ask` crosses Redis
    <service> one service's answers, from its Redis list
    work      background work of every service, or of one

No service code knows which of these it is in.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from deploy.health import health_application, telling_health
from gateway.app import Mounted, create_app
from gateway.at_once import AT_ONCE
from gateway.budgets import Budgets
from gateway.identity import Identities
from gateway.live import LiveEvents
from gateway.protocol import ProblemProtocol
from gateway.rest.health import Checks
from gateway.revocations import Announcements
from gateway.settings import gateway_settings
from gateway.standings import StandingsElsewhere
from services.accounts.app import service as accounts
from services.catalog.app import service as catalog
from services.inventory.app import service as inventory
from services.orders.app import service as orders
from services.payments.app import service as payments
from services.payments.intake import Intake
from services.search.app import service as search
from services.search.use_cases.reading import Readers
from services.sync.app import service as sync
from shared import logging, metrics
from shared.backlog import Backlogs
from shared.bells import Bells
from shared.bus.answering import Surroundings, answer
from shared.bus.ask import Bus
from shared.bus.envelope import service_envelope
from shared.bus.local import LocalBus
from shared.bus.presence import Presence
from shared.bus.redis import RedisAnswering, RedisBus
from shared.contracts.accounts.messages import GetRevocations, Revocations
from shared.database import Database
from shared.messaging.relay import Relay
from shared.messaging.worker import Worker
from shared.redis_connection import RedisAddress
from shared.service import Service
from shared.settings import Settings, settings

log = structlog.get_logger("crossdock.topology")

_ALL: tuple[Service, ...] = (accounts, catalog, inventory, orders, payments, search, sync)
SERVICES: tuple[str, ...] = tuple(service.name for service in _ALL)


class Surrounded:
    """What a running process holds: its connections, its relay, its bus."""

    def __init__(self, configuration: Settings, database: Database, relay: Relay, bus: Any) -> None:
        self.settings = configuration
        self.address = RedisAddress(configuration.redis_url.get_secret_value(), configuration.redis_prefix)
        self.database = database
        self.relay = relay
        self.bus: Bus = bus
        self.surroundings = Surroundings(database, bus.ask, relay)
        self.backlogs = Backlogs(
            SERVICES,
            self.surroundings,
            self.address,
            queue_bound=configuration.queue_bound,
            measuring={service.name: [each.function for each in service.measurements] for service in _ALL},
        )


@contextlib.asynccontextmanager
async def surrounded(*, answers_here: bool, configuration: Settings | None = None) -> AsyncIterator[Surrounded]:
    """Connect this process. `answers_here`: all services answer in it, otherwise they are asked over Redis."""
    configuration = configuration or settings()
    address = RedisAddress(configuration.redis_url.get_secret_value(), configuration.redis_prefix)
    database = await Database.connect(
        configuration.database_url.get_secret_value(), max_connections=configuration.database_connections
    )
    relay = Relay(address)
    bus: Any = None
    try:
        if answers_here:
            bus = LocalBus({service.name: service for service in _ALL}, bound=configuration.queue_bound)
        else:
            bus = RedisBus(address, bound=configuration.queue_bound)
        process = Surrounded(configuration, database, relay, bus)
        if answers_here:
            bus.surrounded_by(process.surroundings)
        try:
            yield process
        finally:
            await process.backlogs.close()
            await process.surroundings.close()
    finally:
        await relay.close()
        if isinstance(bus, RedisBus):
            await bus.close()
        await database.close()


# So many more objects than went away bring on a collection of the young ones. More than a page of products with its
# parts and rows has: with 10,000 a tenth of what building an offer costs was looking through pages not yet done with.
_YOUNG_OBJECTS = 50_000


def named(what: str) -> tuple[Service, ...]:
    """The services `what` means: one by its name, or `all`."""
    return _ALL if what == "all" else tuple(service for service in _ALL if service.name == what)


async def answer_over_redis(service: Service, process: Surrounded, stopping: asyncio.Event) -> None:
    """Answer one service's messages until told to stop."""
    answering = RedisAnswering(service, process.surroundings, process.address)
    running_task, told = asyncio.create_task(answering.run()), asyncio.create_task(stopping.wait())
    # Should the answering end by itself, so does the process, with the reason: whoever keeps it starts it again.
    await asyncio.wait([running_task, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    answering.stop()
    await running_task


async def do_work(services: Sequence[Service], process: Surrounded, stopping: asyncio.Event) -> None:
    """Do the background work of `services` until told to stop."""
    workers = [Worker(service, process.surroundings, process.relay, process.address) for service in services]
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    await stopping.wait()
    for worker in workers:
        worker.stop()
    await asyncio.gather(*tasks)


def settle_memory() -> None:
    """Keep what a program has when it begins to work out of collections, which would look through it over and over.

    Measured: a collection of everything took 0.1 s, and a fifth of the time that orders take went by in them. With
    a higher threshold young objects mostly die by themselves before they are looked at.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return stopping


# How uvicorn serves WebSockets. Whoever does not answer a ping is gone; nobody sends documents longer than that.
SOCKETS: dict[str, Any] = {
    "ws": "auto",
    "ws_max_size": 1 << 18,
    "ws_ping_interval": 20,
    "ws_ping_timeout": 20,
}


def web_application() -> FastAPI:
    """`serve web`: the gateway, with every service answering in the same process."""
    return _application(answers_here=True)


def gateway_application() -> FastAPI:
    """`serve gateway`: the gateway, asking over Redis."""
    return _application(answers_here=False)


def _application(*, answers_here: bool) -> FastAPI:
    callbacks = Intake()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        logging.configure(settings().log_level)
        async with (
            surrounded(answers_here=answers_here) as process,
            Identities(process.bus, withdrawn_from(process), Announcements(process.address)) as identities,
            contextlib.aclosing(Budgets(process.address, gateway_settings().publishable_key_limit)) as budgets,
            contextlib.aclosing(LiveEvents(process.address)) as live,
            contextlib.aclosing(Bells(process.address)) as bells,
            contextlib.aclosing(StandingsElsewhere(process.bus)) as elsewhere,
        ):
            app.state.bus = process.bus
            app.state.identities = identities
            app.state.budgets = budgets
            app.state.live = live
            app.state.bells = bells
            app.state.shop_standings = process.surroundings.resident(Readers) if answers_here else elsewhere
            presence = Presence(process.bus, SERVICES)
            others = {} if answers_here else {"services": presence.check}
            app.state.checks = {**checks_of(process), **others}
            app.state.remarks = {"backlog": process.backlogs.check}
            app.state.backlogs = process.backlogs
            try:
                async with callbacks.serving(
                    process.database, process.relay, lambda scope: identities.address_of(HTTPConnection(scope))
                ):
                    settle_memory()
                    yield {AT_ONCE: app.state.at_once.answer}
            finally:
                await presence.close()

    return create_app(lifespan, mounts=[Mounted("/callbacks", "/{gateway_id}", callbacks)], rights=rights())


def rights() -> dict[str, tuple[str, ...]]:
    """The scopes (any of them) that each message asked from outside needs, by wire name; none for a public one."""
    scopes: dict[str, tuple[str, ...]] = {}
    for service in _ALL:
        for name, registered in service.answers.items():
            if not registered.internal:
                # What several services answer needs the scope of the one that is meant.
                scopes[name] = tuple(dict.fromkeys((*scopes.get(name, ()), *registered.scopes)))
    return scopes


def withdrawn_from(process: Surrounded) -> Callable[[str | None], Awaitable[Revocations]]:
    """How a process sees what was withdrawn when accounts does not answer: its question, answered from here."""

    async def read(cursor: str | None) -> Revocations:
        envelope = service_envelope("gateway", None, timeout_seconds=1)
        return await answer(accounts, process.surroundings, GetRevocations(since=cursor), envelope)

    return read


def checks_of(process: Surrounded) -> dict[str, Callable[[], Awaitable[None]]]:
    """What readiness asks of every process."""

    async def database() -> None:
        async with process.database.connection() as connection:
            await connection.fetchval("SELECT 1")

    async def queue() -> None:
        await process.relay.ping()

    return {"database": database, "queue": queue}


def serve(what: str, *, host: str, port: int, workers: int = 1) -> None:
    """Serve until told to stop: `web`, `gateway`, or one service's answers (which listens on no port).

    Raises ValidationError for what is missing in the environment, before anything has begun.
    """
    settings()
    gateway_settings()
    if what in SERVICES:
        uvloop.run(_serve_service(named(what)[0]))
        return
    if workers > 1:
        metrics.share_between_processes(settings().data, what)
    uvicorn.run(
        f"deploy.topology:{what}_application",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=ProblemProtocol,
        **SOCKETS,
        # Who may speak for another address is gateway.identity's to say; uvicorn would believe every local peer.
        proxy_headers=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=10,
        # Its default of 5 s kills workers that are still importing on a busy machine, for ever.
        timeout_worker_healthcheck=60,
    )


async def _serve_service(service: Service) -> None:
    logging.configure(settings().log_level)
    stopping = stop_on_signals()
    async with surrounded(answers_here=False) as process:

        async def requests() -> None:
            await process.backlogs.check_requests((service.name,))

        async with _health_told(process, {"requests": requests}):
            settle_memory()
            await answer_over_redis(service, process, stopping)


def work(what: str) -> None:
    """Do background work until told to stop: of `all` services, which then also answer each other here, or of one."""
    uvloop.run(_work(what))


async def _work(what: str) -> None:
    logging.configure(settings().log_level)
    stopping = stop_on_signals()
    names = [service.name for service in named(what)]
    async with surrounded(answers_here=what == "all") as process:

        async def backlog() -> None:
            await process.backlogs.check_work(names)

        async with _health_told(process, {"backlog": backlog}):
            settle_memory()
            await do_work(named(what), process, stopping)


def _health_told(process: Surrounded, own: Checks) -> contextlib.AbstractAsyncContextManager[None]:
    """For containers: a service or a worker listens on no other port."""
    application = health_application({**checks_of(process), **own}, process.backlogs)
    return telling_health(application, process.settings.health_address)
