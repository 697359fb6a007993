"""What a credential stands for. Whoever asks may remember the answer for a minute, while nothing was withdrawn."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.accounts import repository
from services.accounts.errors import ApiClientExpired, InvalidToken
from services.accounts.use_cases import revocation
from shared import clock
from shared.bus.envelope import Caller
from shared.contracts.accounts.shapes import OFFERS_READ, Identity
from shared.unit_of_work import UnitOfWork

_FOR_EVER = timedelta(days=36500)
# As exact as `last_used_at` is: a client in constant use is written down once in this time.
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


async def of_access_token(
    uow: UnitOfWork, organization_id: UUID, client_id: UUID, token_id: UUID, scopes: Collection[str]
) -> Identity:
    """The client behind a verified token, with those of the token's scopes it still holds. Raises InvalidToken."""
    await repository.enter(uow, organization_id)
    version = await revocation.version(uow)
    if await uow.fetchval("SELECT EXISTS (SELECT FROM revoked_tokens WHERE token_id = $1)", token_id):
        raise InvalidToken("The access token was revoked.")
    return await of_client(uow, client_id, version, scopes)


async def of_api_key(uow: UnitOfWork, digest: bytes) -> Identity:
    """The client behind a static key. Raises InvalidToken."""
    await repository.enter(uow, await uow.fetchval("SELECT organization_of_api_key($1)", digest))
    version = await revocation.version(uow)
    client_id = await uow.fetchval("SELECT client_id FROM api_keys WHERE digest = $1 AND revoked_at IS NULL", digest)
    if client_id is None:
        raise InvalidToken("The API key is unknown or was revoked.")
    return await of_client(uow, client_id, version)


async def of_publishable_key(uow: UnitOfWork, digest: bytes) -> Identity:
    """Somebody's browser in one shop. Raises InvalidToken."""
    await repository.enter(uow, await uow.fetchval("SELECT organization_of_publishable_key($1)", digest))
    version = await revocation.version(uow)
    row = await uow.fetchrow("SELECT * FROM publishable_keys WHERE digest = $1 AND revoked_at IS NULL", digest)
    if row is None:
        raise InvalidToken("The publishable key is unknown or was revoked.")
    return Identity(
        kind="client",
        organization_id=row["organization_id"],
        id=row["id"],
        name=row["name"],
        scopes=[OFFERS_READ],
        shop_ids=[row["shop_id"]],
        valid_until=clock.now() + _FOR_EVER,
        allowed_origins=row["allowed_origins"] or None,
        revocation_version=version,
    )


async def of_client(
    uow: UnitOfWork, client_id: UUID, revocation_version: int, scopes: Collection[str] | None = None
) -> Identity:
    """A client that is neither revoked nor expired. Raises InvalidToken, of which ApiClientExpired is one."""
    client = await uow.fetchrow("SELECT * FROM api_clients WHERE id = $1", client_id)
    if client is None or client["revoked_at"] is not None:
        raise InvalidToken("The API client was revoked.")
    if client["expires_at"] is not None and client["expires_at"] <= clock.now():
        raise ApiClientExpired("The API client has expired.")
    shop_ids = await _shops(uow, client) if client["is_limited_to_shops"] else None
    await _note_use(uow, client)
    holder = Caller(kind="client", scopes=frozenset(client["scopes"]))
    return Identity(
        kind="client",
        organization_id=client["organization_id"],
        id=client_id,
        name=client["name"],
        scopes=client["scopes"] if scopes is None else [scope for scope in scopes if holder.holds(scope)],
        shop_ids=shop_ids,
        valid_until=client["expires_at"] or clock.now() + _FOR_EVER,
        allowed_networks=client["allowed_networks"],
        revocation_version=revocation_version,
    )


async def _shops(uow: UnitOfWork, client: asyncpg.Record) -> list[UUID]:
    given = await repository.shops_of_clients(uow, [client["id"]])
    return await repository.shops_with_their_sub_shops(uow, given.get(client["id"], []))


async def _note_use(uow: UnitOfWork, client: asyncpg.Record) -> None:
    """Never waits for somebody who is changing the client at this moment."""
    now = clock.now()
    if client["last_used_at"] is not None and client["last_used_at"] > now - _USE_IS_NOTED_EVERY:
        return
    await uow.execute(
        "UPDATE api_clients SET last_used_at = $2 WHERE id = (SELECT id FROM api_clients WHERE id = $1"
        " FOR UPDATE SKIP LOCKED)",
        client["id"],
        now,
    )
