"""The store platforms that there are."""

from services.sync.errors import UnknownPlatform
from services.sync.platforms.base import Platform

PLATFORMS: dict[str, Platform] = {}


def get_platform(name: str) -> Platform:
    """Raises UnknownPlatform."""
    try:
        return PLATFORMS[name]
    except KeyError:
        raise UnknownPlatform(f"There is no platform '{name[:50]}'; there are {', '.join(PLATFORMS)}.") from None
