"""API clients, their secrets and keys, and the publishable keys of shops."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import LargeBinary, SmallInteger, Uuid
from sqlmodel import Field

from services.accounts.errors import ApiClientRevoked
from services.accounts.models.base import Base, instant, texts
from services.accounts.models.organizations import Versioned
from shared import clock
from shared.contracts.accounts.shapes import ApiClient, ApiKey, ClientSecret, PublishableKey
from shared.security import SecretText, seal, unseal

_PURPOSE = "client secret"


class ApiClientRow(Versioned, table=True):
    """A program that calls the API."""

    __tablename__: ClassVar[str] = "api_clients"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    name: str
    scopes: list[str] = texts()
    is_limited_to_shops: bool = False
    allowed_networks: list[str] = texts()
    expires_at: datetime | None = instant(optional=True)
    last_used_at: datetime | None = instant(optional=True)
    revoked_at: datetime | None = instant(optional=True)
    created_at: datetime = instant()

    def check_not_revoked(self) -> None:
        """Raises ApiClientRevoked."""
        if self.revoked_at is not None:
            raise ApiClientRevoked("This client was revoked for good; make a new one.")

    def revoke(self) -> None:
        """Safe to repeat."""
        if self.revoked_at is None:
            self.take({"revoked_at": clock.now()})

    def shape(
        self, shop_ids: Sequence[UUID], secrets: "Sequence[ClientSecretRow]", keys: "Sequence[ApiKeyRow]"
    ) -> ApiClient:
        """With what belongs to it; `shop_ids` count only for a limited client."""
        return ApiClient(
            **self.model_dump(exclude={"organization_id", "is_limited_to_shops"}),
            shop_ids=list(shop_ids) if self.is_limited_to_shops else None,
            secrets=[secret.shape() for secret in secrets],
            keys=[key.shape() for key in keys],
        )

    def description(self) -> dict[str, Any]:
        """What the audit log says of it."""
        return self.model_dump(mode="json", include={"name", "scopes", "allowed_networks", "expires_at", "revoked_at"})


class ApiClientShopRow(Base, table=True):
    """A shop that a limited client may see, with the sub-shops below it."""

    __tablename__: ClassVar[str] = "api_client_shops"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    client_id: UUID = Field(primary_key=True, sa_type=Uuid)
    shop_id: UUID = Field(primary_key=True, sa_type=Uuid)


class ClientSecretRow(Base, table=True):
    """One of an API client's two secrets, sealed."""

    __tablename__: ClassVar[str] = "client_secrets"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    client_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    slot: int = Field(sa_type=SmallInteger)
    sealed: str
    created_at: datetime = instant()

    @staticmethod
    def sealed_text(secret: SecretText) -> str:
        return seal(secret.reveal(), _PURPOSE)

    @staticmethod
    def opened(sealed: str) -> SecretText:
        return SecretText(unseal(sealed, _PURPOSE))

    def shape(self) -> ClientSecret:
        return ClientSecret(id=self.id, created_at=self.created_at)


class ApiKeyRow(Base, table=True):
    """A static key of an API client, kept as its digest."""

    __tablename__: ClassVar[str] = "api_keys"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    client_id: UUID = Field(sa_type=Uuid)
    name: str
    digest: bytes = Field(sa_type=LargeBinary)
    ending: str
    created_at: datetime = instant()
    revoked_at: datetime | None = instant(optional=True)

    def shape(self) -> ApiKey:
        return ApiKey(**self.model_dump(include=set(ApiKey.model_fields)))


class PublishableKeyRow(Base, table=True):
    """A key that reads one shop's offers. It is public, so it is kept as it is, beside the digest it is found by."""

    __tablename__: ClassVar[str] = "publishable_keys"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    shop_id: UUID = Field(sa_type=Uuid)
    name: str
    key: str
    digest: bytes = Field(sa_type=LargeBinary)
    allowed_origins: list[str] = texts()
    created_at: datetime = instant()
    revoked_at: datetime | None = instant(optional=True)

    def shape(self) -> PublishableKey:
        return PublishableKey(**self.model_dump(include=set(PublishableKey.model_fields)))
