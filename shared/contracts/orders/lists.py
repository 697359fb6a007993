"""Lists of orders: which, in what order, how many, as a file."""

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.catalog.product_sets import ISSUES, Words, connection_set
from shared.contracts.orders.customers import Email
from shared.contracts.orders.messages import Moment
from shared.contracts.orders.shapes import OrderStatus, OrderSummary, PaymentStatus, Sku
from shared.contracts.platform.shapes import Job
from shared.contracts.search.operators import SuggestedSets
from shared.pagination import First

OrderSort = Literal["latest", "oldest", "highest_total", "lowest_total", "last_changed"]
MOST_SETS = 10
NAMED_SETS = ("today", "yesterday", "last_week", "this_month", "this_year")
_YEAR_OR_MONTH = re.compile(r"(?:19[7-9]\d|[2-9]\d{3})(?:-(?:0[1-9]|1[0-2]))?")


# How an order stands on a platform, or on the connection with this id.
CONNECTION_SETS = ("on", "pending_update", "pending_create", "issues")


def is_date_set(name: str) -> bool:
    """Whether a set is days of placing."""
    return name in NAMED_SETS or _YEAR_OR_MONTH.fullmatch(name) is not None


def is_order_set(name: str) -> bool:
    """Whether there is such a set of orders."""
    is_of_connections = name.partition(":")[0] in CONNECTION_SETS and connection_set(name)
    return is_date_set(name) or is_of_connections or name in (f"with:{ISSUES}", f"without:{ISSUES}")


def _order_set(name: str) -> str:
    if not is_order_set(name):
        raise ValueError(
            f"a set is {', '.join(NAMED_SETS)}, a year like 2026, a month like 2026-03, with:issues, without:issues, or"
            f" {'|'.join(CONNECTION_SETS)}: and a platform or a connection's id"
        )
    return name


OrderSet = Annotated[str, AfterValidator(_order_set), Field(max_length=100, examples=["this_month"])]
Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class OrderFilter(Shape):
    """Which orders: those that everything holds for that is given.

    `query` are words, all of which the order has: in its numbers, those of its shipments, the names and the e-mail
    address of who ordered, company, city, postal code, SKUs and titles of its lines. The last word may be a beginning;
    a number that is given whole finds what has it alone. What changed is found so within a second.

    `status` and `payment_status` take several, any of which may hold. `shop` is a shop's code; `number_prefix` is how
    the number begins; `sku` is in one of the lines. `from_time` is inclusive, `to_time` is not. `sets` are days of
    placing in the time zone of each order's shop: `today`, `yesterday`, `last_week` (Monday to Sunday before this
    week), `this_month`, `this_year`, a year (`2026`), a month (`2026-03`); or `on:shopify`, `pending_update:…`,
    `pending_create:…`, `issues:…` of a platform or a connection's id, `with:issues`, `without:issues`, fresh within a
    second; several intersect.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": ["complete"], "shop": "main", "sets": ["2026-03"]}}
    )

    query: Words | None = None
    status: Annotated[list[OrderStatus], Field(min_length=1, max_length=7)] | None = None
    payment_status: Annotated[list[PaymentStatus], Field(min_length=1, max_length=5)] | None = None
    shop: Word | None = None
    customer_id: UUID | None = None
    email: Email | None = None
    number: Word | None = None
    number_prefix: Word | None = None
    sku: Sku | None = None
    from_time: Moment | None = None
    to_time: Moment | None = None
    sets: Annotated[list[OrderSet], Field(max_length=MOST_SETS)] = []


class OrderCounts(Shape):
    """How many orders there are, whole and by their statuses; what there is none of is absent."""

    total: int
    by_status: dict[str, int]
    by_payment_status: dict[str, int]


class OrderExportFile(Shape):
    """Where the file of an export lies in the blob store, within the organization."""

    name: str
    key: str
    media_type: str
    size: int


class ListOrders(OrderFilter, Query[Page[OrderSummary]]):
    """Orders by any combination of what can be asked of them. A storefront sees those it placed itself.

    Pages follow each other without doubling or leaving out, also while orders come in. With a `query` and filters that
    hold for few of what the words find, a page may be shorter than asked for while there is a `next`; so with sets of
    connections. Refused with words or such sets of more than 100,000 orders, sorted by anything but when they were
    placed: `query_too_broad`.
    """

    sort: OrderSort = "latest"
    first: First = 50
    after: str | None = None


class CountOrders(OrderFilter, Query[OrderCounts]):
    """How many orders there are of which all that holds, by status and by how they are paid.

    Refused with words or sets of connections of more than 100,000 orders: `query_too_broad` (422).
    """


class SuggestOrderSets(Query[SuggestedSets]):
    """Sets that somebody who typed so far may mean, among the orders that have the words and are in all of the sets.

    `typed` begins the set or a word of its label, like `2026`, `week` or `on sh`; the larger come first. Of months the
    latest twelve, unless something was typed. An order counts as it was placed in the time zone of its shop.
    """

    typed: Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")] = ""
    query: Words | None = None
    sets: Annotated[list[OrderSet], Field(max_length=MOST_SETS)] = []
    first: Annotated[int, Field(ge=1, le=100, strict=False)] = 20


class StartOrderExport(Command[Job]):
    """Write orders into a CSV file, one row per line, in the background.

    Refused: `shop_not_found`, `customer_not_found` (404).
    """

    filter: OrderFilter = OrderFilter()


class GetOrderExportFile(Query[OrderExportFile]):
    """Where the file of an export of orders is; it is kept for a week.

    Refused: `job_not_found` (404), `order_export_not_finished`, `order_export_has_no_file` (409).
    """

    job_id: UUID
