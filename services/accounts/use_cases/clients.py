"""API clients, their secrets and keys. Nobody gives, or takes over, more than they hold themselves."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.accounts import permissions, repository
from services.accounts.errors import (
    ExpiryInThePast,
    LastSecret,
    LimitedToShops,
    ScopeBeyondYours,
    TooManySecrets,
    UnknownShop,
)
from services.accounts.models.credentials import ApiClientRow, ApiKeyRow, ClientSecretRow
from services.accounts.use_cases import passwords, revocation
from shared import clock
from shared.contracts.accounts.messages import CreateApiClient
from shared.contracts.accounts.shapes import ApiClient, ApiClientChange, NewApiClient, NewApiKey, ShownSecret
from shared.identifiers import new_id
from shared.security import SecretText, digest, new_secret
from shared.unit_of_work import UnitOfWork

_ENDING = 4


async def create(uow: UnitOfWork, draft: CreateApiClient) -> NewApiClient:
    """Make one within the maker's rights. Raises ExpiryInThePast, ScopeBeyondYours, LimitedToShops, UnknownShop."""
    _check_expiry(draft.expires_at)
    _check_scopes(uow, draft.scopes)
    _check_shops(uow, draft.shop_ids)
    return await make(uow, draft)


async def make(uow: UnitOfWork, draft: CreateApiClient) -> NewApiClient:
    """Make a client with a first secret, whatever the maker holds. Raises UnknownShop."""
    client = ApiClientRow(
        organization_id=uow.organization_id,
        id=new_id(),
        scopes=_ordered(draft.scopes),
        is_limited_to_shops=draft.shop_ids is not None,
        **draft.model_dump(include={"name", "allowed_networks", "expires_at"}),
    )
    session = await uow.session()
    session.add(client)
    await session.flush()
    await _limit(uow, client, draft.shop_ids)
    shown = await _new_secret(uow, client, slot=1)
    uow.audit("api_client.create", "api_client", client.id, after=_description(client, draft.shop_ids))
    return NewApiClient(client=await shape(uow, client), client_id=client.id, client_secret=shown.client_secret)


async def change(
    uow: UnitOfWork, client_id: UUID, change: ApiClientChange, expected_version: int | None
) -> ApiClientRow:
    """Raises ApiClientNotFound, VersionChanged, ApiClientRevoked and what `create` raises."""
    client = await _get_within(uow, client_id)
    client.check_version(expected_version)
    client.check_not_revoked()
    before = _description(client, (await repository.shops_of_clients(uow, [client_id])).get(client_id))
    given = change.given()
    if "scopes" in given:
        _check_scopes(uow, given["scopes"])
        given["scopes"] = _ordered(given["scopes"])
    if given.get("expires_at") != client.expires_at:
        _check_expiry(given.get("expires_at"))
    if "shop_ids" in given:
        _check_shops(uow, given["shop_ids"])
        given["is_limited_to_shops"] = change.shop_ids is not None
        await _limit(uow, client, given.pop("shop_ids"))
    client.take(given)
    await revocation.bump(uow)
    after = _description(client, (await repository.shops_of_clients(uow, [client_id])).get(client_id))
    uow.audit("api_client.change", "api_client", client_id, before=before, after=after)
    return client


async def revoke(uow: UnitOfWork, client_id: UUID, reason: str | None) -> ApiClientRow:
    """End a client and all it was given. Safe to repeat. Raises ApiClientNotFound, ScopeBeyondYours."""
    client = await _get_within(uow, client_id)
    if client.revoked_at is None:
        client.revoke()
        await revocation.bump(uow)
        uow.audit("api_client.revoke", "api_client", client_id, reason=reason)
    return client


async def add_secret(uow: UnitOfWork, client_id: UUID) -> ShownSecret:
    """Raises ApiClientNotFound, ApiClientRevoked, TooManySecrets, ScopeBeyondYours."""
    client = await _get_within(uow, client_id)
    client.check_not_revoked()
    taken = {secret.slot for secret in await repository.secrets_of(uow, [client_id])}
    free = {1, 2} - taken
    if not free:
        raise TooManySecrets("A client has two secrets at most; retire one of them first.")
    shown = await _new_secret(uow, client, slot=min(free))
    client.touch()
    uow.audit("client_secret.add", "api_client", client_id, after={"secret_id": str(shown.id)})
    return shown


async def retire_secret(uow: UnitOfWork, client_id: UUID, secret_id: UUID) -> ApiClientRow:
    """Raises ApiClientNotFound, ClientSecretNotFound, LastSecret, ScopeBeyondYours."""
    client = await _get_within(uow, client_id)
    secret = await repository.get_secret(uow, client_id, secret_id)
    if len(await repository.secrets_of(uow, [client_id])) == 1:
        raise LastSecret("Add a second secret before this one goes, or revoke the client.")
    session = await uow.session()
    await session.delete(secret)
    client.touch()
    await session.flush()
    uow.audit("client_secret.retire", "api_client", client_id, before={"secret_id": str(secret_id)})
    return client


