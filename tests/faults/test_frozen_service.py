"""A service is frozen (SIGSTOP): soon nobody waits for it in vain, readiness names it, and it comes back as it was."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psutil
import pytest

from deploy.bench.system import System
from tests.waiting import until

pytestmark = pytest.mark.parametrize("system", ["distributed"], indirect=True)
_AT_ONCE = 150


@contextlib.contextmanager
def _frozen(system: System, *program: str) -> Iterator[None]:
    """Those processes of the system stand still inside the block."""
    assert system.server.process is not None
    children = system.server.process.children(recursive=True)
    stopped = [child for child in children if set(program) <= set(child.cmdline())]
    assert stopped, [child.cmdline() for child in children]
    for child in stopped:
        child.suspend()
    try:
        yield
    finally:
        for child in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGCONT)


@pytest.fixture
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    # A connection that idles about as long as the server keeps it may be closed just as it is used again.
    limits = httpx.Limits(max_connections=2 * _AT_ONCE, keepalive_expiry=1)
    headers = system.headers("admin")
    async with httpx.AsyncClient(
        base_url=str(system.http.base_url), headers=headers, timeout=60, limits=limits
    ) as client:
        yield client


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.feature("GAT-5", "GAT-6", "GAT-7")
async def test_what_a_frozen_service_cannot_answer_is_refused_at_once(system: System, http: httpx.AsyncClient) -> None:
    async def ask() -> httpx.Response:
        return await http.get("/v1/orders", params={"first": 1})

    async def ask_all() -> list[httpx.Response]:
        return await asyncio.gather(*(ask() for _ in range(_AT_ONCE)))

    async def is_refused() -> bool:
        # One that waits leaves the gate open for the next look.
        asked = asyncio.create_task(ask())
        waiting.append(asked)
        await asyncio.wait([asked], timeout=0.2)
        return asked.done() and asked.result().status_code == 503

    async def readiness() -> Any:
        answer = await http.get("/readyz")
        return answer.json() if answer.status_code == 503 else None

    waiting: list[asyncio.Task[httpx.Response]] = []
    assert (await ask()).status_code == 200
    with _frozen(system, "serve", "orders"):
        burst = asyncio.create_task(ask_all())
        await until(is_refused, 60)
        # Whoever comes now hears it at once, while the first still wait.
        refused: list[httpx.Response] = []

        async def all_are_refused() -> bool:
            # On a busy machine the gateway may not know, for a moment, whether credentials were withdrawn: 503 as well.
            refused[:] = await ask_all()
            assert Counter(answer.status_code for answer in refused) == {503: _AT_ONCE}
            return {answer.json()["code"] for answer in refused} == {"overloaded"}

        await until(all_are_refused, 60)
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert "'orders'" in refused[0].json()["detail"]
        unready = await until(readiness, 60)
        assert "'orders'" in unready["parts"]["services"]
        assert "'catalog'" not in unready["parts"]["services"]
        # What others answer goes on.
        assert (await http.get("/v1/products", params={"first": 1})).status_code == 200
        assert {answer.status_code for answer in await burst} <= {503, 504}
    await until(lambda: _is_ok(ask), 60)

    async def all_are_answered() -> bool:
        # At first it goes by the pace that it had while it stood still.
        return Counter(answer.status_code for answer in await ask_all()) == {200: _AT_ONCE}

    await until(all_are_answered, 120)
    await until(lambda: _is_ok(lambda: http.get("/readyz")), 60)
    await asyncio.gather(*waiting)


async def _is_ok(ask: Any) -> bool:
    return bool((await ask()).status_code == 200)
