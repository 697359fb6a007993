"""Services and workers tell their health beside their work."""

import asyncio
import os
import signal

import httpx
import pytest

from deploy.health import health_application, telling_health
from deploy.port import find_free_port
from shared.database import DatabaseUnavailable


async def _fit() -> None:
    return None


async def _unfit() -> None:
    raise DatabaseUnavailable("PostgreSQL does not answer.")


@pytest.mark.feature("GAT-5")
async def test_health_is_told_beside_the_work_and_signals_stay_the_works() -> None:
    address = f"127.0.0.1:{find_free_port()}"
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, stopping.set)
    before = signal.getsignal(signal.SIGTERM)
    try:
        async with telling_health(health_application({"database": _fit}, None), address):  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=5)) as client:
                assert (await client.get(f"http://{address}/healthz")).json() == {"status": "ok"}
                assert (await client.get(f"http://{address}/readyz")).status_code == 200
            assert signal.getsignal(signal.SIGTERM) == before
            os.kill(os.getpid(), signal.SIGUSR2)
            await asyncio.wait_for(stopping.wait(), 30)
    finally:
        loop.remove_signal_handler(signal.SIGUSR2)


@pytest.mark.feature("GAT-5")
async def test_what_is_unfit_says_so() -> None:
    transport = httpx.ASGITransport(app=health_application({"database": _unfit}, None))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://worker.test") as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (503, {"database": "PostgreSQL does not answer."})


async def test_without_an_address_nothing_listens() -> None:
    async with telling_health(health_application({}, None), None):  # type: ignore[arg-type]
        pass
