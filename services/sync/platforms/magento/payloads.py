"""What Magento is sent of a product: our fields by its attributes, options by their values, categories by their ids."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Fields
from services.sync.platforms.magento import mapping
from services.sync.platforms.magento.mapping import OF_VARIANTS, Context, JsonObject
from services.sync.platforms.magento.reading import Reader
from services.sync.platforms.magento.shop import Attribute, AttributeSet


class Payloads:
    """Builds them for one shop. An option that an attribute does not have yet is added to it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client, self._shop = reader.client, reader.shop
        self._adding = asyncio.Lock()

    async def product(
        self, fields: Fields, entity: Mapping[str, Any], context: Context, *, may_leave: bool = False
    ) -> JsonObject:
        """Of a product. Raises PlatformRefused for a category, or an attribute, that there is not."""
        attributes = context.sets[int(entity["attribute_set_id"])]
        codes = {name: code for name, code in context.codes.items() if name not in OF_VARIANTS and name in fields}
        given = mapping.merged(mapping.plain(fields), await self._chosen(fields, codes, attributes))
        if "categories" in fields:
            links = category_links(fields["categories"], entity, context.categories, may_leave=may_leave)
            if links:
                given["extension_attributes"] = {"category_links": links}
        return given

    async def variant(
        self, fields: Fields, there: Mapping[str, Any], entity: Mapping[str, Any], context: Context
    ) -> JsonObject:
        """Of what is sold. `there`: what it has now."""
        attributes = context.sets[int(entity["attribute_set_id"])]
        codes = {name: code for name, code in context.codes.items() if name in OF_VARIANTS and name in fields}
        own = mapping.sold(fields, there, context.facts)
        return mapping.merged(own, await self._chosen(fields, codes, attributes))

    async def _chosen(self, fields: Fields, codes: Mapping[str, str], attributes: AttributeSet) -> JsonObject:
        values = {}
        for name, code in codes.items():
            attribute = attributes.by_code.get(code)
            if attribute is None:
                raise PlatformRefused(f"The product's attribute set has no attribute '{code}', which is our {name}.")
            text = ", ".join(fields[name]) if name == "tags" else fields[name] or ""
            values[code] = await self.option(attribute, text) if text and attribute.has_options else text
        return {"custom_attributes": mapping.as_customs(values)} if values else {}

    async def option(self, attribute: Attribute, label: str) -> str:
        """The value of an attribute's option, added where there is none. Raises PlatformRefused."""
        found = attribute.find_option(label)
        if found is not None:
            return found
        if attribute.kind not in ("select", "multiselect"):
            raise PlatformRefused(f"'{label[:100]}' is none of the values of {attribute.label}.")
        path = f"/products/attributes/{attribute.code}/options"
        async with self._adding:
            found = await self._find_option(path, attribute, label)
            if found is None:
                option = {"label": label, "value": "", "sort_order": 0, "is_default": False}
                await self._client.post(path, {"option": option})
                self._shop.forget_attributes()
                found = await self._find_option(path, attribute, label)
        if found is None:
            raise PlatformRefused(f"Magento did not add '{label[:100]}' to {attribute.label}.")
        return found

    async def _find_option(self, path: str, attribute: Attribute, label: str) -> str | None:
        rows = await self._client.get(path)
        options = {str(each["value"]): each["label"] for each in rows if each.get("value")}
        return Attribute(attribute.id, attribute.code, attribute.label, attribute.kind, options).find_option(label)


def category_links(
    wanted: Sequence[Sequence[str]], entity: Mapping[str, Any], categories: Mapping[str, list[str]], *, may_leave: bool
) -> list[JsonObject]:
    """Categories that a product is to be in besides its own. Raises PlatformRefused."""
    by_path: dict[tuple[str, ...], str] = {}
    for category_id, path in categories.items():
        by_path.setdefault(tuple(path), category_id)
    missing = [" / ".join(path) for path in wanted if tuple(path) not in by_path]
    if missing:
        raise PlatformRefused(f"Magento has no category '{missing[0][:200]}'; make it there first.")
    there = set(map(str, mapping.customs(entity).get("category_ids") or ()))
    chosen = [by_path[tuple(path)] for path in wanted]
    left = [" / ".join(categories[each]) for each in sorted(there - set(chosen)) if each in categories]
    if may_leave and left:
        raise PlatformRefused(f"Magento takes a product out of a category by hand alone: {', '.join(left)[:300]}.")
    return [{"position": 0, "category_id": each} for each in chosen if each not in there]


def is_foreign(fields: Mapping[str, Any], currency: str) -> bool:
    """Whether a price is in another currency than the shop's."""
    prices = (fields.get("price"), fields.get("list_price"))
    return any(price is not None and price["currency"] != currency for price in prices)
