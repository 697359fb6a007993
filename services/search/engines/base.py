"""What an engine takes and gives. An engine keeps one shop's offers; whoever follows the documents feeds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from services.search.models import StoredOffer
from shared.contracts.search.shapes import OfferFilter, OfferSort


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a result a page begins: behind a sort key, or so far down the ranking of one state of the index.

    `pinned` is how many of the offers that come first were shown before.
    """

    behind: int
    stage: str
    sequence: int
    pinned: int = 0


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a merchant wants found besides, and first. `version` tells one tuning from another.

    `others` are phrases that one who looks for a phrase finds, too. Pinned offers are slugs in their order: by query,
    in lower case with single spaces, and by category, as its path or slug. What is boosted counts so many times.
    """

    version: int = 0
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pins_of_queries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pins_of_categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    boosted_brands: Mapping[str, float] = field(default_factory=dict)
    boosted_categories: Mapping[str, float] = field(default_factory=dict)


NO_TUNING = Tuning()
# What a tuning names offers by.
NamedBy = Literal["slug", "brand", "category"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. `pins`: slugs of the offers that come first in the order of relevance.

    `group`: the customer group for which it is looked for, at its prices. `facets`: whether any are counted.
    """

    words: str
    filter: OfferFilter
    sort: OfferSort
    first: int
    place: Place | None = None
    tuning: Tuning = NO_TUNING
    pins: tuple[str, ...] = ()
    group: str | None = None
    facets: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """Ready documents of one page, where the next begins, how much there is in all, and the facets' counts.

    `stage` is how the words matched: `all` (none were asked for), `code`, `words`, `nearly` or `any`.
    """

    documents: list[bytes]
    next: Place | None
    total: int
    facets: "FacetCounts"
    stage: str


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """How many of the found have what. Each leaves its own filter out. Prices are (from, to, count), in minor units."""

    categories: dict[str, int] = field(default_factory=dict)
    brands: dict[str, int] = field(default_factory=dict)
    options: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, int] = field(default_factory=dict)
    prices: list[tuple[int, int | None, int]] = field(default_factory=list)
    lowest_price: int | None = None
    highest_price: int | None = None


class OfferIndex(Protocol):
    """One shop's offers in one place. `apply` and opening may take long and block; the others do not."""

    @property
    def sequence(self) -> int:
        """The sequence of the last row taken over."""
        ...

    def apply(self, offers: Sequence[StoredOffer], sequence: int, *, is_more: bool = False) -> None:
        """Take over rows up to `sequence`; repeating is harmless. Found from then on, and after a restart.

        Where `is_more` follows at once, these may be found only with what comes then.

        Raises IndexUnreadable; what was found before is found still.
        """
        ...

    def search(self, question: Question) -> Found: ...

    def completions(self, words: str, most: int) -> list[tuple[str, int]]:
        """The words with the last of them completed, and how many offers have that one beside the others."""
        ...

    def correction(self, words: str) -> str | None:
        """The words as offers spell them, where one is spelled as in none; None when there is nothing better."""
        ...

    def has_group(self, group: str) -> bool:
        """Whether any offer is another one for this customer group."""
        ...

    def unknown_among(self, names: Sequence[tuple[NamedBy, str]]) -> list[int]:
        """Which of these, by their place, stand for no offer. May take some 20 µs for each."""
        ...

    def page(self, name: str, group: str | None = None) -> bytes | None:
        """The ready page of one offer, by its slug or its product's id, as a customer group sees it."""
        ...

    def with_codes(self, codes: Sequence[str], group: str | None = None) -> list[bytes]:
        """Ready documents of the offers that have one of these SKUs or barcodes, in whatever case, as a group has."""
        ...

    def rest(self) -> None:
        """Give back what is only needed for taking over rows."""
        ...

    def close(self) -> None: ...


class IndexUnreadable(Exception):
    """The place does not hold what was left there; it must be filled again from the rows."""
