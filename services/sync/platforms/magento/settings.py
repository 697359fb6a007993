"""What a connection to a Magento shop is told."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from services.sync.platforms.settings import checked_settings, web_address
from shared.contracts.base import Shape

Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
# Fields of ours for which a shop may have an attribute of its own.
Choice = Literal["brand", "tags", "product_type", "barcode"]
Name = Annotated[str, Field(min_length=1, max_length=255)]


def _base(url: str) -> str:
    return web_address(url, "shop")


class MagentoSettings(Shape):
    """`scope` is `all`, or the code of a store view; `attributes` are the codes of those that fields of ours are kept
    in, None where one is kept nowhere. `attribute_set` is what new products have, and `ship_from` the source that goods
    leave. With `queue` products are written through the shop's own queue.
    """

    url: Annotated[str, Field(max_length=1000), AfterValidator(_base)]
    scope: Code = "all"
    attributes: dict[Choice, Code | None] = {}
    attribute_set: Name = "Default"
    ship_from: Name | None = None
    notify_customer: bool = True
    queue: bool = False


def magento_settings(given: Mapping[str, Any]) -> MagentoSettings:
    """Raises InvalidConnectionSettings."""
    return checked_settings(MagentoSettings, given)
