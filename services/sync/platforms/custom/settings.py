"""What a connection by the custom protocol is told."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from services.sync.platforms.settings import FullScans, checked_settings, web_address
from shared.contracts.base import Shape

MOST_RECORDS = 1000


def _base(url: str) -> str:
    return web_address(url, "server")


class CustomSettings(Shape):
    """`full_scans` names what is always read whole, because its time does not move with every change over there."""

    url: Annotated[str, Field(max_length=1000), AfterValidator(_base)]
    page_size: Annotated[int, Field(ge=1, le=MOST_RECORDS)] = 250
    full_scans: FullScans = []


def custom_settings(given: Mapping[str, Any]) -> CustomSettings:
    """Raises InvalidConnectionSettings."""
    return checked_settings(CustomSettings, given)
