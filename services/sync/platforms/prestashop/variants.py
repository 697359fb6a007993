"""Variants of products: the only one is the product itself, others are its combinations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from services.sync.platforms.base import Fields, Record, VariantWrite, Written
from services.sync.platforms.prestashop import mapping, xml
from services.sync.platforms.prestashop.mapping import decimal, key
from services.sync.platforms.prestashop.reading import Reader
from services.sync.platforms.prestashop.words import Words
from services.sync.platforms.prestashop.writing import compare
from services.sync.platforms.prestashop.xml import Translated
from services.sync.platforms.writing import failed
from shared.errors import CrossdockError

JsonObject = dict[str, Any]
Values = dict[str, str | Translated]


@dataclass
class Parts:
    """What came of a product's variants so far and what is still to be done, by their places in the write.

    `own` is what stands in the product itself.
    """

    done: dict[int, Written] = field(default_factory=dict)
    own: Values = field(default_factory=dict)
    own_index: int | None = None
    to_change: dict[int, tuple[str, Values]] = field(default_factory=dict)
    to_make: dict[int, Fields] = field(default_factory=dict)
    has_written: bool = False

    def fail_own(self, answer: Written) -> None:
        """The product itself was not written, and with it the variant that stands in it."""
        if self.own_index is not None:
            self.done[self.own_index] = answer

    def answers(self, writes: Sequence[VariantWrite], read: Record) -> tuple[Written, ...]:
        """What came of each; of those that were written, with what the shop has made of them."""
        found = []
        for index, write in enumerate(writes):
            answer, part = self.done.get(index), found_part(write, read.parts)
            if answer is None and part is not None:
                fields = {name: part.fields[name] for name in write.fields if name in part.fields}
                answer = Written("ok", None, part.external_id, fields)
            found.append(answer or Written("retry", "The shop took the variant and does not have it."))
        return tuple(found)


class Variants:
    """Variants of one shop's products."""

    def __init__(self, reader: Reader, words: Words) -> None:
        self._client, self._shop, self._words = reader.client, reader.shop, words

    async def planned(self, writes: Sequence[VariantWrite], row: JsonObject, record: Record) -> Parts:
        """What is to be done about the variants of a product that is there."""
        parts, units = Parts(), await self._shop.units()
        for index, write in enumerate(writes):
            fields = write.fields if write.external_id else {"sku": write.sku, **write.fields}
            there = found_part(write, record.parts)
            if _is_foreign(fields, units.currency):
                parts.done[index] = Written("person", _foreign(write, units.currency))
            elif there is None and write.external_id:
                parts.done[index] = Written("person", "The shop no longer has the variant.", write.external_id)
            elif there is not None:
                _plan_change(parts, index, write, fields, there, row, units)
            elif not fields.get("options") or _is_single(record):
                parts.done[index] = Written("person", "A product without combinations gets none from here.")
            else:
                parts.to_make[index] = fields
        return parts

    async def write(self, parts: Parts, row: JsonObject) -> None:
        """Change and make combinations; one that fails, fails alone."""
        parts.has_written = bool(parts.own or parts.to_change or parts.to_make)
        for index, (combination_id, values) in parts.to_change.items():
            try:
                await self._client.change("combinations", combination_id, xml.row("combination", values))
            except CrossdockError as error:
                parts.done[index] = failed(error)
        for index, fields in parts.to_make.items():
            try:
                await self._make(row, fields, is_default=False)
            except CrossdockError as error:
                parts.done[index] = failed(error)

    async def complete(self, writes: Sequence[VariantWrite], row: JsonObject, record: Record) -> None:
        """Make the combinations that a new product lacks."""
        if _are_single(writes):
            return
        is_first = _is_single(record)
        for write in writes:
            if is_first or found_part(write, record.parts) is None:
                await self._make(row, {"sku": write.sku, **write.fields}, is_default=is_first)
                is_first = False

    async def wrong(self, writes: Sequence[VariantWrite]) -> str | None:
        """Why variants can not be those of a new product; None when they can."""
        currency = (await self._shop.units()).currency
        foreign = next((write for write in writes if _is_foreign(write.fields, currency)), None)
        if foreign is not None:
            return _foreign(foreign, currency)
        if not _are_single(writes) and not all(write.fields.get("options") for write in writes):
            return "Of several variants each needs a value of an option."
        return None

    async def of_new_product(self, writes: Sequence[VariantWrite]) -> Values:
        """What of its variants stands in a new product: all of its only one, or the price that differences are to."""
        if not writes:
            return {"price": "0"}
        units, fields = await self._shop.units(), writes[0].fields
        if _are_single(writes):
            return {"price": "0", **mapping.variant_row({"sku": writes[0].sku, **fields}, units)}
        price: Fields = {name: value for name, value in fields.items() if name in ("price", "weight_grams")}
        return {"price": "0", "product_type": "combinations", **mapping.variant_row(price, units)}

    async def _make(self, row: JsonObject, fields: Mapping[str, Any], *, is_default: bool) -> None:
        price, weight = _base(row)
        values = mapping.variant_row(fields, await self._shop.units(), price=price, weight=weight)
        values |= {"id_product": key(row["id"]), "minimal_quantity": "1"}
        values.setdefault("price", "0")
        if is_default:
            values["default_on"] = "1"
        options: Mapping[str, str] = fields["options"]
        chosen = await self._words.values([options])
        lists = {("product_option_values", "product_option_value"): [chosen[pair] for pair in options.items()]}
        await self._client.make("combinations", xml.row("combination", values, lists))


