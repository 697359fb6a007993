"""What a connection to WooCommerce is told."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from services.sync.errors import InvalidConnectionSettings
from shared.contracts.base import Shape

# More is refused by WooCommerce: https://woocommerce.github.io/woocommerce-rest-api-docs/#pagination
MOST_RECORDS = 100


def _site(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("give the address of the shop, beginning with https:// or http://")
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("the address has no query, no fragment, and no password in it")
    if "/wp-json" in parts.path:
        raise ValueError("give the address of the shop itself, without /wp-json")
    return url.rstrip("/")


class WooSettings(Shape):
    """`url` is the site's address; `page_size` is less where a host can not answer so much at once."""

    url: Annotated[str, Field(max_length=1000), AfterValidator(_site)]
    page_size: Annotated[int, Field(ge=1, le=MOST_RECORDS)] = MOST_RECORDS
    notify_customer: bool = True


def woo_settings(given: Mapping[str, Any]) -> WooSettings:
    """Raises InvalidConnectionSettings."""
    try:
        return WooSettings.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise InvalidConnectionSettings(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None
