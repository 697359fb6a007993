"""Which gateway answers at a callback address: remembered by the process for a few seconds, its secrets unsealed."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import orjson

from services.payments.gateways.base import Account
from services.payments.sealing import unsealed
from shared.database import Database
from shared.settings import settings as installation

LIFETIME_SECONDS = 3.0
_CERTIFICATE_SECONDS = 60.0
_MOST_REMEMBERED = 10_000
_LOOKUPS_AT_ONCE = 4
_LOOKUP_SECONDS = 5.0


@dataclass(frozen=True)
class KnownGateway:
    """What the intake needs of a gateway. Lives in memory only."""

    id: UUID
    organization_id: UUID
    provider: str
    mode: str
    settings: dict[str, Any]
    allowed_networks: Sequence[str]
    secrets: Sequence[str]

    @cached_property
    def account(self) -> Account:
        """What its adapter is told of it, without a certificate."""
        return Account(self.secrets, self.settings, self.mode == "live", callback_url(self.id))

    def allows(self, address: str | None) -> bool:
        """Whether callbacks are taken from `address`; from everywhere when no network was named."""
        if not self.allowed_networks:
            return True
        try:
            source = ip_address(address or "")
        except ValueError:
            return False
        return any(source in ip_network(network) for network in self.allowed_networks)


def callback_url(gateway_id: UUID) -> str:
    """Where the provider posts a gateway's callbacks."""
    return f"{installation().base_url.rstrip('/')}/callbacks/{gateway_id}"


@asynccontextmanager
async def intake_transaction(database: Database) -> AsyncIterator[Any]:
    """A transaction of the intake's role. Raises DatabaseUnavailable and what asyncpg raises."""
    connection = await database.acquire(timeout_seconds=3.0)
    try:
        await connection.execute("BEGIN; SET LOCAL ROLE crossdock_payments_intake; SET LOCAL search_path = payments")
        yield connection
        await connection.execute("COMMIT")
    except BaseException:
        # In whatever state it is now, nobody else may be given it; the server undoes what was begun.
        connection.terminate()
        raise
    finally:
        await database.release(connection)


class GatewayBook:
    """Finds gateways by their id. Unknown ids are remembered, too; a flood of them meets a narrow door."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[UUID, tuple[float, KnownGateway | None]] = OrderedDict()
        self._certificates: OrderedDict[tuple[UUID, str], tuple[float, str]] = OrderedDict()
        self._door = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

    async def find(self, gateway_id: UUID) -> KnownGateway | None:
        """The enabled gateway with this id. Raises DatabaseUnavailable, TimeoutError and what asyncpg raises."""
        known = self._known.get(gateway_id)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        async with asyncio.timeout(_LOOKUP_SECONDS), self._door:
            known = self._known.get(gateway_id)
            if known is not None and known[0] > time.monotonic():
                return known[1]
            gateway = await self._look_up(gateway_id)
        self._remember(gateway_id, gateway)
        return gateway

    def forget(self) -> None:
        """Remember nothing."""
        self._known.clear()
        self._certificates.clear()

    async def find_certificate(self, organization_id: UUID, url: str) -> str | None:
        """A certificate that a worker has fetched before, as PEM. Raises as `find`."""
        known = self._certificates.get((organization_id, url))
        if known is not None and known[0] > time.monotonic():
            return known[1]
        async with (
            asyncio.timeout(_LOOKUP_SECONDS),
            self._door,
            intake_transaction(self._database) as connection,
        ):
            pem: str | None = await connection.fetchval("SELECT find_certificate($1, $2)", organization_id, url)
        if pem is not None:
            self._certificates[organization_id, url] = (time.monotonic() + _CERTIFICATE_SECONDS, pem)
            while len(self._certificates) > _MOST_REMEMBERED:
                self._certificates.popitem(last=False)
        return pem

    def _remember(self, gateway_id: UUID, gateway: KnownGateway | None) -> None:
        self._known[gateway_id] = (time.monotonic() + LIFETIME_SECONDS, gateway)
        self._known.move_to_end(gateway_id)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)

    async def _look_up(self, gateway_id: UUID) -> KnownGateway | None:
        async with intake_transaction(self._database) as connection:
            row = await connection.fetchrow("SELECT * FROM find_gateway($1)", gateway_id)
        if row is None:
            return None
        return KnownGateway(
            id=gateway_id,
            organization_id=row["organization_id"],
            provider=row["provider"],
            mode=row["mode"],
            settings=orjson.loads(row["settings"]),
            allowed_networks=orjson.loads(row["allowed_networks"]),
            secrets=[unsealed(sealed) for sealed in row["secrets"]],
        )
