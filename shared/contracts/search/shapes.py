"""Shapes of offers, of what is found, of explanations and of indexes."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Page, Shape
from shared.contracts.catalog.shapes import OrderLimits
from shared.measures import Dimensions, Weight
from shared.money import Money

OfferSort = Literal["relevance", "price_asc", "price_desc", "newest"]
# in_stock, backorder and preorder can be bought; the others are shown and cannot.
VariantAvailability = Literal["in_stock", "backorder", "preorder", "out_of_stock", "showroom", "on_request"]

FilterValue = Annotated[str, StringConstraints(min_length=1, max_length=500)]
FilterValues = Annotated[list[FilterValue], Field(max_length=50)]
# Filters come from query parameters, as text.
MinorUnits = Annotated[int, Field(ge=0, le=2**53, strict=False)]


class OfferCategory(Shape):
    """A category the offer stands in; `path` holds the slugs from the root."""

    slug: str
    name: str
    path: list[str]


class OfferImage(Shape):
    url: str
    alt: str | None = None


class OfferMedia(Shape):
    """A picture, video, document, 3D model … in the product's order."""

    kind: str
    url: str
    alt: str | None = None
    preview_url: str | None = None


class OfferAttribute(Shape):
    """A fact in the shop's language: `label` and `text` are to be shown, `value` is as `type` says."""

    code: str
    label: str
    type: str
    value: str | bool | int | list[str]
    text: str
    unit: str | None = None
    is_facet: bool = False


class OfferVariant(Shape):
    """One thing that can be chosen. `price` is null when it is given on request."""

    sku: str
    price: Money | None
    available: bool
    available_quantity: int
    options: dict[str, str]


class Offer(Shape):
    """What a shop sells. `sku`, `price` and `image` are of the variant shown first, which can be bought if any can."""

    id: str
    slug: str
    title: str
    brand: str | None
    sku: str
    price: Money | None
    list_price: Money | None
    available: bool
    available_quantity: int
    image: OfferImage | None
    categories: list[OfferCategory]
    options: dict[str, list[str]]
    variants: list[OfferVariant]


class SkuOffer(Shape):
    """What a shop sells under a SKU now: for a basket or a wish list. `slug` is null where it sells no such thing."""

    sku: str
    slug: str | None
    title: str | None
    image: OfferImage | None
    price: Money | None
    available: bool
    available_quantity: int
    options: dict[str, str]


class SkuOffers(Shape):
    """One entry per SKU, in the order asked."""

    items: list[SkuOffer]


class OfferTier(Shape):
    """The unit price from `minimum_quantity` on."""

    minimum_quantity: int
    price: Money
    list_price: Money | None = None


class OfferVariantDetails(OfferVariant):
    """A variant as the product page shows it."""

    list_price: Money | None
    availability: VariantAvailability
    available_from: date | None = None
    restock_date: date | None = None
    barcode: str | None = None
    weight_grams: int | None = None
    image: OfferImage | None = None
    tiers: list[OfferTier]
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    order_limits: OrderLimits | None = None
    barcodes: list[str] = []
    mpn: str | None = None
    weight: Weight | None = None
    dimensions: Dimensions | None = None
    typed_attributes: list[OfferAttribute] = []


class Breadcrumb(Shape):
    slug: str
    name: str


class ShopCategory(Shape):
    """A category in which a shop sells something; `offers` counts its whole branch.

    `breadcrumbs` lead to it from the root, itself included; `parent` is the path of the one above, null for a root.
    """

    path: str
    slug: str
    name: str
    parent: str | None
    offers: int
    breadcrumbs: list[Breadcrumb]


class ShopCategories(Shape):
    """The categories of a shop, each before those below it, neighbours by position and name."""

    items: list[ShopCategory]


class OfferSeo(Shape):
    title: str
    description: str


class OfferDetails(Shape):
    """An offer as the product page shows it: an offer's fields, and what only the page needs."""

    id: str
    product_id: UUID
    slug: str
    title: str
    brand: str | None
    sku: str
    price: Money | None
    list_price: Money | None
    available: bool
    available_quantity: int
    image: OfferImage | None
    categories: list[OfferCategory]
    options: dict[str, list[str]]
    variants: list[OfferVariantDetails]
    description_html: str
    content_html: str | None = None
    product_type: str | None
    tags: list[str]
    attributes: dict[str, str]
    images: list[OfferImage]
    media: list[OfferMedia] = []
    typed_attributes: list[OfferAttribute] = []
    breadcrumbs: list[list[Breadcrumb]]
    seo: OfferSeo
    updated_at: datetime


# --- finding


class OptionFilter(Shape):
    """Offers that have any of these values of one option."""

    name: FilterValue
    values: FilterValues


class AttributeFilter(Shape):
    """Offers that have any of these values of one attribute, by its code."""

    code: FilterValue
    values: FilterValues


