"""What a SKU costs in a shop and why, told to a person: the same rule that sells, with every price it passed over."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.catalog.errors import SkuNotFound
from services.catalog.repository import offers, price_terms, shops
from services.catalog.repository.price_terms import ListTerms, PriceTerms
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases.price_resolution import PassedOver, Situation, explain, resolve_price, stand
from services.catalog.use_cases.pricing import money
from shared import clock
from shared.contracts.catalog.pricing import PassedOverPrice, PriceSource, ResolvedPrice, ResolvePrice
from shared.unit_of_work import UnitOfWork

_MESSAGES = {
    "other_shop": "The list belongs to a shop that this one does not sell by.",
    "strict_pricing": "The shop, or one between it and '{shop}', has strict pricing: it inherits no prices.",
    "other_currency": "'{shop}' or its list is in another currency ({currency}); prices are never converted.",
    "other_customer_group": "The list is for the customer group '{group}' alone.",
    "list_not_begun": "The list applies from {list_starts} on.",
    "list_ended": "The list applied until {list_ends}.",
    "no_price": "The list has no price for this SKU.",
    "quantity_not_reached": "It holds from a quantity of {minimum} on.",
    "price_not_begun": "The price applies from {starts} on.",
    "price_ended": "The price applied until {ends}.",
    "other_centre": "It holds only where the fulfilment centre '{centre}' serves.",
    "nearer_shop_first": "A shop's own price comes before one that it inherits.",
    "customer_group_first": "The price for the customer group comes before the one for everybody.",
    "later_list_first": "Of two lists that apply the one that began last comes first, then the one made last.",
    "larger_quantity_first": "A price for a larger quantity is reached.",
    "centre_first": "The fulfilment centre that serves has a price of its own.",
    "later_price_first": "Of two prices for one quantity the one that began last comes first.",
}


async def resolve(uow: UnitOfWork, asked: ResolvePrice) -> ResolvedPrice:
    """Raises ShopNotFound, SkuNotFound. What was passed over in shops that the caller does not see is not told."""
    shop = await shops.get_by_code(uow, asked.shop)
    variant = (await offers.variants_by_sku(uow, [asked.sku])).get(asked.sku)
    if variant is None:
        raise SkuNotFound(f"There is no variant with the SKU '{asked.sku}'.")
    line = await shops.list_line(uow, shop.id)
    lists = await price_terms.list_terms(uow, line)
    prices = (await price_terms.price_terms(uow, [terms.id for terms in lists], [variant["id"]])).get(variant["id"], [])
    situation = Situation(asked.at or clock.now(), asked.customer_group, asked.centre)
    standing = stand(line, lists, situation)
    found = resolve_price(standing, prices, asked.quantity)
    passed = [
        each for each in explain(standing, lists, prices, asked.quantity) if uow.caller.sees_shop(each.terms.shop_id)
    ]
    return _answer(asked, situation, variant["price_on_request"], found, passed, _Names(line, lists))


class _Names:
    """What shops and lists are called."""

    def __init__(self, line: Sequence[KnownShop], lists: Sequence[ListTerms]) -> None:
        self.currency = line[0].currency
        self.shops: Mapping[UUID, str] = {shop.id: shop.code for shop in line}
        self.lists = {terms.id: terms for terms in lists}


def _answer(
    asked: ResolvePrice,
    situation: Situation,
    is_on_request: bool,
    found: PriceTerms | None,
    passed: Sequence[PassedOver],
    names: _Names,
) -> ResolvedPrice:
    on_request = is_on_request or (found is not None and found.price is None)
    is_told = found is not None and not on_request
    return ResolvedPrice(
        shop=asked.shop,
        sku=asked.sku,
        quantity=asked.quantity,
        customer_group=asked.customer_group,
        centre=asked.centre,
        at=situation.at,
        price=money(found.price, names.currency) if found and is_told else None,
        list_price=money(found.list_price, names.currency) if found and is_told else None,
        on_request=on_request,
        source=_source(found, names) if found else None,
        message=_verdict(is_on_request, found, names),
        passed_over=[_passed_over(each, names) for each in passed],
    )


def _verdict(is_on_request: bool, found: PriceTerms | None, names: _Names) -> str:
    if is_on_request:
        return "The variant is sold at a price on request in every shop, whatever the lists say."
    if found is None:
        return "No list that applies has a price for it."
    terms = names.lists[found.price_list_id]
    what = "says that the price is told on request" if found.price is None else "decides"
    return f"The list '{terms.name}' of the shop '{names.shops[terms.shop_id]}' {what}."


def _source(found: PriceTerms, names: _Names) -> PriceSource:
    return PriceSource(**_place(names.lists[found.price_list_id], found, names))


def _passed_over(passed: PassedOver, names: _Names) -> PassedOverPrice:
    terms, price = passed.terms, passed.price
    place = _place(terms, price, names)
    words = {
        **place,
        "currency": terms.currency,
        "group": terms.customer_group,
        "list_starts": _told(terms.starts_at),
        "list_ends": _told(terms.ends_at),
        "minimum": place["minimum_quantity"],
        "starts": _told(place["starts_at"]),
        "ends": _told(place["ends_at"]),
    }
    amount = price.price if price else None
    message = _MESSAGES[passed.code].format(**words)
    return PassedOverPrice(code=passed.code, message=message, price=money(amount, terms.currency), **place)


def _place(terms: ListTerms, price: PriceTerms | None, names: _Names) -> dict[str, Any]:
    return {
        "price_list_id": terms.id,
        "price_list": terms.name,
        "shop": names.shops[terms.shop_id],
        "customer_group": terms.customer_group,
        "minimum_quantity": price.minimum_quantity if price else None,
        "centre": price.centre if price else None,
        "starts_at": price.starts_at if price else None,
        "ends_at": price.ends_at if price else None,
    }


def _told(moment: Any) -> str:
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z") if moment is not None else ""
