"""What a channel (a shop, or a connection of one) shows of products differently from the master (CAT-4).

Each field has an owner in each channel. Owned by the channel, the channel's value is shown and nothing that is written
to the product itself changes it; owned by the master, the product's value is shown and the channel's is kept. A
connection stands below its shop, as a sub-shop below its parent: what it has not decided it shows as the shop does.
"""

from datetime import datetime
from typing import Annotated, Any, get_args
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.base import Change, Command, Page, Query, Shape
from shared.contracts.catalog.shapes import (
    Backorder,
    ContentField,
    ContentOwner,
    Html,
    Image,
    Label,
    OrderLimits,
    ProductContentField,
    Sku,
    Title,
    VariantContentField,
)
from shared.money import Money
from shared.pagination import First

PRODUCT_FIELDS: tuple[str, ...] = get_args(ProductContentField)
VARIANT_FIELDS: tuple[str, ...] = get_args(VariantContentField)
# Those that a product can have in several languages.
TEXT_FIELDS: tuple[str, ...] = PRODUCT_FIELDS[:5]

ShopCode = Annotated[str, Field(min_length=1, max_length=200, examples=["main"])]
Grams = Annotated[int, Field(ge=0, le=100_000_000)]
Millimetres = Annotated[int, Field(ge=0, le=10_000_000)]


class OwnedField(Shape):
    """One field in one channel: who owns it, whose value is shown, and that value.

    `shown` is `parent` where a connection or a sub-shop shows what a shop above it owns. The channel's own value stays
    when it does not own the field, and is null when it has none.
    """

    owner: ContentOwner
    shown: ContentOwner


class OwnedText(OwnedField):
    """A text of a product in one channel."""

    value: str | None
    channel: str | None
    master: str | None


class OwnedImages(OwnedField):
    """A product's pictures in one channel, in their order."""

    value: list[Image]
    channel: list[Image] | None
    master: list[Image]


class OwnedCategories(OwnedField):
    """The categories a product stands in, in one channel."""

    value: list[UUID]
    channel: list[UUID] | None
    master: list[UUID]


class OwnedPrice(OwnedField):
    """A variant's old price in one channel; the master's is that of the shop's price list for one unit."""

    value: Money | None
    channel: Money | None
    master: Money | None


class OwnedMeasure(OwnedField):
    """A weight in grams or a length in millimetres, in one channel."""

    value: int | None
    channel: int | None
    master: int | None


class OwnedBackorder(OwnedField):
    """Whether a channel sells units that are not there: `deny` never; `allow` and null as the stock's policy says.

    The master has none of its own: the stock's policy is inventory's.
    """

    value: Backorder | None
    channel: Backorder | None
    master: Backorder | None


class OwnedOrderLimits(OwnedField):
    """How much of a variant one order takes in one channel."""

    value: OrderLimits | None
    channel: OrderLimits | None
    master: OrderLimits | None


class VariantChannelContent(Shape):
    """What one channel shows of a variant."""

    variant_id: UUID
    sku: str
    list_price: OwnedPrice
    weight_grams: OwnedMeasure
    length_mm: OwnedMeasure
    width_mm: OwnedMeasure
    height_mm: OwnedMeasure
    backorder: OwnedBackorder
    order_limits: OwnedOrderLimits


class ChannelContent(Shape):
    """What one channel shows of a product, field by field. `version` grows with every change of it; 0: nothing yet.

    The channel is the shop, or where there is a `connection_id` that connection of it.
    """

    shop: str
    connection_id: UUID | None = None
    product_id: UUID
    title: OwnedText
    description_html: OwnedText
    content_html: OwnedText
    seo_title: OwnedText
    seo_description: OwnedText
    images: OwnedImages
    category_ids: OwnedCategories
    variants: list[VariantChannelContent]
    version: int
    updated_at: datetime | None


class ChannelContentSummary(Shape):
    """That a shop, or a connection of it, has something of its own of a product, and which fields it owns."""

    shop: str
    connection_id: UUID | None = None
    product_id: UUID
    product_fields: list[ProductContentField]
    variant_fields: list[VariantContentField]
    version: int
    updated_at: datetime


class VariantContentChange(Change):
    """What a channel is to have of the variant `sku`; what is absent stays, and null is none."""

    sku: Sku
    list_price: Money | None = None
    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    backorder: Backorder | None = None
    order_limits: OrderLimits | None = None


