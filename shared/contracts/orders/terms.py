"""How a shop takes orders."""

from typing import Annotated

from pydantic import Field

from shared.contracts.base import Command, Query, Shape
from shared.contracts.orders.messages import ShopCode

PayWindowMinutes = Annotated[int, Field(ge=1, le=43_200, examples=[30])]


class OrderTerms(Shape):
    """How long new orders of a shop wait for their payment; `is_own`: as set for it, not as the installation says."""

    shop: str
    pay_window_minutes: int
    is_own: bool


class GetOrderTerms(Query[OrderTerms]):
    """How long orders of a shop wait for their payment. Refused with `shop_not_found` (404)."""

    shop: ShopCode


class SetOrderTerms(Command[OrderTerms]):
    """Set how long new orders of a shop wait for their payment; null: as long as the installation says.

    What is placed already keeps its time. Refused with `shop_not_found` (404).
    """

    shop: ShopCode
    pay_window_minutes: PayWindowMinutes | None
