"""Products and their variations: made whole, changed by what is to be different, in batches.

What was read just before decides: a field that is as wanted is not written (a save that changes nothing moves the
clock), one that is neither as wanted nor as expected is stale. Lists that replace are written from what was just read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.platforms.base import Fields, ProductWrite, Written
from services.sync.platforms.woocommerce import mapping
from services.sync.platforms.woocommerce.images import Images
from services.sync.platforms.woocommerce.making import Maker
from services.sync.platforms.woocommerce.mapping import Shop
from services.sync.platforms.woocommerce.reading import AT_ONCE, PRODUCTS, Reader
from services.sync.platforms.woocommerce.terms import Terms
from services.sync.platforms.woocommerce.variations import Parts, ok, planned
from services.sync.platforms.woocommerce.writing import Batch, send
from services.sync.platforms.writing import compare, failed, settle
from shared.errors import CrossdockError

JsonObject = dict[str, Any]


@dataclass
class Plan:
    """What is to be done about one product. `own` is what became of its own fields, where that is settled."""

    index: int
    write: ProductWrite
    node: JsonObject
    parts: Parts
    own: Written | None = None
    there: Fields = field(default_factory=dict)
    payload: JsonObject = field(default_factory=dict)
    has_images: bool = False
    # Values by option that the product has to offer.
    values: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def of_variant(self) -> JsonObject:
        """What is to be different of the variant that a simple product is: both are one item."""
        if mapping.is_variable(self.node):
            return {}
        return {name: value for given in self.parts.to_update.values() for name, value in given.items()}

    @property
    def path(self) -> str:
        return f"products/{self.node['id']}/variations"


class ProductWriter:
    """Writes products of one site."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._client = reader.client
        self._terms = Terms(reader)
        self._images = Images(reader.client)
        self._maker = Maker(reader, self._terms, self._images)

    async def write(self, writes: Sequence[ProductWrite]) -> list[Written]:
        """What came of each write, in their order. Raises only when none was sent."""
        if not writes:
            return []
        shop = await self._reader.shop()
        done: dict[int, Written] = {}
        plans = await self._plans(writes, shop, done)
        await self._change(plans, shop)
        done |= {plan.index: await self._written(plan) for plan in plans}
        new = [index for index, write in enumerate(writes) if write.external_id is None]
        works = [self._maker.make(writes[index], shop) for index in new]
        done |= dict(zip(new, await settle(works, may_raise=not done, at_once=AT_ONCE), strict=True))
        return [done[index] for index in range(len(writes))]

    # --- what is to be done

    async def _plans(self, writes: Sequence[ProductWrite], shop: Shop, done: dict[int, Written]) -> list[Plan]:
        known = [write.external_id or "" for write in writes]
        ids = [each for each in known if each.isascii() and each.isdigit()]
        nodes = await self._reader.whole(await self._reader.by_ids("products", PRODUCTS, ids))
        by_id = {str(node["id"]): (node, variations) for node, variations in nodes}
        plans = []
        for index, write in enumerate(writes):
            if write.external_id is None:
                continue
            if write.external_id not in by_id:
                done[index] = Written("person", "WooCommerce no longer has the product.", write.external_id)
                continue
            node, variations = by_id[write.external_id]
            try:
                plans.append(await self._plan(index, write, node, variations, shop))
            except CrossdockError as error:
                done[index] = failed(error)
        return plans

    async def _plan(
        self, index: int, write: ProductWrite, node: JsonObject, variations: Sequence[JsonObject], shop: Shop
    ) -> Plan:
        plan = Plan(index, write, node, planned(write.variants, node, variations, shop))
        await self._plan_fields(plan, shop)
        if mapping.is_variable(node) and (plan.payload or plan.parts.to_update or plan.parts.to_create):
            new = [write.variants[each].fields.get("options") or {} for each in plan.parts.chosen]
            plan.values = [*mapping.not_offered(node["attributes"], variations), *new]
        return plan

    async def _plan_fields(self, plan: Plan, shop: Shop) -> None:
        write, node = plan.write, plan.node
        fields = dict(write.fields)
        paths = await self._reader.paths() if "categories" in fields else {}
        current = mapping.product(node, (), paths, shop).fields
        plan.there = {name: current[name] for name in fields if name in current}
        if "categories" in fields:
            chosen = await self._terms.categories(fields["categories"] or ())
            fields["categories"] = sorted(paths[each["id"]] for each in chosen)
        compared = compare(mapping.kept(fields), mapping.kept(write.expected), current)
        strange = sorted(set(compared.changed) - (mapping.PRODUCT_FIELDS & current.keys()))
        if compared.stale:
            there = {name: current[name] for name in compared.stale}
            plan.own = Written("stale", f"{', '.join(compared.stale)}: changed in WooCommerce meanwhile.", fields=there)
        elif strange:
            message = f"Of a product in WooCommerce this is not changed from here: {', '.join(strange)}."
            plan.own = Written("person", message)
        elif not compared.changed:
            plan.own = Written("unchanged", fields=plan.there)
        else:
            plan.has_images = "images" in compared.changed
            plan.payload = await self._payload(plan, compared.changed)

    async def _payload(self, plan: Plan, changed: Mapping[str, Any]) -> JsonObject:
        node, expected = plan.node, plan.write.expected
        payload = mapping.product_input(changed)
        if "brand" in changed:
            payload["brands"] = await self._terms.brands(changed["brand"], node["brands"])
        if "tags" in changed:
            payload["tags"] = _beside(await self._terms.tags(changed["tags"]), node["tags"], "tags" in expected)
        if "categories" in changed:
            chosen = await self._terms.categories(changed["categories"])
            payload["categories"] = _beside(chosen, node["categories"], "categories" in expected)
        return payload

    # --- doing it

    async def _change(self, plans: Sequence[Plan], shop: Shop) -> None:
        """Products first, each kind of change in one batch; then variations, whose values are offered by now."""
        await self._offer(plans)
        changing = [plan for plan in plans if plan.payload or plan.of_variant]
        answers = await self._saved([(plan, {**plan.payload, **plan.of_variant}) for plan in changing])
        refused = []
        for plan, answer in zip(changing, answers, strict=True):
            if isinstance(answer, Written) and answer.outcome == "person" and plan.payload and plan.of_variant:
                refused.append(plan)
            else:
                await self._note_own(plan, answer, shop)
                self._note_variant(plan, answer, shop)
        # What was refused of one of both does not keep the other from being written.
        both = [each for plan in refused for each in ((plan, plan.payload), (plan, plan.of_variant))]
        apart = iter(await self._saved(both))
        for plan in refused:
            await self._note_own(plan, next(apart), shop)
            self._note_variant(plan, next(apart), shop)
        batches = [
            (plan, kind, waiting)
            for plan in plans
            if mapping.is_variable(plan.node)
            for kind, waiting in (("update", plan.parts.to_update), ("create", plan.parts.to_create))
            if waiting
        ]
        sent = [Batch(plan.path, kind, list(waiting.values())) for plan, kind, waiting in batches]
        for (plan, _, waiting), of in zip(batches, await send(self._client, sent), strict=True):
            for index, answer in zip(waiting, of, strict=True):
                write = plan.write.variants[index]
                plan.parts.done[index] = answer if isinstance(answer, Written) else ok(answer, write, shop)

    async def _offer(self, plans: Sequence[Plan]) -> None:
        """Have products offer the values of their variations. The list is a whole one: once for all of its writes."""
        of_product: dict[int, list[Plan]] = {}
        for plan in plans:
            of_product.setdefault(plan.node["id"], []).append(plan)
        lists = [
            (some, mapping.with_values(some[0].node["attributes"], [each for plan in some for each in plan.values]))
            for some in of_product.values()
        ]
        lacking = [(some, {"attributes": attributes}) for some, attributes in lists if attributes is not None]
        answers = await self._saved([(some[0], payload) for some, payload in lacking])
        for (some, _), answer in zip(lacking, answers, strict=True):
            if isinstance(answer, Written):
                for plan in some:
                    plan.parts.give_up_chosen(answer)

    async def _saved(self, items: Sequence[tuple[Plan, JsonObject]]) -> list[JsonObject | Written]:
        given = [{"id": plan.node["id"], **payload} for plan, payload in items]
        return (await send(self._client, [Batch("products", "update", given)]))[0]

    async def _note_own(self, plan: Plan, answer: JsonObject | Written, shop: Shop) -> None:
        """What became of a product's own fields."""
        if not plan.payload:
            return
        if isinstance(answer, Written):
            plan.own = plan.own or answer
        elif plan.own is None:
            paths = await self._reader.paths() if "categories" in plan.write.fields else {}
            fields = mapping.product(answer, (), paths, shop).fields
            there = {name: fields[name] for name in plan.write.fields if name in fields}
            plan.own = Written("ok", fields=there)

    def _note_variant(self, plan: Plan, answer: JsonObject | Written, shop: Shop) -> None:
        """What became of the variant that a simple product is."""
        for index in plan.parts.to_update if plan.of_variant else ():
            write = plan.write.variants[index]
            plan.parts.done[index] = answer if isinstance(answer, Written) else ok(answer, write, shop)

    async def _written(self, plan: Plan) -> Written:
        own = plan.own or Written("unchanged", fields=plan.there)
        if plan.has_images and own.outcome in ("ok", "unchanged"):
            own = await self._pictured(plan, own)
        parts = tuple(plan.parts.done[index] for index in range(len(plan.write.variants)))
        has_changed = own.outcome == "unchanged" and any(part.outcome == "ok" for part in parts)
        return Written(
            "ok" if has_changed else own.outcome,
            own.message,
            str(plan.node["id"]),
            own.fields,
            {"product": str(plan.node["id"])},
            parts,
            own.retry_after_seconds,
        )

    async def _pictured(self, plan: Plan, own: Written) -> Written:
        try:
            is_other, images = await self._images.put(str(plan.node["id"]), plan.write.fields["images"] or ())
        except CrossdockError as error:
            return failed(error)
        return Written("ok" if is_other else own.outcome, fields={**own.fields, "images": images})


def _beside(chosen: Sequence[JsonObject], there: Sequence[JsonObject], may_leave: bool) -> list[JsonObject]:
    """The whole list of a product's terms: those that nobody knew of stay."""
    ids = [each["id"] for each in chosen] + ([] if may_leave else [each["id"] for each in there])
    return [{"id": each} for each in dict.fromkeys(ids)]