async def reveal_secret(uow: UnitOfWork, client_id: UUID, secret_id: UUID, password: SecretText) -> ShownSecret:
    """Show a secret to a person who may and gives the password again; audited.

    Raises Forbidden, WrongPassword, TooManyAttempts, ApiClientNotFound, ClientSecretNotFound, ScopeBeyondYours.
    """
    uow.caller.require_permission(permissions.REVEAL_SECRETS)
    assert uow.caller.id is not None
    await passwords.verify(uow, uow.caller.id, password)
    await _get_within(uow, client_id)
    secret = await repository.get_secret(uow, client_id, secret_id)
    uow.audit("client_secret.reveal", "api_client", client_id, after={"secret_id": str(secret_id)})
    return ShownSecret(id=secret_id, client_id=client_id, client_secret=ClientSecretRow.opened(secret.sealed))


async def create_key(uow: UnitOfWork, client_id: UUID, name: str) -> NewApiKey:
    """Raises ApiClientNotFound, ApiClientRevoked, ScopeBeyondYours."""
    client = await _get_within(uow, client_id)
    client.check_not_revoked()
    key = new_secret("cdk_")
    row = ApiKeyRow(
        organization_id=uow.organization_id,
        id=new_id(),
        client_id=client_id,
        name=name,
        digest=digest(key),
        ending=key[-_ENDING:],
    )
    session = await uow.session()
    session.add(row)
    client.touch()
    await session.flush()
    uow.audit("api_key.create", "api_client", client_id, after={"key_id": str(row.id), "name": name})
    return NewApiKey(id=row.id, client_id=client_id, name=name, key=SecretText(key))


async def revoke_key(uow: UnitOfWork, client_id: UUID, key_id: UUID, reason: str | None) -> ApiClientRow:
    """Safe to repeat. Raises ApiClientNotFound, ApiKeyNotFound, ScopeBeyondYours."""
    client = await _get_within(uow, client_id)
    key = await repository.get_api_key(uow, client_id, key_id)
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        client.touch()
        await revocation.bump(uow)
        uow.audit("api_key.revoke", "api_client", client_id, before={"key_id": str(key_id)}, reason=reason)
    return client


async def shape(uow: UnitOfWork, client: ApiClientRow) -> ApiClient:
    """One client with what belongs to it."""
    return (await shapes(uow, [client]))[0]


async def shapes(uow: UnitOfWork, clients: Sequence[ApiClientRow]) -> list[ApiClient]:
    """Clients with what belongs to them, in three queries however many they are."""
    await (await uow.session()).flush()
    ids = [client.id for client in clients]
    shop_ids = await repository.shops_of_clients(uow, ids)
    secrets = await repository.secrets_of(uow, ids)
    keys = await repository.keys_of(uow, ids)
    return [
        client.shape(
            shop_ids.get(client.id, ()),
            [secret for secret in secrets if secret.client_id == client.id],
            [key for key in keys if key.client_id == client.id],
        )
        for client in clients
    ]


async def _get_within(uow: UnitOfWork, client_id: UUID) -> ApiClientRow:
    """A client to be changed, held until the commit. Raises ApiClientNotFound, ScopeBeyondYours."""
    client = await repository.get_client(uow, client_id, lock=True)
    _check_scopes(uow, client.scopes)
    return client


def _check_scopes(uow: UnitOfWork, scopes: Collection[str]) -> None:
    beyond = [scope for scope in scopes if not uow.caller.holds(scope)]
    if beyond:
        raise ScopeBeyondYours(f"You do not hold {', '.join(beyond)} yourself.")


def _check_shops(uow: UnitOfWork, shop_ids: Collection[UUID] | None) -> None:
    if uow.caller.shop_ids is not None and (shop_ids is None or not uow.caller.shop_ids.issuperset(shop_ids)):
        raise LimitedToShops("You are limited to some shops; limit the client to shops among them.")


def _check_expiry(expires_at: datetime | None) -> None:
    """Raises ExpiryInThePast. Whoever wants a client to end now revokes it, and says why."""
    if expires_at is not None and expires_at <= clock.now():
        message = "expires_at lies in the past; leave it out, or revoke the client if it is to end now."
        raise ExpiryInThePast(message, [{"pointer": "/expires_at", "code": ExpiryInThePast.code, "message": message}])


async def _limit(uow: UnitOfWork, client: ApiClientRow, shop_ids: Collection[UUID] | None) -> None:
    wanted = set(shop_ids or ())
    if wanted and await repository.count_shops(uow, wanted) < len(wanted):
        raise UnknownShop("One of the shops is not there.")
    await repository.replace_shops_of_client(uow, client.id, wanted)


async def _new_secret(uow: UnitOfWork, client: ApiClientRow, *, slot: int) -> ShownSecret:
    secret = SecretText(new_secret())
    row = ClientSecretRow(
        organization_id=client.organization_id,
        client_id=client.id,
        id=new_id(),
        slot=slot,
        sealed=ClientSecretRow.sealed_text(secret),
    )
    session = await uow.session()
    session.add(row)
    await session.flush()
    return ShownSecret(id=row.id, client_id=client.id, client_secret=secret)


def _ordered(scopes: Collection[str]) -> list[str]:
    return sorted(set(scopes))


def _description(client: ApiClientRow, shop_ids: Collection[UUID] | None) -> dict[str, Any]:
    limit = [str(shop_id) for shop_id in shop_ids or ()] if client.is_limited_to_shops else None
    return {**client.description(), "shop_ids": limit}
