"""How far the index is that an answer was found in, so that whoever keeps the answer knows how long it holds."""

from typing import Any, NamedTuple, Self
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Query, Shape, field_of
from shared.contracts.search.messages import ShopCode


class ShopStanding(NamedTuple):
    """A shop's index at one moment: two answers to the same question in the same standing are the same.

    All but the id only grow.
    """

    shop_id: str
    version: int
    generation: int
    sequence: int
    tuning: int

    def with_later(self, other: Self) -> Self:
        """The furthest that either is in anything; of another shop, which took over the code, `other`."""
        if other.shop_id != self.shop_id:
            return other
        return type(self)(self.shop_id, *map(max, self[1:], other[1:]))


def standing_of(answer: Any) -> ShopStanding | None:
    """How far the index was that an answer was found in; None for what says nothing of it, or not in our words."""
    told = field_of(answer, "standing")
    return ShopStanding(*told) if told is not None and len(told) == len(ShopStanding._fields) else None


class NamedShop(Shape):
    """A shop of an organization, by its code."""

    organization_id: UUID
    shop: ShopCode


class StandingsOfShops(Shape):
    """In the order in which they were asked for; null where whoever answers reads no such index now."""

    standings: list[ShopStanding | None]


class GetShopStandings(Query[StandingsOfShops]):
    """How far the indexes of shops are, where they are read. Counts as reading them."""

    shops: list[NamedShop] = Field(max_length=1000)