class ChannelContentChange(Change):
    """What a channel is to have of a product; what is absent stays, and null is none.

    A field that nobody was given in this channel becomes the channel's. One that was handed to the master stays the
    master's: the value is kept until the field is handed over.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "title": "Wool scarf, gift wrapped",
                "seo_title": "Gifts of wool",
                "variants": [
                    {
                        "sku": "SCARF-RED",
                        "list_price": {"amount": 3990, "currency": "USD"},
                        "order_limits": {"minimum": 2, "maximum": 10, "step": 2},
                    }
                ],
            }
        }
    )

    title: Title | None = None
    description_html: Html | None = None
    content_html: Html | None = None
    seo_title: Label | None = None
    seo_description: Annotated[str, StringConstraints(max_length=1000)] | None = None
    images: Annotated[list[Image], Field(max_length=250)] | None = None
    category_ids: Annotated[list[UUID], Field(max_length=100)] | None = None
    variants: Annotated[list[VariantContentChange], Field(max_length=2048)] | None = None

    @model_validator(mode="after")
    def _only_what_may_be_empty(self) -> "ChannelContentChange":
        for name, value in self.given().items():
            if value is None and name in ("title", "description_html", "images", "category_ids", "variants"):
                raise ValueError(f"'{name}' cannot be null; hand it to the master, or leave it out to keep it")
        return self


class ProductContentChange(ChannelContentChange):
    """What a channel is to have of one of many products; with `version`, only if it still has that version."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"product_id": "0192f0c1-7a10-7cc3-8a52-6d1f0a3b9c11", "title": "Wool scarf, gift wrapped"}
        }
    )

    product_id: UUID
    version: Annotated[int, Field(ge=0)] | None = None


class ContentChanges(Shape):
    """How many products are different in the channel now, and how many were so already."""

    changed: int
    unchanged: int


class ContentCount(Shape):
    products: int


class HandOver(Shape):
    """Fields, and whose they are to be. `skus`: of these variants alone; otherwise of all the product has."""

    model_config = ConfigDict(json_schema_extra={"example": {"fields": ["title", "images"], "to": "channel"}})

    fields: Annotated[list[ContentField], Field(min_length=1, max_length=50)]
    to: ContentOwner
    skus: Annotated[list[Sku], Field(min_length=1, max_length=2048)] | None = None


class OfChannel(Shape):
    """Which channel is meant: a shop by its code, or a connection by its id."""

    shop: ShopCode | None = None
    connection_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "OfChannel":
        if (self.shop is None) == (self.connection_id is None):
            raise ValueError("name a shop or a connection")
        return self


class GetChannelContent(Query[ChannelContent], OfChannel):
    """What a shop or connection shows of a product, and who owns it.

    Raises shop_not_found, connection_not_found, product_not_found.
    """

    product_id: UUID


class ListChannelContent(Query[Page[ChannelContentSummary]]):
    """Which shops and connections have something of their own of which products, by shop; with `shop` the shop's alone.

    Raises shop_not_found, connection_not_found.
    """

    shop: ShopCode | None = None
    connection_id: UUID | None = None
    product_id: UUID | None = None
    first: First = 50
    after: str | None = None


class ChangeChannelContent(Command[ChannelContent], OfChannel):
    """Change what a shop or connection has of a product; with `version`, only if nobody changed it since.

    Raises shop_not_found, connection_not_found, product_not_found, category_not_found, channel_content_changed_since,
    channel_content_refused.
    """

    product_id: UUID
    change: ChannelContentChange
    version: int | None = None


class RemoveChannelContent(Command[ChannelContent], OfChannel):
    """Forget all that a shop or connection has of a product: it shows what its parent or the product itself has.

    With `version`, only if nobody changed it since. Raises shop_not_found, connection_not_found, product_not_found,
    channel_content_changed_since.
    """

    product_id: UUID
    version: int | None = None


class ChangeChannelContents(Command[ContentChanges], OfChannel):
    """Change what a shop or connection has of up to 500 products, all or none. Raises what the change of one does."""

    timeout_seconds = 60.0
    changes: Annotated[list[ProductContentChange], Field(min_length=1, max_length=500)]


class HandOverChannelContent(Command[ChannelContent], OfChannel):
    """Make fields of a product a channel's own, the master's, or (in a connection or sub-shop) as its parent has them.

    A channel that never had a value of its own takes the one it shows. No value is erased. Raises shop_not_found,
    connection_not_found, product_not_found, channel_content_changed_since, channel_content_refused, shop_has_no_parent.
    """

    product_id: UUID
    hand_over: HandOver
    version: int | None = None


class HandOverChannelContents(Command[ContentChanges], OfChannel):
    """Hand fields over for these products and for those in a category's branch, up to 5,000 in all.

    Raises what the hand-over of one does, and category_not_found, no_products_named, too_many_products.
    """

    timeout_seconds = 60.0
    fields: Annotated[list[ContentField], Field(min_length=1, max_length=50)]
    to: ContentOwner
    product_ids: Annotated[list[UUID], Field(max_length=5000)] = []
    category_id: UUID | None = None


class CountChannelContent(Query[ContentCount]):
    """Of how many products a connection has something of its own. Internal: sync asks before one is deleted."""

    connection_id: UUID


def values_given(change: Change, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of `names` that a change gives."""
    return {name: value for name, value in change.given().items() if name in names}
