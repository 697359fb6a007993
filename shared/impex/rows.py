"""What a profile makes of a file: products with their variants, and what it has to say about single rows.

In every record `None` (or an empty tuple) means that the file gives no value. Whether the file has a column for a
field at all, so that an empty cell may empty what is stored, is what `ProductFile.fields` tells.

The records are msgspec structs because a frozen dataclass of this width takes seven times as long to make.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shared.measures import Dimensions, Weight
from shared.money import Money

Pairs = tuple[tuple[str, str], ...]


class ProductStatus(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class StockPolicy(StrEnum):
    """What happens at zero: `standard` stops selling, `backorder` goes on."""

    STANDARD = "standard"
    BACKORDER = "backorder"


class ImageRecord(Struct, frozen=True, gc=False):
    url: str
    position: int
    alt: str | None = None


class MediumRecord(Struct, frozen=True, gc=False):
    """What shows a product and is no picture. `position` is its place among all media, from 0; None: the last."""

    kind: str
    url: str
    position: int | None = None
    alt: str | None = None
    preview_url: str | None = None


class TextRecord(Struct, frozen=True, gc=False):
    """What a product says in one language. `option_values` are option, value, and what it is called."""

    locale: str
    title: str | None = None
    description_html: str | None = None
    content_html: str | None = None
    seo_title: str | None = None
    seo_description: str | None = None
    attributes: Pairs = ()
    option_names: Pairs = ()
    option_values: tuple[tuple[str, str, str], ...] = ()


class OrderLimitsRecord(Struct, frozen=True, gc=False):
    """How much of a variant one order takes, said together: what is None here has no limit."""

    minimum: int | None = None
    maximum: int | None = None
    step: int | None = None


class SaleRecord(Struct, frozen=True, gc=False):
    """A price that holds from a moment until before another, or without an end."""

    price: Money
    starts_at: datetime
    ends_at: datetime | None = None


class VariantRecord(Struct, frozen=True, gc=False):
    """One thing that can be bought.

    `option_values` go with the product's `option_names` by position. `sku` is always there and unique in the file;
    `sku_generated` says that the file had none and that the variant is better recognised by its option values.
    `row` is the line of the file on which the variant begins, counted from 1. `weight` is as it was said, and
    `weight_grams` agrees with it.
    """

    row: int
    sku: str
    sku_generated: bool = False
    option_values: tuple[str, ...] = ()
    barcode: str | None = None
    mpn: str | None = None
    price: Money | None = None
    list_price: Money | None = None
    cost: Money | None = None
    weight_grams: int | None = None
    quantity: int | None = None
    stock_policy: StockPolicy | None = None
    requires_shipping: bool | None = None
    taxable: bool | None = None
    tax_code: str | None = None
    image_url: str | None = None
    barcodes: tuple[str, ...] = ()
    weight: Weight | None = None
    dimensions: Dimensions | None = None
    price_on_request: bool | None = None
    order_limits: OrderLimitsRecord | None = None
    attributes: Pairs = ()
    sale: SaleRecord | None = None


class ProductRecord(Struct, frozen=True, gc=False):
    """A product as the file has it. `rows` are the lines it was read from.

    A record without `title` is a fragment: rows that add to a product which the file itself does not describe. Its
    `option_names` may be empty while its variants have option values; they go by position then. `alts` are what media
    show: address, locale and words. `language` is that of its title and description, where the file says it.
    """

    handle: str
    rows: tuple[int, ...]
    title: str | None = None
    description_html: str | None = None
    brand: str | None = None
    product_type: str | None = None
    tags: tuple[str, ...] = ()
    status: ProductStatus | None = None
    seo_title: str | None = None
    seo_description: str | None = None
    categories: tuple[tuple[str, ...], ...] = ()
    attributes: Pairs = ()
    option_names: tuple[str, ...] = ()
    content_html: str | None = None
    featured: bool | None = None
    media: tuple[MediumRecord, ...] = ()
    alts: tuple[tuple[str, str, str], ...] = ()
    texts: tuple[TextRecord, ...] = ()
    images: tuple[ImageRecord, ...] = ()
    variants: tuple[VariantRecord, ...] = ()
    language: str | None = None


class RowError(Struct, frozen=True, gc=False):
    """Why a row was refused. `row` is the line where it begins; `column` is the uploader's own heading."""

    row: int
    column: str | None
    value: str | None
    code: str
    message: str


class Notice(Struct, frozen=True, gc=False):
    """What was done to a row that its uploader should know; the row itself was taken."""

    row: int
    column: str | None
    value: str | None
    code: str
    message: str


LONGEST_VALUE = 200


def shortened(value: str) -> str:
    """`value` as a row error shows it: enough to be recognised."""
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"
