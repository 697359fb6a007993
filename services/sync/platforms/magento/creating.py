"""New products: made in steps, each of which is looked for before it is taken, so that a repeat goes on where it ended.

`POST products` with a SKU that there is overwrites its product, in whatever case. So SKUs are read first. What an
earlier try has made is known: a configurable product by its SKU, which follows from the write's key, and what is sold
by the address that it was given. A product of somebody else under our SKU is for a person.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256

from services.sync.errors import AnswerNotUnderstood, PlatformRefused
from services.sync.platforms.base import ProductWrite, VariantWrite, Written
from services.sync.platforms.magento import mapping
from services.sync.platforms.magento.client import segment
from services.sync.platforms.magento.images import Images
from services.sync.platforms.magento.mapping import (
    CONFIGURABLE,
    NOT_VISIBLE,
    OUT_OF_STOCK,
    VISIBLE,
    Context,
    JsonObject,
)
from services.sync.platforms.magento.payloads import Payloads, is_foreign
from services.sync.platforms.magento.reading import LEVELS, Reader
from services.sync.platforms.magento.settings import MagentoSettings
from services.sync.platforms.magento.shop import Attribute, links
from services.sync.platforms.magento.stock import MOST_IN_BODY
from services.sync.platforms.writing import failed

Axes = Sequence[tuple[str, Attribute]]
_NOT_HANDLE = re.compile(r"[^a-z0-9]+")
_ATTACHED = "already attached"


class Creator:
    """Makes products in one shop."""

    def __init__(self, reader: Reader, payloads: Payloads, images: Images, settings: MagentoSettings) -> None:
        self._reader, self._payloads, self._images = reader, payloads, images
        self._client, self._shop = reader.client, reader.shop
        self._set_name = settings.attribute_set
        # Magento reads a parent, adds a child and saves it: two at once would be one.
        self._linking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def create(self, write: ProductWrite) -> Written:
        """Make a product with its variants, or go on making it. Raises PlatformRefused and what requests raise."""
        new: JsonObject = {"attribute_set_id": await self._shop.set_id(self._set_name)}
        context = await self._reader.context([new])
        foreign = next((each.sku for each in write.variants if is_foreign(each.fields, context.facts.currency)), None)
        if foreign is not None:
            raise PlatformRefused(f"The price of {foreign} is not in {context.facts.currency}.")
        if len(write.variants) == 1 and not write.variants[0].fields.get("options"):
            return await self._create_single(write, new, context)
        return await self._create_family(write, new, context)

    # --- a product by itself

    async def _create_single(self, write: ProductWrite, new: JsonObject, context: Context) -> Written:
        (variant,) = write.variants
        handle = handle_of(write)
        entity = (await self._reader.by_sku([variant.sku])).get(variant.sku.lower())
        if entity is None:
            own = await self._payloads.product({"status": "draft", **write.fields, "handle": handle}, new, context)
            sold = await self._payloads.variant(variant.fields, {}, new, context)
            given = {**new, "sku": variant.sku, "type_id": "simple", "visibility": VISIBLE}
            entity = await self._post(mapping.merged(given, own, sold))
        elif not is_ours(entity, handle):
            raise PlatformRefused(f"Magento already has a product with the SKU '{variant.sku}'; link it instead.")
        await self._have_levels([variant.sku])
        return await self._made(write, entity, [entity], {})

    # --- a configurable product with its children

    async def _create_family(self, write: ProductWrite, new: JsonObject, context: Context) -> Written:
        handle = handle_of(write)
        sku = f"{handle[:50].strip('-')}-{key_of(write.operation_key)}"
        axes = find_axes(write, context, new)
        entity = (await self._reader.by_sku([sku])).get(sku.lower())
        if entity is None:
            own = await self._payloads.product({"status": "draft", **write.fields, "handle": handle}, new, context)
            given = {**new, "sku": sku, "type_id": CONFIGURABLE, "visibility": VISIBLE}
            entity = await self._post(mapping.merged(given, own))
        await self._differ(entity, axes, write.variants)
        children, refused = await self._children(entity, axes, write.variants)
        await self._have_levels([child["sku"] for child in children.values()])
        entity = (await self._reader.entities([str(entity["id"])]))[int(entity["id"])]
        return await self._made(write, entity, list(children.values()), refused)

    async def add(self, entity: JsonObject, variant: VariantWrite) -> Written:
        """Make one more child of a configurable product. Raises PlatformRefused and what requests raise."""
        context = await self._reader.context([entity])
        if is_foreign(variant.fields, context.facts.currency):
            raise PlatformRefused(f"The price of {variant.sku} is not in {context.facts.currency}.")
        axes = mapping.axes(entity, context)
        strange = sorted(set(variant.fields.get("options") or ()) - {name for name, _ in axes})
        if strange:
            raise PlatformRefused(f"In Magento the product's variants do not differ in {', '.join(strange)[:200]}.")
        child = await self._child(entity, axes, variant)
        await self._have_levels([child["sku"]])
        return self._part(variant, child, axes, await self._reader.context([entity, child]))

    async def _differ(self, entity: JsonObject, axes: Axes, variants: Sequence[VariantWrite]) -> None:
        """Have a configurable product's children differ in these attributes."""
        more = entity.get("extension_attributes")
        options = more.get("configurable_product_options") if isinstance(more, dict) else ()
        known = {str(option["attribute_id"]) for option in options or ()}
        for place, (name, attribute) in enumerate(axes):
            if attribute.id in known:
                continue
            labels = dict.fromkeys(str(each.fields["options"][name]) for each in variants)
            values = [int(await self._payloads.option(attribute, label)) for label in labels]
            option = {
                "attribute_id": attribute.id,
                "label": name,
                "position": place,
                "is_use_default": False,
                "values": [{"value_index": value} for value in values],
            }
            await self._client.post(f"/configurable-products/{segment(entity['sku'])}/options", {"option": option})

    async def _children(
        self, entity: JsonObject, axes: Axes, variants: Sequence[VariantWrite]
    ) -> tuple[dict[int, JsonObject], dict[int, Written]]:
        """Children by their variants' places, and what came of those that could not be made."""
        children, refused = {}, {}
        for index, variant in enumerate(variants):
            try:
                children[index] = await self._child(entity, axes, variant)
            except PlatformRefused as error:
                refused[index] = failed(error)
        return children, refused

    async def _child(self, entity: JsonObject, axes: Axes, variant: VariantWrite) -> JsonObject:
        """A child of a configurable product, made and linked where it is not yet."""
        child = (await self._reader.by_sku([variant.sku])).get(variant.sku.lower())
        handle = slug(f"{mapping.customs(entity).get('url_key') or entity['sku']}-{variant.sku}")
        if child is None:
            child = await self._post(await self._new_child(entity, axes, variant, handle))
        elif child["id"] not in links(entity) and not is_ours(child, handle):
            raise PlatformRefused(f"Magento already has a product with the SKU '{variant.sku}'.")
        if child["id"] not in links(entity):
            await self._link(entity["sku"], child["sku"])
        return child

    async def _new_child(self, entity: JsonObject, axes: Axes, variant: VariantWrite, handle: str) -> JsonObject:
        options = variant.fields.get("options") or {}
        values = {attribute.code: await self._payloads.option(attribute, options[name]) for name, attribute in axes}
        # Read anew: an option may just have been added.
        context = await self._reader.context([entity])
        own = {
            "sku": variant.sku,
            "name": " ".join([entity["name"], *map(str, options.values())]),
            "attribute_set_id": entity["attribute_set_id"],
            "type_id": "simple",
            "status": mapping.ENABLED,
            "visibility": NOT_VISIBLE,
            "custom_attributes": mapping.as_customs({"url_key": handle, **values}),
        }
        return mapping.merged(own, await self._payloads.variant(variant.fields, {}, entity, context))

    async def _link(self, parent: str, child: str) -> None:
        path = f"/configurable-products/{segment(parent)}/child"
        try:
            async with self._linking[parent]:
                await self._client.post(path, {"childSku": child})
        except PlatformRefused as error:
            if _ATTACHED not in error.detail:
                raise

    # --- both

    async def _post(self, product: JsonObject) -> JsonObject:
        made = await self._client.post("/products", {"product": product})
        if not isinstance(made, dict) or "id" not in made:
            raise AnswerNotUnderstood(f"Magento answered a new product with {str(made)[:100]!r}.")
        return made

    async def _have_levels(self, skus: Sequence[str]) -> None:
        """Have each SKU counted in each source in use that has no level of it: one that there is not is never read."""
        sources = [source.code for source in await self._shop.sources()]
        wanted = [(source, sku) for sku in skus for source in sources]
        there = await self._reader.levels(wanted) if wanted else {}
        rows = [
            {"sku": sku, "source_code": source, "quantity": 0, "status": OUT_OF_STOCK}
            for source, sku in wanted
            if (source, sku.lower()) not in there
        ]
        for start in range(0, len(rows), MOST_IN_BODY):
            await self._client.post(LEVELS, {"sourceItems": rows[start : start + MOST_IN_BODY]})

    async def _made(
        self, write: ProductWrite, entity: JsonObject, members: Sequence[JsonObject], refused: Mapping[int, Written]
    ) -> Written:
        """The answer to a write whose product is there, once its pictures are there too."""
        images = None
        if write.fields.get("images"):
            _, images = await self._images.put(entity, write.fields["images"])
        context = await self._reader.context([entity, *members])
        record = mapping.product(entity, (), context)
        fields = {name: record.fields[name] for name in (*write.fields, "handle") if name in record.fields}
        by_sku = {member["sku"].lower(): member for member in members}
        axes = mapping.axes(entity, context)
        parts = [
            refused.get(index) or self._part(variant, by_sku[variant.sku.lower()], axes, context)
            for index, variant in enumerate(write.variants)
        ]
        given = fields | ({"images": images} if images is not None else {})
        return Written("ok", None, record.external_id, given, {}, tuple(parts))

    def _part(self, variant: VariantWrite, child: JsonObject, axes: Axes, context: Context) -> Written:
        there = mapping.variant(child, axes, context).fields
        fields = {name: there[name] for name in variant.fields if name in there}
        return Written("ok", None, str(child["id"]), fields)


