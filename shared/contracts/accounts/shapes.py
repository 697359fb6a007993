"""Shapes of organizations, shops and credentials, and the types whose values they take."""

import ipaddress
import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, StringConstraints

from shared.contracts.base import Change, Shape
from shared.locales import canonical_locale
from shared.money import EXPONENTS
from shared.security import SecretText

# What a credential may be allowed to do, as customers read it. `x:write` includes `x:read`, `admin` includes all.
SCOPES: dict[str, str] = {
    "accounts:read": "Read the organization, its shops, API clients, people and lists",
    "accounts:write": "Change the organization, its shops, API clients and people",
    "catalog:read": "Read products, categories and prices",
    "catalog:write": "Change products, categories and prices; import and export",
    "inventory:read": "Read stock, centres, shipments and suppliers",
    "inventory:write": "Change stock, centres, shipments and suppliers",
    "orders:read": "Read orders, quotes and customers",
    "orders:write": "Place and change orders",
    "payments:read": "Read payment gateways, payments, callbacks and refunds",
    "payments:write": "Change payment gateways; refund; replay callbacks",
    "sync:read": "Read connections to store platforms and their feeds",
    "sync:write": "Change connections to store platforms and their feeds",
    "search:read": "Read offers and the state of the search indexes",
    "search:write": "Rebuild search indexes",
    "storefront": "Read offers, quote, place orders and read one's own",
    "admin": "Everything",
}
# What a publishable key may do: read the offers of its shop. No client can be given it.
OFFERS_READ = "offers:read"

_LONGEST_SETTINGS = 64 * 1024


def _without_controls(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("control characters are not allowed")
    return text


def _currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError(f"'{code}' is not an ISO 4217 currency code")
    return code


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _time_zone(name: str) -> str:
    if name not in _time_zones():
        raise ValueError(f"'{name}' is not a time zone of the IANA database, such as Europe/Lisbon")
    return name


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text.isascii() or re.search(r"[\s<>\"\\^`{|}]", text):
        raise ValueError("an absolute address is needed, beginning with https:// or http://")
    return text


def _origin(text: str) -> str:
    """As browsers send it (RFC 6454 §6.2): scheme, host, and a port only where it is not the usual one."""
    parts = urlsplit(_web_address(text))
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("an origin is scheme and host alone, such as https://shop.example")
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"'{text}' is not an address or a network such as 192.0.2.0/24 or 2001:db8::/32") from error


def _scope(name: str) -> str:
    if name not in SCOPES:
        raise ValueError(f"there is no scope '{name}'; there are: {', '.join(SCOPES)}")
    return name


def _small(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(str(settings)) > _LONGEST_SETTINGS:
        raise ValueError(f"settings may have {_LONGEST_SETTINGS} characters at most")
    return settings


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_without_controls),
]
ShopCode = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["main"])]
CurrencyCode = Annotated[str, AfterValidator(_currency), Field(examples=["USD"])]
Locale = Annotated[str, Field(max_length=35, examples=["en-US"]), AfterValidator(canonical_locale)]
TimeZone = Annotated[str, AfterValidator(_time_zone), Field(examples=["Europe/Lisbon"])]
WebAddress = Annotated[str, Field(max_length=2000, examples=["https://shop.example"]), AfterValidator(_web_address)]
Origin = Annotated[str, Field(max_length=300, examples=["https://shop.example"]), AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network), Field(max_length=100, examples=["192.0.2.0/24"])]
ScopeName = Annotated[str, AfterValidator(_scope), Field(examples=["catalog:read"])]
ShopSettings = Annotated[dict[str, JsonValue], AfterValidator(_small)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_without_controls)]


class PostalAddress(Shape):
    """Where something is. `country` is an ISO 3166-1 alpha-2 code."""

    lines: Annotated[list[Line], Field(max_length=5)] = []
    city: Line = ""
    region: Line = ""
    postal_code: Line = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["PT"])]


