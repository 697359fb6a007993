"""Which shops' offers a request reads, and how far each index was that answered: whether its answer may be kept."""

from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from shared.contracts.base import Message
from shared.contracts.search.standing import ShopStanding, standing_of

# How far the index of an organization's shop is, as this process knows; None where it does not.
StandingOf = Callable[[UUID, str], ShopStanding | None]
# A shop's code, and how far its index was.
States = tuple[tuple[str, ShopStanding], ...]


class ShopStandings(Protocol):
    """How far the indexes of shops are, as this process knows."""

    def of(self, organization_id: UUID, shop: str) -> ShopStanding | None:
        """How far it is; None where that is not known at this moment. Counts as asking for the shop."""
        ...

    def heard(self, organization_id: UUID, shop: str, standing: ShopStanding, asked_at: float) -> None:
        """An answer came from an index that was so far, to a question of then (by the monotonic clock)."""
        ...


class ShopsRead:
    """The shops that one request has read so far."""

    __slots__ = ("_is_confined", "_organization_id", "_standings", "_states")

    def __init__(self, organization_id: UUID | None, standings: ShopStandings | None) -> None:
        self._organization_id, self._standings = organization_id, standings
        self._states: dict[str, ShopStanding] = {}
        self._is_confined = organization_id is not None and standings is not None

    def note(self, message: Message[Any], answer: Any, asked_at: float) -> None:
        """What was just answered to a question of then. Only what says how far its index was is of a shop alone."""
        standing = standing_of(answer)
        if self._organization_id is None or self._standings is None or standing is None:
            self._is_confined = False
            return
        shop: str = message.shop  # type: ignore[attr-defined]
        self._standings.heard(self._organization_id, shop, standing, asked_at)
        if self._states.setdefault(shop, standing) != standing:
            # It went on in between.
            self._is_confined = False

    def give_up(self) -> None:
        """Something was asked that did not come to an answer."""
        self._is_confined = False

    @property
    def states(self) -> States | None:
        """What the answer stands on; None where it stands on anything else, or on nothing."""
        return tuple(self._states.items()) if self._is_confined and self._states else None
