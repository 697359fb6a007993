"""What a storefront looks for: ready documents joined, facets counted, and a cursor that belongs to its question.

Who finds little or nothing is helped on: with the words as offers spell them, and with what there is instead.
"""

import hashlib
from collections.abc import Sequence
from math import prod
from typing import Any, get_args

import orjson

from services.search.engines.base import Found, Place, Question
from services.search.errors import CursorOfAnotherSearch, ReversedPriceRange, TooManyCombinations
from services.search.use_cases.facets import category_facet, facets_of, values_of
from services.search.use_cases.reading import Reader
from services.search.use_cases.tuning import pins_of
from shared.contracts.search.messages import SearchOffers, SuggestOffers
from shared.contracts.search.shapes import OfferFilter, WordsMatched
from shared.errors import ValidationFailed
from shared.pagination import InvalidCursor, cursor_for, cursor_values

MOST_COMBINATIONS = 5000
_OFFERS_SUGGESTED = 4
_OFFERS_INSTEAD = 4
_CATEGORIES_INSTEAD = 10
_STAGES = frozenset(get_args(WordsMatched))
_LARGEST_PLACE = (1 << 64) - 1


def search(reader: Reader, message: SearchOffers) -> bytes:
    """Ready JSON of `FoundOffers`.

    Raises InvalidCursor, CursorOfAnotherSearch, ReversedPriceRange, TooManyCombinations.
    """
    _check(message.filter)
    key = message.model_dump_json()
    known = reader.remembered(key)
    if known is not None:
        return known
    question = Question(
        words=message.query or "",
        filter=message.filter,
        sort=message.sort,
        first=message.first,
        place=_place(reader, message),
        tuning=reader.tuning,
        pins=pins_of(reader.tuning, message.query or "", message.filter.category),
        group=message.customer_group,
        facets=message.facets,
    )
    answer = _answer(reader, message, reader.index.search(question))
    return reader.remember(key, answer)


def _check(wanted: OfferFilter) -> None:
    low, high = wanted.price_min, wanted.price_max
    if low is not None and high is not None and low > high:
        raise _wrong(ReversedPriceRange, "/filter/price_min", f"No price is at least {low} and at most {high}.")
    values: dict[str, set[str]] = {}
    for option in wanted.options:
        values.setdefault(option.name.casefold(), set()).update(option.values)
    if prod(map(len, values.values())) > MOST_COMBINATIONS:
        told = f"The values of these options combine in more than {MOST_COMBINATIONS} ways; name fewer of them."
        raise _wrong(TooManyCombinations, "/filter/options", told)


def _wrong(error: type[ValidationFailed], pointer: str, told: str) -> ValidationFailed:
    return error(told, [{"pointer": pointer, "code": error.code, "message": told}])


def suggest(reader: Reader, message: SuggestOffers) -> bytes:
    """Ready JSON of `OfferSuggestions`."""
    key = message.model_dump_json()
    known = reader.remembered(key)
    if known is not None:
        return known
    found = reader.index.search(first_of(reader, message.query, _OFFERS_SUGGESTED, message.customer_group))
    answer = _joined(
        found.documents,
        "offers",
        words=[
            {"words": words, "count": count} for words, count in reader.index.completions(message.query, message.first)
        ],
        categories=category_facet(found.facets.categories)[: message.first],
        brands=values_of(found.facets.brands)[: message.first],
        did_you_mean=_correction(reader, message.query, found),
    )
    return reader.remember(key, answer)


def first_of(reader: Reader, words: str, first: int, group: str | None = None, *, facets: bool = True) -> Question:
    """The best offers for some words, or of the shop, as its merchant tuned it and a customer group sees it."""
    pins = pins_of(reader.tuning, words, [])
    return Question(
        words, OfferFilter(), "relevance", first, tuning=reader.tuning, pins=pins, group=group, facets=facets
    )


def _answer(reader: Reader, message: SearchOffers, found: Found) -> bytes:
    shop = reader.shop
    return _joined(
        found.documents,
        "items",
        next=None if found.next is None else _cursor(reader, message, found.next),
        total=found.total,
        facets=facets_of(found.facets, shop.currency),
        matched=found.stage,
        did_you_mean=_correction(reader, message.query or "", found),
        nothing_found=None if found.total else orjson.Fragment(_nothing_found(reader, message)),
    )


def _joined(documents: Sequence[bytes], name: str, **rest: Any) -> bytes:
    """A JSON object with ready documents under `name`."""
    return b'{"' + name.encode() + b'":[' + b",".join(documents) + b"]," + orjson.dumps(rest)[1:]


def _correction(reader: Reader, words: str, found: Found) -> str | None:
    """Only asked where words had to be taken loosely, or found nothing: elsewhere they are spelled as offers are."""
    is_loose = found.stage in ("nearly", "any") or found.total == 0
    if not is_loose or not words.strip():
        return None
    meant = reader.index.correction(words)
    # A correction that finds nothing, or has to be taken loosely itself, is none.
    better = None if meant is None else reader.index.search(first_of(reader, meant, 1, facets=False))
    return meant if better is not None and better.total and better.stage not in ("nearly", "any") else None


def _nothing_found(reader: Reader, message: SearchOffers) -> bytes:
    alone = reader.index.search(first_of(reader, message.query or "", 1, message.customer_group, facets=False))
    instead = reader.index.search(first_of(reader, "", _OFFERS_INSTEAD, message.customer_group))
    return _joined(
        instead.documents,
        "offers",
        without_filter=alone.total,
        categories=category_facet(instead.facets.categories)[:_CATEGORIES_INSTEAD],
    )


# --- cursors


def _cursor(reader: Reader, message: SearchOffers, place: Place) -> str:
    return cursor_for(_digest(reader, message), place.behind, place.stage, place.sequence, place.pinned)


def _place(reader: Reader, message: SearchOffers) -> Place | None:
    values = cursor_values(message.after, 5)
    if values is None:
        return None
    digest, behind, stage, sequence, pinned = values
    if not (
        isinstance(behind, int) and isinstance(sequence, int) and isinstance(stage, str) and isinstance(pinned, int)
    ):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    if digest != _digest(reader, message):
        raise CursorOfAnotherSearch("The cursor was given out for another search; begin at its first page.")
    if not (0 <= behind <= _LARGEST_PLACE and pinned >= 0 and isinstance(stage, str) and stage in _STAGES):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return Place(behind, stage, sequence, pinned)


def _digest(reader: Reader, message: SearchOffers) -> str:
    """What a cursor belongs to: the shop, what was asked, and how the shop was tuned then."""
    asked = message.model_dump_json(include={"query", "filter", "sort", "customer_group"})
    return hashlib.blake2b(f"{reader.shop.id}{reader.tuning.version}{asked}".encode(), digest_size=6).hexdigest()
