"""What there is to know of a shop besides its records, read once: currency, attributes, categories, families."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.magento.client import Client, Filter

JsonObject = dict[str, Any]

# The entity type of products, as every installation has it.
PRODUCT_ENTITY = 4
_GRAMS = {"kgs": Decimal(1000), "lbs": Decimal("453.59237")}
# The root of all categories and those that stand for a whole store are nobody's path.
_ROOT_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What holds of all of a shop's records."""

    currency: str
    time_zone: str
    grams: Decimal
    media_url: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of products. `options` are labels by value, where it has any."""

    id: str
    code: str
    label: str
    kind: str
    options: Mapping[str, str]

    @property
    def has_options(self) -> bool:
        return self.kind in ("select", "multiselect", "boolean") or bool(self.options)

    def find_option(self, label: str) -> str | None:
        """The value of a label: of the very same, or else of one that differs in case alone."""
        named = {text: value for value, text in self.options.items()}
        same = {text.casefold().strip(): value for value, text in self.options.items()}
        return named.get(label) or same.get(label.casefold().strip())


@dataclass(frozen=True, slots=True)
class AttributeSet:
    """The attributes that products of one set have."""

    by_code: Mapping[str, Attribute]
    by_id: Mapping[str, Attribute]

    def find_axis(self, name: str) -> Attribute | None:
        """The attribute that variants may differ in by this name: its label, or its code."""
        chosen = [each for each in self.by_code.values() if each.kind == "select"]
        wanted = name.casefold().strip()
        return next((each for each in chosen if each.label.casefold().strip() == wanted), None) or next(
            (each for each in chosen if each.code == wanted), None
        )


@dataclass
class Family:
    """Which products are children of which. A child of several belongs to the one that was there first."""

    parent_of: dict[int, int] = field(default_factory=dict)

    def note(self, entity: JsonObject) -> None:
        """Take a configurable product's own word for its children."""
        parent = int(entity["id"])
        linked = set(links(entity))
        for child in [child for child, known in self.parent_of.items() if known == parent and child not in linked]:
            del self.parent_of[child]
        for child in linked:
            self.parent_of[child] = min(parent, self.parent_of.get(child, parent))


@dataclass(frozen=True, slots=True)
class Source:
    """A place that has stock."""

    code: str
    name: str


