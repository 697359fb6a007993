"""What accounts is asked about organizations, shops and credentials."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from shared.contracts.accounts.shapes import (
    ApiClient,
    ApiClientChange,
    CredentialKind,
    CurrencyCode,
    Identity,
    Locale,
    Name,
    Network,
    NewApiClient,
    NewApiKey,
    NewOrganization,
    Organization,
    OrganizationChange,
    Origin,
    PostalAddress,
    PublishableKey,
    ScopeName,
    Shop,
    ShopChange,
    ShopCode,
    ShopSettings,
    ShownSecret,
    TimeZone,
    WebAddress,
)
from shared.contracts.base import Command, Done, Page, Query, Shape
from shared.pagination import First
from shared.security import SecretText

# --- organizations


class CreateOrganization(Command[NewOrganization]):
    """Make the organization that the caller's envelope names. For the installation itself, never for a tenant.

    With `client_name` it also gets an API client of that name with the scope `admin`, so that somebody can go on.
    """

    name: Name
    is_merchant: bool = True
    is_supplier: bool = False
    address: PostalAddress | None = None
    client_name: Name | None = None

    @model_validator(mode="after")
    def _does_something(self) -> "CreateOrganization":
        if not (self.is_merchant or self.is_supplier):
            raise ValueError("an organization is a merchant, a supplier, or both")
        return self


class ListOrganizations(Query[Page[Organization]]):
    """The organizations the caller may see: its own."""

    first: First = 50
    after: str | None = None


class GetOrganization(Query[Organization]):
    """The caller's own organization."""

    organization_id: UUID


class ChangeOrganization(Command[Organization]):
    """Change what is given, if the organization still has `expected_version`."""

    organization_id: UUID
    change: OrganizationChange
    expected_version: int | None = None


# --- shops


class CreateShop(Command[Shop]):
    """Open a shop, or a sub-shop of `parent_id`."""

    code: ShopCode
    name: Name
    currency: CurrencyCode
    locale: Locale
    time_zone: TimeZone = "UTC"
    parent_id: UUID | None = None
    strict_pricing: bool = False
    storefront_url: WebAddress | None = None
    address: PostalAddress | None = None
    settings: ShopSettings = {}


class GetShop(Query[Shop]):
    """One shop."""

    shop_id: UUID


class ListShops(Query[Page[Shop]]):
    """The shops the caller may see, by code."""

    code: str | None = None
    parent_id: UUID | None = None
    first: First = 50
    after: str | None = None


class ChangeShop(Command[Shop]):
    """Change what is given, if the shop still has `expected_version`."""

    shop_id: UUID
    change: ShopChange
    expected_version: int | None = None


class RemoveShop(Command[Done]):
    """Close a shop that has no sub-shops, for good."""

    shop_id: UUID
    expected_version: int | None = None


# --- API clients


class CreateApiClient(Command[NewApiClient]):
    """Make a client with a first secret. It cannot be given more than its maker holds."""

    name: Name
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=50)]
    shop_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None
    allowed_networks: Annotated[list[Network], Field(max_length=100)] = []
    expires_at: AwareDatetime | None = None


class GetApiClient(Query[ApiClient]):
    """One API client, without its secrets."""

    client_id: UUID


class ListApiClients(Query[Page[ApiClient]]):
    """API clients, newest first."""

    first: First = 50
    after: str | None = None


class ChangeApiClient(Command[ApiClient]):
    """Change what is given, if the client still has `expected_version`."""

    client_id: UUID
    change: ApiClientChange
    expected_version: int | None = None


class RevokeApiClient(Command[ApiClient]):
    """Withdraw a client, its secrets, keys and access tokens, everywhere within a second and for good."""

    client_id: UUID
    reason: Annotated[str, Field(max_length=1000)] | None = None


class AddClientSecret(Command[ShownSecret]):
    """Add a second secret, so that a program can move to it while the first still works."""

    client_id: UUID


