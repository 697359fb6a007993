"""Lists by pages, none of which loses a row to what comes and goes meanwhile.

WooCommerce pages by numbers alone. In the order of ids a page begins with the last row of the one before: where that
has moved, rows before it are gone, and the page is looked for further ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.sync.errors import AnswerNotUnderstood
from services.sync.platforms.woocommerce.client import Client, Listed

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """How far a list was read: so many rows, up to this id."""

    offset: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows after a place, in the order of their ids. `following` None: there are no more."""

    rows: list[JsonObject]
    following: Place | None
    total: int | None


async def rows_after(client: Client, path: str, params: Mapping[str, str], place: Place) -> Rows:
    """The next rows of a list. Raises as `Client`."""
    size = max(client.settings.page_size, 2)
    offset = max(place.offset - 1, 0)
    is_anchored = offset == 0
    while True:
        page = {**params, "orderby": "id", "order": "asc", "per_page": str(size), "offset": str(offset)}
        listed = await client.list_rows(path, page)
        ids = [row["id"] for row in listed.rows]
        if ids != sorted(ids):
            raise AnswerNotUnderstood("WooCommerce gives a list in another order than it was asked for.")
        if not is_anchored and (not ids or ids[0] > place.last):
            offset = max(offset - size, 0)
            is_anchored = offset == 0
            continue
        is_anchored = True
        new = [row for row in listed.rows if row["id"] > place.last]
        if not is_more(listed, offset, size):
            return Rows(new, None, listed.total)
        if new:
            return Rows(new, Place(offset + len(ids), new[-1]["id"]), listed.total)
        offset += max(len(ids) - 1, 1) if ids else size


def is_more(listed: Listed, offset: int, size: int) -> bool:
    """Whether a list goes on after these rows, of which those that the key may not see are left out but counted."""
    if listed.total is None:
        return len(listed.rows) >= size
    return offset + max(len(listed.rows), 1) < listed.total


async def all_rows(client: Client, path: str, params: Mapping[str, str]) -> list[JsonObject]:
    """All rows of a list."""
    found: list[JsonObject] = []
    place: Place | None = Place()
    while place is not None:
        page = await rows_after(client, path, params, place)
        found += page.rows
        place = page.following
    return found
