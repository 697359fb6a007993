"""Organizations, shops, API clients and keys over REST."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.accounts import messages
from shared.contracts.accounts.shapes import (
    ApiClient,
    ApiClientChange,
    Name,
    NewApiClient,
    NewApiKey,
    NewOrganization,
    Organization,
    OrganizationChange,
    PublishableKey,
    Shop,
    ShopChange,
    ShownSecret,
)
from shared.contracts.base import Page, Shape
from shared.pagination import First
from shared.security import SecretText

router = APIRouter(prefix="/v1", tags=["accounts"])

After = Annotated[str | None, Query(description="The `next` of the page before.")]


class Reason(Shape):
    """Why; it is kept in the audit log."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class PasswordAgain(Shape):
    """The password of the person who asks."""

    password: SecretText


class KeyName(Shape):
    """What a key is for."""

    name: Name


# --- organizations


@router.get("/organizations")
async def list_organizations(ask: Ask, first: First = 50, after: After = None) -> Page[Organization]:
    """The organizations you may see: your own."""
    return await ask(messages.ListOrganizations(first=first, after=after))


@router.post("/organizations", status_code=201)
async def create_organization(body: messages.CreateOrganization, ask: Ask, response: Response) -> NewOrganization:
    """Make an organization, with the installation's own key (`cdi_…`); no organization can make another.

    With `client_name` the answer holds an API client with the scope `admin`, for whoever goes on from there. Repeated
    with the same `Idempotency-Key` it is the same organization.
    """
    made = await ask(body)
    response.headers["Location"] = f"/v1/organizations/{made.organization.id}"
    return made


@router.get("/organizations/{organization_id}")
async def get_organization(organization_id: UUID, ask: Ask, response: Response) -> Organization:
    """Your organization."""
    return tagged(await ask(messages.GetOrganization(organization_id=organization_id)), response)


