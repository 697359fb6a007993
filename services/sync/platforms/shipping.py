"""What adapters have in common that are told twice of a shipment: which of those on the platform it is already.

Where a platform makes a second shipment of a repeated request, what it has is read first. A shipment with the same
tracking numbers is this one. One without is known by its lines, unless it is among those that other shipments are known
to be (`references["shipped"]`, ids with commas between them, as every answer gives them back).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from services.sync.platforms.base import Outcome, ShipmentWrite, Written
from services.sync.platforms.writing import AT_ONCE, settle

# `told` are shipments over there that others of the same order are known to be.
Confirm = Callable[[ShipmentWrite, Collection[str]], Awaitable[Written]]


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipment that the platform has: its tracking numbers, and how much of each SKU."""

    external_id: str
    numbers: frozenset[str]
    lines: Counter[str]


async def in_turns(writes: Sequence[ShipmentWrite], confirm: Confirm, *, at_once: int = AT_ONCE) -> list[Written]:
    """What came of each write, in their order; those of one order one after the other."""
    by_order: dict[str, list[int]] = {}
    for index, write in enumerate(writes):
        by_order.setdefault(write.order_external_id, []).append(index)
    done: dict[int, Written] = {}
    others: dict[str, set[str]] = {}
    for turn in range(max((len(indexes) for indexes in by_order.values()), default=0)):
        chosen = [indexes[turn] for indexes in by_order.values() if len(indexes) > turn]
        works = [confirm(writes[index], _told(writes[index], others)) for index in chosen]
        for index, written in zip(chosen, await settle(works, may_raise=not done, at_once=at_once), strict=True):
            done[index] = written
            others.setdefault(writes[index].order_external_id, set()).update(_ids(written.references.get("shipped")))
    return [done[index] for index in range(len(writes))]


def wanted(write: ShipmentWrite) -> Counter[str]:
    """How much of each SKU a shipment has."""
    counted: Counter[str] = Counter()
    for sku, quantity in write.lines:
        counted[sku] += quantity
    return counted


def known(write: ShipmentWrite, shipped: Sequence[Shipped], told: Collection[str]) -> list[Shipped]:
    """Shipments that an earlier try of this write has made."""
    numbers = set(write.tracking_numbers)
    if numbers:
        return [each for each in shipped if numbers & each.numbers]
    lines = wanted(write)
    return [each for each in shipped if not each.numbers and each.external_id not in told and each.lines == lines][:1]


def settled(outcome: Outcome, ids: Sequence[str], told: Collection[str]) -> Written:
    """The answer to a shipment that is there under these ids."""
    return Written(outcome, external_id=ids[0], references={"shipped": ",".join(sorted({*ids, *told}))})


def _told(write: ShipmentWrite, others: dict[str, set[str]]) -> set[str]:
    return others.get(write.order_external_id, set()) | _ids(write.references.get("shipped"))


def _ids(text: str | None) -> set[str]:
    return set((text or "").split(",")) - {""}
