"""GraphQL of organizations, shops, API clients and keys."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.accounts import messages
from shared.contracts.accounts.shapes import ApiClient, Organization, Shop

FIELDS = (
    connection("organizations", messages.ListOrganizations),
    query("organization", messages.GetOrganization),
    node(Organization, messages.GetOrganization, "organization_id"),
    mutation("createOrganization", messages.CreateOrganization),
    mutation("updateOrganization", messages.ChangeOrganization),
    connection("shops", messages.ListShops),
    query("shop", messages.GetShop),
    node(Shop, messages.GetShop, "shop_id"),
    mutation("createShop", messages.CreateShop),
    mutation("updateShop", messages.ChangeShop),
    mutation("removeShop", messages.RemoveShop),
    connection("apiClients", messages.ListApiClients),
    query("apiClient", messages.GetApiClient),
    node(ApiClient, messages.GetApiClient, "client_id"),
    mutation("createApiClient", messages.CreateApiClient),
    mutation("updateApiClient", messages.ChangeApiClient),
    mutation("revokeApiClient", messages.RevokeApiClient),
    mutation("addClientSecret", messages.AddClientSecret),
    mutation("retireClientSecret", messages.RetireClientSecret),
    mutation("revealClientSecret", messages.RevealClientSecret),
    mutation("createApiKey", messages.CreateApiKey),
    mutation("revokeApiKey", messages.RevokeApiKey),
    connection("publishableKeys", messages.ListPublishableKeys),
    mutation("createPublishableKey", messages.CreatePublishableKey),
    mutation("revokePublishableKey", messages.RevokePublishableKey),
)
