"""When a variant is sold in a shop: a list of conditions that the indexer and *explain* both go through."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.contracts.catalog.offers import PriceTier, ProductPart, VariantPart
from shared.contracts.inventory.shapes import Availability
from shared.contracts.search.shapes import VariantAvailability

BUYABLE: frozenset[VariantAvailability] = frozenset({"in_stock", "backorder", "preorder"})


@dataclass(frozen=True, slots=True)
class Subject:
    """A variant of a product in one shop, on one day (UTC)."""

    product: ProductPart
    variant: VariantPart
    stock: Availability
    today: date

    @property
    def single_price(self) -> PriceTier | None:
        """The price of one unit."""
        return next((tier for tier in self.variant.tiers if tier.minimum_quantity <= 1), None)

    @property
    def availability(self) -> VariantAvailability:
        """How the variant can be had now."""
        if self.single_price is None and self.variant.price_on_request:
            return "on_request"
        match self.stock.policy:
            case "showroom":
                return "showroom"
            case _ if not self.stock.available:
                return "out_of_stock"
            case "always":
                return "in_stock"
            case "backorder" | "preorder" as promised if self.stock.available_quantity <= 0:
                return "out_of_stock" if self.variant.backorder == "deny" else promised
        return "in_stock"

    @property
    def can_be_bought(self) -> bool:
        return self.availability in BUYABLE


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
        lambda subject: {"categories": ["/".join(category.path) for category in subject.product.categories]},
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


def is_offered(subject: Subject) -> bool:
    """Whether the variant is sold, or at least shown as something to sell."""
    return all(condition.holds(subject) for condition in CONDITIONS)


def is_listed(subject: Subject) -> bool:
    """Whether the variant appears among its offer's variants, should there be an offer."""
    return all(condition.lists or condition.holds(subject) for condition in CONDITIONS)
