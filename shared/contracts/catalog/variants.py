"""Variants by themselves: found by their codes, and changed one at a time."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.base import Change, Command, Page, Query
from shared.contracts.catalog.shapes import (
    AttributeValues,
    Barcode,
    Grams,
    Label,
    Name,
    OrderLimits,
    ProductStatus,
    Url,
    Variant,
    agreeing_weight,
)
from shared.measures import Dimensions, Weight
from shared.pagination import First

Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class VariantDetails(Variant):
    """A variant with the product it belongs to, whose `version` it shares."""

    product_id: UUID
    product_slug: str
    product_title: str
    product_status: ProductStatus
    version: int


class VariantChange(Change):
    """What is to be different in a variant; what is absent stays, and null empties what may be empty.

    `options`, `barcodes` and `attributes` are given as a whole. The SKU stays: it names the variant.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "barcode": "4006381333931",
                "barcodes": ["96385074"],
                "mpn": None,
                "weight": {"value": "0.4", "unit": "lb"},
                "dimensions": {"length": "12", "width": "8.5", "height": "1.25", "unit": "in"},
                "tax_class": "reduced",
            }
        }
    )

    barcode: Barcode | None = None
    barcodes: Annotated[list[Barcode], Field(max_length=20)] | None = None
    mpn: Label | None = None
    options: dict[Name, Name] | None = None
    weight: Weight | None = None
    weight_grams: Grams | None = None
    dimensions: Dimensions | None = None
    tax_class: Label | None = None
    requires_shipping: bool | None = None
    taxable: bool | None = None
    price_on_request: bool | None = None
    image_url: Url | None = None
    order_limits: OrderLimits | None = None
    attributes: AttributeValues | None = None

    @model_validator(mode="after")
    def _only_what_may_be_empty(self) -> "VariantChange":
        may_be_empty = {
            "barcode",
            "mpn",
            "weight",
            "weight_grams",
            "dimensions",
            "tax_class",
            "image_url",
            "order_limits",
        }
        given: dict[str, Any] = self.given()
        for name, value in given.items():
            if value is None and name not in may_be_empty:
                raise ValueError(f"'{name}' cannot be null; leave it out to keep it")
        if {"weight", "weight_grams"} <= given.keys():
            agreeing_weight(self.weight, self.weight_grams)
        return self


class ListVariants(Query[Page[VariantDetails]]):
    """Variants, newest first: all, of one product, or those with a SKU, a barcode (main or further) or an MPN."""

    sku: Code | None = None
    barcode: Code | None = None
    mpn: Code | None = None
    product_id: UUID | None = None
    first: First = 50
    after: str | None = None


class GetVariant(Query[VariantDetails]):
    """One variant. Raises variant_not_found."""

    variant_id: UUID


class UpdateVariant(Command[VariantDetails]):
    """Change what is given of a variant; with `version`, only if its product still has that one.

    Raises variant_not_found, product_changed_since, duplicate_variant, wrong_options, invalid_barcode,
    attribute_values_refused.
    """

    variant_id: UUID
    change: VariantChange
    version: int | None = None
