"""Pictures of ours on their way to a platform: fetched, and known there by the hash of their bytes in their names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.http import Http, checked

# What the name of every file of ours begins with; the SHA-256 of its bytes follows.
NAMED = "crossdock-"
_NAMED = re.compile(rf"{NAMED}([0-9a-f]{{64}})")
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "png", "image/png"),
    (b"\xff\xd8\xff", "jpg", "image/jpeg"),
    (b"GIF8", "gif", "image/gif"),
    (b"RIFF", "webp", "image/webp"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of ours: the hash of its bytes, and the bytes where they had to be fetched."""

    url: str
    alt: str
    hash: str
    content: bytes | None = None


async def picture_of(http: Http, wanted: Mapping[str, Any], most_bytes: int) -> Picture:
    """A picture by its address, its words and, where it is given, its hash. Raises as `fetch`."""
    url, alt = str(wanted["url"]), str(wanted.get("alt") or "")
    given = str(wanted.get("hash") or "")
    if re.fullmatch(r"[0-9a-f]{64}", given):
        return Picture(url, alt, given)
    content = await fetch(http, url, most_bytes)
    return Picture(url, alt, sha256(content).hexdigest(), content)


async def fetch(http: Http, url: str, most_bytes: int) -> bytes:
    """The bytes of a picture. Raises PlatformRefused where there is none, PlatformAway."""
    if not url.startswith(("http://", "https://")):
        raise PlatformRefused(f"A picture has no address that can be fetched: {url[:200]}")
    answer = await http.send("GET", url, points=0, most_bytes=most_bytes)
    if 400 <= answer.status < 500:
        raise PlatformRefused(f"A picture is not at its address ({answer.status}): {url[:200]}")
    return checked(answer).body


def source_hash(url: str) -> str | None:
    """The SHA-256 of the bytes that a picture over there was made from, if it is one of ours."""
    named = _NAMED.search(url)
    return named[1] if named else None


def kind_of(content: bytes) -> tuple[str, str]:
    """Extension and media type by the first bytes. Raises PlatformRefused."""
    for beginning, extension, kind in _KINDS:
        if content.startswith(beginning):
            return extension, kind
    raise PlatformRefused("A picture is neither PNG, JPEG, GIF nor WebP.")
