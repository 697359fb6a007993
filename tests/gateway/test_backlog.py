"""What waits makes a process unready, and is told to Prometheus. No worker runs here."""

import re
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from deploy.health import health_application
from deploy.topology import SERVICES, Surrounded, checks_of
from gateway.rest.health import readiness
from shared.backlog import Backlogs, FallsBehind, QueueIsStuck
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.platform.events import AlertCleared
from shared.redis_connection import RedisAddress

pytestmark = pytest.mark.feature("GAT-5")


@pytest.fixture
def thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything that waits at all is late."""
    monkeypatch.setenv("CROSSDOCK_READY_DELIVERY_SECONDS", "0.000001")
    monkeypatch.setenv("CROSSDOCK_READY_TASK_SECONDS", "0.000001")


@pytest.fixture
async def impatient(thresholds: None, process: Surrounded) -> AsyncIterator[Backlogs]:
    backlogs = Backlogs(SERVICES, process.surroundings, process.address, queue_bound=1000)
    yield backlogs
    await backlogs.close()


def probing(process: Surrounded, backlogs: Backlogs) -> httpx.AsyncClient:
    checks = {**checks_of(process), "backlog": backlogs.check}
    transport = httpx.ASGITransport(app=health_application(checks, backlogs))
    return httpx.AsyncClient(transport=transport, base_url="http://worker")


async def test_events_and_tasks_that_wait_too_long_make_it_unready(
    process: Surrounded, merchant: Caller, impatient: Backlogs
) -> None:
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", merchant.organization_id))
    uow.record(AlertCleared(service="catalog", cause="nothing"))
    uow.defer("test.late", {})
    await uow.commit()
    async with probing(process, impatient) as worker:
        answer = await worker.get("/readyz")
        measured = (await worker.get("/metrics")).text
    assert (answer.status_code, answer.json()["parts"]["database"]) == (503, "ok")
    assert re.search(r"An event of 'catalog' has waited \d+ s for 'accounts'", answer.json()["parts"]["backlog"])
    assert 'crossdock_deliveries_open{listener="accounts",service="catalog"} 1.0' in measured
    assert 'crossdock_tasks_due{service="catalog"} 1.0' in measured
    assert 'crossdock_tasks_due{service="orders"} 0.0' in measured


async def test_a_full_queue_makes_it_unready(process: Surrounded) -> None:
    redis = process.address.connect()
    backlogs = Backlogs(("search",), process.surroundings, process.address, queue_bound=2)
    await redis.rpush(process.address.requests("search"), b"one", b"two")
    try:
        async with probing(process, backlogs) as worker:
            answer = await worker.get("/readyz")
    finally:
        await redis.delete(process.address.requests("search"))
        await redis.aclose()
        await backlogs.close()
    assert (answer.status_code, answer.json()["parts"]["backlog"]) == (503, "2 requests wait for 'search'.")


async def test_without_redis_it_is_unready_and_still_measured(process: Surrounded) -> None:
    backlogs = Backlogs(SERVICES, process.surroundings, RedisAddress("redis://127.0.0.1:1"), queue_bound=2)
    try:
        async with probing(process, backlogs) as worker:
            answer = await worker.get("/readyz")
            measured = await worker.get("/metrics")
            alive = await worker.get("/healthz")
    finally:
        await backlogs.close()
    assert (answer.status_code, alive.status_code) == (503, 200)
    assert answer.json()["parts"]["backlog"].startswith("Redis does not answer")
    assert (measured.status_code, "crossdock_backlog_known 0.0" in measured.text) == (200, True)


async def test_a_lag_is_told_by_all_and_makes_unready_only_who_is_to_work_it_off(
    process: Surrounded, merchant: Caller, impatient: Backlogs
) -> None:
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", merchant.organization_id))
    uow.record(AlertCleared(service="catalog", cause="nothing"))
    uow.defer("test.late", {})
    await uow.commit()
    answer = await readiness(checks_of(process), {"backlog": impatient.check})
    told = orjson.loads(answer.body)
    assert (answer.status_code, told["status"]) == (200, "late")
    assert "An event of 'catalog' has waited" in told["parts"]["backlog"]
    with pytest.raises(FallsBehind, match="for 'accounts'"):
        await impatient.check_work(["accounts"])
    with pytest.raises(FallsBehind, match="A task of 'catalog'"):
        await impatient.check_work(["catalog"])
    await impatient.check_work(["orders"])


async def test_a_queue_nobody_takes_from_makes_its_service_unready(process: Surrounded) -> None:
    redis = process.address.connect()
    await redis.rpush(process.address.requests("search"), b"one")
    await redis.set(process.address.pace("search"), "1000 1000 0")
    backlogs = Backlogs(SERVICES, process.surroundings, process.address, queue_bound=1000)
    try:
        with pytest.raises(QueueIsStuck, match=r"1 requests wait for 'search', and none was taken for \d+ s"):
            await backlogs.check_requests(["search"])
        await backlogs.check_requests(["orders"])
        async with probing(process, backlogs) as worker:
            measured = (await worker.get("/metrics")).text
        assert re.search(r'crossdock_asks_silent_seconds\{service="search"\} [0-9.e+]*[1-9]', measured)
    finally:
        await redis.delete(process.address.requests("search"))
        await redis.aclose()
        await backlogs.close()