class OfferFilter(Shape):
    """Which offers: all conditions hold; within one, any of its values.

    Those of `options` hold for one variant together: red and L finds what there is in red and L, and not what there is
    in red and, in another colour, in L. `category` takes slugs or paths (`clothing/knitwear`), each with its branch.
    Prices are minor units, inclusive.
    """

    # Lists are made, not given: one that is given as a default is copied, with all that may lie in it, for each.
    category: FilterValues = Field(default_factory=list)
    brand: FilterValues = Field(default_factory=list)
    price_min: MinorUnits | None = None
    price_max: MinorUnits | None = None
    in_stock: Annotated[bool, Field(strict=False)] | None = None
    options: Annotated[list[OptionFilter], Field(max_length=20)] = Field(default_factory=list)
    attributes: Annotated[list[AttributeFilter], Field(max_length=20)] = Field(default_factory=list)


class FacetValue(Shape):
    """A value and how many of the found offers have it."""

    value: str
    count: int


class CategoryFacet(Shape):
    """A category and how many of the found offers stand in its branch; `path` is what the filter takes."""

    path: str
    slug: str
    name: str
    count: int


class PriceRange(Shape):
    """`minimum` to `maximum` inclusive in minor units, as the price filter takes them; null: no end."""

    minimum: int
    maximum: int | None
    count: int


class PriceFacet(Shape):
    minimum: Money | None
    maximum: Money | None
    ranges: list[PriceRange]


class OptionFacet(Shape):
    name: str
    values: list[FacetValue]


class AttributeValue(Shape):
    """A value of an attribute, as the filter takes it and as it is shown, and how many of the found offers have it."""

    value: str
    text: str
    count: int


class AttributeFacet(Shape):
    """An attribute that its definition makes a facet; `label` is in the shop's language."""

    code: str
    label: str
    values: list[AttributeValue]


class OfferFacets(Shape):
    """What the found offers are like. A facet's own filter does not narrow its own counts."""

    category: list[CategoryFacet]
    brand: list[FacetValue]
    price: PriceFacet
    options: list[OptionFacet]
    attributes: list[AttributeFacet] = []


# How the words matched: none were asked for, a SKU or barcode, all of them, all of them nearly, or any of them.
WordsMatched = Literal["all", "code", "words", "nearly", "any"]


class NothingFound(Shape):
    """What to show a buyer who found nothing.

    `without_filter` is how many offers the words alone find, `categories` what the shop has most of, and `offers` what
    it would show to somebody who asked for nothing in particular.
    """

    without_filter: int
    categories: list[CategoryFacet]
    offers: list[Offer]


class FoundOffers(Page[Offer]):
    """One page of what was found, how much there is in all, and what it is like.

    `matched` says how loosely the words had to be taken. `did_you_mean` are the words as offers spell them, where one
    is spelled as in none. `nothing_found` is given with a total of 0.
    """

    total: int
    facets: OfferFacets
    matched: WordsMatched = "all"
    did_you_mean: str | None = None
    nothing_found: NothingFound | None = None


# --- suggesting


class SuggestedWords(Shape):
    """Words to look for, and how many offers have the last of them beside the others."""

    words: str
    count: int


class OfferSuggestions(Shape):
    """What somebody who is still typing may mean: words, categories, brands and offers, each the best first.

    `did_you_mean` are the words as offers spell them, where one is spelled as in none.
    """

    words: list[SuggestedWords]
    categories: list[CategoryFacet]
    brands: list[FacetValue]
    offers: list[Offer]
    did_you_mean: str | None = None


# --- explaining


class OfferCondition(Shape):
    """One thing that must hold. `says` is the reason in a sentence, `inputs` what it was judged by.

    Of `assigned` these are the product's `categories` that the shop sells, for each the path of the one that is
    `assigned`, itself or above it, and `categories_of_shop`: the code of the shop that has them assigned, its own or
    one that it inherits them from.
    """

    name: str
    passed: bool
    says: str
    inputs: dict[str, Any]


class OfferExplanation(Shape):
    """Why a SKU is, or is not, sold in a shop now; and whether the index knows it yet.

    `is_kept`: it is an offer although it is sold out, as nothing of its product is left and the shop shows such last.
    """

    shop: str
    sku: str
    product_id: UUID
    slug: str
    is_offer: bool
    is_kept: bool = False
    conditions: list[OfferCondition]
    is_indexed: bool
    is_pending: bool


# --- indexes


class SearchIndex(Shape):
    """The index of one shop. `pending` products have changed and are not rebuilt yet; `failed` of them keep failing."""

    shop: str
    shop_id: UUID
    offers: int
    sequence: int
    generation: int
    pending: int
    failed: int
    oldest_pending_at: datetime | None
    rebuilt_at: datetime | None