@router.patch("/organizations/{organization_id}")
async def change_organization(
    organization_id: UUID, change: OrganizationChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Organization:
    """Change what is given of your organization."""
    message = messages.ChangeOrganization(organization_id=organization_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


# --- shops


@router.get("/shops")
async def list_shops(
    ask: Ask, code: str | None = None, parent_id: UUID | None = None, first: First = 50, after: After = None
) -> Page[Shop]:
    """The shops you may see, by code."""
    return await ask(messages.ListShops(code=code, parent_id=parent_id, first=first, after=after))


@router.post("/shops", status_code=201)
async def create_shop(body: messages.CreateShop, ask: Ask, response: Response) -> Shop:
    """Open a shop. With `parent_id` it is a sub-shop and inherits prices and assignments unless it overrides them."""
    shop = tagged(await ask(body), response)
    response.headers["Location"] = f"/v1/shops/{shop.id}"
    return shop


@router.get("/shops/{shop_id}")
async def get_shop(shop_id: UUID, ask: Ask, response: Response) -> Shop:
    """One shop. Its `ETag` goes into `If-Match` when you change it."""
    return tagged(await ask(messages.GetShop(shop_id=shop_id)), response)


@router.patch("/shops/{shop_id}")
async def change_shop(
    shop_id: UUID, change: ShopChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Shop:
    """Change what is given of a shop. With `If-Match`, only if nobody changed it since you read it."""
    return tagged(await ask(messages.ChangeShop(shop_id=shop_id, change=change, expected_version=expected)), response)


@router.delete("/shops/{shop_id}", status_code=204)
async def remove_shop(shop_id: UUID, ask: Ask, expected: ExpectedVersion) -> None:
    """Close a shop for good. Its sub-shops go first, or get another parent."""
    await ask(messages.RemoveShop(shop_id=shop_id, expected_version=expected))


# --- API clients


@router.get("/api-clients")
async def list_api_clients(ask: Ask, first: First = 50, after: After = None) -> Page[ApiClient]:
    """Your API clients, newest first."""
    return await ask(messages.ListApiClients(first=first, after=after))


@router.post("/api-clients", status_code=201)
async def create_api_client(body: messages.CreateApiClient, ask: Ask, response: Response) -> NewApiClient:
    """Make an API client with a first secret, which is shown here. It cannot be given more than you hold yourself."""
    made = await ask(body)
    response.headers["Location"] = f"/v1/api-clients/{made.client_id}"
    return made


@router.get("/api-clients/{client_id}")
async def get_api_client(client_id: UUID, ask: Ask, response: Response) -> ApiClient:
    """One API client, without its secrets."""
    return tagged(await ask(messages.GetApiClient(client_id=client_id)), response)


@router.patch("/api-clients/{client_id}")
async def change_api_client(
    client_id: UUID, change: ApiClientChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> ApiClient:
    """Change what is given of an API client. It holds everywhere within a second, for tokens already issued as well."""
    message = messages.ChangeApiClient(client_id=client_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.post("/api-clients/{client_id}/revoke")
async def revoke_api_client(client_id: UUID, ask: Ask, body: Reason | None = None) -> ApiClient:
    """Withdraw a client, its secrets, keys and tokens, everywhere within a second and for good."""
    return await ask(messages.RevokeApiClient(client_id=client_id, reason=body and body.reason))


@router.post("/api-clients/{client_id}/secrets", status_code=201)
async def add_client_secret(client_id: UUID, ask: Ask) -> ShownSecret:
    """Add a second secret, so that a program can move to it while the first still works."""
    return await ask(messages.AddClientSecret(client_id=client_id))


@router.post("/api-clients/{client_id}/secrets/{secret_id}/retire")
async def retire_client_secret(client_id: UUID, secret_id: UUID, ask: Ask) -> ApiClient:
    """Take one of two secrets away. Tokens that were got with it end within their 15 minutes."""
    return await ask(messages.RetireClientSecret(client_id=client_id, secret_id=secret_id))


@router.post("/api-clients/{client_id}/secrets/{secret_id}/reveal")
async def reveal_client_secret(client_id: UUID, secret_id: UUID, body: PasswordAgain, ask: Ask) -> ShownSecret:
    """Show a secret again: to a person with the permission `clients:reveal`, who gives the own password again."""
    return await ask(messages.RevealClientSecret(client_id=client_id, secret_id=secret_id, password=body.password))


@router.post("/api-clients/{client_id}/keys", status_code=201)
async def create_api_key(client_id: UUID, body: KeyName, ask: Ask) -> NewApiKey:
    """Make a static key (`Authorization: Bearer cdk_…`) for a program that cannot do OAuth. It is shown this once."""
    return await ask(messages.CreateApiKey(client_id=client_id, name=body.name))


@router.post("/api-clients/{client_id}/keys/{key_id}/revoke")
async def revoke_api_key(client_id: UUID, key_id: UUID, ask: Ask, body: Reason | None = None) -> ApiClient:
    """Withdraw a static key, everywhere within a second."""
    return await ask(messages.RevokeApiKey(client_id=client_id, key_id=key_id, reason=body and body.reason))


# --- publishable keys


@router.get("/publishable-keys")
async def list_publishable_keys(
    ask: Ask, shop_id: UUID | None = None, first: First = 50, after: After = None
) -> Page[PublishableKey]:
    """Keys that are safe in a browser, newest first."""
    return await ask(messages.ListPublishableKeys(shop_id=shop_id, first=first, after=after))


@router.post("/publishable-keys", status_code=201)
async def create_publishable_key(body: messages.CreatePublishableKey, ask: Ask) -> PublishableKey:
    """Make a key that reads one shop's offers and nothing else: send it as `X-Publishable-Key`."""
    return await ask(body)


@router.post("/publishable-keys/{key_id}/revoke")
async def revoke_publishable_key(key_id: UUID, ask: Ask, body: Reason | None = None) -> PublishableKey:
    """Withdraw a publishable key, everywhere within a second."""
    return await ask(messages.RevokePublishableKey(key_id=key_id, reason=body and body.reason))
