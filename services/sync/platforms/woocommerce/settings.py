"""What a connection to WooCommerce is told."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from services.sync.platforms.settings import checked_settings, web_address
from shared.contracts.base import Shape

# More is refused by WooCommerce: https://woocommerce.github.io/woocommerce-rest-api-docs/#pagination
MOST_RECORDS = 100


def _site(url: str) -> str:
    address = web_address(url, "shop")
    if "/wp-json" in address:
        raise ValueError("give the address of the shop itself, without /wp-json")
    return address


class WooSettings(Shape):
    """`url` is the site's address; `page_size` is less where a host can not answer so much at once."""

    url: Annotated[str, Field(max_length=1000), AfterValidator(_site)]
    page_size: Annotated[int, Field(ge=1, le=MOST_RECORDS)] = MOST_RECORDS
    notify_customer: bool = True


def woo_settings(given: Mapping[str, Any]) -> WooSettings:
    """Raises InvalidConnectionSettings."""
    return checked_settings(WooSettings, given)
