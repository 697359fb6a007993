"""Which shops' offers a request reads, and how far each shop's index was before: whether its answer may be kept."""

from collections.abc import Callable, Hashable
from typing import Any
from uuid import UUID

from shared.contracts.base import Message
from shared.contracts.search.messages import (
    GetOffer,
    GetOffersBySku,
    ListShopCategories,
    SearchOffers,
    SuggestOffers,
)

# How far the index of an organization's shop is, as this process reads it; None where it reads none of that code.
ShopStates = Callable[[UUID, str], Hashable | None]
# A shop's code, and how far its index was.
States = tuple[tuple[str, Hashable], ...]
# What is answered from a shop's index alone.
_READS = frozenset({SearchOffers, SuggestOffers, GetOffer, ListShopCategories, GetOffersBySku})


class ShopsRead:
    """The shops that one request has read so far."""

    __slots__ = ("_is_confined", "_organization_id", "_state_of", "_states")

    def __init__(self, organization_id: UUID | None, state_of: ShopStates | None) -> None:
        self._organization_id, self._state_of = organization_id, state_of
        self._states: dict[str, Hashable] = {}
        self._is_confined = organization_id is not None and state_of is not None

    def note(self, message: Message[Any]) -> None:
        """Look how far the shop is that is about to be asked about. Of two looks the first one counts."""
        if not self._is_confined:
            return
        assert self._organization_id is not None
        assert self._state_of is not None
        shop = getattr(message, "shop", None) if type(message) in _READS else None
        state = None if shop is None else self._state_of(self._organization_id, shop)
        if shop is None or state is None:
            self._is_confined = False
        else:
            self._states.setdefault(shop, state)

    @property
    def states(self) -> States | None:
        """What the answer stands on; None where it stands on anything else, or on nothing."""
        return tuple(self._states.items()) if self._is_confined and self._states else None
