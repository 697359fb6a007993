"""What search is asked."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Command, Page, Query
from shared.contracts.platform.shapes import Job
from shared.contracts.search.shapes import OfferExplanation, OfferFilter, OfferSort, SearchIndex
from shared.pagination import First

ShopCode = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Words = Annotated[str, StringConstraints(max_length=300)]
# Comes from query parameters, as text.
OffersFirst = Annotated[int, Field(ge=1, le=100, strict=False)]
CustomerGroup = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=200)]


_EVERYTHING = OfferFilter()


class SearchOffers(Query[bytes]):
    """The offers of a shop that match words and filter, as ready JSON of `FoundOffers`.

    All words must match, the last one as a beginning; where that finds little, words that are nearly spelled so count,
    too. With a `customer_group` everything is as it is for that group, by its prices: offers, order, filters, facets.
    Without `facets` none are counted, and those of the answer are empty; that is a good part of what a list costs.
    Raises shop_not_found, invalid_cursor, cursor_of_another_search, reversed_price_range, unknown_customer_group,
    too_many_combinations.
    """

    shop: ShopCode
    query: Words | None = None
    # One for all messages: a default that is no factory is copied, all of it, for each.
    filter: OfferFilter = Field(default_factory=lambda: _EVERYTHING)
    sort: OfferSort = "relevance"
    first: OffersFirst = 20
    after: str | None = None
    customer_group: CustomerGroup | None = None
    facets: Annotated[bool, Field(strict=False)] = True

    spares: ClassVar[frozenset[str]] = frozenset({"facets"})


class SuggestOffers(Query[bytes]):
    """What somebody who typed `query` so far may mean, as ready JSON of `OfferSuggestions`.

    Raises shop_not_found, unknown_customer_group.
    """

    shop: ShopCode
    query: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    first: Annotated[int, Field(ge=1, le=20, strict=False)] = 8
    customer_group: CustomerGroup | None = None


class GetOffer(Query[bytes]):
    """One offer with all its product page shows, as ready JSON of `OfferDetails`; by its slug, or its product's id.

    With a `customer_group` at its prices. Raises shop_not_found, offer_not_found, unknown_customer_group.
    """

    shop: ShopCode
    slug: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    customer_group: CustomerGroup | None = None


class GetOfferById(Query[bytes]):
    """The offer of this id, as ready JSON of `OfferDetails`. Raises offer_not_found, also for what is no such id."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ListShopCategories(Query[bytes]):
    """The categories in which a shop sells something, as ready JSON of `ShopCategories`. Raises shop_not_found."""

    shop: ShopCode
    # A category's path: itself, and what is below it.
    within: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None


class GetOffersBySku(Query[bytes]):
    """Price and availability of SKUs in a shop, as ready JSON of `SkuOffers`.

    With a `customer_group` at its prices. Raises shop_not_found, unknown_customer_group.
    """

    shop: ShopCode
    skus: Annotated[list[Sku], Field(min_length=1, max_length=100)]
    customer_group: CustomerGroup | None = None


class ExplainOffer(Query[OfferExplanation]):
    """Why a SKU is, or is not, an offer of a shop. Raises shop_not_found, sku_not_found."""

    shop: ShopCode
    sku: Sku


class ListSearchIndexes(Query[Page[SearchIndex]]):
    """The index of each shop, by the shop's code."""

    first: First = 50
    after: str | None = None


class RebuildSearchIndex(Command[Job]):
    """Build offers anew from catalog and inventory: of some products, SKUs or categories, of one shop, or of all shops.

    A category stands for its whole branch. Products and SKUs are taken together; categories are named alone.
    A second request for the same, while one is running, gets the running job. Refused: `shop_not_found` (404),
    `products_and_categories` (422).
    """

    shop: ShopCode | None = None
    product_ids: Annotated[list[UUID], Field(max_length=1000)] | None = None
    skus: Annotated[list[Sku], Field(max_length=1000)] | None = None
    category_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)] | None = None


class CheckSearchIndex(Command[Job]):
    """Compare offers with what catalog and inventory say they are, of one shop or of all.

    The job counts what is `missing`, `outdated` and `superfluous`, and names each; with `repair` these are built anew.
    A second request for the same, while one is running, gets the running job. Raises shop_not_found.
    """

    shop: ShopCode | None = None
    repair: bool = False
