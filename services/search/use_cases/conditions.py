"""When a variant is sold in a shop: a list of conditions that the indexer and *explain* both go through."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from shared.contracts.catalog.offers import PriceTier, ProductPart, VariantPart
from shared.contracts.inventory.shapes import Availability, StockPolicy
from shared.contracts.search.shapes import VariantAvailability

BUYABLE: frozenset[VariantAvailability] = frozenset({"in_stock", "backorder", "preorder"})


class Subject(msgspec.Struct, frozen=True, gc=False):
    """A variant of a product in one shop, on one day (UTC), and what follows from that; see `subject_of`.

    `single_price` is the price of one unit, `availability` how the variant can be had now.
    """

    product: ProductPart
    variant: VariantPart
    stock: Availability
    today: date
    single_price: PriceTier | None
    availability: VariantAvailability

    @property
    def can_be_bought(self) -> bool:
        return self.availability in BUYABLE


def subject_of(product: ProductPart, variant: VariantPart, stock: Availability, today: date) -> Subject:
    """The subject that the conditions judge: what several of them need is found once."""
    price = _single_price(variant)
    return Subject(product, variant, stock, today, price, _availability(variant, stock, price, today))


def _single_price(variant: VariantPart) -> PriceTier | None:
    for tier in variant.tiers:
        if tier.minimum_quantity <= 1:
            return tier
    return None


def _availability(
    variant: VariantPart, stock: Availability, price: PriceTier | None, today: date
) -> VariantAvailability:
    if price is None and variant.price_on_request:
        return "on_request"
    policy = stock.policy
    if policy == "showroom":
        return "showroom"
    if not stock.available:
        return "out_of_stock"
    if policy == "preorder" and stock.available_from is not None and stock.available_from > today:
        # Whatever is there already waits for its day.
        return policy
    if policy in ("backorder", "preorder") and stock.available_quantity <= 0:
        return "out_of_stock" if variant.backorder == "deny" else policy
    return "in_stock"


class SeenStock(msgspec.Struct, frozen=True, array_like=True):
    """All that conditions and offers see of a SKU's stock on one day (UTC), except how much of it there is.

    While that is the same of each variant, the same variants are sold, shown and listed, and the same one speaks for
    the offer. Who lets a condition or an offer see more of stock says so here.
    """

    sku: str
    policy: StockPolicy
    is_available: bool
    is_empty: bool
    available_from: date | None
    available_until: date | None
    restock_date: date | None
    has_begun: bool
    has_ended: bool


def seen_of(stock: Availability, today: date) -> SeenStock:
    """What is seen of it on that day."""
    begins, ends = stock.available_from, stock.available_until
    return SeenStock(
        stock.sku,
        stock.policy,
        stock.available,
        stock.available_quantity <= 0,
        begins,
        ends,
        stock.restock_date,
        begins is None or begins <= today,
        ends is not None and ends < today,
    )


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold for a variant to be sold; `passes` and `fails` say so to a person.

    A variant that fails only a condition which `lists` stays in the list of its offer's variants, as one to come back.
    """

    name: str
    holds: Callable[[Subject], bool]
    passes: str
    fails: str
    inputs: Callable[[Subject], dict[str, Any]]
    lists: bool = False


def _has_begun(subject: Subject) -> bool:
    begins = subject.stock.available_from
    return begins is None or begins <= subject.today or subject.stock.policy == "preorder"


def _has_not_ended(subject: Subject) -> bool:
    ends = subject.stock.available_until
    return ends is None or subject.today <= ends


CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "active",
        lambda subject: subject.product.status == "active",
        "The product is active.",
        "The product is not active.",
        lambda subject: {"status": subject.product.status},
    ),
    Condition(
        "assigned",
        lambda subject: subject.product.is_assigned,
        "A category of the product is assigned to the shop, enabled and within its dates.",
        "No category of the product is assigned to the shop, enabled and within its dates.",
        lambda subject: {
            "categories": ["/".join(category.path) for category in subject.product.categories],
            "assigned": ["/".join(category.assigned) for category in subject.product.categories],
        },
    ),
    Condition(
        "priced",
        lambda subject: subject.single_price is not None or subject.variant.price_on_request,
        "The shop has a price for it, or gives one on request.",
        "The shop's active price list has no price for one unit.",
        lambda subject: {
            "price": subject.single_price and subject.single_price.price.model_dump(),
            "price_on_request": subject.variant.price_on_request,
            "tiers": len(subject.variant.tiers),
        },
    ),
    Condition(
        "begun",
        _has_begun,
        "Its first day of sale has come, or it can be ordered before.",
        "Its first day of sale has not come.",
        lambda subject: {"available_from": subject.stock.available_from, "today": subject.today},
    ),
    Condition(
        "not_ended",
        _has_not_ended,
        "Its last day of sale has not passed.",
        "Its last day of sale has passed.",
        lambda subject: {"available_until": subject.stock.available_until, "today": subject.today},
    ),
    Condition(
        "in_stock",
        lambda subject: subject.availability != "out_of_stock",
        "It is in stock, or its stock policy sells or shows it without.",
        "It is out of stock, and its stock policy sells only what is there.",
        lambda subject: {
            "available": subject.stock.available,
            "available_quantity": subject.stock.available_quantity,
            "policy": subject.stock.policy,
            "backorder": subject.variant.backorder,
        },
        lists=True,
    ),
)


def judge(subject: Subject) -> tuple[bool, bool]:
    """Whether the variant is sold, or at least shown as something to sell; and whether it appears among its offer's
    variants, should there be an offer.
    """
    failed = [condition for condition in CONDITIONS if not condition.holds(subject)]
    return not failed, all(condition.lists for condition in failed)


def is_offered(subject: Subject) -> bool:
    """Whether the variant is sold, or at least shown as something to sell."""
    return judge(subject)[0]
