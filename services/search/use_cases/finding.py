"""Answers of a storefront: ready documents joined, facets counted, and a cursor that belongs to its question.

Who finds little or nothing is helped on: with the words as offers spell them, and with what there is instead.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.search.engines.base import FacetCounts, Found, Place, Question
from services.search.errors import CursorOfAnotherSearch, OfferNotFound, ReversedPriceRange
from services.search.repository.shops import KnownShop
from services.search.use_cases.reading import Reader
from services.search.use_cases.tuning import pins_of
from shared.contracts.search.messages import ListShopCategories, SearchOffers, SuggestOffers
from shared.contracts.search.shapes import OfferFilter
from shared.pagination import InvalidCursor, cursor_for, cursor_values

_OFFERS_SUGGESTED = 4
_OFFERS_INSTEAD = 4
_CATEGORIES_INSTEAD = 10
_LARGEST_PLACE = (1 << 64) - 1


def search(reader: Reader, message: SearchOffers) -> bytes:
    """Ready JSON of `FoundOffers`. Raises InvalidCursor, CursorOfAnotherSearch, ReversedPriceRange."""
    low, high = message.filter.price_min, message.filter.price_max
    if low is not None and high is not None and low > high:
        told = f"No price is at least {low} and at most {high}."
        raise ReversedPriceRange(told, [{"pointer": "/price_min", "code": "reversed_price_range", "message": told}])
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
        tuning=reader.tuning,
        pins=pins_of(reader.tuning, message.query or "", message.filter.category),
    )
    answer = _answer(reader, message, reader.index.search(question))
    reader.remember(key, answer)
    return answer


def suggest(reader: Reader, message: SuggestOffers) -> bytes:
    """Ready JSON of `OfferSuggestions`."""
    key = message.model_dump_json()
    known = reader.remembered(key)
    if known is not None:
        return known
    found = reader.index.search(_first_of(reader, message.query, _OFFERS_SUGGESTED))
    answer = _joined(
        found.documents,
        "offers",
        words=[
            {"words": words, "count": count} for words, count in reader.index.completions(message.query, message.first)
        ],
        categories=_category_facet(found.facets.categories)[: message.first],
        brands=_values(found.facets.brands)[: message.first],
        did_you_mean=_correction(reader, message.query, found),
    )
    reader.remember(key, answer)
    return answer


def _first_of(reader: Reader, words: str, first: int) -> Question:
    pins = pins_of(reader.tuning, words, [])
    return Question(words, OfferFilter(), "relevance", first, tuning=reader.tuning, pins=pins)


def page(reader: Reader, name: str) -> bytes:
    """Ready JSON of `OfferDetails`, by slug or product id. Raises OfferNotFound."""
    found = reader.index.page(name)
    if found is None:
        raise OfferNotFound(f"The shop sells nothing called '{name}'.")
    return found


def categories(reader: Reader, message: ListShopCategories) -> bytes:
    """Ready JSON of `ShopCategories`."""
    key = message.model_dump_json()
    known = reader.remembered(key)
    if known is None:
        counted = reader.index.search(_first_of(reader, "", 1)).facets.categories
        known = orjson.dumps({"items": _tree(counted, (message.within or "").strip("/"))})
        reader.remember(key, known)
    return known


def _tree(counts: Mapping[str, int], within: str) -> list[dict[str, Any]]:
    """Categories from the root down, neighbours in their order; only those of a branch, if one is named."""
    facets = {facet["path"]: facet for facet in _category_facet(counts)}
    positions = {term.split("\x1f", 1)[0]: _position(term) for term in counts}

    def steps(path: str) -> list[str]:
        parts = path.split("/")
        return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]

    def order(path: str) -> list[tuple[int, str, str]]:
        return [(positions[step], facets[step]["name"], step) for step in steps(path)]

    return [
        {
            "path": path,
            "slug": facets[path]["slug"],
            "name": facets[path]["name"],
            "parent": path.rpartition("/")[0] or None,
            "offers": facets[path]["count"],
            "breadcrumbs": [{"slug": facets[step]["slug"], "name": facets[step]["name"]} for step in steps(path)],
        }
        for path in sorted(facets, key=order)
        if not within or path == within or path.startswith(f"{within}/")
    ]


def _position(term: str) -> int:
    return int(term.rsplit("\x1f", 1)[1]) if term.count("\x1f") == 2 else 0


def by_sku(reader: Reader, skus: Sequence[str]) -> bytes:
    """Ready JSON of `SkuOffers`. A SKU is itself, upper and lower case told apart; its barcode is none."""
    offers = [orjson.loads(document) for document in reader.index.with_codes(skus)]
    found = {variant["sku"]: (offer, variant) for offer in offers for variant in offer["variants"]}
    return orjson.dumps({"items": [_sku_offer(sku, *found.get(sku, (None, None))) for sku in skus]})


def _sku_offer(sku: str, offer: Mapping[str, Any] | None, variant: Mapping[str, Any] | None) -> dict[str, Any]:
    if offer is None or variant is None:
        sold: dict[str, Any] = {"price": None, "available": False, "available_quantity": 0, "options": {}}
        return {"sku": sku, "slug": None, "title": None, "image": None, **sold}
    return {"slug": offer["slug"], "title": offer["title"], "image": offer["image"], **variant}


def _answer(reader: Reader, message: SearchOffers, found: Found) -> bytes:
    shop = reader.shop
    return _joined(
        found.documents,
        "items",
        next=None if found.next is None else _cursor(shop, message, found.next),
        total=found.total,
        facets=_facets(found.facets, shop.currency),
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
    return reader.index.correction(words) if is_loose and words.strip() else None


def _nothing_found(reader: Reader, message: SearchOffers) -> bytes:
    alone = reader.index.search(_first_of(reader, message.query or "", 1))
    instead = reader.index.search(_first_of(reader, "", _OFFERS_INSTEAD))
    return _joined(
        instead.documents,
        "offers",
        without_filter=alone.total,
        categories=_category_facet(instead.facets.categories)[:_CATEGORIES_INSTEAD],
    )


# --- cursors


def _cursor(shop: KnownShop, message: SearchOffers, place: Place) -> str:
    return cursor_for(_digest(shop, message), place.behind, place.stage, place.sequence, place.pinned)


def _place(shop: KnownShop, message: SearchOffers) -> Place | None:
    values = cursor_values(message.after, 5)
    if values is None:
        return None
    digest, behind, stage, sequence, pinned = values
    if not (
        isinstance(behind, int) and isinstance(sequence, int) and isinstance(stage, str) and isinstance(pinned, int)
    ):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    if digest != _digest(shop, message):
        raise CursorOfAnotherSearch("The cursor was given out for another search; begin at its first page.")
    if not (0 <= behind <= _LARGEST_PLACE and pinned >= 0):
        raise InvalidCursor("The cursor is not one that this collection gave out.")
    return Place(behind, stage, sequence, pinned)


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
        "attributes": _attribute_facets(counts.attributes),
    }


def _category_facet(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """One entry per path; while names are being changed, old and new count together."""
    facets: dict[str, dict[str, Any]] = {}
    for term, count in sorted(counts.items(), key=lambda item: -item[1]):
        path, name = term.split("\x1f")[:2]
        facet = facets.setdefault(path, {"path": path, "slug": path.rsplit("/", 1)[-1], "name": name, "count": 0})
        facet["count"] += count
    return sorted(facets.values(), key=lambda facet: (-facet["count"], facet["path"]))


def _option_facets(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    by_name: dict[str, dict[str, int]] = {}
    for term, count in counts.items():
        name, value = term.split("\x1f", 1)
        by_name.setdefault(name, {})[value] = count
    return [{"name": name, "values": _values(values)} for name, values in sorted(by_name.items())]


def _attribute_facets(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """One entry per code and value; while labels are being changed, old and new count together."""
    facets: dict[str, dict[str, Any]] = {}
    for term, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        code, value, label, text = term.split("\x1f", 3)
        facet = facets.setdefault(code, {"code": code, "label": label, "values": {}})
        known = facet["values"].setdefault(value, {"value": value, "text": text, "count": 0})
        known["count"] += count
    ordered = sorted(facets.values(), key=lambda facet: facet["code"])
    return [{**facet, "values": sorted(facet["values"].values(), key=_most_first)} for facet in ordered]


def _most_first(value: Mapping[str, Any]) -> tuple[int, str]:
    return -value["count"], value["value"]


def _values(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"value": value, "count": count} for value, count in ordered]


def _money(amount: int | None, currency: str) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency}