def found_part(write: VariantWrite, parts: Sequence[Record]) -> Record | None:
    """The variant that a write is about; of one to be made, what an earlier try has made."""
    if write.external_id:
        return next((part for part in parts if part.external_id == write.external_id), None)
    same = [part for part in parts if write.sku and part.fields["sku"] == write.sku]
    return same[0] if len(same) == 1 else None


def _plan_change(
    parts: Parts,
    index: int,
    write: VariantWrite,
    fields: Fields,
    there: Record,
    row: JsonObject,
    units: mapping.Units,
) -> None:
    compared = compare(fields, write.expected, there.fields)
    strange = sorted(set(compared.changed) - mapping.VARIANT_FIELDS)
    if compared.stale:
        current = {name: there.fields[name] for name in compared.stale}
        message = f"{', '.join(compared.stale)}: changed in the shop meanwhile."
        parts.done[index] = Written("stale", message, there.external_id, current)
    elif strange:
        message = f"Of a variant in PrestaShop this is not changed from here: {', '.join(strange)}."
        parts.done[index] = Written("person", message, there.external_id)
    elif not compared.changed:
        kept = {name: there.fields[name] for name in fields if name in there.fields}
        parts.done[index] = Written("unchanged", None, there.external_id, kept)
    elif there.external_id.endswith("-0"):
        parts.own, parts.own_index = mapping.variant_row(compared.changed, units), index
    else:
        price, weight = _base(row)
        values = mapping.variant_row(compared.changed, units, price=price, weight=weight)
        parts.to_change[index] = (there.external_id.partition("-")[2], values)


def _base(row: JsonObject) -> tuple[Decimal, Decimal]:
    """What the differences of combinations are to."""
    return decimal(row.get("price")), decimal(row.get("weight"))


def _is_single(record: Record) -> bool:
    return any(part.external_id.endswith("-0") for part in record.parts)


def _are_single(writes: Sequence[VariantWrite]) -> bool:
    """Whether variants are the only one of a product without options."""
    return not writes or (len(writes) == 1 and not writes[0].fields.get("options"))


def _is_foreign(fields: Mapping[str, Any], currency: str) -> bool:
    price = fields.get("price")
    return price is not None and price["currency"] != currency


def _foreign(write: VariantWrite, currency: str) -> str:
    return f"The price of {write.sku} is not in {currency}, which the shop sells in."
