"""Products as the doors give and take them, and the words that all shapes of the catalog are made of."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from shared.contracts.base import Change, Shape
from shared.locales import canonical_locale
from shared.measures import MOST_GRAMS, Dimensions, Weight

# Who decides what a channel shows of a field; `parent`, a sub-shop's usual case: as the shop above it does.
ContentOwner = Literal["channel", "master", "parent"]
# Whether units that are not there are sold: `deny` never (but for goods that are always there), `allow` and null as
# their stock's policy says.
Backorder = Literal["allow", "deny"]
# What of a product, and of its variants, may differ in a channel.
ProductContentField = Literal[
    "title", "description_html", "content_html", "seo_title", "seo_description", "images", "category_ids"
]
VariantContentField = Literal[
    "list_price", "weight_grams", "length_mm", "width_mm", "height_mm", "backorder", "order_limits"
]
ContentField = Literal[ProductContentField, VariantContentField]
OrderQuantity = Annotated[int, Field(ge=1, le=1_000_000)]


class OrderLimits(Shape):
    """How much of a variant one order takes: from `minimum` to `maximum`, in multiples of `step`; null: no limit."""

    minimum: OrderQuantity | None = None
    maximum: OrderQuantity | None = None
    step: OrderQuantity | None = None

    @model_validator(mode="after")
    def _can_be_met(self) -> "OrderLimits":
        step = self.step or 1
        if (self.minimum or 0) % step or (self.maximum or 0) % step:
            raise ValueError(f"minimum and maximum have to be multiples of the step, {step}")
        if self.maximum is not None and self.maximum < (self.minimum or 1):
            raise ValueError("the maximum is less than the minimum")
        return self

    def refusal(self, quantity: int) -> str | None:
        """Why an order cannot have `quantity` of it, in a sentence; None when it can."""
        if self.minimum is not None and quantity < self.minimum:
            return f"At least {self.minimum} have to be ordered."
        if self.maximum is not None and quantity > self.maximum:
            return f"At most {self.maximum} can be ordered."
        if self.step is not None and quantity % self.step:
            return f"It is ordered in multiples of {self.step}."
        return None


MediaKind = Literal["image", "video", "audio", "document", "model_3d", "other"]


def _bounded(moment: datetime) -> datetime:
    if not 1900 <= moment.year <= 9000:
        raise ValueError("the year lies between 1900 and 9000")
    return moment


ProductStatus = Literal["draft", "active", "paused", "archived"]


def _in_lower_case(text: str) -> str:
    if text != text.lower():
        raise ValueError("a slug has no capital letters")
    return text


def _each_word_once(words: list[str]) -> list[str]:
    kept: dict[str, str] = {}
    for word in words:
        kept.setdefault(word.casefold(), word)
    return list(kept.values())


Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[^\W_A-Z]+(-[^\W_A-Z]+)*$", max_length=200),
    Field(examples=["wool-scarf"]),
    AfterValidator(_in_lower_case),
]
Sku = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# Texts are as a file would bring them: no space around them, an address with a host, a tag once whatever its case.
Html = Annotated[str, StringConstraints(strip_whitespace=True, max_length=512 * 1024)]
SeoDescription = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s/?#]\S*$", max_length=2048),
    Field(examples=["https://shop.example/scarf"]),
]
MOST_TAGS = 250
Tags = Annotated[list[Name], Field(max_length=MOST_TAGS), AfterValidator(_each_word_once)]
# What a database can hold in any time zone.
Moment = Annotated[AwareDatetime, AfterValidator(_bounded)]
Locale = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", max_length=35),
    Field(examples=["en-US"]),
    AfterValidator(canonical_locale),
]
Alt = Annotated[str, StringConstraints(max_length=500)]
# No text is no alt text.
SaidAlt = Annotated[Alt, AfterValidator(lambda text: text or None)]
Barcode = Annotated[str, StringConstraints(max_length=100)]
Grams = Annotated[int, Field(ge=0, le=MOST_GRAMS)]
AttributeCode = Name
AttributeText = Annotated[str, StringConstraints(max_length=5000)]
# As an attribute's definition says: a text (also for a decimal and a date), true or false, a whole number, or choices.
AttributeValue = AttributeText | bool | int | Annotated[list[Name], Field(max_length=1000)]
# The same as it is given out, however long a file has brought it.
TypedValue = str | bool | int | list[str]
AttributeValues = Annotated[dict[AttributeCode, AttributeValue], Field(max_length=1000)]


class Image(Shape):
    """A picture by its address; the order in its product is the order of the list. `alts` are alt texts by locale."""

    url: Url
    alt: SaidAlt | None = None
    alts: dict[Locale, Alt] = {}


class Media(Shape):
    """A picture, video, document, 3D model … by its address, with its alt text, also by locale.

    `preview_url` is a picture that stands for what is none.
    """

    kind: MediaKind = "image"
    url: Url
    alt: SaidAlt | None = None
    alts: dict[Locale, Alt] = {}
    preview_url: Url | None = None

    @model_validator(mode="after")
    def _pictures_show_themselves(self) -> "Media":
        if self.kind == "image" and self.preview_url is not None:
            raise ValueError("a picture has no 'preview_url'; it is its own")
        return self


def _each_once(media: list[Media]) -> list[Media]:
    urls = [medium.url for medium in media]
    twice = next((url for url in urls if urls.count(url) > 1), None)
    if twice is not None:
        raise ValueError(f"'{twice[:200]}' is given twice")
    return media


MediaList = Annotated[list[Media], Field(max_length=250), AfterValidator(_each_once)]


class Variant(Shape):
    """One thing that can be bought. `options` names a value for each option of its product.

    `barcodes` are further ones beside the main `barcode`. `weight` and `dimensions` are as they were given, in their
    own units; `weight_grams` and the sizes in millimetres are the same in whole numbers. `tax_code` is the old name of
    `tax_class`. `attributes` are facts about this variant alone.
    """

    id: UUID
    sku: str
    sku_generated: bool
    barcode: str | None
    barcodes: list[str]
    mpn: str | None
    options: dict[str, str]
    weight: Weight | None
    weight_grams: int | None
    dimensions: Dimensions | None
    length_mm: int | None
    width_mm: int | None
    height_mm: int | None
    tax_class: str | None
    tax_code: Annotated[str | None, Field(json_schema_extra={"deprecated": True})]
    requires_shipping: bool
    taxable: bool
    price_on_request: bool
    image_url: str | None
    order_limits: OrderLimits | None = None
    attributes: dict[str, TypedValue]


class Product(Shape):
    """A product with its variants. `version` grows with every change and is the ETag.

    `media` are its pictures and whatever else shows it, in order; `images` are the pictures alone. A value of
    `attributes` is as the attribute's definition says, and a text where there is none.
    """

    id: UUID
    slug: str
    title: str
    description_html: str
    brand: str | None
    product_type: str | None
    tags: list[str]
    status: ProductStatus
    seo_title: str | None
    seo_description: str | None
    content_html: str | None = None
    options: list[str]
    attributes: dict[str, TypedValue]
    featured: bool
    images: list[Image]
    media: list[Media]
    category_ids: list[UUID]
    variants: list[Variant]
    version: int
    created_at: datetime
    updated_at: datetime


class VariantDraft(Shape):
    """A variant as it is to be. In a change, one with a SKU the product has replaces that variant.

    A weight is given in its unit, or as grams. `tax_code` is the old name of `tax_class`.
    """

    sku: Sku
    barcode: Barcode | None = None
    barcodes: Annotated[list[Barcode], Field(max_length=20)] = []
    mpn: Label | None = None
    options: dict[Name, Name] = {}
    weight: Weight | None = None
    weight_grams: Grams | None = None
    dimensions: Dimensions | None = None
    tax_class: Label | None = None
    tax_code: Annotated[Label | None, Field(json_schema_extra={"deprecated": True})] = None
    requires_shipping: bool = True
    taxable: bool = True
    price_on_request: bool = False
    image_url: Url | None = None
    order_limits: OrderLimits | None = None
    attributes: AttributeValues = {}

    @model_validator(mode="before")
    @classmethod
    def _by_its_name_of_today(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("tax_code") is None:
            return data
        if data.get("tax_class") not in (None, data["tax_code"]):
            raise ValueError("'tax_code' is the old name of 'tax_class': give one of them")
        return {**data, "tax_class": data["tax_code"], "tax_code": None}

    @model_validator(mode="after")
    def _one_weight(self) -> "VariantDraft":
        agreeing_weight(self.weight, self.weight_grams)
        return self


def agreeing_weight(weight: Weight | None, grams: int | None) -> None:
    """Raises ValueError for a weight that says something else than the grams beside it."""
    if weight is not None and grams is not None and weight.grams != grams:
        raise ValueError(f"'weight' is {weight.grams} g and 'weight_grams' says {grams}: give one of them")


class ProductDraft(Shape):
    """A product to create. Without a slug it gets one from its title."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "title": "Wool scarf",
                "brand": "Northwind",
                "options": ["Colour"],
                "attributes": {"fibre": "wool"},
                "media": [{"url": "https://images.example.com/scarf.jpg", "alt": "A red scarf"}],
                "variants": [
                    {
                        "sku": "SCARF-RED",
                        "barcode": "4006381333931",
                        "options": {"Colour": "Red"},
                        "weight": {"value": "0.18", "unit": "kg"},
                        "dimensions": {"length": "30", "width": "20", "height": "4.5", "unit": "cm"},
                    }
                ],
                "category_ids": [],
            }
        }
    )

    title: Title
    slug: Slug | None = None
    description_html: Html = ""
    brand: Label | None = None
    product_type: Label | None = None
    tags: Tags = []
    status: Literal["draft", "active", "paused"] = "draft"
    seo_title: Label | None = None
    seo_description: SeoDescription | None = None
    content_html: Html | None = None
    options: Annotated[list[Name], Field(max_length=3)] = []
    attributes: AttributeValues = {}
    featured: bool = False
    images: Annotated[list[Image], Field(max_length=250)] = []
    media: MediaList = []
    category_ids: Annotated[list[UUID], Field(max_length=100)] = []
    variants: Annotated[list[VariantDraft], Field(max_length=2048)] = []

    @model_validator(mode="after")
    def _pictures_once(self) -> "ProductDraft":
        if self.images and self.media:
            raise ValueError("'media' has the pictures, too: give 'images' or 'media'")
        return self


