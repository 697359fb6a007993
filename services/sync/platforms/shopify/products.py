"""Products and their variants: made whole, changed by what is to be different, never by lists that replace.

What was read just before decides: a field that is as wanted is not written, one that is neither as wanted nor as
expected is stale. A new product has a handle that follows from its write and carries the write's operation key, and
Shopify gives a handle once: so whatever was lost or came twice, there is one product.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Fields, ProductWrite, Record, VariantWrite, Written
from services.sync.platforms.shopify import mapping, queries
from services.sync.platforms.shopify.client import Client, JsonObject, code, user_errors, words
from services.sync.platforms.shopify.images import Images
from services.sync.platforms.shopify.reading import Reader
from services.sync.platforms.shopify.stock import quoted
from services.sync.platforms.shopify.writing import compare
from services.sync.platforms.writing import settle

# Input lists have 250 entries at most; a product has up to 2,048 variants.
MOST_AT_ONCE = 250
# Both errors come with a code, or without one and in these words.
_TAKEN = ("HANDLE_NOT_UNIQUE", "already in use")
_EXISTS = ("VARIANT_ALREADY_EXISTS", "already exists")
# Fields of a product that are lists of their own, and are not read with its texts.
_LISTS = frozenset(("categories", "images"))
_NONE: JsonObject = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
_NOT_HANDLE = re.compile(r"[^a-z0-9]+")


@dataclass
class Parts:
    """What came of a product's variants so far, and what is still to be done, by their places in the write."""

    done: dict[int, Written] = field(default_factory=dict)
    to_update: dict[int, JsonObject] = field(default_factory=dict)
    to_create: dict[int, JsonObject] = field(default_factory=dict)