class RetireClientSecret(Command[ApiClient]):
    """Take one of two secrets away. Access tokens that were got with it end within their 15 minutes."""

    client_id: UUID
    secret_id: UUID


class RevealClientSecret(Command[ShownSecret]):
    """Show a secret again, to a person with the permission `clients:reveal` who gives the own password again."""

    client_id: UUID
    secret_id: UUID
    password: SecretText


class CreateApiKey(Command[NewApiKey]):
    """Make a static key for a client whose program cannot do OAuth."""

    client_id: UUID
    name: Name


class RevokeApiKey(Command[ApiClient]):
    """Withdraw a static key, everywhere within a second."""

    client_id: UUID
    key_id: UUID
    reason: Annotated[str, Field(max_length=1000)] | None = None


class CreatePublishableKey(Command[PublishableKey]):
    """Make a key that reads one shop's offers from a browser."""

    shop_id: UUID
    name: Name
    allowed_origins: Annotated[list[Origin], Field(max_length=100)] = []


class ListPublishableKeys(Query[Page[PublishableKey]]):
    """Publishable keys, newest first."""

    shop_id: UUID | None = None
    first: First = 50
    after: str | None = None


class RevokePublishableKey(Command[PublishableKey]):
    """Withdraw a publishable key, everywhere within a second."""

    key_id: UUID
    reason: Annotated[str, Field(max_length=1000)] | None = None


# --- credentials; internal: the gateway asks in its own name


class ResolveCredential(Query[Identity]):
    """What a credential stands for. Raises InvalidToken.

    An access token has been verified by whoever asks, and is told by its organization, client, id and scopes; anything
    else by the SHA-256 of the credential, in hexadecimal.
    """

    kind: CredentialKind
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    organization_id: UUID | None = None
    client_id: UUID | None = None
    token_id: UUID | None = None
    scopes: list[str] = []


class Revocations(Shape):
    """Organizations that withdrew something, with their version. `everything`: nothing remembered holds any more."""

    cursor: str
    versions: dict[UUID, int] = {}
    everything: bool = False


class GetRevocations(Query[Revocations]):
    """What was withdrawn since the last look."""

    since: Annotated[str, Field(pattern="^[0-9]{1,20}$")] | None = None


class SigningKeys(Shape):
    """Public keys as JWKs (RFC 7517), old and coming ones included."""

    keys: list[dict[str, Any]]


class GetSigningKeys(Query[SigningKeys]):
    """The keys that access tokens are verified with."""


class ClientAuthentication(Shape):
    """The client, if the secret was right; otherwise how long to wait before the next attempt, if that is needed.

    `is_expired`: the secret was right, and the client has ended since. Nobody else hears that there was such a client.
    """

    identity: Identity | None = None
    is_expired: bool = False
    retry_after_seconds: int | None = None


class AuthenticateClient(Command[ClientAuthentication]):
    """Compare an OAuth client's secret. A wrong one is an answer, not an error, so that it is counted."""

    client_id: Annotated[str, Field(max_length=1000)]
    client_secret: SecretText


class AccessToken(Shape):
    """A signed access token for `expires_in` seconds, with the scopes it was given."""

    access_token: SecretText
    expires_in: int
    scope: str


class IssueToken(Command[AccessToken]):
    """An access token for the asking client with these scopes, all of its own by default. Raises InvalidScope."""

    scopes: list[str] | None = None


class TokenDescription(Shape):
    """An access token as RFC 7662 §2.2 describes it; `active` false says nothing else."""

    active: bool
    scope: str | None = None
    client_id: str | None = None
    token_type: str | None = None
    exp: int | None = None
    iat: int | None = None
    sub: str | None = None
    aud: str | None = None
    iss: str | None = None
    jti: str | None = None
    org: str | None = None


class IntrospectToken(Query[TokenDescription]):
    """What an access token of the asking client's organization stands for."""

    token: SecretText


class RevokeToken(Command[Done]):
    """Withdraw an access token of the asking client. Raises TokenOfAnotherClient; an unknown token is no error."""

    token: SecretText