class ProductChange(Change):
    """What is to be different; what is absent stays, and null empties what may be empty.

    `variants` adds those with a new SKU and replaces those with one the product has; others stay.
    `remove_skus` removes variants, with their prices.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "title": "Woollen scarf",
                "brand": None,
                "attributes": {"fibre": "wool"},
                "media": [
                    {
                        "url": "https://images.example.com/scarf.jpg",
                        "alt": "A red scarf",
                        "alts": {"de": "Roter Schal"},
                    },
                    {"kind": "video", "url": "https://videos.example.com/scarf.mp4"},
                ],
                "variants": [{"sku": "SCARF-BLUE", "options": {"Colour": "Blue"}, "weight_grams": 180}],
            }
        }
    )

    title: Title | None = None
    slug: Slug | None = None
    description_html: Html | None = None
    brand: Label | None = None
    product_type: Label | None = None
    tags: Tags | None = None
    seo_title: Label | None = None
    seo_description: SeoDescription | None = None
    content_html: Html | None = None
    options: Annotated[list[Name], Field(max_length=3)] | None = None
    attributes: AttributeValues | None = None
    featured: bool | None = None
    images: Annotated[list[Image], Field(max_length=250)] | None = None
    media: MediaList | None = None
    category_ids: Annotated[list[UUID], Field(max_length=100)] | None = None
    variants: Annotated[list[VariantDraft], Field(max_length=2048)] | None = None
    remove_skus: Annotated[list[Sku], Field(max_length=2048)] | None = None

    @model_validator(mode="after")
    def _only_what_may_be_empty(self) -> "ProductChange":
        may_be_empty = {"brand", "product_type", "seo_title", "seo_description", "content_html"}
        for name, value in self.given().items():
            if value is None and name not in may_be_empty:
                raise ValueError(f"'{name}' cannot be null; leave it out to keep it")
        if {"images", "media"} <= self.model_fields_set:
            raise ValueError("'media' has the pictures, too: give 'images' or 'media'")
        return self


def _said(option_values: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Without options of which nothing is said."""
    return {option: words for option, words in option_values.items() if words}


class ProductText(Shape):
    """A product's texts in one locale; what is null or not there is as in the product itself.

    `attributes` are values of attributes that are texts. `option_names` and `option_values` say what options and
    their values are called: `{"Colour": "Farbe"}` and `{"Colour": {"Red": "Rot"}}`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "locale": "de",
                "title": "Wollschal",
                "seo_title": "Wollschal in Rot und Blau",
                "attributes": {"fibre": "Wolle"},
                "option_names": {"Colour": "Farbe"},
                "option_values": {"Colour": {"Red": "Rot", "Blue": "Blau"}},
            }
        }
    )

    locale: Locale
    title: Title | None = None
    description_html: Html | None = None
    seo_title: Label | None = None
    seo_description: SeoDescription | None = None
    content_html: Html | None = None
    attributes: Annotated[dict[AttributeCode, AttributeText], Field(max_length=1000)] = {}
    option_names: Annotated[dict[Name, Name], Field(max_length=3)] = {}
    option_values: Annotated[dict[Name, dict[Name, Name]], Field(max_length=3), AfterValidator(_said)] = {}
