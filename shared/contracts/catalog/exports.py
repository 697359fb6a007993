"""Exports: things of the catalog as a file."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.catalog.product_sets import ProductSets, Words
from shared.contracts.catalog.shapes import Label, ProductStatus, Sku
from shared.contracts.orders.lists import OrderFilter
from shared.contracts.platform.shapes import Actor, JobProgress, JobState
from shared.pagination import First

# How many ids or SKUs one filter may name.
MOST_NAMED = 10_000
_Word = Annotated[str, StringConstraints(max_length=100)]


class ExportFilter(Shape):
    """Which products: those that everything that is given holds for; what is not given is not asked.

    Of stock and supplier links these are the products whose SKUs they are of, and `centre` or `supplier`, codes, choose
    among them; a SKU that the catalog does not have is found by `skus` alone. Of customers `customer_group` chooses.

    `category_id` stands for its branch; `assigned_to` is a shop's code, and asks for what stands in an enabled
    category assigned to it; `changed_since` looks at the product with its variants, texts and categories, not at
    prices. Ids and SKUs that there are not match nothing. `query` and `sets` are words and sets as in lists of
    products: each product counts as it stands when its part of the file is read. `orders` says which orders, as lists
    of them do, and nothing else is asked of these.
    """

    query: Words | None = None
    sets: ProductSets | None = None
    status: Annotated[list[ProductStatus], Field(min_length=1, max_length=4)] | None = None
    category_id: UUID | None = None
    brand: Label | None = None
    changed_since: AwareDatetime | None = None
    assigned_to: _Word | None = None
    product_ids: Annotated[list[UUID], Field(max_length=MOST_NAMED)] | None = None
    skus: Annotated[list[Sku], Field(max_length=MOST_NAMED)] | None = None
    orders: OrderFilter | None = None
    centre: _Word | None = None
    supplier: _Word | None = None
    customer_group: _Word | None = None


class ExportDraft(Shape):
    """An export to make.

    `group` is `products` (with variants, categories and prices), `variants`, `prices` (of all lists of `shop`),
    `categories`, `channel-content` (what channels have of products for themselves: of all shops and their connections,
    or of `shop` and its); with the scope `inventory:read` also `stock` (of all centres), `suppliers`, `supplier-links`,
    and with `orders:read` `customers` and `orders` (of connections as these told them, others by their id). `format` is
    `csv`, `ndjson`, `json` (one array, to 100 MB), `parquet` or `xlsx`; `profile` is `crossdock`, which imports again
    without loss, or, of products, `shopify`. Prices are those of `shop`'s own list; of products without a shop there
    are none.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "group": "products",
                "format": "csv",
                "profile": "crossdock",
                "filter": {"status": ["active"], "changed_since": "2026-03-01T00:00:00Z"},
                "zipped": True,
            }
        }
    )

    group: _Word = "products"
    format: _Word = "csv"
    profile: _Word = "crossdock"
    shop: _Word | None = None
    filter: ExportFilter = ExportFilter()
    zipped: bool = False


class Export(Shape):
    """An export and how far it is. `counters`: `products` (or `categories`, `places`) and `rows` so far.

    `file_name` and `size` are those of the file, once it is there.
    """

    id: UUID
    job_id: UUID
    group: str
    format: str
    profile: str
    shop: str | None
    filter: ExportFilter
    zipped: bool
    state: JobState
    progress: JobProgress
    counters: dict[str, int]
    error: dict[str, Any] | None
    file_name: str | None
    size: int | None
    requested_by: Actor
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ExportFile(Shape):
    """Where the file of an export lies in the blob store, within the organization."""

    name: str
    key: str
    media_type: str
    size: int


class StartExport(Command[Export]):
    """Write things of the catalog into a file, in the background.

    Raises unsupported_group, unsupported_format, unsupported_profile, unsupported_filter, shop_not_named,
    shop_not_found, category_not_found; of what other services have missing_scope, stock_of_all_shops,
    group_of_all_shops.
    """

    draft: ExportDraft


class ListExports(Query[Page[Export]]):
    """Exports, newest first."""

    first: First = 50
    after: str | None = None


class GetExport(Query[Export]):
    """One export: its state and its counters. Raises export_not_found."""

    export_id: UUID


class GetExportFile(Query[ExportFile]):
    """Where an export's file is. Raises export_not_found, export_not_finished, export_has_no_file."""

    export_id: UUID