class ProductWriter:
    """Writes products of one shop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client: Client = reader.client
        self._images = Images(reader.client)

    async def write(self, writes: Sequence[ProductWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        current = await self._current(writes)
        return await settle([self._one(write, current[index]) for index, write in enumerate(writes)])

    async def _current(self, writes: Sequence[ProductWrite]) -> list[Record | None]:
        """What each write is about as it is now, as far as the write is about it: to read all of it costs most."""
        whole, texts, variants = [], [], []
        for write in writes:
            if write.external_id is None:
                continue
            if not write.fields and all(each.external_id for each in write.variants):
                variants += [each.external_id for each in write.variants if each.external_id]
            elif write.variants or _LISTS & set(write.fields):
                whole.append(write.external_id)
            else:
                texts.append(write.external_id)
        products = [*await self._reader.read("product", whole), *await self._reader.texts(texts)]
        by_id = {record.external_id: record for record in products}
        parts = {record.external_id: record for record in await self._reader.read("variant", variants)}
        return [by_id.get(write.external_id or "") or _of_parts(write, parts) for write in writes]

    async def _one(self, write: ProductWrite, record: Record | None) -> Written:
        if write.external_id is None:
            return await self._create(write)
        if record is None:
            return Written("person", "Shopify no longer has the product.", write.external_id)
        return await self._change(write, record)

    # --- changing

    async def _change(self, write: ProductWrite, record: Record) -> Written:
        """Have a product as it is to be. One of its variants that fails, fails alone."""
        parts = await self._change_variants(write, record)
        own = await self._change_fields(write, record)
        has_changed = own.outcome == "unchanged" and any(part.outcome == "ok" for part in parts.values())
        return Written(
            "ok" if has_changed else own.outcome,
            own.message,
            record.external_id,
            own.fields,
            record.references,
            tuple(parts[index] for index in range(len(write.variants))),
            own.retry_after_seconds,
        )

    async def _change_fields(self, write: ProductWrite, record: Record) -> Written:
        compared = compare(write.fields, write.expected, record.fields)
        changed = dict(compared.changed)
        if compared.stale:
            fields = {name: record.fields[name] for name in compared.stale}
            return Written("stale", f"{', '.join(compared.stale)}: changed in Shopify meanwhile.", fields=fields)
        strange = sorted(set(changed) - mapping.PRODUCT_FIELDS)
        if strange:
            return Written("person", f"Of a product in Shopify this is not changed from here: {', '.join(strange)}.")
        there = {name: record.fields[name] for name in write.fields if name in record.fields}
        if not changed:
            return Written("unchanged", fields=there)
        answered = {
            **(await self._set_tags(record, changed, write.expected)),
            **(await self._set_fields(record, changed, write.expected)),
        }
        has_changed = bool(answered)
        if "images" in changed:
            is_other, answered["images"] = await self._images.put(record.external_id, changed["images"])
            has_changed |= is_other
        return Written("ok" if has_changed else "unchanged", fields={**there, **answered})

    async def _set_fields(self, record: Record, changed: Fields, expected: Mapping[str, Any]) -> Fields:
        given = mapping.product_input(changed)
        if "categories" in changed:
            given.update(await self._collections(record, changed["categories"], may_leave="categories" in expected))
        if not given:
            return {}
        given["id"] = mapping.gid("Product", record.external_id)
        data = await self._client.ask(queries.UPDATE_PRODUCT, {"product": given})
        payload = data["productUpdate"] or {}
        errors = user_errors(payload)
        if errors or not payload.get("product"):
            raise PlatformRefused(words(errors) or "Shopify did not change the product.")
        node = {**payload["product"], "variants": _NONE, "media": _NONE}
        answered = (await self._reader.one("product", node)).fields
        return {name: answered[name] for name in changed if name not in ("tags", "images")}

    async def _set_tags(self, record: Record, changed: Fields, expected: Mapping[str, Any]) -> Fields:
        """Add and take single tags, so that those which others add at the same moment stay."""
        if "tags" not in changed:
            return {}
        wanted, there = set(changed["tags"]), set(record.fields["tags"])
        product_id = mapping.gid("Product", record.external_id)
        steps = [(queries.ADD_TAGS, "tagsAdd", wanted - there)]
        if "tags" in expected:
            steps.append((queries.TAKE_TAGS, "tagsRemove", there - wanted))
        answered: Fields = {}
        for document, name, tags in steps:
            if not tags:
                continue
            payload = (await self._client.ask(document, {"id": product_id, "tags": sorted(tags)}))[name] or {}
            errors = user_errors(payload)
            if errors or not payload.get("node"):
                raise PlatformRefused(words(errors) or "Shopify did not take the tags.")
            answered = {"tags": sorted(payload["node"]["tags"])}
        return answered

    async def _collections(self, record: Record, wanted: Sequence[Sequence[str]], *, may_leave: bool) -> JsonObject:
        """Which collections to join and to leave. Raises PlatformRefused for one that there is not."""
        titles = {path[-1] for path in wanted}
        there = {path[-1] for path in record.fields["categories"]}
        leaving = there - titles if may_leave else set()
        ids = await self._collection_ids(sorted((titles - there) | leaving))
        given = {
            "collectionsToJoin": [ids[title] for title in sorted(titles - there)],
            "collectionsToLeave": [ids[title] for title in sorted(leaving)],
        }
        return {name: chosen for name, chosen in given.items() if chosen}

    async def _collection_ids(self, titles: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for title in titles:
            data = await self._client.ask(queries.FIND_COLLECTIONS, {"query": f"title:{quoted(title)}"})
            same = [node["id"] for node in data["collections"]["nodes"] if node["title"] == title]
            if not same:
                raise PlatformRefused(f"Shopify has no collection '{title[:100]}'; make it there first.")
            found[title] = same[0]
        return found

    # --- variants

    async def _change_variants(self, write: ProductWrite, record: Record) -> dict[int, Written]:
        if not write.variants:
            return {}
        currency = await self._reader.currency()
        parts = Parts()
        for index, variant in enumerate(write.variants):
            _plan(parts, index, variant, record, currency)
        await self._update_variants(record.external_id, parts, write.variants)
        await self._create_variants(record.external_id, parts, write.variants)
        return parts.done

    async def _update_variants(self, product_id: str, parts: Parts, writes: Sequence[VariantWrite]) -> None:
        waiting = list(parts.to_update.items())
        for start in range(0, len(waiting), MOST_AT_ONCE):
            chunk = waiting[start : start + MOST_AT_ONCE]
            variables = {"id": mapping.gid("Product", product_id), "variants": [given for _, given in chunk]}
            data = await self._client.ask(queries.UPDATE_VARIANTS, variables)
            payload = data["productVariantsBulkUpdate"] or {}
            by_place, general = _by_place(user_errors(payload))
            answered = await self._answered(payload)
            for place, (index, given) in enumerate(chunk):
                error, variant_id = by_place.get(place, general), mapping.short(given["id"])
                if error:
                    parts.done[index] = Written("person", words(error), variant_id)
                else:
                    parts.done[index] = _ok(answered.get(variant_id), variant_id, writes[index])

    async def _create_variants(self, product_id: str, parts: Parts, writes: Sequence[VariantWrite]) -> None:
        """Make those that are not there. Shopify makes all of a list or none, so the others are tried again."""
        waiting = dict(parts.to_create)
        while waiting:
            chunk = list(waiting.items())[:MOST_AT_ONCE]
            variables = {"id": mapping.gid("Product", product_id), "variants": [given for _, given in chunk]}
            data = await self._client.ask(queries.CREATE_VARIANTS, variables)
            payload = data["productVariantsBulkCreate"] or {}
            by_place, general = _by_place(user_errors(payload))
            if not by_place and not general:
                made = list((await self._answered(payload)).values())
                for (index, _), record in zip(chunk, made, strict=True):
                    parts.done[index] = _ok(record, record.external_id, writes[index])
            for place, (index, _) in enumerate(chunk):
                error = general or by_place.get(place)
                if error:
                    parts.done[index] = Written("retry" if _says(error, _EXISTS) else "person", words(error))
            waiting = {index: given for index, given in waiting.items() if index not in parts.done}

    async def _answered(self, payload: JsonObject) -> dict[str, Record]:
        nodes = [node for node in payload.get("productVariants") or () if node]
        return {record.external_id: record for record in (await self._reader.plain("variant", nodes)).records}

    # --- making

    async def _create(self, write: ProductWrite) -> Written:
        handle = _handle(write)
        made = await self._made(handle, write.operation_key)
        if made is not None:
            return await self._adopt(write, made)
        currency = await self._reader.currency()
        wrong = next((each for each in write.variants if _is_foreign(each.fields, currency)), None)
        if wrong is not None:
            return Written("person", f"The price of {wrong.sku} is not in {currency}, which the shop sells in.")
        given = await self._new_product(write, handle)
        payload = (await self._client.ask(queries.CREATE_PRODUCT, {"input": given}))["productSet"] or {}
        errors = user_errors(payload)
        if _says(errors, _TAKEN) and (made := await self._made(handle, write.operation_key)) is not None:
            return await self._adopt(write, made)
        if errors or not payload.get("product"):
            return Written("person", words(errors) or "Shopify did not make the product.")
        return await self._adopt(write, await self._reader.one("product", payload["product"]))

    async def _made(self, handle: str, operation_key: str) -> Record | None:
        """What an earlier try of the write has made. Raises PlatformRefused when the handle is another product's."""
        data = await self._client.ask(queries.FIND_MADE, {"handle": handle})
        self._reader.note_currency(data)
        node = data["productByIdentifier"]
        if node is None:
            return None
        if (node.get("madeBy") or {}).get("value") != operation_key:
            raise PlatformRefused(f"Shopify already has a product with the handle '{handle}'; link it instead.")
        return await self._reader.one("product", node)

    async def _adopt(self, write: ProductWrite, record: Record) -> Written:
        """A product that this write has made, now or earlier, once the variants and pictures it lacks are there."""
        parts = Parts()
        for index, variant in enumerate(write.variants):
            there = _found(variant, record.parts)
            if there is None:
                parts.to_create[index] = mapping.new_variant_input({"sku": variant.sku, **variant.fields})
            else:
                parts.done[index] = _ok(there, there.external_id, variant)
        await self._create_variants(record.external_id, parts, write.variants)
        fields = {name: record.fields[name] for name in (*write.fields, "handle") if name in record.fields}
        if write.fields.get("images"):
            _, fields["images"] = await self._images.put(record.external_id, write.fields["images"])
        made = tuple(parts.done[index] for index in range(len(write.variants)))
        return Written("ok", None, record.external_id, fields, record.references, made)

    async def _new_product(self, write: ProductWrite, handle: str) -> JsonObject:
        """The whole of a new product but for its pictures, and for variants beyond what one list takes."""
        titles = sorted({path[-1] for path in write.fields.get("categories") or () if path})
        variants = [variant.fields | {"sku": variant.sku} for variant in write.variants]
        given = {
            "status": "DRAFT",
            **mapping.product_input(write.fields),
            "handle": handle,
            "tags": sorted(set(write.fields.get("tags") or ())),
            "collections": list((await self._collection_ids(titles)).values()),
            "productOptions": mapping.product_options(write.fields.get("options") or (), variants),
            "variants": [mapping.new_variant_input(fields) for fields in variants[:MOST_AT_ONCE]],
            "metafields": [
                {
                    "namespace": "crossdock",
                    "key": "operation_key",
                    "type": "single_line_text_field",
                    "value": write.operation_key,
                }
            ],
        }
        if not variants:
            given["variants"] = [mapping.new_variant_input({})]
        return given


