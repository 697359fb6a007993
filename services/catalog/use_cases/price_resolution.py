"""What a variant costs in a shop: the one rule by which offers, order lines and who asks find a price (CAT-3, ACC-3).

`stand` puts the price lists of a shop and its ancestors in order, `resolve_price` chooses among a variant's prices. No
database in it. The rules, in their order:

1. **Shop.** A shop's own lists come first, then its parent's, and so on upwards; a shop with *strict* pricing inherits
   from nobody, so that nothing above it counts. Which shop decides is found for each variant and quantity by itself.
2. **Currency.** Lists count in the currency of the shop that sells, and no other. An ancestor with another one ends the
   line: it cannot be inherited from, nor can those above it through it.
3. **Customer group.** A list for a group counts for that group alone, and before the lists for everybody of its shop.
4. **Validity of lists.** A list counts from its beginning until before its end (half-open); of several in one shop the
   one that began last comes first, those without a beginning at the end; then the one made last.
5. **Quantity.** Of the first list that has a price in force for the quantity, the largest minimum reached decides.
6. **Validity of prices.** As with lists: half-open, and of several for one quantity the one that began last.
7. **Supplier-tagged.** A price of one fulfilment centre counts when it is that centre which serves, and then before the
   price for every centre of the same quantity.

The price that is found may be *on request*: then the shop sells the variant, and tells its price when asked. No rule
looks at amounts, so that the order in which lists or prices are given never matters.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from services.catalog.repository.price_terms import ListTerms, PriceTerms
from services.catalog.repository.shops import KnownShop, barred

_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Situation:
    """For whom, from where and when a price is wanted."""

    at: datetime
    customer_group: str | None = None
    centre: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Price lists in one situation: `ranks` of those that count, the lowest first, and why the others are `out`."""

    situation: Situation
    ranks: Mapping[UUID, int]
    out: Mapping[UUID, str]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A price, or a list that has none (`price` None), and the code of why it does not hold."""

    terms: ListTerms
    price: PriceTerms | None
    code: str


def stand(line: Sequence[KnownShop], lists: Iterable[ListTerms], situation: Situation) -> Standing:
    """Rules 1 to 4. `line` is the shop that sells and its ancestors, nearest first."""
    out_of_line = barred(line)
    distances = {shop.id: distance for distance, shop in enumerate(line)}
    counting, out = [], {}
    for terms in lists:
        code = out_of_line.get(terms.shop_id) or _list_is_out(terms, line[0].currency, situation)
        if code is None:
            counting.append(terms)
        else:
            out[terms.id] = code
    counting.sort(key=lambda terms: _list_order(terms, distances), reverse=True)
    return Standing(situation, {terms.id: rank for rank, terms in enumerate(counting)}, out)


def resolve_price(standing: Standing, prices: Iterable[PriceTerms], quantity: int) -> PriceTerms | None:
    """The price of one variant that holds for `quantity`, or None where there is none. Rules 5 to 7."""
    counting = (price for price in prices if is_passed_over(standing, price, quantity) is None)
    return max(counting, key=lambda price: _price_order(standing, price), default=None)


def tiers(standing: Standing, prices: Sequence[PriceTerms]) -> list[tuple[int, PriceTerms]]:
    """The prices of one variant that hold, each with the quantity from which it does: a change of price per entry."""
    if len(prices) == 1:
        only = prices[0]
        passed_over = is_passed_over(standing, only, only.minimum_quantity)
        return [] if passed_over is not None else [(only.minimum_quantity, only)]
    found: list[tuple[int, PriceTerms]] = []
    for quantity in sorted({price.minimum_quantity for price in prices}):
        price = resolve_price(standing, prices, quantity)
        if price is not None and (not found or found[-1][1] is not price):
            found.append((quantity, price))
    return found


def is_passed_over(standing: Standing, price: PriceTerms, quantity: int) -> str | None:
    """The code of what keeps a price from counting at all, or None."""
    if price.price_list_id not in standing.ranks:
        return standing.out.get(price.price_list_id, "other_shop")
    if price.minimum_quantity > quantity:
        return "quantity_not_reached"
    if price.starts_at is not None and price.starts_at > standing.situation.at:
        return "price_not_begun"
    if price.ends_at is not None and price.ends_at <= standing.situation.at:
        return "price_ended"
    if price.centre is not None and price.centre != standing.situation.centre:
        return "other_centre"
    return None


def explain(
    standing: Standing, lists: Sequence[ListTerms], prices: Sequence[PriceTerms], quantity: int
) -> list[PassedOver]:
    """Every price that does not hold, and every list without one, with the first reason that applies."""
    known = {terms.id: terms for terms in lists}
    holds = resolve_price(standing, prices, quantity)
    passed = [
        PassedOver(known[price.price_list_id], price, _why(standing, known, price, holds, quantity))
        for price in prices
        if price is not holds
    ]
    having = {price.price_list_id for price in prices}
    passed += [
        PassedOver(terms, None, standing.out.get(terms.id, "no_price")) for terms in lists if terms.id not in having
    ]
    last = len(standing.ranks)
    return sorted(passed, key=lambda each: (standing.ranks.get(each.terms.id, last), str(each.terms.id)))


def _list_is_out(terms: ListTerms, currency: str, situation: Situation) -> str | None:
    if terms.currency != currency:
        return "other_currency"
    if terms.customer_group is not None and terms.customer_group != situation.customer_group:
        return "other_customer_group"
    if terms.starts_at is not None and terms.starts_at > situation.at:
        return "list_not_begun"
    if terms.ends_at is not None and terms.ends_at <= situation.at:
        return "list_ended"
    return None


def _list_order(terms: ListTerms, distances: Mapping[UUID, int]) -> tuple[int, bool, datetime, datetime, UUID]:
    """The greater comes first."""
    has_group = terms.customer_group is not None
    return -distances[terms.shop_id], has_group, terms.starts_at or _ALWAYS, terms.created_at, terms.id


def _price_order(standing: Standing, price: PriceTerms) -> tuple[int, int, bool, datetime]:
    """The greater comes first; no two prices that count are equal, as one list has each of these but once."""
    rank = standing.ranks[price.price_list_id]
    return -rank, price.minimum_quantity, price.centre is not None, price.starts_at or _ALWAYS


def _why(
    standing: Standing, known: Mapping[UUID, ListTerms], price: PriceTerms, holds: PriceTerms | None, quantity: int
) -> str:
    code = is_passed_over(standing, price, quantity)
    if code is not None:
        return code
    assert holds is not None
    mine, better = known[price.price_list_id], known[holds.price_list_id]
    if mine.shop_id != better.shop_id:
        return "nearer_shop_first"
    if mine.id != better.id:
        return "customer_group_first" if better.customer_group and not mine.customer_group else "later_list_first"
    if price.minimum_quantity != holds.minimum_quantity:
        return "larger_quantity_first"
    return "centre_first" if price.centre != holds.centre else "later_price_first"
