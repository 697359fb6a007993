"""Changes of products and their variants: read, compared, and only what is to be different sent, one product at a time.

A product is written by its SKU, which was read just before; with another SKU than its own a PUT makes a new product.
Where the connection says so (`queue`) several go as one bulk. There is no compare-and-set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.errors import AnswerNotUnderstood, PlatformAway, PlatformRefused
from services.sync.platforms.base import Fields, ProductWrite, VariantWrite, Written
from services.sync.platforms.magento import mapping
from services.sync.platforms.magento.bulk import WAITS, Bulk
from services.sync.platforms.magento.client import AT_ONCE, Client, segment
from services.sync.platforms.magento.creating import Creator
from services.sync.platforms.magento.images import Images
from services.sync.platforms.magento.mapping import CONFIGURABLE, Context, JsonObject, kept
from services.sync.platforms.magento.payloads import Payloads, is_foreign
from services.sync.platforms.magento.reading import Reader
from services.sync.platforms.magento.settings import MagentoSettings
from services.sync.platforms.writing import compare, failed, settle
from shared.errors import CrossdockError

_PLAIN = ("title", "status", "handle", "description_html", "seo_title", "seo_description")
_OF_PRODUCTS = frozenset((*_PLAIN, "categories", "images"))
_NOTHING: JsonObject = {}
_OF_VARIANTS = frozenset(("price", "list_price", "weight_grams"))


@dataclass
class Plan:
    """What is to be done about one product: decided already, or to be sent under the id of the product it is about."""

    write: ProductWrite
    entity: JsonObject
    own: Written | None = None
    changed: Fields = field(default_factory=dict)
    parts: dict[int, Written] = field(default_factory=dict)
    members: dict[int, JsonObject] = field(default_factory=dict)
    payloads: dict[int, JsonObject] = field(default_factory=dict)

    def send(self, entity: JsonObject, payload: JsonObject) -> None:
        """Add to what is sent of a product."""
        known = self.payloads.get(entity["id"], {"sku": entity["sku"]})
        self.payloads[entity["id"]] = mapping.merged(known, payload)


class ProductWriter:
    """Writes products of one shop."""

    def __init__(self, reader: Reader, images: Images, settings: MagentoSettings) -> None:
        self._reader, self._images = reader, images
        self._client: Client = reader.client
        self._payloads = Payloads(reader)
        self._creator = Creator(reader, self._payloads, images, settings)
        self._bulk = Bulk(reader.client) if settings.queue else None

    async def write(self, writes: Sequence[ProductWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        entities = await self._entities(writes)
        done: dict[int, Written] = {}
        plans: dict[int, Plan] = {}
        for index, write in enumerate(writes):
            entity = entities.get(_number(write.external_id))
            if write.external_id and entity is None:
                done[index] = Written("person", "Magento no longer has the product.", write.external_id)
            elif entity is not None:
                try:
                    plans[index] = await self._plan(write, entity, entities)
                except CrossdockError as error:
                    done[index] = failed(error)
        sent = await self._send(list(plans.values()))
        works = {
            index: self._finish(plans[index], sent) if index in plans else self._creator.create(write)
            for index, write in enumerate(writes)
            if index not in done
        }
        settled = await settle(list(works.values()), may_raise=not sent and not done, at_once=AT_ONCE)
        done |= dict(zip(works, settled, strict=True))
        return [done[index] for index in range(len(writes))]

    async def _entities(self, writes: Sequence[ProductWrite]) -> dict[int, JsonObject]:
        ids = [each.external_id for each in writes if each.external_id]
        ids += [part.external_id for each in writes for part in each.variants if each.external_id and part.external_id]
        return await self._reader.entities(each for each in ids if each.isdigit())

    # --- what is to be sent

    async def _plan(self, write: ProductWrite, entity: JsonObject, entities: Mapping[int, JsonObject]) -> Plan:
        plan = Plan(write, entity)
        parts = (entities.get(_number(each.external_id)) for each in write.variants)
        context = await self._reader.context([entity, *(part for part in parts if part is not None)])
        await self._plan_product(plan, context)
        for index, variant in enumerate(write.variants):
            if variant.external_id is not None:
                await self._plan_variant(plan, index, variant, entities.get(_number(variant.external_id)), context)
        return plan

    async def _plan_product(self, plan: Plan, context: Context) -> None:
        wanted = kept(plan.write.fields)
        there = mapping.product(plan.entity, (), context).fields
        compared = compare(wanted, kept(plan.write.expected), there)
        strange = sorted(set(compared.changed) - _OF_PRODUCTS - (context.codes.keys() - mapping.OF_VARIANTS))
        if compared.stale:
            fields = {name: there[name] for name in compared.stale}
            plan.own = Written("stale", f"{', '.join(compared.stale)}: changed in Magento meanwhile.", fields=fields)
        elif strange:
            words = f"Of a product in Magento this is not changed from here: {', '.join(strange)}."
            plan.own = Written("person", words)
        elif not compared.changed:
            plan.own = Written("unchanged", fields={name: there[name] for name in wanted if name in there})
        else:
            plan.changed = compared.changed
            if set(plan.changed) - {"images"}:
                has_left = "categories" in plan.write.expected
                payload = await self._payloads.product(plan.changed, plan.entity, context, may_leave=has_left)
                plan.send(plan.entity, payload)

    async def _plan_variant(
        self, plan: Plan, index: int, write: VariantWrite, member: JsonObject | None, context: Context
    ) -> None:
        if member is None:
            plan.parts[index] = Written("person", "Magento no longer has the variant.", write.external_id)
            return
        wanted = kept(write.fields)
        there = mapping.variant(member, mapping.axes(plan.entity, context), context).fields
        compared = compare(wanted, kept(write.expected), there)
        strange = sorted(set(compared.changed) - _OF_VARIANTS - (context.codes.keys() & mapping.OF_VARIANTS))
        external_id = str(member["id"])
        if compared.stale:
            fields = {name: there[name] for name in compared.stale}
            words = f"{', '.join(compared.stale)}: changed in Magento meanwhile."
            plan.parts[index] = Written("stale", words, external_id, fields)
        elif strange or is_foreign(compared.changed, context.facts.currency):
            words = f"Of a variant in Magento this is not changed from here: {', '.join(strange)}."
            if not strange:
                words = f"The price of {write.sku} is not in {context.facts.currency}, which the shop sells in."
            plan.parts[index] = Written("person", words, external_id)
        elif not compared.changed:
            fields = {name: there[name] for name in wanted if name in there}
            plan.parts[index] = Written("unchanged", None, external_id, fields)
        else:
            plan.members[index] = member
            plan.send(member, await self._payloads.variant(compared.changed, there, member, context))

    # --- sending

    async def _send(self, plans: Sequence[Plan]) -> dict[int, tuple[Written, JsonObject]]:
        """What came of each product that something was sent of, and what it is now."""
        payloads: dict[int, JsonObject] = {}
        for plan in plans:
            for product, payload in plan.payloads.items():
                payloads[product] = mapping.merged(payloads.get(product, {}), payload)
        if self._bulk is not None and payloads:
            return await self._queue(self._bulk, payloads)
        return await self._put(payloads)

    async def _put(self, payloads: Mapping[int, JsonObject]) -> dict[int, tuple[Written, JsonObject]]:
        answers: dict[int, JsonObject] = {}

        async def put(product: int, payload: JsonObject) -> Written:
            answer = await self._client.put(f"/products/{segment(payload['sku'])}", {"product": payload})
            answers[product] = answer
            return Written("ok")

        written = await settle([put(*each) for each in payloads.items()], at_once=AT_ONCE)
        return {each: (answer, answers.get(each, _NOTHING)) for each, answer in zip(payloads, written, strict=True)}

    async def _queue(self, bulk: Bulk, payloads: Mapping[int, JsonObject]) -> dict[int, tuple[Written, JsonObject]]:
        waiting = await bulk.waiting([payload["sku"] for payload in payloads.values()])
        free = {product: each for product, each in payloads.items() if each["sku"].lower() not in waiting}
        later = {product: (Written("retry", WAITS), _NOTHING) for product in payloads if product not in free}
        if not free:
            return later
        try:
            written = dict(zip(free, await bulk.change(list(free.values())), strict=True))
        except PlatformRefused:
            # One that can not be queued keeps all out, and is not named.
            return later | await self._put(free)
        except (PlatformAway, AnswerNotUnderstood) as error:
            # It may be queued: what waits is seen by the next try.
            return later | {product: (failed(error), _NOTHING) for product in free}
        now = await self._reader.entities(str(each) for each, answer in written.items() if answer.outcome == "ok")
        return later | {product: (answer, now.get(product, _NOTHING)) for product, answer in written.items()}

    # --- what came of it

    async def _finish(self, plan: Plan, sent: Mapping[int, tuple[Written, JsonObject]]) -> Written:
        now = [entity for answer, entity in sent.values() if entity]
        context = await self._reader.context([plan.entity, *now])
        own = await self._finish_product(plan, sent, context)
        parts = dict(plan.parts)
        for index, member in plan.members.items():
            answer, entity = sent[member["id"]]
            fields = mapping.variant(entity, mapping.axes(plan.entity, context), context).fields if entity else {}
            parts[index] = _answered(answer, fields, plan.write.variants[index].fields, str(member["id"]))
        for index, variant in enumerate(plan.write.variants):
            if index not in parts:
                parts[index] = await self._new_variant(plan.entity, variant)
        has_changed = own.outcome == "unchanged" and any(part.outcome == "ok" for part in parts.values())
        in_order = tuple(parts[index] for index in range(len(plan.write.variants)))
        outcome = "ok" if has_changed else own.outcome
        external_id = str(plan.entity["id"])
        return Written(outcome, own.message, external_id, own.fields, {}, in_order, own.retry_after_seconds)

    async def _finish_product(
        self, plan: Plan, sent: Mapping[int, tuple[Written, JsonObject]], context: Context
    ) -> Written:
        if plan.own is not None:
            return plan.own
        answer, entity = sent.get(plan.entity["id"], (Written("unchanged"), plan.entity))
        if answer.outcome not in ("ok", "unchanged"):
            return answer
        fields = mapping.product(entity, (), context).fields
        own = _answered(answer, fields, plan.write.fields, str(plan.entity["id"]))
        if "images" not in plan.changed:
            return own
        has_changed, images = await self._images.put(entity, plan.changed["images"])
        outcome = "ok" if has_changed else own.outcome
        return Written(outcome, external_id=own.external_id, fields={**own.fields, "images": images})

    async def _new_variant(self, entity: JsonObject, variant: VariantWrite) -> Written:
        if entity["type_id"] != CONFIGURABLE:
            words = "A product by itself has no further variants in Magento: make a configurable product of it there."
            return Written("person", words)
        try:
            return await self._creator.add(entity, variant)
        except CrossdockError as error:
            return failed(error)


def _number(external_id: str | None) -> int:
    """An entity id; what is none is nobody's."""
    return int(external_id) if external_id and external_id.isascii() and external_id.isdigit() else 0


def _answered(answer: Written, there: Fields, wanted: Mapping[str, Any], external_id: str) -> Written:
    """An answer with what Magento has now of what was wanted."""
    fields = {name: there[name] for name in wanted if name in there} if answer.outcome in ("ok", "unchanged") else {}
    return Written(answer.outcome, answer.message, external_id, fields, {}, (), answer.retry_after_seconds)
