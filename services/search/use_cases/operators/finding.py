"""What operators look for: orders by their words, products by words and sets, as ids for whoever shows them."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.search.engines.operators import FoundEntries, OperatorQuestion
from services.search.use_cases.operators.product_entries import moment_of
from services.search.use_cases.operators.reading import OperatorReaders
from shared.contracts.catalog.product_sets import FIELDS
from shared.contracts.search.operators import (
    CountedProducts,
    CountProductSet,
    FindOrders,
    FindProducts,
    FoundIds,
    FoundProducts,
    SuggestedSet,
    SuggestedSets,
    SuggestProductSets,
)
from shared.unit_of_work import UnitOfWork

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Different sets that are counted at most, the largest first.
_MOST_COUNTED = 10_000
_WORD = re.compile(r"\b\w")


async def find_orders(uow: UnitOfWork, message: FindOrders) -> FoundIds:
    question = OperatorQuestion(
        kind="order",
        words=message.query,
        most=message.most,
        shops=None if message.shop_ids is None else [shop_id.hex for shop_id in message.shop_ids],
        from_at=_moment(message.from_time),
        to_at=_moment(message.to_time),
        oldest_first=message.oldest_first,
    )
    return _told(await _found(uow, question))


async def _found(uow: UnitOfWork, question: OperatorQuestion) -> FoundEntries:
    reader = await uow.resident(OperatorReaders).reader(uow.organization_id)
    return await asyncio.to_thread(reader.index.find, question)


def _told(found: FoundEntries) -> FoundIds:
    reaches_to = None if found.reaches_to is None else _EPOCH + found.reaches_to * _MILLISECOND
    return FoundIds(ids=found.ids, total=found.total, reaches_to=reaches_to)


def _moment(time: datetime | None) -> int | None:
    """Milliseconds of Unix time, rounded down."""
    return None if time is None else (time - _EPOCH) // _MILLISECOND


# --- products


async def find_products(uow: UnitOfWork, message: FindProducts) -> FoundProducts:
    question = _of_products(message.query, message.sets, message.most)
    if message.before is not None:
        question = replace(question, to_at=moment_of(UUID(int=max(message.before.int - 1, 0))))
    found = await _found(uow, question)
    reaches_to = None if found.reaches_to is None else UUID(int=found.reaches_to << 80)
    return FoundProducts(ids=found.ids, total=found.total, reaches_to=reaches_to)


async def count_products(uow: UnitOfWork, message: CountProductSet) -> CountedProducts:
    reader = await uow.resident(OperatorReaders).reader(uow.organization_id)
    return CountedProducts(total=reader.index.count(_of_products(message.query or "", message.sets, 1)))


async def suggest_sets(uow: UnitOfWork, message: SuggestProductSets) -> SuggestedSets:
    reader = await uow.resident(OperatorReaders).reader(uow.organization_id)
    question = _of_products(message.query or "", message.sets, 1)
    counts = await asyncio.to_thread(reader.index.set_counts, question, _MOST_COUNTED)
    total = reader.index.count(question)
    missing = {f"without:{field}": total - counts.get(f"with:{field}", 0) for field in FIELDS}
    known = _each_once(counts) | {name: count for name, count in missing.items() if count > 0}
    chosen = [name for name in known if _is_meant(name, message.typed) and name not in message.sets]
    chosen.sort(key=lambda name: (-known[name], name))
    return SuggestedSets(sets=[SuggestedSet(set=name, count=known[name]) for name in chosen[: message.first]])


def _of_products(words: str, sets: Sequence[str], most: int) -> OperatorQuestion:
    """Sets intersect; to be without a field is not to be with it."""
    without = [f"with:{name.removeprefix('without:')}" for name in sets if name.startswith("without:")]
    within = [[name] for name in sets if not name.startswith("without:")]
    return OperatorQuestion(kind="product", words=words, most=most, sets=within, without=without)


def _each_once(counts: Mapping[str, int]) -> dict[str, int]:
    """Values that differ in the case of their letters are one set, called as most call it."""
    names: dict[str, str] = {}
    merged: dict[str, int] = {}
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        called = names.setdefault(name.casefold(), name)
        merged[called] = merged.get(called, 0) + count
    return merged


def _is_meant(name: str, typed: str) -> bool:
    """Whether what was typed begins the whole name of the set, its value or a word of that."""
    wanted, whole = typed.strip().casefold(), name.casefold()
    value = whole.partition(":")[2]
    return whole.startswith(wanted) or any(
        value[start:].startswith(wanted) for start in (0, *(found.start() for found in _WORD.finditer(value)))
    )