def _of_parts(write: ProductWrite, parts: Mapping[str, Record]) -> Record | None:
    """A product of which nothing but its variants is written, by these alone; None when it has none of them."""
    if write.external_id is None or write.fields:
        return None
    found = tuple(parts[each] for each in (variant.external_id or "" for variant in write.variants) if each in parts)
    return Record(write.external_id, {}, parts=found) if found or not write.variants else None


def _plan(parts: Parts, index: int, write: VariantWrite, record: Record, currency: str) -> None:
    """What is to be done about one variant."""
    fields = write.fields if write.external_id else {"sku": write.sku, **write.fields}
    there = _found(write, record.parts)
    if _is_foreign(fields, currency):
        parts.done[index] = Written(
            "person", f"The price of {write.sku} is not in {currency}, which the shop sells in."
        )
    elif there is None and write.external_id:
        parts.done[index] = Written("person", "Shopify no longer has the variant.", write.external_id)
    elif there is None:
        parts.to_create[index] = mapping.new_variant_input(fields)
    else:
        _plan_change(parts, index, write, fields, there)


def _plan_change(parts: Parts, index: int, write: VariantWrite, fields: Fields, there: Record) -> None:
    compared = compare(fields, write.expected, there.fields)
    strange = sorted(set(compared.changed) - mapping.VARIANT_FIELDS)
    if compared.stale:
        current = {name: there.fields[name] for name in compared.stale}
        message = f"{', '.join(compared.stale)}: changed in Shopify meanwhile."
        parts.done[index] = Written("stale", message, there.external_id, current, there.references)
    elif strange:
        message = f"Of a variant in Shopify this is not changed from here: {', '.join(strange)}."
        parts.done[index] = Written("person", message, there.external_id, references=there.references)
    elif not compared.changed:
        kept = {name: there.fields[name] for name in fields if name in there.fields}
        parts.done[index] = Written("unchanged", None, there.external_id, kept, there.references)
    else:
        variant_id = mapping.gid("ProductVariant", there.external_id)
        parts.to_update[index] = {"id": variant_id, **mapping.variant_input(compared.changed)}