class Shop:
    """Asks for each of these once."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._facts: Facts | None = None
        self._sets: dict[int, AttributeSet] = {}
        self._categories: dict[str, list[str]] | None = None
        self._family: Family | None = None
        self._sources: list[Source] | None = None

    async def facts(self) -> Facts:
        """Raises AnswerNotUnderstood where weights or the currency could not be told."""
        if self._facts is None:
            self._facts = facts_of(await self.client.get("/store/storeConfigs"))
        return self._facts

    async def attributes(self, set_ids: Sequence[int]) -> Mapping[int, AttributeSet]:
        """These sets of attributes, by their ids."""
        sets = self._sets
        missing = [each for each in dict.fromkeys(set_ids) if each not in sets]
        for set_id, found in zip(missing, await asyncio.gather(*map(self._read_set, missing)), strict=True):
            sets[set_id] = found
        return sets

    def forget_attributes(self) -> None:
        """Read them anew, for those who ask from now on: an option was added."""
        self._sets = {}

    async def _read_set(self, set_id: int) -> AttributeSet:
        return attribute_set(await self.client.get(f"/products/attribute-sets/{set_id}/attributes"))

    async def set_id(self, name: str) -> int:
        """The set that new products have. Raises PlatformRefused."""
        params = {"searchCriteria[pageSize]": "300"}
        body = await self.client.get("/eav/attribute-sets/list", params)
        for each in body["items"] or ():
            if each["attribute_set_name"] == name and each["entity_type_id"] == PRODUCT_ENTITY:
                return int(each["attribute_set_id"])
        raise PlatformRefused(f"Magento has no attribute set '{name[:100]}' for products.")

    async def categories(self) -> Mapping[str, list[str]]:
        """Paths of names by category."""
        if self._categories is None:
            rows: list[JsonObject] = []
            async for some in self.client.walk(
                "/categories/list", by="entity_id", key="id", fields="id,parent_id,name,level,path"
            ):
                rows += some
            self._categories = category_paths(rows)
        return self._categories

    async def family(self) -> Family:
        """Which products are children: a child does not say so itself."""
        if self._family is None:
            family = Family()
            configurable = [Filter("type_id", "eq", "configurable")]
            fields = "id,extension_attributes[configurable_product_links]"
            async for some in self.client.walk("/products", configurable, by="entity_id", key="id", fields=fields):
                for entity in some:
                    family.note(entity)
            self._family = family
        return self._family

    async def sources(self) -> Sequence[Source]:
        """Places that are in use, in the order of their codes."""
        if self._sources is None:
            found: list[Source] = []
            async for some in self.client.walk("/inventory/sources", by="source_code"):
                found += [Source(each["source_code"], each["name"]) for each in some if each.get("enabled", True)]
            self._sources = found
        return self._sources

    async def priorities(self) -> Sequence[str]:
        """Codes of the sources, in the order in which they are shipped from."""
        sources = await self.sources()
        links: list[JsonObject] = []
        if len(sources) > 1:
            async for some in self.client.walk("/inventory/stock-source-links", by="source_code"):
                links += some
        return by_priority(links, sources)


def by_priority(links: Sequence[JsonObject], sources: Sequence[Source]) -> list[str]:
    """Codes of sources: those first that a stock ships from first."""
    ranks: dict[str, int] = {}
    for link in links:
        code, rank = str(link["source_code"]), int(link.get("priority") or 0)
        ranks[code] = min(rank, ranks.get(code, rank))
    return sorted((source.code for source in sources), key=lambda code: (code not in ranks, ranks.get(code, 0), code))


def facts_of(configs: Any) -> Facts:
    """What the store views have in common. Raises AnswerNotUnderstood."""
    if not isinstance(configs, list) or not configs:
        raise AnswerNotUnderstood("Magento names no store view.")
    first = configs[0]
    unit = _GRAMS.get(first.get("weight_unit"))
    if unit is None:
        raise AnswerNotUnderstood(f"Magento weighs in {first.get('weight_unit')!r}.")
    return Facts(
        currency=first["base_currency_code"],
        time_zone=first.get("timezone") or "UTC",
        grams=unit,
        media_url=str(first.get("secure_base_media_url") or first["base_media_url"]),
        base_url=str(first.get("base_url") or ""),
    )


def attribute_set(rows: Sequence[JsonObject]) -> AttributeSet:
    """The attributes of one set, as Magento lists them."""
    found = [
        Attribute(
            id=str(row["attribute_id"]),
            code=row["attribute_code"],
            label=row.get("default_frontend_label") or row["attribute_code"],
            kind=row.get("frontend_input") or "",
            options={str(each["value"]): each["label"] for each in row.get("options") or () if each.get("value")},
        )
        for row in rows
    ]
    return AttributeSet({each.code: each for each in found}, {each.id: each for each in found})


def category_paths(rows: Sequence[JsonObject]) -> dict[str, list[str]]:
    """Names from below a store's own root down to each category."""
    names = {str(row["id"]): row for row in rows}
    paths = {}
    for row in rows:
        steps = [names[each] for each in str(row.get("path") or "").split("/") if each in names]
        path = [step["name"] for step in steps if int(step.get("level") or 0) > _ROOT_LEVEL]
        if path:
            paths[str(row["id"])] = path
    return paths


def links(entity: JsonObject) -> list[int]:
    """The children of a product, which are none where Magento gives a list in place of an object."""
    more = entity.get("extension_attributes")
    return [int(each) for each in (more.get("configurable_product_links") or ())] if isinstance(more, dict) else []
