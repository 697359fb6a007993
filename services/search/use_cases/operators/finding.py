"""What operators look for: orders by their words, products by words and sets, as ids for whoever shows them."""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.search.engines.operators import FoundEntries, OperatorIndex, OperatorQuestion
from services.search.use_cases.operators import meaning
from services.search.use_cases.operators.product_entries import moment_of
from services.search.use_cases.operators.reading import OperatorReaders
from shared.contracts.catalog.product_sets import FIELDS, ISSUES
from shared.contracts.search.operators import (
    CountedProducts,
    CountProductSet,
    FindOrders,
    FindProducts,
    FoundIds,
    FoundProducts,
    OrderSpan,
    SuggestedSet,
    SuggestedSets,
    SuggestOrdersAmong,
    SuggestProductSets,
)
from shared.unit_of_work import UnitOfWork

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Different sets that are counted at most, the largest first.
_MOST_COUNTED = 10_000
_WORD = re.compile(r"\b\w")


async def find_orders(uow: UnitOfWork, message: FindOrders) -> FoundIds:
    meant = await meaning.meaning(uow, message.sets, message.shop_ids)
    question = OperatorQuestion(
        kind="order",
        words=message.query,
        most=message.most,
        sets=meant.within,
        without=meant.without,
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


async def suggest_orders(uow: UnitOfWork, message: SuggestOrdersAmong) -> SuggestedSets:
    meant = await meaning.meaning(uow, message.sets, message.shop_ids)
    shops = None if message.shop_ids is None else [shop_id.hex for shop_id in message.shop_ids]
    whole = OperatorQuestion(
        kind="order", words=message.query, most=1, sets=meant.within, without=meant.without, shops=shops
    )
    reader = await uow.resident(OperatorReaders).reader(uow.organization_id)
    counts = await asyncio.to_thread(_counted, reader.index, whole, message)
    return await suggested(uow, counts, message.typed, message.sets, message.first)


def _counted(index: OperatorIndex, whole: OperatorQuestion, message: SuggestOrdersAmong) -> dict[str, int]:
    """How many orders are in which set that has any. Blocks."""
    counts, total = Counter[str](), 0
    for span in message.spans:
        counts[span.name] += index.count(_in_span(whole, span))
    for part in [whole] if message.within is None else [_in_span(whole, span) for span in message.within]:
        counts.update(index.set_counts(part, _MOST_COUNTED, meaning.pattern(message.typed)))
        total += index.count(part)
    counts[f"without:{ISSUES}"] = total - counts[f"with:{ISSUES}"]
    return {name: count for name, count in counts.items() if count > 0}


def _in_span(whole: OperatorQuestion, span: OrderSpan) -> OperatorQuestion:
    shops = whole.shops
    if span.shop_ids is not None:
        own = [shop_id.hex for shop_id in span.shop_ids]
        shops = own if shops is None else [shop for shop in own if shop in shops]
    return replace(whole, shops=shops, from_at=_moment(span.from_time), to_at=_moment(span.to_time - _MILLISECOND))


# --- products


async def find_products(uow: UnitOfWork, message: FindProducts) -> FoundProducts:
    question = await _of_products(uow, message.query, message.sets, message.most, message.shop_ids)
    if message.before is not None:
        question = replace(question, to_at=moment_of(UUID(int=max(message.before.int - 1, 0))))
    if message.after is not None:
        question = replace(question, from_at=moment_of(UUID(int=message.after.int + 1)), oldest_first=True)
    found = await _found(uow, question)
    if message.after is not None:
        return _behind(found, message.after, message.most)
    reaches_to = None if found.reaches_to is None else UUID(int=found.reaches_to << 80)
    return FoundProducts(ids=found.ids, total=found.total, reaches_to=reaches_to)


def _behind(found: FoundEntries, after: UUID, most: int) -> FoundProducts:
    """By id, and no more than asked for: of the moments of `found`, which are told whole, those behind `after`."""
    ids = sorted(each for each in found.ids if each > after)
    # The last id that the last moment could have.
    reaches_to = None if found.reaches_to is None else UUID(int=(found.reaches_to + 1 << 80) - 1)
    if len(ids) > most:
        ids, reaches_to = ids[:most], ids[most - 1]
    return FoundProducts(ids=ids, total=found.total, reaches_to=reaches_to)


async def count_products(uow: UnitOfWork, message: CountProductSet) -> CountedProducts:
    question = await _of_products(uow, message.query or "", message.sets, 1, uow.caller.shop_ids)
    reader = await uow.resident(OperatorReaders).reader(uow.organization_id)
    return CountedProducts(total=reader.index.count(question))


async def suggest_sets(uow: UnitOfWork, message: SuggestProductSets) -> SuggestedSets:
    question = await _of_products(uow, message.query or "", message.sets, 1, uow.caller.shop_ids)
    reader = await uow.resident(OperatorReaders).reader(uow.organization_id)
    counts = await asyncio.to_thread(reader.index.set_counts, question, _MOST_COUNTED, meaning.pattern(message.typed))
    total = reader.index.count(question)
    missing = {f"without:{field}": total - counts.get(f"with:{field}", 0) for field in (*FIELDS, ISSUES)}
    known = _each_once(counts) | {name: count for name, count in missing.items() if count > 0}
    return await suggested(uow, known, message.typed, message.sets, message.first)


async def suggested(
    uow: UnitOfWork, counts: Mapping[str, int], typed: str, chosen: Sequence[str], first: int
) -> SuggestedSets:
    """Of these sets those that may be meant, the larger first, with what they are called."""
    confined_to = uow.caller.shop_ids
    connections = await meaning.connections_of(uow, confined_to) if any(map(meaning.is_of_place, counts)) else []
    places = meaning.place_names(connections)
    found = []
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        label = meaning.label_of(name, places)
        if label is None or name in chosen or not meaning.is_shown(name, is_confined=confined_to is not None):
            continue
        if _is_meant(name, label if meaning.is_sentence(name) else "", typed):
            found.append(SuggestedSet(set=name, count=count, label=label))
        if len(found) == first:
            break
    return SuggestedSets(sets=found)


async def _of_products(
    uow: UnitOfWork, words: str, sets: Sequence[str], most: int, shop_ids: Collection[UUID] | None
) -> OperatorQuestion:
    """Sets intersect; to be without a field is not to be with it."""
    meant = await meaning.meaning(uow, sets, shop_ids)
    return OperatorQuestion(kind="product", words=words, most=most, sets=meant.within, without=meant.without)


def _each_once(counts: Mapping[str, int]) -> dict[str, int]:
    """Values that differ in the case of their letters are one set, called as most call it."""
    names: dict[str, str] = {}
    merged: dict[str, int] = {}
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        called = names.setdefault(name.casefold(), name)
        merged[called] = merged.get(called, 0) + count
    return merged


def _is_meant(name: str, label: str, typed: str) -> bool:
    """Whether what was typed begins the whole name of the set, or what is said of its value, there or at a word."""
    wanted, whole = typed.strip().casefold(), name.casefold()
    said = label.casefold() or whole.partition(":")[2]
    if wanted not in whole and wanted not in said:
        return False
    return whole.startswith(wanted) or any(
        said[start:].startswith(wanted) for start in (0, *(found.start() for found in _WORD.finditer(said)))
    )
