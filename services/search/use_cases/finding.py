"""Answers of a storefront: ready documents joined, facets counted, and a cursor that belongs to its question."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from services.search.engines.base import FacetCounts, Found, Place, Question
from services.search.errors import CursorOfAnotherSearch, OfferNotFound
from services.search.repository.shops import KnownShop
from services.search.use_cases.reading import Reader
from shared.contracts.search.messages import SearchOffers
from shared.pagination import InvalidCursor, cursor_for, cursor_values

_LARGEST_PLACE = (1 << 64) - 1


def search(reader: Reader, message: SearchOffers) -> bytes:
    """Ready JSON of `FoundOffers`. Raises InvalidCursor, CursorOfAnotherSearch."""
    key = message.model_dump_json()
    known = reader.remembered(key)
    if known is not None:
        return known
    question = Question(
        words=message.query or "",
        filter=message.filter,
        sort=message.sort,
        first=message.first,
        place=_place(reader.shop, message),
    )
    answer = _answer(reader.shop, message, reader.index.search(question))
    reader.remember(key, answer)
    return answer


def page(reader: Reader, slug: str) -> bytes:
    """Ready JSON of `OfferDetails`. Raises OfferNotFound."""
    found = reader.index.page(slug)
    if found is None:
        raise OfferNotFound(f"The shop sells nothing called '{slug}'.")
    return found


def _answer(shop: KnownShop, message: SearchOffers, found: Found) -> bytes:
    following = None if found.next is None else _cursor(shop, message, found.next)
    rest = {"next": following, "total": found.total, "facets": _facets(found.facets, shop.currency)}
    return b'{"items":[' + b",".join(found.documents) + b"]," + orjson.dumps(rest)[1:]


# --- cursors


def _cursor(shop: KnownShop, message: SearchOffers, place: Place) -> str:
    return cursor_for(_digest(shop, message), place.behind, place.stage, place.sequence)


def _place(shop: KnownShop, message: SearchOffers) -> Place | None:
    values = cursor_values(message.after, 4)
    if values is None:
        return None
    digest, behind, stage, sequence = values
    if not (isinstance(behind, int) and isinstance(sequence, int) and isinstance(stage, str)):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    if digest != _digest(shop, message):
        raise CursorOfAnotherSearch("The cursor was given out for another search; begin at its first page.")
    if not 0 <= behind <= _LARGEST_PLACE:
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return Place(behind, stage, sequence)


def _digest(shop: KnownShop, message: SearchOffers) -> str:
    asked = message.model_dump_json(include={"query", "filter", "sort"})
    return hashlib.blake2b(f"{shop.id}{asked}".encode(), digest_size=6).hexdigest()


# --- facets


def _facets(counts: FacetCounts, currency: str) -> dict[str, Any]:
    return {
        "category": _category_facet(counts.categories),
        "brand": _values(counts.brands),
        "price": {
            "minimum": _money(counts.lowest_price, currency),
            "maximum": _money(counts.highest_price, currency),
            "ranges": [
                {"minimum": low, "maximum": None if high is None else high - 1, "count": count}
                for low, high, count in counts.prices
            ],
        },
        "options": _option_facets(counts.options),
    }


def _category_facet(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """One entry per path; while names are being changed, old and new count together."""
    facets: dict[str, dict[str, Any]] = {}
    for term, count in sorted(counts.items(), key=lambda item: -item[1]):
        path, name = term.split("\x1f", 1)
        facet = facets.setdefault(path, {"path": path, "slug": path.rsplit("/", 1)[-1], "name": name, "count": 0})
        facet["count"] += count
    return sorted(facets.values(), key=lambda facet: (-facet["count"], facet["path"]))


def _option_facets(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    by_name: dict[str, dict[str, int]] = {}
    for term, count in counts.items():
        name, value = term.split("\x1f", 1)
        by_name.setdefault(name, {})[value] = count
    return [{"name": name, "values": _values(values)} for name, values in sorted(by_name.items())]


def _values(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"value": value, "count": count} for value, count in ordered]


def _money(amount: int | None, currency: str) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency}
