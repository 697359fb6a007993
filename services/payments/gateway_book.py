"""Which gateway answers at a callback address: remembered by the process for a few seconds, its secrets unsealed."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import orjson

from services.payments.gateways.base import Account
from services.payments.sealing import unsealed
from shared.database import Database
from shared.settings import settings as installation

T = TypeVar("T")

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


class _Remembered(NamedTuple):
    """What was found of an id, until when by the process's clock."""

    until: float
    gateway: KnownGateway | None


class _Certificates(NamedTuple):
    """All that a tenant had, as PEM by their addresses, when they were read by the process's clock."""

    read_at: float
    pems: Mapping[str, str]

    def knows(self, url: str) -> bool:
        """Whether what they say of this address, be it nothing, still holds."""
        return time.monotonic() - self.read_at < (_CERTIFICATE_SECONDS if url in self.pems else LIFETIME_SECONDS)


class GatewayBook:
    """Finds gateways by their id. Unknown ids are remembered, too; a flood of them meets a narrow door of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[UUID, _Remembered] = OrderedDict()
        self._unknown: OrderedDict[UUID, _Remembered] = OrderedDict()
        self._certificates: OrderedDict[UUID, _Certificates] = OrderedDict()
        # Ids that never were anybody's wait for each other; what is known is read again beside them.
        self._door = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
        self._door_of_strangers = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

    async def find(self, gateway_id: UUID) -> KnownGateway | None:
        """The enabled gateway with this id. Raises DatabaseUnavailable, TimeoutError and what asyncpg raises."""
        remembered = self._find_fresh(gateway_id)
        if remembered is not None:
            return remembered.gateway
        door = self._door if gateway_id in self._known else self._door_of_strangers
        async with asyncio.timeout(_LOOKUP_SECONDS), door:
            remembered = self._find_fresh(gateway_id)
            if remembered is not None:
                return remembered.gateway
            gateway = await self._look_up(gateway_id)
        self._remember(gateway_id, gateway)
        return gateway

    def forget(self) -> None:
        """Remember nothing."""
        self._known.clear()
        self._unknown.clear()
        self._certificates.clear()

    async def find_certificate(self, organization_id: UUID, url: str) -> str | None:
        """A certificate that a worker has fetched before, as PEM. Raises as `find`.

        All of a tenant's are read at once, and again for an address that is not among them after some seconds only.
        """
        known = self._certificates.get(organization_id)
        if known is None or not known.knows(url):
            async with asyncio.timeout(_LOOKUP_SECONDS), self._door:
                known = self._certificates.get(organization_id)
                if known is None or not known.knows(url):
                    known = await self._read_certificates(organization_id)
            _keep(self._certificates, organization_id, known)
        return known.pems.get(url)

    def _find_fresh(self, gateway_id: UUID) -> _Remembered | None:
        found = self._known.get(gateway_id) or self._unknown.get(gateway_id)
        return found if found is not None and found.until > time.monotonic() else None

    def _remember(self, gateway_id: UUID, gateway: KnownGateway | None) -> None:
        book, other = (self._unknown, self._known) if gateway is None else (self._known, self._unknown)
        other.pop(gateway_id, None)
        _keep(book, gateway_id, _Remembered(time.monotonic() + LIFETIME_SECONDS, gateway))

    async def _read_certificates(self, organization_id: UUID) -> _Certificates:
        async with intake_transaction(self._database) as connection:
            rows = await connection.fetch("SELECT * FROM known_certificates($1)", organization_id)
        return _Certificates(time.monotonic(), {row["url"]: row["pem"] for row in rows})

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


def _keep(book: OrderedDict[UUID, T], key: UUID, value: T) -> None:
    """Add or renew an entry; the ones that were renewed longest ago make room."""
    book[key] = value
    book.move_to_end(key)
    while len(book) > _MOST_REMEMBERED:
        book.popitem(last=False)
