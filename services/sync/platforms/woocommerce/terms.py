"""Tags, brands and categories: what products refer to by id.

Tags and brands are words, and are made where they are missing. Categories are how a merchant arranges the shop, and
are not.
"""

from collections.abc import Sequence
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.woocommerce.client import Refused
from services.sync.platforms.woocommerce.mapping import text
from services.sync.platforms.woocommerce.paging import all_rows
from services.sync.platforms.woocommerce.reading import Reader

JsonObject = dict[str, Any]


class Terms:
    """The terms of one site, as far as they were asked for."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._ids: dict[tuple[str, str], int] = {}

    async def tags(self, names: Sequence[str]) -> list[JsonObject]:
        """The whole list of a product's tags."""
        return [{"id": await self._id("products/tags", name)} for name in names if name.strip()]

    async def brands(self, name: str, there: Sequence[JsonObject] = ()) -> list[JsonObject]:
        """The whole list of a product's brands: the first is its brand, further ones stay."""
        first = [await self._id("products/brands", name)] if name.strip() else []
        return [{"id": each} for each in dict.fromkeys((*first, *(brand["id"] for brand in there[1:])))]

    async def categories(self, paths: Sequence[Sequence[str]]) -> list[JsonObject]:
        """The categories of these paths; by its last name alone where one has it. Raises PlatformRefused."""
        known = await self._reader.paths()
        found = []
        for path in paths:
            same = [each for each, names in known.items() if names == list(path)]
            same = same or [each for each, names in known.items() if path and names[-1] == path[-1]]
            if len(same) != 1:
                raise PlatformRefused(f"WooCommerce has no category '{' > '.join(path)[:100]}'; make it there first.")
            found.append({"id": same[0]})
        return found

    async def _id(self, path: str, name: str) -> int:
        if (path, name) not in self._ids:
            self._ids[path, name] = await self._found(path, name) or await self._made(path, name)
        return self._ids[path, name]

    async def _found(self, path: str, name: str) -> int | None:
        """The term of this name. WooCommerce looks for a part of it, and leaves out what has no products if told to."""
        rows = await all_rows(self._reader.client, path, {"search": name, "_fields": "id,name"})
        return next((row["id"] for row in rows if text(row["name"]) == name), None)

    async def _made(self, path: str, name: str) -> int:
        try:
            return int((await self._reader.client.post(path, {"name": name}))["id"])
        except Refused as refused:
            # Of this name but for upper and lower case, or made by somebody else just now.
            if refused.code != "term_exists" or refused.owner is None:
                raise
            return refused.owner
