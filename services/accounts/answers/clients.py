"""API clients and publishable keys."""

from uuid import UUID

from services.accounts import repository
from services.accounts.use_cases import clients, publishable_keys
from shared.contracts.accounts.messages import (
    AddClientSecret,
    ChangeApiClient,
    CreateApiClient,
    CreateApiKey,
    CreatePublishableKey,
    GetApiClient,
    ListApiClients,
    ListPublishableKeys,
    RetireClientSecret,
    RevealClientSecret,
    RevokeApiClient,
    RevokeApiKey,
    RevokePublishableKey,
)
from shared.contracts.accounts.shapes import ApiClient, NewApiClient, NewApiKey, PublishableKey, ShownSecret
from shared.contracts.base import Page
from shared.pagination import InvalidCursor, cursor_for, cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(CreateApiClient, scope="accounts:write")
async def create_api_client(message: CreateApiClient, uow: UnitOfWork) -> NewApiClient:
    return await clients.create(uow, message)


@answers(GetApiClient, scope="accounts:read")
async def get_api_client(message: GetApiClient, uow: UnitOfWork) -> ApiClient:
    return await clients.shape(uow, await repository.get_client(uow, message.client_id))


@answers(ListApiClients, scope="accounts:read")
async def list_api_clients(message: ListApiClients, uow: UnitOfWork) -> Page[ApiClient]:
    found = await repository.list_clients(uow, after=_id_after(message.after), count=message.first + 1)
    items = await clients.shapes(uow, found[: message.first])
    return Page(items=items, next=cursor_for(str(items[-1].id)) if len(found) > message.first else None)


@answers(ChangeApiClient, scope="accounts:write")
async def change_api_client(message: ChangeApiClient, uow: UnitOfWork) -> ApiClient:
    changed = await clients.change(uow, message.client_id, message.change, message.expected_version)
    return await clients.shape(uow, changed)


@answers(RevokeApiClient, scope="accounts:write")
async def revoke_api_client(message: RevokeApiClient, uow: UnitOfWork) -> ApiClient:
    return await clients.shape(uow, await clients.revoke(uow, message.client_id, message.reason))


@answers(AddClientSecret, scope="accounts:write")
async def add_client_secret(message: AddClientSecret, uow: UnitOfWork) -> ShownSecret:
    return await clients.add_secret(uow, message.client_id)


@answers(RetireClientSecret, scope="accounts:write")
async def retire_client_secret(message: RetireClientSecret, uow: UnitOfWork) -> ApiClient:
    return await clients.shape(uow, await clients.retire_secret(uow, message.client_id, message.secret_id))


@answers(RevealClientSecret, scope="accounts:write")
async def reveal_client_secret(message: RevealClientSecret, uow: UnitOfWork) -> ShownSecret:
    return await clients.reveal_secret(uow, message.client_id, message.secret_id, message.password)


@answers(CreateApiKey, scope="accounts:write")
async def create_api_key(message: CreateApiKey, uow: UnitOfWork) -> NewApiKey:
    return await clients.create_key(uow, message.client_id, message.name)


@answers(RevokeApiKey, scope="accounts:write")
async def revoke_api_key(message: RevokeApiKey, uow: UnitOfWork) -> ApiClient:
    return await clients.shape(uow, await clients.revoke_key(uow, message.client_id, message.key_id, message.reason))


@answers(CreatePublishableKey, scope="accounts:write")
async def create_publishable_key(message: CreatePublishableKey, uow: UnitOfWork) -> PublishableKey:
    return (await publishable_keys.create(uow, message)).shape()


@answers(ListPublishableKeys, scope="accounts:read")
async def list_publishable_keys(message: ListPublishableKeys, uow: UnitOfWork) -> Page[PublishableKey]:
    found = await repository.list_publishable_keys(
        uow, shop_id=message.shop_id, after=_id_after(message.after), count=message.first + 1
    )
    items = [key.shape() for key in found[: message.first]]
    return Page(items=items, next=cursor_for(str(items[-1].id)) if len(found) > message.first else None)


@answers(RevokePublishableKey, scope="accounts:write")
async def revoke_publishable_key(message: RevokePublishableKey, uow: UnitOfWork) -> PublishableKey:
    return (await publishable_keys.revoke(uow, message)).shape()


def _id_after(cursor: str | None) -> UUID | None:
    values = cursor_values(cursor, 1)
    try:
        return None if values is None else UUID(str(values[0]))
    except ValueError:
        raise InvalidCursor("The cursor is not one that this collection gave out.") from None
