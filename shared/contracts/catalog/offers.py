"""What other services are given of the catalog: products as one shop sells them, and what lines cost there.

The parts of offers are structs: they come by the hundred thousand, from our own tables, and a shape that looks at each
of its fields would be most of what an offer costs. Nobody changes them, and none leads back to what holds it, so that
garbage collections need not look at them.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from msgspec import Struct, field

from shared.contracts.base import Shape
from shared.contracts.catalog.shapes import Backorder, MediaKind, OrderLimits
from shared.measures import Dimensions, Weight
from shared.money import Money


class CategoryPart(Struct, frozen=True, gc=False):
    """A category as an offer names it: `path` holds the slugs from the root, `names` the localised names along it.

    `positions` are where each of these stands among its neighbours. `assigned` is the path of the one, itself or above
    it, by which the shop sells it.
    """

    id: UUID
    slug: str
    name: str
    path: list[str]
    names: list[str]
    positions: list[int] = field(default_factory=list)
    assigned: list[str] = field(default_factory=list)


class ImagePart(Struct, frozen=True, gc=False):
    """`url` is absolute."""

    url: str
    alt: str | None = None


class MediaPart(Struct, frozen=True, gc=False):
    """A picture or another medium, with its alt text in the shop's language. Addresses are absolute."""

    kind: MediaKind
    url: str
    alt: str | None = None
    preview_url: str | None = None


class AttributePart(Struct, frozen=True, gc=False):
    """A fact in the shop's language: `label` and `text` are to be shown, `value` is as its type says.

    A decimal is a text; a `choice` has its value, `choices` a list of them, whatever their labels.
    """

    code: str
    label: str
    type: Literal["text", "integer", "decimal", "boolean", "date", "choice", "choices"]
    value: str | bool | int | list[str]
    text: str
    unit: str | None = None
    is_facet: bool = False


class PriceTier(Struct, frozen=True, gc=False):
    """The unit price from `minimum_quantity` on."""

    minimum_quantity: int
    price: Money
    list_price: Money | None = None


class GroupPrices(Struct, frozen=True, gc=False):
    """What a variant costs a customer group, where that is not what it costs everybody."""

    tiers: list[PriceTier]
    price_on_request: bool = False


class VariantPart(Struct, frozen=True, gc=False):
    """A variant as one shop sells it. `tiers` is empty when the shop has no price for it.

    `groups` are the customer groups for whom it has other prices.
    """

    id: UUID
    sku: str
    options: dict[str, str]
    tiers: list[PriceTier]
    barcode: str | None = None
    weight_grams: int | None = None
    image: ImagePart | None = None
    price_on_request: bool = False
    barcodes: list[str] = field(default_factory=list)
    mpn: str | None = None
    weight: Weight | None = None
    dimensions: Dimensions | None = None
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    typed_attributes: list[AttributePart] = field(default_factory=list)
    backorder: Backorder | None = None
    order_limits: OrderLimits | None = None
    groups: dict[str, GroupPrices] = field(default_factory=dict)


class ProductPart(Struct, frozen=True, gc=False):
    """A product as one shop shows it: texts in its locale, prices of its active list, its assigned categories only.

    What the shop, or one it inherits from, owns of the product is in the place of what the product itself has.
    """

    id: UUID
    slug: str
    title: str
    description_html: str
    brand: str | None
    product_type: str | None
    tags: list[str]
    status: str
    is_assigned: bool
    categories: list[CategoryPart]
    images: list[ImagePart]
    attributes: dict[str, str]
    variants: list[VariantPart]
    updated_at: str
    version: int
    featured: bool = False
    seo_title: str | None = None
    seo_description: str | None = None
    content_html: str | None = None
    media: list[MediaPart] = field(default_factory=list)
    typed_attributes: list[AttributePart] = field(default_factory=list)


@dataclass(slots=True)
class OwnedPart:
    """What a connection itself owns of a product, or with an `sku` of that variant: fields of channel content."""

    product_id: UUID
    sku: str | None
    fields: list[str]


class OfferParts(Struct, frozen=True, gc=False):
    """What catalog knows of these products in one shop; a product that is gone is not among them.

    `shop_version` is the version of the shop that catalog has heard of; null: none, or that it was removed.
    `assigned_in` is the code of the shop whose categories it has: its own, or one that it inherits them from.
    `customer_groups` are those for which the shop, or one it may inherit from, has a price list, of whatever dates.
    `owned` is told of a connection alone.
    """

    products: list[ProductPart]
    shop_version: int | None = None
    customer_groups: list[str] = field(default_factory=list)
    assigned_in: str | None = None
    owned: list[OwnedPart] = field(default_factory=list)


class LinePrice(Shape):
    """What one line costs in a shop now. `unit_price` is null when the shop cannot sell it; `reason` then says why."""

    sku: str
    product_id: UUID | None
    title: str | None
    unit_price: Money | None
    list_price: Money | None = None
    weight_grams: int | None = None
    tax_class: str | None = None
    reason: str | None = None
    backorder: Backorder | None = None
    order_limits: OrderLimits | None = None


class LinePrices(Shape):
    lines: list[LinePrice]
