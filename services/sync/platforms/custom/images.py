"""Pictures: one is taken off a product at a time, after a person approved that one change (SYN-8)."""

from urllib.parse import quote

from services.sync.platforms.base import Written
from services.sync.platforms.custom.client import Client
from services.sync.platforms.http import checked


async def take_away(client: Client, product_id: str, url: str) -> Written:
    """Take one picture off a product. One that is not there any more is no fault. Raises as `Client`."""
    target = f"/products/{quote(product_id, safe='')}/images/{quote(url, safe='')}"
    answer = await client.http.delete_image(target, headers=client.headers("DELETE", target))
    if answer.status in (404, 410):
        return Written("unchanged", external_id=product_id)
    if answer.status in (405, 501):
        return Written("person", "The server takes no pictures away; do it over there.", product_id)
    checked(answer)
    return Written("ok", external_id=product_id)
