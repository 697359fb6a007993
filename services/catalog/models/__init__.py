"""Tables of the catalog and the rules that keep them true; the migration repeats what the database can hold."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, DateTime, MetaData, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from services.catalog.errors import (
    CategoryEndsBeforeItStarts,
    DuplicateVariant,
    IllegalTransition,
    InvalidBarcode,
    ProductHasNoPrice,
    TooManyTags,
    WrongOptions,
)
from shared import clock
from shared.contracts.catalog.shapes import MOST_TAGS, ProductStatus, VariantDraft
from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.measures import Dimensions, Weight


class Base(SQLModel):
    """Everything in the catalog's schema."""

    metadata = MetaData()


def option_key(values: Iterable[str]) -> str:
    """What tells the variants of one product apart: their option values, whatever their case."""
    return "\x1f".join(value.casefold() for value in values)


class ProductRow(Base, table=True):
    """A product. Its `version` grows with every change of it or its variants."""

    __tablename__ = "products"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    slug: str
    title: str
    description_html: str = ""
    brand: str | None = None
    product_type: str | None = None
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    status: str = "draft"
    seo_title: str | None = None
    seo_description: str | None = None
    content_html: str | None = None
    options: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    images: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    media: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    alts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    featured: bool = False
    version: int = 1
    created_at: datetime = Field(default_factory=clock.now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=clock.now, sa_type=DateTime(timezone=True))

    def publish(self, *, is_sellable: bool) -> None:
        """Raises ProductHasNoPrice: an active product has something that can be sold. Raises IllegalTransition."""
        self._become("active", from_=("draft", "paused"), instead="restore it first")
        if not is_sellable:
            raise ProductHasNoPrice("No variant of the product has a price or is sold on request: set one first.")

    def pause(self) -> None:
        """Take out of sale for a while. Raises IllegalTransition for what is not on sale."""
        self._become("paused", from_=("active",), instead="only an active product can be paused")

    def archive(self) -> None:
        """Take out of sale for good, from any state."""
        self._become("archived", from_=("draft", "active", "paused"), instead="")

    def restore(self) -> None:
        """Back from the archive as a draft, to be published when it is right. Raises IllegalTransition."""
        self._become("draft", from_=("archived",), instead="only an archived product can be restored")

    def retag(self, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Whatever the case of their letters. Raises TooManyTags."""
        gone, known = ({tag.casefold() for tag in tags} for tags in (remove, self.tags))
        kept = [tag for tag in self.tags if tag.casefold() not in gone]
        tags = kept + [tag for tag in add if tag.casefold() not in known]
        if len(tags) > MOST_TAGS:
            raise TooManyTags(f"The product would have {len(tags)} tags; {MOST_TAGS} are the most.")
        self.tags = tags

    def _become(self, status: ProductStatus, *, from_: tuple[ProductStatus, ...], instead: str) -> None:
        if self.status != status and self.status not in from_:
            raise IllegalTransition(f"The product is {self.status}: {instead}.")
        self.status = status

    def option_values(self, options: Mapping[str, str]) -> list[str]:
        """A variant's values in the order of the product's options. Raises WrongOptions."""
        if set(options) != set(self.options):
            raise WrongOptions(
                f"A variant of this product names {_listed(self.options)}; this one names {_listed(options)}."
            )
        return [options[name] for name in self.options]

    def touch(self) -> None:
        """Count a change."""
        self.version += 1
        self.updated_at = clock.now()


_MEASURED = ("length", "width", "height")


def _number() -> Any:
    return Field(default=None, sa_type=Numeric)


class VariantRow(Base, table=True):
    """One thing that can be bought; its SKU is unique in the organization, its options in the product."""

    __tablename__ = "variants"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    product_id: UUID
    sku: str
    sku_generated: bool = False
    position: int = 0
    option_values: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    option_key: str = ""
    barcode: str | None = None
    barcodes: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    mpn: str | None = None
    weight_grams: int | None = None
    weight_value: Decimal | None = _number()
    weight_unit: str | None = None
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    length_value: Decimal | None = _number()
    width_value: Decimal | None = _number()
    height_value: Decimal | None = _number()
    dimension_unit: str | None = None
    tax_class: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    requires_shipping: bool = True
    taxable: bool = True
    price_on_request: bool = False
    image_url: str | None = None
    order_minimum: int | None = None
    order_maximum: int | None = None
    order_step: int | None = None
    created_at: datetime = Field(default_factory=clock.now, sa_type=DateTime(timezone=True))

    def take(self, draft: VariantDraft, values: list[str], attributes: dict[str, str], pointer: str = "") -> None:
        """Become what `draft` says, with attributes as they are stored. Raises InvalidBarcode, naming `pointer`."""
        self.option_values = values
        self.option_key = option_key(values)
        self.barcode = checked_barcode(draft.barcode, f"{pointer}/barcode")
        self.barcodes = further_barcodes(self.barcode, draft.barcodes, f"{pointer}/barcodes")
        self.attributes = attributes
        for name in ("mpn", "tax_class", "requires_shipping", "taxable", "price_on_request", "image_url"):
            setattr(self, name, getattr(draft, name))
        for name in ("minimum", "maximum", "step"):
            setattr(self, f"order_{name}", getattr(draft.order_limits, name, None))
        self._weigh(draft.weight, draft.weight_grams)
        self._measure(draft.dimensions)

    def _weigh(self, weight: Weight | None, grams: int | None) -> None:
        self.weight_value = None if weight is None else weight.value
        self.weight_unit = None if weight is None else weight.unit
        self.weight_grams = grams if weight is None else weight.grams

    def _measure(self, dimensions: Dimensions | None) -> None:
        self.dimension_unit = None if dimensions is None else dimensions.unit
        for name in _MEASURED:
            setattr(self, f"{name}_value", None if dimensions is None else getattr(dimensions, name))
        sides = (None, None, None) if dimensions is None else dimensions.millimetres
        self.length_mm, self.width_mm, self.height_mm = sides


class CategoryRow(Base, table=True):
    """A category in the tree; its slugs are unique among its siblings."""

    __tablename__ = "categories"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    parent_id: UUID | None = None
    slug: str
    name: str
    slugs: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    names: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    enabled: bool = True
    valid_from: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    valid_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    position: int = 0
    version: int = 1

    def check_dates(self) -> None:
        """Raises CategoryEndsBeforeItStarts."""
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            message = "The category would end before it starts."
            raise CategoryEndsBeforeItStarts(
                message, [{"pointer": "/valid_until", "code": "ends_before_it_starts", "message": message}]
            )


class PriceListRow(Base, table=True):
    """Prices of one shop in one currency, perhaps for a time or a customer group."""

    __tablename__ = "price_lists"

    organization_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    shop_id: UUID
    name: str
    currency: str
    customer_group: str | None = None
    starts_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    ends_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    version: int = 1
    created_at: datetime = Field(default_factory=clock.now, sa_type=DateTime(timezone=True))


def checked_barcode(barcode: str | None, pointer: str = "/barcode") -> str | None:
    """The digits of a GTIN; empty text is none. Raises InvalidBarcode."""
    if not barcode:
        return None
    try:
        return cells.gtin(barcode.strip())
    except InvalidCell as fault:
        raise _invalid_barcode(fault.message, pointer) from None


def further_barcodes(main: str | None, barcodes: Sequence[str], pointer: str = "/barcodes") -> list[str]:
    """GTINs beside the main one, each another number. Raises InvalidBarcode."""
    taken = {number(main)} if main else set()
    further: list[str] = []
    for index, given in enumerate(barcodes):
        barcode = checked_barcode(given, f"{pointer}/{index}")
        if barcode is None or number(barcode) in taken:
            raise _invalid_barcode(f"'{given}' is empty, or given before.", f"{pointer}/{index}")
        taken.add(number(barcode))
        further.append(barcode)
    return further


def number(barcode: str) -> str:
    """A GTIN in its full length: leading zeros make no other number (GS1 General Specifications §3.3)."""
    return barcode.zfill(14)


def _invalid_barcode(message: str, pointer: str) -> InvalidBarcode:
    return InvalidBarcode(message, [{"pointer": pointer, "code": "invalid_barcode", "message": message}])


def check_distinct(variants: Sequence[VariantRow]) -> None:
    """Raises DuplicateVariant when two variants of a product have the same options."""
    seen: dict[str, str] = {}
    for variant in variants:
        other = seen.setdefault(variant.option_key, variant.sku)
        if other != variant.sku:
            raise DuplicateVariant(f"'{other}' and '{variant.sku}' are the same variant: their options do not differ.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "no options"