class Organization(Shape):
    """The tenant: a merchant, a supplier, or both."""

    id: UUID
    name: str
    is_merchant: bool
    is_supplier: bool
    address: PostalAddress | None = None
    created_at: datetime
    version: int


class OrganizationChange(Change):
    """What may change about an organization."""

    name: Name = ""
    is_merchant: bool = False
    is_supplier: bool = False
    address: PostalAddress | None = None


class Shop(Shape):
    """Where a merchant sells. A sub-shop (`parent_id`) inherits prices and assignments unless it overrides them."""

    id: UUID
    organization_id: UUID
    code: str
    name: str
    currency: str
    locale: str
    time_zone: str = "UTC"
    parent_id: UUID | None = None
    strict_pricing: bool = False
    storefront_url: str | None = None
    version: int = 1
    address: PostalAddress | None = None
    settings: dict[str, Any] = {}


class ShopChange(Change):
    """What may change about a shop. With `strict_pricing` it sells only what has a price of its own."""

    code: ShopCode = ""
    name: Name = ""
    currency: CurrencyCode = ""
    locale: Locale = ""
    time_zone: TimeZone = ""
    parent_id: UUID | None = None
    strict_pricing: bool = False
    storefront_url: WebAddress | None = None
    address: PostalAddress | None = None
    settings: ShopSettings = {}


class ClientSecret(Shape):
    """One of an API client's secrets, without the secret."""

    id: UUID
    created_at: datetime


class ApiKey(Shape):
    """A static key of an API client. `ending` is its last four characters, to tell one from another."""

    id: UUID
    name: str
    ending: str
    created_at: datetime
    revoked_at: datetime | None = None


class ApiClient(Shape):
    """A program that calls the API. Its `id` is its OAuth `client_id`.

    `shop_ids` null: every shop; otherwise these and their sub-shops. `allowed_networks` empty: from anywhere.
    """

    id: UUID
    name: str
    scopes: list[str]
    shop_ids: list[UUID] | None = None
    allowed_networks: list[str] = []
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    secrets: list[ClientSecret] = []
    keys: list[ApiKey] = []
    created_at: datetime
    version: int


class ApiClientChange(Change):
    """What may change about an API client."""

    name: Name = ""
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=50)] = []
    shop_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None
    allowed_networks: Annotated[list[Network], Field(max_length=100)] = []
    expires_at: AwareDatetime | None = None


class ShownSecret(Shape):
    """A secret in the clear: just made, or revealed."""

    id: UUID
    client_id: UUID
    client_secret: SecretText


class NewApiClient(Shape):
    """An API client that was just made, with its first secret."""

    client: ApiClient
    client_id: UUID
    client_secret: SecretText


class NewOrganization(Shape):
    """An organization that was just made, and the administrator's client if one was asked for."""

    organization: Organization
    administrator: NewApiClient | None = None


class NewApiKey(Shape):
    """A static key that was just made: send it as `Authorization: Bearer cdk_…`. It is shown this once."""

    id: UUID
    client_id: UUID
    name: str
    key: SecretText


class PublishableKey(Shape):
    """A key that is safe in a browser: it reads the offers of one shop. `allowed_origins` empty: from any page."""

    id: UUID
    shop_id: UUID
    name: str
    key: str
    allowed_origins: list[str] = []
    created_at: datetime
    revoked_at: datetime | None = None


class Identity(Shape):
    """What a credential stands for, until when that may be believed, and where it may be used from.

    `revocation_version` is how often the organization had withdrawn something when this was read.
    """

    kind: str
    organization_id: UUID
    id: UUID
    name: str
    scopes: list[str]
    shop_ids: list[UUID] | None = None
    permissions: list[str] = []
    valid_until: datetime
    allowed_networks: list[str] = []
    allowed_origins: list[str] | None = None
    revocation_version: int = 0


CredentialKind = Literal["access_token", "api_key", "publishable_key", "session"]