def find_axes(write: ProductWrite, context: Context, new: JsonObject) -> list[tuple[str, Attribute]]:
    """The attributes that a product's variants differ in. Raises PlatformRefused."""
    names = dict.fromkeys(write.fields.get("options") or ())
    names |= dict.fromkeys(name for each in write.variants for name in each.fields.get("options") or {})
    found = []
    for name in names:
        attribute = context.sets[int(new["attribute_set_id"])].find_axis(name)
        if attribute is None:
            raise PlatformRefused(f"Magento has no drop-down attribute '{name[:100]}' in the new product's set.")
        if any(name not in (each.fields.get("options") or {}) for each in write.variants):
            raise PlatformRefused(f"Not every variant says its {name[:100]}, in which they are to differ.")
        found.append((name, attribute))
    return found


def is_ours(entity: JsonObject, handle: str) -> bool:
    """Whether an earlier try has made it."""
    return str(mapping.customs(entity).get("url_key") or "") == handle


def handle_of(write: ProductWrite) -> str:
    """The address a new product is to have, in letters that Magento leaves as they are."""
    given = slug(str(write.fields.get("handle") or ""))
    return given or f"{slug(str(write.fields.get('title') or ''))[:60] or 'product'}-{key_of(write.operation_key)}"


def key_of(operation_key: str) -> str:
    """The same ten letters for the same key."""
    return sha256(operation_key.encode()).hexdigest()[:10]


def slug(text: str) -> str:
    """Letters and digits with dashes between."""
    return _NOT_HANDLE.sub("-", text.lower()).strip("-")[:250].strip("-")