def _found(write: VariantWrite, parts: Sequence[Record]) -> Record | None:
    """The variant that a write is about; of one to be made, what an earlier try has made."""
    if write.external_id:
        return next((part for part in parts if part.external_id == write.external_id), None)
    same = [part for part in parts if write.sku and part.fields["sku"] == write.sku]
    options = write.fields.get("options")
    if not same and options:
        same = [part for part in parts if part.fields["options"] == options and not part.fields["sku"]]
    return same[0] if len(same) == 1 else None


def _ok(record: Record | None, external_id: str, write: VariantWrite) -> Written:
    if record is None:
        return Written("ok", external_id=external_id)
    fields = {name: record.fields[name] for name in write.fields if name in record.fields}
    return Written("ok", None, external_id, fields, record.references)


def _is_foreign(fields: Mapping[str, Any], currency: str) -> bool:
    prices = (fields.get("price"), fields.get("list_price"))
    return any(price is not None and price["currency"] != currency for price in prices)


def _by_place(errors: Sequence[JsonObject]) -> tuple[dict[int, list[JsonObject]], list[JsonObject]]:
    """Errors by the place in the list that they are about, and those that are about all of it."""
    by_place: dict[int, list[JsonObject]] = {}
    general = []
    for error in errors:
        place = next((int(part) for part in error.get("field") or () if str(part).isdigit()), None)
        if place is None:
            general.append(error)
        else:
            by_place.setdefault(place, []).append(error)
    return by_place, general


def _says(errors: Sequence[JsonObject], meaning: tuple[str, str]) -> bool:
    """Whether one of the errors has this code, or says so in these words."""
    named, said = meaning
    return any(code(error) == named or said in str(error.get("message")) for error in errors)


def _handle(write: ProductWrite) -> str:
    """The handle a new product is to have, in letters that Shopify leaves as they are."""
    given = _NOT_HANDLE.sub("-", str(write.fields.get("handle") or "").lower()).strip("-")
    if given:
        return given[:250].strip("-")
    title = _NOT_HANDLE.sub("-", str(write.fields.get("title") or "").lower()).strip("-")[:60].strip("-")
    return f"{title or 'product'}-{sha256(write.operation_key.encode()).hexdigest()[:10]}"
