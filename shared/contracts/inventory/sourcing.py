"""How a shop chooses the centres that serve its orders, and why it chose them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Command, Query, Shape

SourcingStrategy = Literal["preference", "most_stock", "fewest_shipments"]
Splitting = Literal["lines", "orders", "never"]
Verdict = Literal["chosen", "chosen_beyond_stock", "not_needed", "nothing_there", "not_on_sale", "does_not_count"]
ShopCode = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["main"])]


class Sourcing(Shape):
    """A shop's rule. `inherited_from` is the parent shop whose rule it is, null where it is its own or the default.

    `strategy`: the preferred centre first; the one with most stock; or the smallest set of centres that serves the
    whole order. `splitting`: *lines*, a line may come from several centres; *orders*, a line comes from one centre;
    *never*, the order comes from one centre. Centres that may dispatch always come first.
    """

    shop: str
    strategy: SourcingStrategy
    splitting: Splitting
    inherited_from: str | None = None


class GetSourcing(Query[Sourcing]):
    """How a shop chooses the centres that serve its orders. Refused with `shop_not_found` (404)."""

    shop: ShopCode


class SetSourcing(Command[Sourcing]):
    """Set how a shop, and those below it without a rule of their own, chooses the centres that serve its orders.

    Holds for what is reserved from now on. Refused with `shop_not_found` (404).
    """

    shop: ShopCode
    strategy: SourcingStrategy = "preference"
    splitting: Splitting = "lines"


class UnsetSourcing(Command[Sourcing]):
    """Let a shop choose as its parent does, or by the default rule. Refused with `shop_not_found` (404)."""

    shop: ShopCode


class WeighedCentre(Shape):
    """A centre of the shop, and what it had of a SKU when the units were reserved; `sku` is a child's in a kit."""

    sku: str
    centre: str
    preference: int
    dispatches: bool
    available: int
    taken: int
    beyond_stock: int
    verdict: Verdict


class SourcedLine(Shape):
    """Why a line is served as it is: every centre of the shop, in the order of preference."""

    sku: str
    quantity: int
    weighed: list[WeighedCentre]


class ExplainedSourcing(Shape):
    """Which centres were weighed for an order when its stock was reserved, and by which rule."""

    order_id: UUID
    shop_id: UUID
    strategy: SourcingStrategy
    splitting: Splitting
    lines: list[SourcedLine]


class ExplainSourcing(Query[ExplainedSourcing]):
    """Why an order's lines come from the centres they come from, as it was weighed when they were reserved.

    `sku` keeps one line. Refused with `reservation_not_found` (404).
    """

    reservation_id: UUID
    sku: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = None
