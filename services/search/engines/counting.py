"""How many of what was found have what: offer by offer where little was found, else as the engine counts."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import tantivy
from tantivy import Query

from services.search.engines.base import FacetCounts
from services.search.engines.matching import Conditions, narrowed, option_key
from services.search.engines.offer_documents import Facets
from shared.contracts.search.shapes import OfferFilter

# What finds no more is counted offer by offer: to set up the engine's own counting takes longer, however few there are.
COUNTED_BY_HAND = 50

# The upper ends of price ranges, in minor units of a currency with two decimals; the same for all, as numbers.
_PRICE_STEPS = (1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
_MOST_VALUES = {"brand": 1000, "category": 2000, "options": 5000, "attributes": 5000}
# Values of options that are counted one by one, where a filter names options: those of most offers.
_MOST_COUNTED = 200


# By facet, how many offers there are of each value; of prices, by their ranges, and the lowest and highest of all.
_Counts = dict[str, Any]
_Fits = Callable[[Facets], bool]


class Counting(Protocol):
    """Counts what was found within conditions."""

    def counts(self, names: Sequence[str]) -> _Counts: ...

    def but_for(self, key: str) -> "Counting":
        """The same without the condition of this facet."""
        ...


def facets(counting: Counting, keys: Iterable[str]) -> _Counts:
    """All counts; a facet with a condition of its own, named by `keys`, is counted as if that were not there."""
    named = set(keys)
    counts = counting.counts([name for name in _AGGREGATIONS if name not in named])
    for key in keys:
        if key in _AGGREGATIONS:
            counts |= counting.but_for(key).counts([key])
        elif (kind := f"{key.split(':', 1)[0]}s") in _NAMED:
            others = counting.but_for(key).counts([kind])[kind]
            counts[kind] = _with_own(counts[kind], others, key.split(":", 1)[1])
    return counts


def told(counts: _Counts, options: dict[str, int] | None = None) -> FacetCounts:
    """The counts as an engine gives them, with other ones of options where they are given."""
    ranges, lowest, highest = counts["price"]
    of_options = counts["options"] if options is None else options
    return FacetCounts(counts["category"], counts["brand"], of_options, counts["attributes"], ranges, lowest, highest)


# --- by hand


class ByHand:
    """Offers that were found, each looked at by itself. `within`: those that fit; by key, those that fit but for it."""

    def __init__(self, within: Sequence[Facets], beside: Mapping[str, Sequence[Facets]]) -> None:
        self._within, self._beside = within, beside

    def counts(self, names: Sequence[str]) -> _Counts:
        return {name: _BY_HAND[name](self._within) for name in names}

    def but_for(self, key: str) -> "ByHand":
        more = self._beside.get(key)
        return ByHand([*self._within, *more], {}) if more else self


def tests_by_key(wanted: OfferFilter) -> dict[str, _Fits] | None:
    """A filter's conditions as tests of single offers, by the keys that `Conditions` has for them.

    None where one variant must have several things together: what is counted does not say that.
    """
    if wanted.options:
        return None
    found: dict[str, _Fits] = {}
    if wanted.category:
        paths = {path.strip("/") for path in wanted.category}
        found["category"] = lambda offer: any(_is_in(category, paths) for category in offer.categories)
    if wanted.brand:
        brands = {brand.casefold() for brand in wanted.brand}
        found["brand"] = lambda offer: offer.brand is not None and offer.brand.casefold() in brands
    if wanted.price_min is not None or wanted.price_max is not None:
        found["price"] = _priced_within(wanted.price_min, wanted.price_max)
    if wanted.in_stock is not None:
        found["in_stock"] = lambda offer: offer.is_available is wanted.in_stock
    for code in dict.fromkeys(attribute.code for attribute in wanted.attributes):
        values = {option_key(code, value) for a in wanted.attributes if a.code == code for value in a.values}
        found[f"attribute:{code}"] = _having(values)
    return found


def _is_in(category: str, paths: set[str]) -> bool:
    path = category.split("\x1f", 1)[0]
    return path in paths or path.rsplit("/", 1)[-1] in paths


def _priced_within(low: int | None, high: int | None) -> _Fits:
    lowest, highest = low or 0, float("inf") if high is None else high
    return lambda offer: offer.price is not None and lowest <= offer.price <= highest


def _having(values: set[str]) -> _Fits:
    return lambda offer: any(option_key(*each.split("\x1f", 2)[:2]) in values for each in offer.attributes)


def _prices_of(few: Iterable[Facets]) -> tuple[list[tuple[int, int | None, int]], int | None, int | None]:
    prices = sorted([each.price for each in few if each.price is not None])
    if not prices:
        return [], None, None
    counts = Counter([bisect_right(_PRICE_STEPS, price) for price in prices])
    ends = (0, *_PRICE_STEPS, None)
    return [(ends[place] or 0, ends[place + 1], count) for place, count in counts.items()], prices[0], prices[-1]


_BY_HAND: dict[str, Callable[[Sequence[Facets]], Any]] = {
    "category": lambda few: Counter([term for each in few for term in each.categories]),
    "brand": lambda few: Counter([each.brand for each in few if each.brand is not None]),
    "options": lambda few: Counter([term for each in few for term in each.options]),
    "attributes": lambda few: Counter([term for each in few for term in each.attributes]),
    "price": _prices_of,
}


# --- by the engine


class InIndex:
    """Counts what `query` finds within conditions: offer by offer where that is little, as `look` finds it."""

    def __init__(
        self, searcher: tantivy.Searcher, query: Query, conditions: Conditions, look: "Look", within: Query, found: Any
    ) -> None:
        """`look` says how many a query finds, and what each of a few is counted under; `found` is that of `within`."""
        self._searcher, self._query, self._conditions, self._look = searcher, query, conditions, look
        self._within = within
        self._count, self._few = found

    def but_for(self, key: str) -> Counting:
        wider = narrowed(self._query, self._conditions.but(key))
        found = (self._count, None) if self._few is None else self._look(wider)
        if self._few is not None and found[0] == self._count:
            return self
        return InIndex(self._searcher, self._query, self._conditions, self._look, wider, found)

    def counts(self, names: Sequence[str]) -> _Counts:
        if self._few is not None:
            return {name: _BY_HAND[name](self._few) for name in names}
        asked = {part: about for name in names for part, about in _AGGREGATIONS[name].items()}
        buckets = self._searcher.aggregate(self._within, asked)
        return {name: _priced(buckets) if name == "price" else _counted(buckets[name]) for name in names}


# How many a query finds, and, where that is little, what each is counted under.
Look = Callable[[Query], tuple[int, Sequence[Facets] | None]]


_AGGREGATIONS: dict[str, dict[str, Any]] = {
    "category": {"category": {"terms": {"field": "category", "size": _MOST_VALUES["category"]}}},
    "brand": {"brand": {"terms": {"field": "brand", "size": _MOST_VALUES["brand"]}}},
    "options": {"options": {"terms": {"field": "options", "size": _MOST_VALUES["options"]}}},
    "attributes": {"attributes": {"terms": {"field": "attributes", "size": _MOST_VALUES["attributes"]}}},
    "price": {
        "price": {"stats": {"field": "price"}},
        "ranges": {
            "range": {
                "field": "price",
                "ranges": [
                    {"from": low, "to": high} if high else {"from": low}
                    for low, high in zip((0, *_PRICE_STEPS), (*_PRICE_STEPS, None), strict=True)
                ],
            }
        },
    },
}


# Facets of which each name is one of its own: a condition on a colour does not narrow the counts of colours.
_NAMED = frozenset({"options", "attributes"})


def _with_own(counts: dict[str, int], own: dict[str, int], name: str) -> dict[str, int]:
    def is_named(term: str) -> bool:
        return term.split("\x1f", 1)[0].casefold() == name.casefold()

    others = {term: count for term, count in counts.items() if not is_named(term)}
    return others | {term: count for term, count in own.items() if is_named(term)}


def of_variants(
    count_of: Callable[[Query], int], query: Query, conditions: Conditions, counts: dict[str, int]
) -> dict[str, int]:
    """Counts of options, by the variants that have what is asked of other options as well."""
    if not conditions.options:
        return counts
    found = {}
    for term, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_COUNTED]:
        beside = conditions.beside(*term.split("\x1f", 1))
        own = count if beside is None else count_of(narrowed(query, beside))
        if own:
            found[term] = own
    return found


def _counted(terms: dict[str, Any]) -> dict[str, int]:
    return {bucket["key"]: bucket["doc_count"] for bucket in terms["buckets"]}


def _priced(counts: dict[str, Any]) -> tuple[list[tuple[int, int | None, int]], int | None, int | None]:
    """Ranges that hold anything; `from` inclusive (tantivy leaves out a zero), `to` exclusive. Then the ends of all."""
    ranges = [
        (int(bucket.get("from") or 0), None if bucket.get("to") is None else int(bucket["to"]), bucket["doc_count"])
        for bucket in counts["ranges"]["buckets"]
        if bucket["doc_count"]
    ]
    stats = counts["price"]
    return (ranges, None, None) if not stats["count"] else (ranges, int(stats["min"]), int(stats["max"]))
