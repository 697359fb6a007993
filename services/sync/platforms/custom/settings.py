"""What a connection by the custom protocol is told."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from services.sync.errors import InvalidConnectionSettings
from shared.contracts.base import Shape

MOST_RECORDS = 1000


def _base(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("give the address of the server, beginning with https:// or http://")
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("the address has no query, no fragment, and no password in it")
    return url.rstrip("/")


class CustomSettings(Shape):
    """`full_scans` names what is always read whole, because its time does not move with every change over there."""

    url: Annotated[str, Field(max_length=1000), AfterValidator(_base)]
    page_size: Annotated[int, Field(ge=1, le=MOST_RECORDS)] = 250
    full_scans: Annotated[
        list[Literal["product", "stock", "order", "supplier", "supplier_link"]], Field(max_length=5)
    ] = []


def custom_settings(given: Any) -> CustomSettings:
    """Raises InvalidConnectionSettings."""
    try:
        return CustomSettings.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise InvalidConnectionSettings(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None
