"""Events while Redis is emptied and killed, and workers, relays and producers die: each effect exactly once."""

import asyncio
import random

import asyncpg
import pytest

from deploy.embedded import EmbeddedRedis
from tests.conftest import Servers, scale
from tests.faults.conftest import Programs

EVENTS = 20_000
STRIKES = 30


@pytest.mark.faults
@pytest.mark.timeout(1500)
async def test_every_event_takes_effect_exactly_once_whatever_is_killed(
    servers: Servers, probe_database: str, fragile_redis: EmbeddedRedis, programs: Programs
) -> None:
    total = int(EVENTS * scale())
    chance = random.Random(20)
    for number in (1, 2):
        programs.start(f"sink {number}", "worker", "probe_sink")
        programs.start(f"source {number}", "worker", "probe_source")
    programs.start("producer 1", "produce", "0", str(total // 2))
    programs.start("producer 2", "produce", str(total // 2), str(total))
    connection = await asyncpg.connect(servers.url_of(probe_database, admin=True))
    try:
        while await connection.fetchval("SELECT count(*) FROM probe_source.drawn") < total:
            await _strike(chance, fragile_redis, programs)
            await _goes_on(connection, programs, total)
        for _ in range(3):
            await _strike(chance, fragile_redis, programs)
        await _until_delivered(connection)
        heard = await connection.fetchrow(
            "SELECT count(*) AS rows, count(DISTINCT number) AS numbers,"
            " count(*) FILTER (WHERE d.number IS NULL) AS invented"
            " FROM probe_sink.heard h LEFT JOIN probe_source.drawn d USING (organization_id, number)"
        )
        assert dict(heard) == {"rows": total, "numbers": total, "invented": 0}
        assert (
            await connection.fetchval("SELECT count(*) FROM probe_source.deliveries WHERE parked_at IS NOT NULL") == 0
        )
    finally:
        await connection.close()


async def _strike(chance: random.Random, redis: EmbeddedRedis, programs: Programs) -> None:
    match chance.choice(["flush", "redis", "sink", "source", "producer"]):
        case "flush":
            redis.flush()
        case "redis":
            redis.kill()
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            redis.start()
        case kind:
            name = f"{kind} {chance.choice((1, 2))}"
            if programs.is_running(name):
                programs.kill(name)
                programs.start_again(name)


async def _goes_on(connection: asyncpg.Connection, programs: Programs, total: int) -> None:
    """Until some more numbers were drawn: every strike hits processes at work, however slow the machine."""
    wanted = min(total, await connection.fetchval(_DRAWN) + total // STRIKES)
    async with asyncio.timeout(120):
        while await connection.fetchval(_DRAWN) < wanted:
            for name in ("producer 1", "producer 2"):
                if not programs.is_running(name):
                    programs.start_again(name)
            await asyncio.sleep(0.2)


_DRAWN = "SELECT count(*) FROM probe_source.drawn"


async def _until_delivered(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(600):
        while await connection.fetchval("SELECT count(*) FROM probe_source.deliveries") > 0:
            await asyncio.sleep(0.25)
