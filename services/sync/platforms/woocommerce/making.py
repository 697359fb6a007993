"""Products that are made: one of however many tries.

WooCommerce knows no idempotency keys. A product that is made carries its write's key as meta data, under a slug that
follows from the write, and whoever tries again looks there first. A SKU is given once, and the refusal of a second
names its owner: ours if it carries the key, and otherwise somebody has to decide.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import ProductWrite, Written
from services.sync.platforms.woocommerce import mapping
from services.sync.platforms.woocommerce.client import Refused
from services.sync.platforms.woocommerce.images import Images
from services.sync.platforms.woocommerce.mapping import OPERATION_KEY, Shop
from services.sync.platforms.woocommerce.reading import PRODUCTS, Reader
from services.sync.platforms.woocommerce.terms import Terms
from services.sync.platforms.woocommerce.variations import foreign, found, is_foreign, new_part, new_variation, ok
from services.sync.platforms.woocommerce.writing import Batch, send

JsonObject = dict[str, Any]

_MADE: Mapping[str, str] = {**PRODUCTS, "_fields": f"{PRODUCTS['_fields']},meta_data"}
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
# As long as WordPress keeps one.
_LONGEST_SLUG = 200


class Maker:
    """Makes products of one site."""

    def __init__(self, reader: Reader, terms: Terms, images: Images) -> None:
        self._reader, self._terms, self._images = reader, terms, images
        self._client = reader.client

    async def make(self, write: ProductWrite, shop: Shop) -> Written:
        """Make a product, or adopt what an earlier try has made. Raises PlatformRefused where it is another's."""
        wrong = next((each for each in write.variants if is_foreign(each.fields, shop)), None)
        if wrong is not None:
            return Written("person", foreign(wrong, shop))
        slug = _slug(write)
        node = await self._made(write, slug)
        if node is None:
            try:
                node = await self._client.post("products", await self._new(write, slug, shop))
            except Refused as refused:
                node = await self._owned(write, refused)
        return await self._adopt(write, node, shop)

    async def _made(self, write: ProductWrite, slug: str) -> JsonObject | None:
        """What an earlier try has made. Raises PlatformRefused when the slug is another product's."""
        rows = (await self._client.list_rows("products", {**_MADE, "slug": slug})).rows
        same = [row for row in rows if row["slug"] == slug]
        ours = next((row for row in same if _is_made_by(row, write)), None)
        if same and ours is None:
            raise PlatformRefused(f"WooCommerce already has a product with the slug '{slug}'; link it instead.")
        return ours

    async def _owned(self, write: ProductWrite, refused: Refused) -> JsonObject:
        """The product that has the SKU already, if this write has made it. Raises Refused otherwise."""
        if refused.owner is None:
            raise refused
        rows = (await self._client.list_rows("products", {**_MADE, "include": str(refused.owner)})).rows
        ours = next((row for row in rows if _is_made_by(row, write)), None)
        if ours is None:
            raise PlatformRefused(f"{refused.detail} The product {refused.owner} has it already; link it instead.")
        return ours

    async def _new(self, write: ProductWrite, slug: str, shop: Shop) -> JsonObject:
        """The whole of a new product but for its variations and pictures."""
        fields = write.fields
        options = [variant.fields.get("options") or {} for variant in write.variants]
        is_variable = len(write.variants) != 1 or any(options)
        texts = {name: str(value) for name, value in (fields.get("attributes") or {}).items()}
        given: JsonObject = {
            "status": "draft",
            **mapping.product_input(fields),
            "slug": slug,
            "type": "variable" if is_variable else "simple",
            "attributes": mapping.new_attributes((fields.get("options") or ()) if is_variable else (), options, texts),
            "meta_data": [{"key": OPERATION_KEY, "value": write.operation_key}],
        }
        if fields.get("brand"):
            given["brands"] = await self._terms.brands(fields["brand"])
        if fields.get("tags"):
            given["tags"] = await self._terms.tags(sorted(set(fields["tags"])))
        if fields.get("categories"):
            given["categories"] = await self._terms.categories(fields["categories"])
        return given if is_variable else {**given, **new_part(write.variants[0], shop)}

    async def _adopt(self, write: ProductWrite, node: JsonObject, shop: Shop) -> Written:
        """A product that this write has made, now or earlier, once the variations and pictures it lacks are there."""
        if mapping.is_variable(node):
            parts = await self._variations(write, node, shop)
        else:
            parts = tuple(ok(node, variant, shop) for variant in write.variants)
        product_id = str(node["id"])
        paths = await self._reader.paths() if write.fields.get("categories") else {}
        current = mapping.product(node, (), paths, shop).fields
        fields = {name: current[name] for name in (*write.fields, "handle") if name in current}
        if write.fields.get("images"):
            _, fields["images"] = await self._images.put(product_id, write.fields["images"])
        return Written("ok", None, product_id, fields, {"product": product_id}, parts)

    async def _variations(self, write: ProductWrite, node: JsonObject, shop: Shop) -> tuple[Written, ...]:
        ((_, there),) = await self._reader.whole([node])
        known = [found(variant, there) for variant in write.variants]
        missing = [variant for variant, each in zip(write.variants, known, strict=True) if each is None]
        items = [new_variation(variant, node["attributes"], shop) for variant in missing]
        (answers,) = await send(self._client, [Batch(f"products/{node['id']}/variations", "create", items)])
        made = iter(answers)
        written = []
        for variant, each in zip(write.variants, known, strict=True):
            answer = next(made) if each is None else each
            written.append(answer if isinstance(answer, Written) else ok(answer, variant, shop))
        return tuple(written)


def _is_made_by(node: JsonObject, write: ProductWrite) -> bool:
    return any(
        each.get("key") == OPERATION_KEY and each.get("value") == write.operation_key for each in node["meta_data"]
    )


def _slug(write: ProductWrite) -> str:
    """The slug a new product is to have, in letters that WordPress leaves as they are."""
    given = _NOT_SLUG.sub("-", str(write.fields.get("handle") or "").lower()).strip("-")
    if given:
        return given[:_LONGEST_SLUG].strip("-")
    title = _NOT_SLUG.sub("-", str(write.fields.get("title") or "").lower()).strip("-")[:60].strip("-")
    return f"{title or 'product'}-{sha256(write.operation_key.encode()).hexdigest()[:10]}"
