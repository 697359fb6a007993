"""What the found offers are like, as a storefront is told."""

from collections.abc import Mapping
from typing import Any

from services.search.engines.base import FacetCounts


def facets_of(counts: FacetCounts, currency: str) -> dict[str, Any]:
    """As `OfferFacets` has them."""
    return {
        "category": category_facet(counts.categories),
        "brand": values_of(counts.brands),
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


def category_facet(counts: Mapping[str, int]) -> list[dict[str, Any]]:
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
    return [{"name": name, "values": values_of(values)} for name, values in sorted(by_name.items())]


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


def values_of(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """As `FacetValue` has them, most first."""
    ordered = sorted([(-count, value) for value, count in counts.items()])
    return [{"value": value, "count": -count} for count, value in ordered]


def _money(amount: int | None, currency: str) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency}
