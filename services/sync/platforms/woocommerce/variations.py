"""What is to be done about the variants of a product, a simple product being its own. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sync.platforms.base import Fields, Record, VariantWrite, Written
from services.sync.platforms.woocommerce import mapping
from services.sync.platforms.woocommerce.mapping import Shop
from services.sync.platforms.writing import compare

JsonObject = dict[str, Any]


@dataclass
class Parts:
    """What came of a product's variants so far, and what is still to be done, by their places in the write.

    What is to be changed has the id that it was found under, which is the simple product's own.
    """

    done: dict[int, Written] = field(default_factory=dict)
    to_update: dict[int, JsonObject] = field(default_factory=dict)
    to_create: dict[int, JsonObject] = field(default_factory=dict)

    @property
    def chosen(self) -> list[int]:
        """Places of those that are to have options, whose values their product has to offer."""
        return [*self.to_create, *(index for index, item in self.to_update.items() if "attributes" in item)]

    def give_up_chosen(self, why: Written) -> None:
        """Their values can not be offered: they are neither made nor changed."""
        for index in self.chosen:
            self.done[index] = why
            self.to_create.pop(index, None)
            self.to_update.pop(index, None)


def planned(writes: Sequence[VariantWrite], node: JsonObject, variations: Sequence[JsonObject], shop: Shop) -> Parts:
    """What is to be done about the variants that a write of a product names."""
    parts = Parts()
    nodes = list(variations) if mapping.is_variable(node) else [node]
    for index, write in enumerate(writes):
        there = found(write, nodes)
        if is_foreign(write.fields, shop):
            parts.done[index] = Written("person", foreign(write, shop), write.external_id)
        elif there is not None:
            _plan_change(parts, index, write, there, shop)
        elif write.external_id:
            parts.done[index] = Written("person", "WooCommerce no longer has the variant.", write.external_id)
        else:
            _plan_creation(parts, index, write, node, shop)
    return parts


def found(write: VariantWrite, nodes: Sequence[JsonObject]) -> JsonObject | None:
    """The variation that a write is about; of one to be made, what an earlier try has made."""
    if write.external_id:
        return next((node for node in nodes if str(node["id"]) == write.external_id), None)
    same = [node for node in nodes if write.sku and (node["sku"] or "").lower() == write.sku.strip().lower()]
    return same[0] if len(same) == 1 else None


def new_variation(write: VariantWrite, attributes: Sequence[JsonObject], shop: Shop) -> JsonObject:
    """A variation that is to be made: its stock is counted, and nothing is sold that is not there."""
    options = mapping.chosen_options(write.fields.get("options") or {}, attributes)
    return {**new_part(write, shop), "status": "publish", "attributes": options}


def new_part(write: VariantWrite, shop: Shop) -> JsonObject:
    """What a variation or simple product is made with."""
    fields = mapping.kept({"sku": write.sku, **write.fields})
    return {**mapping.variant_input(fields, None, shop), "manage_stock": True, "stock_quantity": 0, "backorders": "no"}


def ok(node: JsonObject, write: VariantWrite, shop: Shop) -> Written:
    """A variant that is so now, with what WooCommerce has made of it."""
    record = mapping.variant(node, shop)
    return Written("ok", None, record.external_id, _of(record, write.fields), record.references)


def is_foreign(fields: Mapping[str, Any], shop: Shop) -> bool:
    """Whether a price is not in the shop's currency."""
    prices = (fields.get("price"), fields.get("list_price"))
    return any(price is not None and price["currency"] != shop.currency for price in prices)


def foreign(write: VariantWrite, shop: Shop) -> str:
    """Why it is not written, for people."""
    return f"The price of {write.sku} is not in {shop.currency}, which the shop sells in."


def _plan_change(parts: Parts, index: int, write: VariantWrite, node: JsonObject, shop: Shop) -> None:
    record = mapping.variant(node, shop)
    fields = write.fields if write.external_id else {"sku": write.sku, **write.fields}
    wanted = mapping.kept(fields, record.fields)
    compared = compare(wanted, mapping.kept(write.expected, record.fields), record.fields)
    strange = sorted(name for name in compared.changed if name not in _changeable(record))
    if compared.stale:
        current = {name: record.fields[name] for name in compared.stale}
        message = f"{', '.join(compared.stale)}: changed in WooCommerce meanwhile."
        parts.done[index] = Written("stale", message, record.external_id, current, record.references)
    elif strange:
        message = f"Of this variant in WooCommerce this is not changed from here: {', '.join(strange)}."
        parts.done[index] = Written("person", message, record.external_id, references=record.references)
    elif not compared.changed:
        parts.done[index] = Written("unchanged", None, record.external_id, _of(record, fields), record.references)
    else:
        options = compared.changed.get("options")
        attributes = {"attributes": mapping.chosen_options(options, node["attributes"])} if options else {}
        changed = mapping.variant_input(compared.changed, node, shop)
        parts.to_update[index] = {"id": node["id"], **changed, **attributes}


def _changeable(record: Record) -> Fields:
    """The fields of a variant that can be written: a simple product has no options."""
    is_simple = record.external_id == record.references["product"]
    return {name: value for name, value in record.fields.items() if name != "options" or not is_simple}


def _plan_creation(parts: Parts, index: int, write: VariantWrite, node: JsonObject, shop: Shop) -> None:
    names = {mapping.text(each["name"]) for each in node["attributes"] if each["variation"]}
    unknown = sorted(set(write.fields.get("options") or ()) - names)
    if not mapping.is_variable(node):
        message = "It is a simple product in WooCommerce; make it a variable one there to have more variants."
        parts.done[index] = Written("person", message)
    elif unknown:
        message = f"The product in WooCommerce has no option {', '.join(unknown)[:100]}; add it there first."
        parts.done[index] = Written("person", message)
    else:
        parts.to_create[index] = new_variation(write, node["attributes"], shop)


def _of(record: Record, fields: Mapping[str, Any]) -> Fields:
    return {name: record.fields[name] for name in fields if name in record.fields}
