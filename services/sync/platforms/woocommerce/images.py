"""Pictures of products: each fetched by the shop once, known by the hash of its bytes, and taken away one at a time.

`images` of a product is a complete list, and what is in it by address is fetched anew each time. So a list is written
only when something is different, from what was read just before, with the ids of what is there. A picture of ours is
named after the SHA-256 of its bytes, by which it is known when an answer was lost.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.sync.platforms.base import Written
from services.sync.platforms.pictures import NAMED, picture_of
from services.sync.platforms.woocommerce.client import Client
from services.sync.platforms.woocommerce.mapping import image, text

JsonObject = dict[str, Any]

# WordPress commonly takes no larger ones: https://developer.wordpress.org/reference/functions/wp_max_upload_size/
MOST_BYTES = 20 << 20


class Images:
    """Pictures of one site's products."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, product_id: str, wanted: Sequence[Mapping[str, Any]]) -> tuple[bool, list[JsonObject]]:
        """Have these pictures on a product, in this order, before any others it has, which stay.

        Gives whether anything was different, and the pictures it has now. Raises as `Client`.
        """
        there = await self._there(product_id)
        chosen = [await self._chosen(each, there) for each in wanted]
        ids = [each.get("id") for each in chosen]
        whole = [*chosen, *({"id": node["id"]} for node in there if node["id"] not in ids)]
        if _is_so(whole, there):
            return False, [image(node) for node in there]
        return True, await self._write(product_id, whole)

    async def take_away(self, product_id: str, url: str) -> Written:
        """Take one picture off a product, after a person approved it. The file stays in the shop's media."""
        there = await self._there(product_id)
        left = [{"id": node["id"]} for node in there if node["src"] != url]
        if len(left) == len(there):
            return Written("unchanged", external_id=product_id)
        return Written("ok", external_id=product_id, fields={"images": await self._write(product_id, left)})

    async def _there(self, product_id: str) -> list[JsonObject]:
        node = await self._client.get(f"products/{product_id}", {"_fields": "id,images"})
        images: list[JsonObject] = node["images"]
        return images

    async def _write(self, product_id: str, images: Sequence[JsonObject]) -> list[JsonObject]:
        node = await self._client.put(f"products/{product_id}", {"images": list(images)})
        return [image(each) for each in node["images"]]

    async def _chosen(self, wanted: Mapping[str, Any], there: Sequence[JsonObject]) -> JsonObject:
        """A picture as it stands in the list to be written: by its id where the product has it."""
        url, alt = str(wanted["url"]), str(wanted.get("alt") or "")
        same = next((node for node in there if node["src"] == url), None)
        name = ""
        if same is None:
            name = f"{NAMED}{(await picture_of(self._client.http, wanted, MOST_BYTES)).hash}"
            same = next((node for node in there if node["name"] == name), None)
        if same is None:
            return {"src": url, "name": name, "alt": alt}
        return {"id": same["id"]} if text(same["alt"] or "") == alt else {"id": same["id"], "alt": alt}


def _is_so(whole: Sequence[JsonObject], there: Sequence[JsonObject]) -> bool:
    return list(whole) == [{"id": node["id"]} for node in there]
