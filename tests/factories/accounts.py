"""An organization with a shop, a client, its secret and keys."""

from typing import Any
from uuid import UUID

from deploy import topology
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.messages import (
    CreateApiClient,
    CreateApiKey,
    CreateOrganization,
    CreatePublishableKey,
    CreateShop,
)
from shared.contracts.base import Message
from shared.errors import CarriedError


async def make(process: topology.Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """One of everything accounts owns, in this organization, which is made if it is not there."""

    async def ask(message: Message[Any]) -> Any:
        return await process.bus.ask(message, service_envelope("deploy", organization_id))

    try:
        await ask(CreateOrganization(name="Lisbon Bicycles", is_supplier=True))
    except CarriedError as error:
        if error.code != "organization_exists":
            raise
    shop = await ask(CreateShop(code=f"shop-{organization_id.hex[-12:]}", name="Shop", currency="USD", locale="en"))
    client = await ask(CreateApiClient(name="Client", scopes=["catalog:read"]))
    api_key = await ask(CreateApiKey(client_id=client.client_id, name="Key"))
    key = await ask(CreatePublishableKey(shop_id=shop.id, name="Key"))
    return {
        "organization_id": organization_id,
        "shop_id": shop.id,
        "client_id": client.client_id,
        "secret_id": client.client.secrets[0].id,
        "api_key_id": api_key.id,
        "key_id": key.id,
    }
