"""Two services small enough to count in: one announces numbers, the other writes down each number it hears.

Run as a program it is one process of either: `python -m tests.faults.probe worker probe_sink`.
"""

import asyncio
import random
import sys
from pathlib import Path
from uuid import UUID

from deploy import topology
from shared import platform_answers
from shared.bus.answering import Surroundings
from shared.bus.envelope import service_envelope
from shared.bus.local import LocalBus
from shared.contracts.base import Event
from shared.database import Database
from shared.errors import CrossdockError
from shared.messaging.relay import Relay
from shared.messaging.subscriptions import SUBSCRIPTIONS
from shared.messaging.worker import Worker
from shared.redis_connection import RedisAddress
from shared.service import Service, listens
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

ORGANIZATIONS = [UUID(int=number) for number in (1, 2, 3)]
MIGRATIONS = Path(__file__).parent / "probe_migrations"
SERVICES = ("probe_source", "probe_sink")


class NumberDrawn(Event):
    """A number came up. Numbers that end in 13 fail at first hearing, as listeners do."""

    number: int


class Unlucky(CrossdockError):
    """The listener fails, the first time."""


@listens(NumberDrawn)
async def write_down_number(event: NumberDrawn, uow: UnitOfWork) -> None:
    """No constraint stops a second row: the inbox alone must."""
    if event.number % 100 == 13 and random.random() < 0.5:
        raise Unlucky("Thirteen.")
    await uow.execute("INSERT INTO heard VALUES ($1, $2)", uow.organization_id, event.number)


def probe_services() -> dict[str, Service]:
    return {
        "probe_source": Service("probe_source", platform_answers),
        "probe_sink": Service("probe_sink", platform_answers, sys.modules[__name__]),
    }


async def work(name: str) -> None:
    """One worker process of one probe service."""
    services = probe_services()
    configuration = settings()
    address = RedisAddress(configuration.redis_url.get_secret_value(), configuration.redis_prefix)
    database = await Database.connect(configuration.database_url.get_secret_value(), max_connections=6)
    bus, relay = LocalBus(services), Relay(address)
    surroundings = Surroundings(database, bus.ask, relay)
    bus.surrounded_by(surroundings)
    worker = Worker(services[name], surroundings, relay, address)
    stopping = topology.stop_on_signals()
    running = asyncio.create_task(worker.run())
    await stopping.wait()
    worker.stop()
    await running


async def produce(first: int, last: int) -> None:
    """Draw the numbers from `first` to before `last` that were not drawn yet, some per transaction."""
    configuration = settings()
    address = RedisAddress(configuration.redis_url.get_secret_value(), configuration.redis_prefix)
    database = await Database.connect(configuration.database_url.get_secret_value(), max_connections=3)
    bus, relay = LocalBus(probe_services()), Relay(address)
    surroundings = Surroundings(database, bus.ask, relay)
    for index, organization_id in enumerate(ORGANIZATIONS):
        uow = surroundings.unit_of_work("probe_source", service_envelope("probe_source", organization_id))
        drawn = {row["number"] for row in await uow.fetch("SELECT number FROM drawn")}
        await uow.rollback()
        left = [number for number in range(first, last) if number % 3 == index and number not in drawn]
        while left:
            size = random.randint(1, 40)
            some, left = left[:size], left[size:]
            uow = surroundings.unit_of_work("probe_source", service_envelope("probe_source", organization_id))
            for number in some:
                uow.record(NumberDrawn(number=number))
            await uow.executemany("INSERT INTO drawn VALUES ($1, $2)", [(organization_id, n) for n in some])
            await uow.commit()
            await asyncio.sleep(0.002)
    await relay.close()
    await database.close()


if __name__ == "__main__":
    # The program and the package are the same module: one class per event.
    sys.modules["tests.faults.probe"] = sys.modules["__main__"]
    SUBSCRIPTIONS[NumberDrawn] = ("probe_sink",)
    match sys.argv[1:]:
        case ["worker", name]:
            asyncio.run(work(name))
        case ["produce", first, last]:
            asyncio.run(produce(int(first), int(last)))
