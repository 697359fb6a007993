"""What the settings of all platforms have in common: how they are checked, and what an address is."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from services.sync.errors import InvalidConnectionSettings
from shared.contracts.base import Shape

S = TypeVar("S", bound=Shape)
# What a connection always reads whole.
FullScans = Annotated[list[Literal["product", "stock", "order", "supplier", "supplier_link"]], Field(max_length=5)]


def checked_settings(shape: type[S], given: Mapping[str, Any]) -> S:
    """Raises InvalidConnectionSettings with the first thing that is wrong, by its name."""
    try:
        return shape.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise InvalidConnectionSettings(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None


def web_address(url: str, whose: str) -> str:
    """The address without a slash at its end. Raises ValueError for what is none, or says more than where."""
    if not is_address(url, "https", "http"):
        raise ValueError(f"give the address of the {whose}, beginning with https:// or http://")
    if says_more(url):
        raise ValueError("the address has no query, no fragment, and no password in it")
    return url.rstrip("/")


def is_address(url: str, *schemes: str) -> bool:
    """Whether it names a server, by one of these schemes."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
    return is_one and url.isascii() and url.isprintable() and " " not in url


def says_more(url: str) -> bool:
    """Whether an address has a query, a fragment, or somebody's name or password in it."""
    parts = urlsplit(url)
    return bool(parts.query or parts.fragment) or parts.username is not None or parts.password is not None
