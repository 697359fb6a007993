"""The report of products over all connections (SYN-15)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Query, Shape
from shared.contracts.catalog.product_sets import ProductSets, Words


class ListingReportSheet(Shape):
    """Rows of a CSV file with headings; `next` is the cursor of the rows that follow, without headings."""

    csv: str
    next: str | None = None


class GetListingReportSheet(Query[ListingReportSheet]):
    """Every variant of every product: what it is here, and a block of columns for each connection it may be on.

    Here: `product_id slug title status sku price currency stock`, in `shop`; where that is not said, in the shop of the
    connection, or of the oldest one. Each block, after the connection's name: `external_id variant_id status price
    currency quantity open_changes issues title own_fields`, as the platform was last read, empty where the product is
    not on it. Changes and issues are those of the product, of the variant and of its stock. `title` is what the
    connection shows there, and `own_fields` are those of product and variant that it owns itself. With `shop` the
    blocks are those of its connections, with `connection_id` there is that one. With `query` and `sets`, as in lists of
    products, there are the rows of those that are found. Some hundred products at a time.

    Refused: `shop_not_found`, `connection_not_found` (404).
    """

    timeout_seconds = 30.0
    shop: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = None
    connection_id: UUID | None = None
    query: Words | None = None
    sets: ProductSets = []
    after: Annotated[str, Field(max_length=20_000)] | None = None
