"""Pictures of products: each uploaded once, and taken away one at a time.

PrestaShop makes another file of what it is given, and the same file twice is two pictures. So what is there is known by
its address. Where a write is tried again, a picture that is newer than all that were known, and as wide and as high as
ours, is what an upload has left whose answer was lost; at the first try it is somebody else's. Pictures come as XML: in
JSON the shop breaks.
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.base import Written
from services.sync.platforms.pictures import fetch, kind_of
from services.sync.platforms.prestashop import mapping
from services.sync.platforms.prestashop.client import Client, checked, errors_of, record_of

JsonObject = dict[str, Any]
Size = tuple[int, int]

MOST_BYTES = 20 << 20
_UNKNOWN_IMAGE = 57


class Images:
    """Pictures of one shop's products."""

    def __init__(self, client: Client, base_url: str) -> None:
        self._client, self._base_url = client, base_url

    async def put(
        self,
        product_id: str,
        there: Sequence[JsonObject],
        wanted: Sequence[JsonObject],
        expected: Sequence[JsonObject],
        *,
        is_repeat: bool,
    ) -> tuple[bool, list[JsonObject]]:
        """Have these pictures on a product, beside any others it has, which stay.

        Gives whether any was not there, and all that are there now: those that were wanted in their order, then others.
        """
        ids = [mapping.image_id(each["url"]) for each in there]
        known = {mapping.image_id(str(each["url"])) for each in (*wanted, *expected)} - {""}
        newest = max(map(int, known), default=0)
        is_missing = any(mapping.image_id(str(each["url"])) not in ids for each in wanted)
        unexpected = sorted((each for each in ids if int(each) > newest), key=int) if is_missing and is_repeat else []
        sizes = {each: await self._size(product_id, each) for each in unexpected}
        chosen: list[str] = []
        for each in wanted:
            image_id = mapping.image_id(str(each["url"]))
            chosen.append(image_id if image_id in ids else await self._added(product_id, str(each["url"]), sizes))
        rest = [each for each in ids if each not in chosen]
        images = [mapping.image(self._base_url, each) for each in dict.fromkeys([*chosen, *rest])]
        return is_missing, images

    async def _added(self, product_id: str, url: str, sizes: dict[str, Size | None]) -> str:
        """The id of a picture of ours: one that an earlier try has left among `sizes`, or a new one."""
        content = await fetch(self._client.http, url, MOST_BYTES)
        size = dimensions(content)
        same = next((known for known, other in sizes.items() if size is not None and other == size), None)
        if same is None:
            return await self._upload(product_id, content)
        del sizes[same]
        return same

    async def take_away(self, product_id: str, url: str) -> Written:
        """Take one picture off a product, after a person approved it. One that is not there is no fault."""
        image_id = mapping.image_id(url)
        if not image_id or not (product_id.isascii() and product_id.isdigit()):
            return Written("person", "This is no picture of the shop's.", product_id)
        path = f"/api/images/products/{product_id}/{image_id}"
        answer = await self._client.http.delete_image(path, headers=self._client.key_headers)
        if answer.status == 404 or _UNKNOWN_IMAGE in {code for code, _ in errors_of(answer)}:
            return Written("unchanged", external_id=product_id)
        if answer.status == 405:
            return Written("person", "The key may not take pictures away: allow it that in the shop.", product_id)
        checked(answer)
        return Written("ok", external_id=product_id)

    async def _upload(self, product_id: str, content: bytes) -> str:
        """The id that a picture has got."""
        body, kind = _form(content)
        answer = await self._client.ask("POST", f"/api/images/products/{product_id}", body, kind)
        image_id = (record_of(checked(answer), "image").findtext("id") or "").strip()
        if not image_id.isdigit():
            raise AnswerNotUnderstood("The shop took a picture and does not say which it is.")
        return image_id

    async def _size(self, product_id: str, image_id: str) -> Size | None:
        answer = await self._client.ask("GET", f"/api/images/products/{product_id}/{image_id}")
        return dimensions(answer.body) if answer.status == 200 else None


def dimensions(content: bytes) -> Size | None:
    """Width and height of a PNG, GIF, JPEG or WebP (simple or extended); None for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content.startswith(b"GIF8") and len(content) >= 10:
        width, height = struct.unpack("<HH", content[6:10])
        return width, height
    if content.startswith(b"\xff\xd8"):
        return _of_jpeg(content)
    if content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8 " and len(content) >= 30:
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8X" and len(content) >= 30:
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    return None


def _of_jpeg(content: bytes) -> Size | None:
    """By the frame header, past the segments before it (ITU-T T.81, annex B)."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _form(content: bytes) -> tuple[bytes, str]:
    """A form with one file under the name that PrestaShop looks for (RFC 7578), and its content type."""
    extension, kind = kind_of(content)
    digest = sha256(content).hexdigest()
    boundary = f"crossdock-{digest[:32]}"
    named = f'Content-Disposition: form-data; name="image"; filename="{digest[:16]}.{extension}"'
    head = f"--{boundary}\r\n{named}\r\nContent-Type: {kind}\r\n\r\n"
    body = b"".join([head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={boundary}"
