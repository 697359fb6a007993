"""Lists of orders: which, how many, as a file."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime
from starlette.responses import StreamingResponse

from gateway import files
from gateway.request import Ask, CurrentCaller
from shared.contracts.base import Page
from shared.contracts.catalog.product_sets import Words
from shared.contracts.orders.bulk import ActOnOrders, StartedOrderAction
from shared.contracts.orders.customers import Email
from shared.contracts.orders.lists import (
    MOST_SETS,
    CountOrders,
    GetOrderExportFile,
    ListOrders,
    OrderCounts,
    OrderFilter,
    OrderSet,
    OrderSort,
    StartOrderExport,
    SuggestOrderSets,
    Word,
)
from shared.contracts.orders.shapes import OrderStatus, OrderSummary, PaymentStatus, Sku
from shared.contracts.platform.shapes import Job
from shared.contracts.search.operators import SuggestedSets
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["orders"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Statuses = Annotated[list[OrderStatus] | None, Query(max_length=7, description="In one of these.")]
PaymentStatuses = Annotated[list[PaymentStatus] | None, Query(max_length=5, description="Paid in one of these ways.")]
QueryFilter = Annotated[
    Words | None,
    Query(
        alias="q",
        description="Words, all of which the order has: in its numbers or those of its shipments, the name and e-mail"
        " address of who ordered, company, city, postal code, SKUs and titles of its lines. The last one may be a"
        " beginning.",
    ),
]
ShopFilter = Annotated[Word | None, Query(description="Of the shop with this code.")]
CustomerFilter = Annotated[UUID | None, Query(description="Of this customer.")]
EmailFilter = Annotated[Email | None, Query(description="Of the customer with this e-mail address.")]
NumberFilter = Annotated[Word | None, Query(description="The one with this number.")]
PrefixFilter = Annotated[Word | None, Query(description="Whose number begins so.")]
SkuFilter = Annotated[Sku | None, Query(description="With this SKU in a line.")]
FromTime = Annotated[AwareDatetime | None, Query(alias="from", description="Placed at this moment or later.")]
ToTime = Annotated[AwareDatetime | None, Query(alias="to", description="Placed before this moment.")]
Sets = Annotated[
    list[OrderSet],
    Query(
        alias="set",
        max_length=MOST_SETS,
        description="Placed on these days in the time zone of the shop: `today`, `yesterday`, `last_week`,"
        " `this_month`, `this_year`, a year (`2026`), a month (`2026-03`); or how it stands on a platform or the"
        " connection with this id: `on:`, `pending_update:`, `pending_create:`, `issues:`; `with:issues`,"
        " `without:issues`. Several intersect.",
    ),
]


@router.get("/orders")
async def list_orders(
    ask: Ask,
    query: QueryFilter = None,
    status: Statuses = None,
    payment_status: PaymentStatuses = None,
    shop: ShopFilter = None,
    customer_id: CustomerFilter = None,
    email: EmailFilter = None,
    number: NumberFilter = None,
    number_prefix: PrefixFilter = None,
    sku: SkuFilter = None,
    from_time: FromTime = None,
    to_time: ToTime = None,
    sets: Sets = [],  # noqa: B006
    sort: OrderSort = "latest",
    first: First = 50,
    after: Cursor = None,
) -> Page[OrderSummary]:
    """Orders for which everything holds that is given. A storefront sees those it placed itself.

    Pages follow each other without doubling or leaving out, also while orders come in.
    """
    return await ask(
        ListOrders(
            query=query,
            status=status,
            payment_status=payment_status,
            shop=shop,
            customer_id=customer_id,
            email=email,
            number=number,
            number_prefix=number_prefix,
            sku=sku,
            from_time=from_time,
            to_time=to_time,
            sets=sets,
            sort=sort,
            first=first,
            after=after,
        )
    )


@router.get("/orders/counts")
async def count_orders(
    ask: Ask,
    query: QueryFilter = None,
    status: Statuses = None,
    payment_status: PaymentStatuses = None,
    shop: ShopFilter = None,
    customer_id: CustomerFilter = None,
    email: EmailFilter = None,
    number: NumberFilter = None,
    number_prefix: PrefixFilter = None,
    sku: SkuFilter = None,
    from_time: FromTime = None,
    to_time: ToTime = None,
    sets: Sets = [],  # noqa: B006
) -> OrderCounts:
    """How many orders there are for which everything holds that is given, by status and by how they are paid."""
    return await ask(
        CountOrders(
            query=query,
            status=status,
            payment_status=payment_status,
            shop=shop,
            customer_id=customer_id,
            email=email,
            number=number,
            number_prefix=number_prefix,
            sku=sku,
            from_time=from_time,
            to_time=to_time,
            sets=sets,
        )
    )


@router.get("/order-sets")
async def suggest_order_sets(
    ask: Ask,
    typed: Annotated[str, Query(max_length=100, description="What somebody typed, like `2026` or `on sh`.")] = "",
    query: QueryFilter = None,
    sets: Sets = [],  # noqa: B006
    first: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SuggestedSets:
    """Sets of orders that somebody who types may mean, each with how many of the orders meant so far it holds."""
    return await ask(SuggestOrderSets(typed=typed, query=query, sets=sets, first=first))


@router.post("/orders/act", status_code=202)
async def act_on_orders(message: ActOnOrders, ask: Ask, response: Response) -> StartedOrderAction:
    """Hold, release or cancel all orders that a filter means, as a job.

    Takes the same filters as the list. With `dry_run` it changes nothing, and counts what it would. Follow `Location`.
    """
    started = await ask(message)
    response.headers["Location"] = f"/v1/jobs/{started.job.id}"
    return started


@router.post("/orders/exports", status_code=202)
async def start_order_export(filter: OrderFilter, ask: Ask, response: Response) -> Job:
    """Write orders into a CSV file, one row per line, in the background.

    Takes the same filters as the list. Follow `Location`; then download `GET /v1/orders/exports/{id}/file`.
    """
    job = await ask(StartOrderExport(filter=filter))
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("/orders/exports/{order_export_id}/file", response_class=StreamingResponse)
async def download_order_export(order_export_id: UUID, ask: Ask, caller: CurrentCaller) -> StreamingResponse:
    """The file of a finished export of orders. It is kept for a week; no cell of it is a formula to a spreadsheet."""
    file = await ask(GetOrderExportFile(job_id=order_export_id))
    return files.download(caller, file)
