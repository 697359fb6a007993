"""Names that products refer to by id: brands, tags, options and their values. Those that there are not yet are made.

A name that is there is found first, so that one made by a write whose answer was lost is not made twice.
"""

import asyncio
from collections.abc import Iterable, Mapping

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.prestashop import xml
from services.sync.platforms.prestashop.mapping import key, text
from services.sync.platforms.prestashop.shop import Shop
from services.sync.platforms.prestashop.xml import Translated

Values = Mapping[tuple[str, str], str]
Fields = dict[str, str | Translated]


class Words:
    """Names of one shop."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._client = shop, shop.client
        self._lock = asyncio.Lock()

    async def brand(self, name: str) -> str:
        """The id of the manufacturer with this name; `0` for no name."""
        if not name:
            return "0"
        async with self._lock:
            rows = await self._client.rows("manufacturers", "[id,name]")
            found = next((key(row["id"]) for row in rows if text(row.get("name"), 0) == name), None)
            return found or await self._made("manufacturers", xml.row("manufacturer", {"name": name, "active": "1"}))

    async def tags(self, names: Iterable[str]) -> list[str]:
        """The ids of tags of the language, in order of their names."""
        language = str((await self._shop.units()).language)
        async with self._lock:
            rows = await self._client.rows("tags", "[id,id_lang,name]", filters={"id_lang": f"[{language}]"})
            known = {text(row.get("name"), 0): key(row["id"]) for row in rows}
            return [
                known.get(name) or await self._made("tags", xml.row("tag", {"id_lang": language, "name": name}))
                for name in sorted(set(names))
            ]

    async def values(self, chosen: Iterable[Mapping[str, str]]) -> Values:
        """The id of each value of an option, by the names of both."""
        language = (await self._shop.units()).language
        found: dict[tuple[str, str], str] = {}
        async with self._lock:
            for option, value in sorted({pair for each in chosen for pair in each.items()}):
                found[option, value] = await self._value(await self._option(option, language), value, language)
        return found

    async def categories(self, wanted: Iterable[Iterable[str]]) -> list[str]:
        """The ids of categories by the names that lead to them. Raises PlatformRefused for one that there is not."""
        paths: dict[tuple[str, ...], str] = {}
        for external_id, path in (await self._shop.paths()).items():
            paths.setdefault(path, external_id)
        found = []
        for path in map(tuple, wanted):
            if not path or path not in paths:
                raise PlatformRefused(f"The shop has no category '{' > '.join(path)[:200]}'; make it there first.")
            found.append(paths[path])
        return found

    async def _option(self, name: str, language: int) -> str:
        known = [external_id for external_id, shown in (await self._shop.options()).items() if shown == name]
        if known:
            return known[0]
        fields: Fields = {
            "group_type": "select",
            "is_color_group": "0",
            "name": Translated(language, name),
            "public_name": Translated(language, name),
        }
        self._shop.forget_options()
        return await self._made("product_options", xml.row("product_option", fields))

    async def _value(self, option_id: str, name: str, language: int) -> str:
        filters = {"id_attribute_group": f"[{option_id}]"}
        rows = await self._client.rows("product_option_values", "[id,name]", filters=filters, language=language)
        found = next((key(row["id"]) for row in rows if text(row.get("name"), language) == name), None)
        fields: Fields = {"id_attribute_group": option_id, "name": Translated(language, name)}
        return found or await self._made("product_option_values", xml.row("product_option_value", fields))

    async def _made(self, resource: str, written: xml.Row) -> str:
        found = (await self._client.make(resource, written)).findtext("id") or ""
        if not found.isdigit():
            raise AnswerNotUnderstood(f"The shop made one of {resource} and does not say which.")
        return found
