"""What orders tell of themselves to whoever keeps them to be found: search."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Query, Shape

MOST_PARTS = 200


class OrderedPart(Shape):
    """What a line is of."""

    sku: str
    title: str | None


class OrderPart(Shape):
    """What an order is found by. `words` are of the person and of where it goes: names, company, city, postal code."""

    id: UUID
    shop_id: UUID
    number: str
    external_number: str | None
    external_id: str | None
    placed_at: datetime
    email: str | None
    words: list[str]
    lines: list[OrderedPart]
    tracking_numbers: list[str]


class OrderParts(Shape):
    """Those of the orders asked for that there are."""

    orders: list[OrderPart]


class OrderIds(Shape):
    ids: list[UUID]


class GetOrderParts(Query[OrderParts]):
    """What these orders are found by, as they are now. Internal: search asks."""

    order_ids: Annotated[list[UUID], Field(max_length=MOST_PARTS)]


class ListOrderIds(Query[OrderIds]):
    """The ids of all orders, in their order. Internal: search asks when it fills its documents anew."""

    after: UUID | None = None
    first: Annotated[int, Field(ge=1, le=1000)] = 1000
