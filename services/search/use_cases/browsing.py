"""A storefront's reads that look for nothing: a page, the tree of categories, the SKUs of a basket."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from services.search.errors import OfferNotFound
from services.search.use_cases.facets import category_facet
from services.search.use_cases.finding import first_of
from services.search.use_cases.reading import Reader
from shared.contracts.search.messages import ListShopCategories
from shared.contracts.search.offer_ids import find_offer


def page(reader: Reader, name: str, group: str | None) -> bytes:
    """Ready JSON of `OfferDetails`, by slug or product id, as a customer group sees it. Raises OfferNotFound."""
    found = reader.index.page(name, group)
    if found is None:
        raise OfferNotFound(f"The shop sells nothing called '{name}'.")
    return found


def named(id_: str) -> tuple[UUID, UUID]:
    """The shop and the product of an offer's id. Raises OfferNotFound."""
    found = find_offer(id_)
    if found is None:
        raise no_such_offer()
    return found


def no_such_offer() -> OfferNotFound:
    return OfferNotFound("There is no offer of this id.")


def categories(reader: Reader, message: ListShopCategories) -> bytes:
    """Ready JSON of `ShopCategories`."""
    key = message.model_dump_json()
    known = reader.remembered(key)
    if known is None:
        counted = reader.index.search(first_of(reader, "", 1)).facets.categories
        tree = orjson.dumps({"items": _tree(counted, (message.within or "").strip("/"))})
        known = reader.remember(key, tree)
    return known


def _tree(counts: Mapping[str, int], within: str) -> list[dict[str, Any]]:
    """Categories from the root down, neighbours in their order; only those of a branch, if one is named."""
    facets = {facet["path"]: facet for facet in category_facet(counts)}
    positions = {term.split("\x1f", 1)[0]: _position(term) for term in counts}

    def steps(path: str) -> list[str]:
        parts = path.split("/")
        whole = ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        # Of more categories than are counted, those with the fewest offers are left out.
        return [step for step in whole if step in facets]

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


def by_sku(reader: Reader, skus: Sequence[str], group: str | None) -> bytes:
    """Ready JSON of `SkuOffers`. A SKU is itself, upper and lower case told apart; its barcode is none."""
    offers = [orjson.loads(document) for document in reader.index.with_codes(skus, group)]
    found = {variant["sku"]: (offer, variant) for offer in offers for variant in offer["variants"]}
    return orjson.dumps({"items": [_sku_offer(sku, *found.get(sku, (None, None))) for sku in skus]})


def _sku_offer(sku: str, offer: Mapping[str, Any] | None, variant: Mapping[str, Any] | None) -> dict[str, Any]:
    if offer is None or variant is None:
        sold: dict[str, Any] = {"price": None, "available": False, "available_quantity": 0, "options": {}}
        return {"sku": sku, "slug": None, "title": None, "image": None, **sold}
    return {"slug": offer["slug"], "title": offer["title"], "image": offer["image"], **variant}
