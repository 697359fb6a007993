"""The store platforms that there are."""

from services.sync.errors import UnknownPlatform
from services.sync.platforms.base import Platform
from services.sync.platforms.custom.platform import Custom

PLATFORMS: dict[str, Platform] = {platform.name: platform for platform in (Custom(),)}


def get_platform(name: str) -> Platform:
    """Raises UnknownPlatform."""
    try:
        return PLATFORMS[name]
    except KeyError:
        raise UnknownPlatform(f"There is no platform '{name[:50]}'; there are {', '.join(PLATFORMS)}.") from None
