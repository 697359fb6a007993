"""Products and their variants: made whole, changed by what is to be different, never by lists that replace unseen.

What was read just before decides: a field that is as wanted is not written, one that is neither as wanted nor as
expected is stale. PrestaShop makes a second product of the same reference without a word; so a product that is to be
made is looked for by the references that it would get, and one with our handle is what an earlier try has made.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from services.sync.errors import AnswerNotUnderstood, PlatformAway, PlatformRefused
from services.sync.platforms.base import Fields, ProductWrite, Record, Written
from services.sync.platforms.prestashop import mapping, xml
from services.sync.platforms.prestashop.client import AT_ONCE
from services.sync.platforms.prestashop.images import Images
from services.sync.platforms.prestashop.mapping import ids, key, text
from services.sync.platforms.prestashop.reading import Reader
from services.sync.platforms.prestashop.variants import Variants, found_part
from services.sync.platforms.prestashop.words import Words
from services.sync.platforms.prestashop.writing import compare
from services.sync.platforms.prestashop.xml import Translated
from services.sync.platforms.writing import failed, settle
from shared.errors import CrossdockError

JsonObject = dict[str, Any]
Values = dict[str, str | Translated]
Lists = dict[tuple[str, str], list[str]]

_NOT_HANDLE = re.compile(r"[^a-z0-9]+")
# What a filter of PrestaShop's takes for a list, a range or an end.
_NOT_IN_FILTER = re.compile(r"[\[\],|%]+")


@dataclass
class Plan:
    """What is to be written of a product itself, and what came of it without writing."""

    values: Values = field(default_factory=dict)
    lists: Lists = field(default_factory=dict)
    images: list[JsonObject] | None = None
    answer: Written | None = None


class ProductWriter:
    """Writes products of one shop."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._client, self._shop = reader, reader.client, reader.shop
        self._words = Words(reader.shop)
        self._variants = Variants(reader, self._words)
        self._images = Images(reader.client, reader.shop.base_url)

    async def write(self, writes: Sequence[ProductWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        if not writes:
            return []
        rows = await self._rows([write.external_id for write in writes if write.external_id])
        records = {each.external_id: each for each in (await self._reader.products(list(rows.values()))).records}
        works = [self._one(write, rows.get(write.external_id or ""), records) for write in writes]
        return await settle(works, at_once=AT_ONCE)

    async def _rows(self, external_ids: Sequence[str]) -> dict[str, JsonObject]:
        language = (await self._shop.units()).language
        return {key(row["id"]): row for row in await self._client.by_ids("products", external_ids, language=language)}

    async def _one(self, write: ProductWrite, row: JsonObject | None, records: Mapping[str, Record]) -> Written:
        if write.external_id is None:
            return await self._create(write)
        record = records.get(write.external_id)
        if row is None or record is None:
            return Written("person", "The shop no longer has the product.", write.external_id)
        return await self._change(write, row, record)

    # --- changing

    async def _change(self, write: ProductWrite, row: JsonObject, record: Record) -> Written:
        """Have a product as it is to be. One of its variants that fails, fails alone."""
        plan = await self._planned(write, row, record)
        parts = await self._variants.planned(write.variants, row, record)
        own = plan.answer is None
        try:
            await self._write_own(plan, parts.own, record)
        except (PlatformAway, AnswerNotUnderstood, PlatformRefused) as error:
            plan.answer = plan.answer or failed(error)
            parts.fail_own(failed(error))
        await self._variants.write(parts, row)
        has_changed = False
        if plan.answer is None and plan.images is not None:
            # Where nobody said what was expected, nothing that is there is taken for a lost upload of ours.
            expected = write.expected.get("images", record.fields["images"]) or ()
            has_changed, plan.images = await self._images.put(
                record.external_id, record.fields["images"], plan.images, expected, is_repeat=write.is_repeat
            )
        read = await self._again(record.external_id) if parts.has_written or own else record
        answer = plan.answer or self._answered(plan, write, read, has_changed=has_changed)
        made = parts.answers(write.variants, read)
        is_ok = answer.outcome == "ok" or (answer.outcome == "unchanged" and any(each.outcome == "ok" for each in made))
        outcome = "ok" if is_ok else answer.outcome
        return Written(outcome, answer.message, record.external_id, answer.fields, {}, made, answer.retry_after_seconds)

    async def _planned(self, write: ProductWrite, row: JsonObject, record: Record) -> Plan:
        # Pictures are only ever added to: whatever else is there is no reason not to.
        expected = {name: value for name, value in write.expected.items() if name != "images"}
        compared = compare(write.fields, expected, record.fields)
        changed = dict(compared.changed)
        there = {name: record.fields[name] for name in write.fields if name in record.fields}
        if compared.stale:
            fields = {name: record.fields[name] for name in compared.stale}
            message = f"{', '.join(compared.stale)}: changed in the shop meanwhile."
            return Plan(answer=Written("stale", message, fields=fields))
        strange = sorted(set(changed) - mapping.PRODUCT_FIELDS)
        if strange:
            message = f"Of a product in PrestaShop this is not changed from here: {', '.join(strange)}."
            return Plan(answer=Written("person", message))
        if not changed:
            return Plan(answer=Written("unchanged", fields=there))
        try:
            values, lists = await self._values(changed, row, write.expected)
        except CrossdockError as error:
            return Plan(answer=failed(error))
        return Plan(values, lists, changed.get("images"))

    async def _values(self, changed: Fields, row: JsonObject, expected: Mapping[str, Any]) -> tuple[Values, Lists]:
        """Fields and lists as they are written. A list keeps what of it can not be seen, and what nobody expected."""
        values, lists = mapping.product_row(changed, await self._shop.units()), Lists()
        if "brand" in changed:
            values["id_manufacturer"] = await self._words.brand(changed["brand"])
        if "tags" in changed:
            there = ids(row, "tags")
            seen = await self._shop.tags(there)
            stay = [each for each in there if "tags" not in expected or each not in seen]
            lists["tags", "tag"] = list(dict.fromkeys([*stay, *await self._words.tags(changed["tags"])]))
        if "categories" in changed:
            there, paths = ids(row, "categories"), await self._shop.paths()
            stay = [each for each in there if "categories" not in expected or not paths.get(each)]
            chosen = list(dict.fromkeys([*stay, *await self._words.categories(changed["categories"])]))
            lists["categories", "category"] = chosen or [await self._home()]
            if key(row.get("id_category_default")) not in lists["categories", "category"]:
                values["id_category_default"] = lists["categories", "category"][-1]
        return values, lists

    async def _write_own(self, plan: Plan, variant: Values, record: Record) -> None:
        """The product itself, and what of its only variant stands in it, in one write."""
        values = {**plan.values, **variant} if plan.answer is None else variant
        lists = plan.lists if plan.answer is None else {}
        if values or lists:
            await self._client.change("products", record.external_id, xml.row("product", values, lists))

    def _answered(self, plan: Plan, write: ProductWrite, read: Record, *, has_changed: bool) -> Written:
        fields = {name: read.fields[name] for name in write.fields if name in read.fields}
        if plan.images is not None:
            fields["images"] = plan.images
        return Written("ok" if plan.values or plan.lists or has_changed else "unchanged", fields=fields)

    async def _again(self, external_id: str) -> Record:
        """A product after it was written: what the shop has made of it. Raises AnswerNotUnderstood."""
        found = (await self._reader.products(list((await self._rows([external_id])).values()))).records
        if not found:
            raise AnswerNotUnderstood("The shop took the product and does not have it.")
        return found[0]

    async def _home(self) -> str:
        return (await self._shop.configuration()).get("PS_HOME_CATEGORY") or "2"

    # --- making

    async def _create(self, write: ProductWrite) -> Written:
        handle = handle_of(write)
        made = await self._made(write, handle)
        if made is not None:
            return await self._adopt(write, made)
        wrong = await self._variants.wrong(write.variants)
        if wrong is not None:
            return Written("person", wrong)
        written = await self._new_product(write, handle)
        external_id = ((await self._client.make("products", written)).findtext("id") or "").strip()
        if not external_id.isdigit():
            raise AnswerNotUnderstood("The shop made a product and does not say which.")
        return await self._adopt(write, external_id)

    async def _made(self, write: ProductWrite, handle: str) -> str | None:
        """What an earlier try has made. Raises PlatformRefused when the references are another product's."""
        references = {_reference(write, handle), *(variant.sku for variant in write.variants)} - {""}
        owners: set[str] = set()
        for reference in sorted(references):
            owners |= {key(row["id"]) for row in await self._with_reference("products", reference, "[id,reference]")}
            display = "[id,id_product,reference]"
            rows = await self._with_reference("combinations", reference, display)
            owners |= {key(row.get("id_product")) for row in rows}
        found = await self._rows(sorted(owners))
        language = (await self._shop.units()).language
        same = [external_id for external_id, row in found.items() if text(row.get("link_rewrite"), language) == handle]
        if found and not same:
            raise PlatformRefused(f"The shop already has a product with one of {', '.join(sorted(references))[:300]}.")
        return min(same, key=int, default=None)

    async def _with_reference(self, resource: str, reference: str, display: str) -> list[JsonObject]:
        """Rows with exactly this reference; the shop's own filter makes no difference of case, and has signs."""
        parts = _NOT_IN_FILTER.split(reference)
        longest = max(parts, key=len)
        value = f"[{reference}]" if len(parts) == 1 else f"%[{longest}]%"
        rows = await self._client.rows(resource, display, filters={"reference": value}) if longest else []
        return [row for row in rows if text(row.get("reference"), 0) == reference]

    async def _new_product(self, write: ProductWrite, handle: str) -> xml.Row:
        """The whole of a new product but for combinations and pictures. It is where a product of the shop's own is."""
        fields = {"status": "draft", "title": handle, **write.fields, "handle": handle}
        nothing: JsonObject = {"id_category_default": ""}
        wanted = {name: value for name, value in fields.items() if name not in ("tags", "brand") or value}
        values, lists = await self._values({"categories": [], **wanted}, nothing, {})
        values |= {
            "reference": _reference(write, handle),
            "state": "1",
            "minimal_quantity": "1",
            "available_for_order": "1",
            "show_price": "1",
            "id_tax_rules_group": await self._tax_rules(),
            **await self._variants.of_new_product(write.variants),
        }
        return xml.row("product", values, lists)

    async def _tax_rules(self) -> str:
        """The group of tax rules that most of the latest products have, as PrestaShop's own form proposes."""
        rows = await self._client.rows("products", "[id,id_tax_rules_group]", sort="[id_DESC]", most=100)
        groups = [key(row.get("id_tax_rules_group")) or "0" for row in rows]
        return max(sorted(set(groups)), key=groups.count, default="0")

    async def _adopt(self, write: ProductWrite, external_id: str) -> Written:
        """A product that this write has made, now or earlier, once the variants and pictures it lacks are there."""
        row = (await self._rows([external_id])).get(external_id)
        if row is None:
            raise AnswerNotUnderstood("The shop made the product and does not have it.")
        record = await self._again(external_id)
        await self._variants.complete(write.variants, row, record)
        images = None
        if write.fields.get("images"):
            wanted = write.fields["images"]
            _, images = await self._images.put(external_id, record.fields["images"], wanted, (), is_repeat=True)
        read = await self._again(external_id)
        fields = {name: read.fields[name] for name in (*write.fields, "handle") if name in read.fields}
        parts = tuple(
            Written("ok", None, part.external_id, dict(part.fields)) if part else Written("retry", "It is not there.")
            for part in (found_part(variant, read.parts) for variant in write.variants)
        )
        return Written("ok", None, external_id, fields | ({"images": images} if images else {}), {}, parts)


def handle_of(write: ProductWrite) -> str:
    """The handle a new product is to have, in letters that PrestaShop leaves as they are."""
    given = _NOT_HANDLE.sub("-", str(write.fields.get("handle") or "").lower()).strip("-")
    if given:
        return given[:128].strip("-")
    title = _NOT_HANDLE.sub("-", str(write.fields.get("title") or "").lower()).strip("-")[:60].strip("-")
    return f"{title or 'product'}-{sha256(write.operation_key.encode()).hexdigest()[:10]}"


def _reference(write: ProductWrite, handle: str) -> str:
    """A product's own reference: its SKU, or its handle where its combinations have SKUs of their own."""
    if len(write.variants) == 1 and not write.variants[0].fields.get("options"):
        return write.variants[0].sku
    return handle[:64]
