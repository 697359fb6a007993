"""What the gateway is told from its environment."""

import ipaddress
from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.credentials import Network

MEBIBYTE = 1024 * 1024


class GatewaySettings(BaseSettings):
    """Limits of one request."""

    model_config = SettingsConfigDict(extra="ignore")

    body_limit: int = Field(default=MEBIBYTE, validation_alias="CROSSDOCK_BODY_LIMIT", ge=1024)
    # Bulk rows (stock, prices) are read whole; files are streamed and never held.
    bulk_limit: int = Field(default=32 * MEBIBYTE, validation_alias="CROSSDOCK_BULK_LIMIT", ge=1024)
    upload_limit: int = Field(default=1024 * MEBIBYTE, validation_alias="CROSSDOCK_UPLOAD_LIMIT", ge=1024)
    # Request line and header fields: their bytes, and the seconds from the first of them to the last.
    head_limit: int = Field(default=65536, validation_alias="CROSSDOCK_HEAD_LIMIT", ge=1024)
    head_timeout_seconds: float = Field(default=20.0, validation_alias="CROSSDOCK_HEAD_TIMEOUT", gt=0)
    # From the first byte of a request to the last of its answer; uploads and exports have `upload_timeout_seconds`.
    request_timeout_seconds: float = Field(default=60.0, validation_alias="CROSSDOCK_REQUEST_TIMEOUT", gt=0)
    upload_timeout_seconds: float = Field(default=3600.0, validation_alias="CROSSDOCK_UPLOAD_TIMEOUT", gt=0)

    # Registered GraphQL operations (`gateway/graphql/persisted.py`): their folder, read at the start, and whether
    # nothing but them is answered.
    graphql_operations: Path | None = Field(default=None, validation_alias="CROSSDOCK_GRAPHQL_OPERATIONS")
    graphql_registered_only: bool = Field(default=False, validation_alias="CROSSDOCK_GRAPHQL_REGISTERED_ONLY")

    # Ready answers of storefronts' reads that a process keeps, together.
    answers_bytes: int = Field(default=32 * MEBIBYTE, validation_alias="CROSSDOCK_ANSWERS_BYTES", ge=0)

    # Per key and minute, all gateways together: everybody who looks into one shop window shares it.
    publishable_key_limit: int = Field(default=6000, validation_alias="CROSSDOCK_PUBLISHABLE_KEY_LIMIT", ge=1)


class IdentitySettings(BaseSettings):
    """Whom this gateway believes."""

    model_config = SettingsConfigDict(extra="ignore")

    # Addresses or networks, comma-separated, whose X-Forwarded-For is believed.
    trusted_proxies: str = Field(default="", validation_alias="CROSSDOCK_TRUSTED_PROXIES")
    # `cdi_` and at least 32 characters: makes organizations (POST /v1/organizations). Without it nobody does over HTTP.
    installation_key: SecretStr | None = Field(
        default=None, validation_alias="CROSSDOCK_INSTALLATION_KEY", min_length=36
    )

    def networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(part.strip()) for part in self.trusted_proxies.split(",") if part.strip())


@cache
def gateway_settings() -> GatewaySettings:
    """The environment of this process, read once."""
    return GatewaySettings()
