"""How a merchant tunes what a shop's search finds: words that mean the same, and what comes first."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.base import Command, Query, Shape
from shared.contracts.search.messages import ShopCode

MOST_SYNONYMS = 2000
MOST_PINS = 1000
MOST_BOOSTS = 10

Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=200)]


# What becomes of offers whose every variant is sold out: they leave, or are shown behind all others in every order.
SoldOut = Literal["leaves", "last"]


class Synonym(Shape):
    """Who looks for one of `words` finds what has another of them, and `also` what has one of these.

    With `also` it goes one way: who looks for `phone` finds a smartphone, not the other way round. Each may be several
    words; upper and lower case, and forms of a word, are the same.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"words": ["sofa", "couch"]}})

    words: Annotated[list[Term], Field(min_length=1, max_length=20)]
    also: Annotated[list[Term], Field(max_length=20)] = []

    @model_validator(mode="after")
    def _means_something(self) -> "Synonym":
        if len({*self.words, *self.also}) < 2:
            raise ValueError("a synonym takes two different words at least, in `words` or in `also`")
        return self


class PinnedOffers(Shape):
    """Offers that come first, in this order, for one search or for one category without a search; best first.

    They count only within the buyer's filter and while the shop sells them, and only in the order of relevance.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"query": "gift", "slugs": ["wool-scarf"]}})

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)] | None = None
    category: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    slugs: Annotated[list[Slug], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _names_one_place(self) -> "PinnedOffers":
        if (self.query is None) == (self.category is None):
            raise ValueError("pinned offers take either a query or a category")
        if len(set(self.slugs)) < len(self.slugs):
            raise ValueError("an offer is pinned once")
        return self


class Boost(Shape):
    """What a search finds of a brand, or in a category and below it, counts for `factor` times as much.

    So it comes before what matches about as well, and not before what matches much better. Of several that hold, the
    greatest counts. Lists without words are in the order of what is featured, in stock and new, whatever is boosted.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"brand": "Northwind", "factor": 1.5}})

    brand: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    category: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    factor: Annotated[float, Field(gt=1, le=10)]

    @model_validator(mode="after")
    def _names_one_thing(self) -> "Boost":
        if (self.brand is None) == (self.category is None):
            raise ValueError("a boost takes either a brand or a category")
        return self


class UnknownName(Shape):
    """Something a tuning names and the shop sells nothing of now: without effect until it does."""

    pointer: str
    name: str


class SearchTuning(Shape):
    """How the search of one shop is tuned. `version` grows with every change; 0: never tuned.

    With `sold_out` "last", offers whose every variant is sold out stay, behind all others in every order; as a rule
    they leave. Offers are built anew for a change of that, which takes longer than a second in a large shop.
    `unknown` are the slugs, brands and categories that stand for no offer now, mistyped or yet to come.
    """

    shop: str
    version: int
    synonyms: list[Synonym]
    pins: list[PinnedOffers]
    boosts: list[Boost] = []
    sold_out: SoldOut = "leaves"
    unknown: list[UnknownName] = []


class GetSearchTuning(Query[SearchTuning]):
    """How the search of a shop is tuned. Raises shop_not_found."""

    shop: ShopCode


class SetSearchTuning(Command[SearchTuning]):
    """Tune the search of a shop anew: what is given takes the place of all there was, and holds within a second.

    Refused: `shop_not_found` (404), `search_tuning_changed_since` (412), `pinned_twice` (422).
    """

    shop: ShopCode
    synonyms: Annotated[list[Synonym], Field(max_length=MOST_SYNONYMS)] = []
    pins: Annotated[list[PinnedOffers], Field(max_length=MOST_PINS)] = []
    boosts: Annotated[list[Boost], Field(max_length=MOST_BOOSTS)] = []
    sold_out: SoldOut = "leaves"
    expected_version: int | None = None
