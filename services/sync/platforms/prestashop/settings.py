"""What a connection to a PrestaShop shop is told."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from services.sync.platforms.settings import checked_settings, web_address
from shared.contracts.base import Shape

MOST_ROWS = 500


def _base(url: str) -> str:
    return web_address(url, "shop").removesuffix("/api")


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


def prestashop_settings(given: Mapping[str, Any]) -> PrestaShopSettings:
    """Raises InvalidConnectionSettings."""
    return checked_settings(PrestaShopSettings, given)
