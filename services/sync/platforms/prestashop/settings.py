"""What a connection to a PrestaShop shop is told."""

from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError

from services.sync.errors import InvalidConnectionSettings
from shared.contracts.base import Shape

MOST_ROWS = 500


def _base(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("give the address of the shop, beginning with https:// or http://")
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("the address has no query, no fragment, and no key in it")
    return url.rstrip("/").removesuffix("/api")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError("give a time zone by its IANA name, as Europe/Paris") from None
    return name


class PrestaShopSettings(Shape):
    """`tax_rate`, in percent, says that prices here have the tax in them that prices there do not have.

    `language` is the id of the one that texts are read and written in, `time_zone` that of the shop's times,
    `shop_id` one of several shops; without them the shop's own are taken. `shipped_status` is the order state that
    means that goods have left.
    """

    url: Annotated[str, Field(max_length=1000), AfterValidator(_base)]
    shop_id: Annotated[int, Field(ge=1, le=1 << 31)] | None = None
    language: Annotated[int, Field(ge=1, le=1 << 31)] | None = None
    time_zone: Annotated[str, Field(max_length=100), AfterValidator(_zone)] | None = None
    tax_rate: Annotated[Decimal, Field(ge=0, le=100)] | None = None
    shipped_status: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    notify_customer: bool = True
    page_size: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 50


def prestashop_settings(given: Any) -> PrestaShopSettings:
    """Raises InvalidConnectionSettings."""
    try:
        return PrestaShopSettings.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise InvalidConnectionSettings(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None
