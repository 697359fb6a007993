"""Pictures of products: each uploaded once, known by the hash of its bytes, and taken away one at a time.

A file is named after the SHA-256 of its bytes, and Magento keeps that name in its address, with a number behind it
where it has one of that name. `POST media` again makes a second picture, so what a product has is read first.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Written
from services.sync.platforms.magento import mapping
from services.sync.platforms.magento.client import Client, answered, segment
from services.sync.platforms.magento.reading import Reader
from services.sync.platforms.pictures import NAMED, Picture, fetch, kind_of, picture_of, source_hash

JsonObject = dict[str, Any]

# Base64 is a third larger, and shops take bodies of a few megabytes and more.
MOST_BYTES = 20 << 20
# What a product shows where it shows one picture alone.
_ROLES = ("image", "small_image", "thumbnail")


class Images:
    """Pictures of one shop's products."""

    def __init__(self, client: Client, reader: Reader) -> None:
        self._client, self._reader = client, reader

    async def put(self, entity: JsonObject, wanted: Sequence[Mapping[str, Any]]) -> tuple[bool, list[JsonObject]]:
        """Have these pictures on a product, in this order, before any others it has, which stay.

        Gives whether anything was different, and the pictures it has now. Raises as requests do.
        """
        facts = await self._reader.shop.facts()
        media = mapping.pictures(entity)
        # One that was hidden is shown again: a second of it would stand beside it.
        there = mapping.pictures(entity, with_hidden=True)
        chosen = [await self._found(there, each) for each in wanted]
        rest = [entry for entry in media if not any(entry is each for each in chosen)]
        is_in_order = [*chosen, *rest] == media
        has_changed = False
        for place, (entry, each) in enumerate(zip(chosen, wanted, strict=True)):
            if isinstance(entry, Picture):
                await self._upload(entity["sku"], entry, place + 1, is_first=not media and place == 0)
                has_changed = True
            else:
                position = entry.get("position") or 0 if is_in_order else place + 1
                has_changed |= await self._change(entity["sku"], entry, str(each.get("alt") or ""), position)
        for place, entry in enumerate(rest, len(wanted)):
            if not is_in_order and (entry.get("position") or 0) <= len(wanted):
                has_changed |= await self._change(entity["sku"], entry, entry.get("label") or "", place + 1)
        if has_changed:
            media = mapping.pictures((await self._reader.entities([str(entity["id"])]))[int(entity["id"])])
        return has_changed, [mapping.image(entry, facts) for entry in media]

    async def _found(self, media: Sequence[JsonObject], wanted: Mapping[str, Any]) -> JsonObject | Picture:
        """What a product has of a picture, by its address or its bytes; the picture itself where it has it not."""
        entry = _at(media, str(wanted["url"]))
        if entry is not None:
            return entry
        picture = await picture_of(self._client.http, wanted, MOST_BYTES)
        return next((each for each in media if source_hash(each["file"]) == picture.hash), picture)

    async def take_away(self, product_id: str, url: str) -> Written:
        """Take one picture off a product, after a person approved it."""
        entity = (await self._reader.entities([product_id])).get(int(product_id))
        if entity is None:
            raise PlatformRefused("Magento no longer has the product.")
        facts = await self._reader.shop.facts()
        media = mapping.pictures(entity)
        entry = _at(media, url)
        if entry is None:
            return Written("unchanged", external_id=product_id)
        path = self._client.path(f"/products/{segment(entity['sku'])}/media/{entry['id']}")
        answered(await self._client.http.delete_image(path, headers=self._client.headers("DELETE", path)))
        left = [mapping.image(each, facts) for each in media if each is not entry]
        return Written("ok", external_id=product_id, fields={"images": left})

    async def _upload(self, sku: str, picture: Picture, position: int, *, is_first: bool) -> None:
        content = picture.content or await fetch(self._client.http, picture.url, MOST_BYTES)
        extension, kind = kind_of(content)
        entry = {
            "media_type": "image",
            "label": picture.alt,
            "position": position,
            "disabled": False,
            "types": list(_ROLES) if is_first else [],
            "content": {
                "base64_encoded_data": base64.b64encode(content).decode(),
                "type": kind,
                "name": f"{NAMED}{picture.hash}.{extension}",
            },
        }
        await self._client.post(f"/products/{segment(sku)}/media", {"entry": entry})

    async def _change(self, sku: str, entry: JsonObject, alt: str, position: int) -> bool:
        """Show a picture with these words in this place; what it is shown for stays. Whether anything was different."""
        wanted = {"label": alt, "position": position, "disabled": False}
        before = {"label": entry.get("label") or "", "position": entry.get("position") or 0}
        if wanted == {**before, "disabled": bool(entry.get("disabled"))}:
            return False
        changed = {"entry": {**{name: entry[name] for name in ("id", "media_type", "types")}, **wanted}}
        await self._client.put(f"/products/{segment(sku)}/media/{entry['id']}", changed)
        return True


def _at(media: Sequence[JsonObject], url: str) -> JsonObject | None:
    """The picture at an address of this shop's."""
    return next((each for each in media if url.endswith(f"/catalog/product{each['file']}")), None)
