"""What a product was before, and who or what made it what it is. Asked of catalog."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from shared.contracts.base import Page, Query, Shape
from shared.contracts.platform.shapes import Actor
from shared.pagination import First


class FieldChange(Shape):
    """One field's value before and after, as stored: `before` is null where there was none."""

    field: str
    before: Any | None
    after: Any | None


class HistoryEntry(Shape):
    """One thing of a product that was made, changed or removed at one moment.

    `part` is the product itself, one of its variants (`sku`), a price of one (`sku`, `price_list_id`,
    `minimum_quantity`, where it has them `centre` and `starts_at`; in minor units), its texts in a `locale`, its place
    in a category (`category_id`), or what a channel has of it (`channel_content`: `channel_id`, the id of a shop or
    connection, with `sku` or `category_id` where it is of one).
    `cause` is what did it, with its id where it has one of its own (an import, a job), and `actor` on whose behalf.
    """

    id: str
    what: Literal["created", "changed", "removed"]
    part: str
    sku: str | None
    key: dict[str, Any]
    fields: list[FieldChange]
    cause: Literal["request", "event", "job", "import", "undo", "connection", "snapshot"]
    cause_id: UUID
    actor: Actor
    occurred_at: datetime


class ListProductHistory(Query[Page[HistoryEntry]]):
    """What happened to a product, newest first; with `field` or `sku`, to that alone. Raises product_not_found.

    Also of a product that is gone. What a thing was when it was made comes last.
    """

    product_id: UUID
    field: str | None = None
    sku: str | None = None
    first: First = 50
    after: str | None = None
