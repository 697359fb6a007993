"""The doors under test: the whole web application over HTTP in this process, its workers running, any caller at will.

`client` is an httpx client on `deploy.topology.web_application()`; it speaks as nobody. Speak as somebody with

    answer = await client.get("/v1/products", headers=client.speaking_as(merchant))

where `merchant` and `stranger` are administrators of two organizations; `caller_of(organization_id, "catalog:read")`
makes any other caller. Credentials that are not of this kind reach the real `gateway.identity.Identities`.
`process` (tests/conftest.py) is the same database seen from inside; `eventually` waits for what the workers do.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from deploy import topology
from shared.bus.envelope import Caller
from shared.identifiers import new_id
from shared.settings import Settings

T = TypeVar("T")
_SCHEME = "Bearer test-"


class KnownCallers:
    """Identities that also know the callers of this test; everything else goes on to the real ones."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._callers: dict[str, Caller] = {}

    def headers(self, caller: Caller) -> dict[str, str]:
        """The header that makes a request speak as `caller`."""
        credential = _SCHEME + secrets.token_hex(8)
        self._callers[credential] = caller
        return {"Authorization": credential}

    async def caller(self, request: HTTPConnection) -> Caller:
        known = self._callers.get(request.headers.get("authorization", ""))
        return known or await self._real.caller(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Client(httpx.AsyncClient):
    """HTTP into the application of this process, from `address`."""

    def __init__(self, application: FastAPI, identities: KnownCallers, address: str = "127.0.0.1") -> None:
        transport = httpx.ASGITransport(app=application, raise_app_exceptions=False, client=(address, 40000))
        super().__init__(transport=transport, base_url="http://crossdock.test", timeout=60)
        self.application = application
        self.identities = identities

    def speaking_as(self, caller: Caller, **headers: str) -> dict[str, str]:
        """Headers of a request by `caller`; further ones by keyword, `_` for `-`."""
        return self.identities.headers(caller) | {name.replace("_", "-"): value for name, value in headers.items()}


def caller_of(organization_id: UUID, *scopes: str, shop_ids: Iterable[UUID] | None = None) -> Caller:
    """An API client of an organization with these scopes, `admin` when none is named."""
    return Caller(
        kind="client",
        organization_id=organization_id,
        id=new_id(),
        name="test client",
        scopes=frozenset(scopes or {"admin"}),
        shop_ids=None if shop_ids is None else frozenset(shop_ids),
        address="127.0.0.1",
    )


async def eventually(look: Callable[[], Awaitable[T]], timeout_seconds: float = 60.0) -> T:
    """What `look` returns once it is true or passes its assertions; its last failure when it never does."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            found = await look()
            if found or time.monotonic() > deadline:
                assert found, f"nothing after {timeout_seconds} s"
                return found
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def working(process: topology.Surrounded) -> AsyncIterator[None]:
    """The background work of every service, in this process."""
    stopping = asyncio.Event()
    work = asyncio.create_task(topology.do_work(topology.named("all"), process, stopping))
    yield
    stopping.set()
    await work


@pytest.fixture(scope="module")
async def application(configuration: Settings) -> AsyncIterator[FastAPI]:
    """The web application as `crossdock serve web` runs it, started."""
    built = topology.web_application()
    async with built.router.lifespan_context(built):
        built.state.identities = KnownCallers(built.state.identities)
        yield built


@pytest.fixture(scope="module")
async def client(application: FastAPI, working: None) -> AsyncIterator[Client]:
    async with Client(application, application.state.identities) as speaking:
        yield speaking


@pytest.fixture(scope="module")
def merchant() -> Caller:
    """An administrator of one organization."""
    return caller_of(new_id())


@pytest.fixture(scope="module")
def stranger() -> Caller:
    """An administrator of another organization."""
    return caller_of(new_id())
