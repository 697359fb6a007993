"""Customers: who buys, and what is kept on them."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.bus.ask import Asker
from shared.contracts.base import Page, Shape
from shared.contracts.orders.customers import (
    CreateCustomer,
    Customer,
    CustomerChange,
    CustomerExport,
    Email,
    EraseCustomer,
    ExportCustomer,
    GetCustomer,
    GroupName,
    ListCustomers,
    NewCustomer,
    UpdateCustomer,
)
from shared.contracts.orders.lists import ListOrders
from shared.contracts.orders.messages import Reason
from shared.contracts.orders.shapes import OrderSummary
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["customers"])

After = Annotated[str | None, Query(description="`next` of the page before.")]


class ErasureReason(Shape):
    """Why a person is forgotten; it is kept in the audit log."""

    reason: Annotated[Reason, Field(examples=["Asked by letter of 3 March"])]


@router.post("/customers", status_code=201)
async def create_customer(customer: NewCustomer, ask: Ask, response: Response) -> Customer:
    """Keep a customer. One e-mail address is one customer, however it is written (409 `customer_exists`)."""
    made = await ask(CreateCustomer(customer=customer))
    response.headers["Location"] = f"/v1/customers/{made.id}"
    return tagged(made, response)


@router.get("/customers")
async def list_customers(
    ask: Ask,
    email: Annotated[Email | None, Query(description="Of this address, however it is written.")] = None,
    group: Annotated[GroupName | None, Query(description="In this customer group.")] = None,
    first: First = 50,
    after: After = None,
) -> Page[Customer]:
    """Customers, newest first. A storefront sees those it made, and those that bought through it."""
    return await ask(ListCustomers(email=email, customer_group=group, first=first, after=after))


@router.get("/customers/{customer_id}")
async def get_customer(customer_id: UUID, ask: Ask, response: Response) -> Customer:
    """A customer with addresses."""
    return tagged(await ask(GetCustomer(customer_id=customer_id)), response)


@router.patch("/customers/{customer_id}")
async def update_customer(
    customer_id: UUID, change: CustomerChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> Customer:
    """Change what is given; null empties, and `addresses` takes the place of all there were.

    With `If-Match`, only if nobody changed the customer since you read it (412). Orders keep what was said when they
    were placed.
    """
    message = UpdateCustomer(customer_id=customer_id, change=change, expected_version=expected)
    return tagged(await ask(message), response)


@router.get("/customers/{customer_id}/orders")
async def list_orders_of_customer(
    customer_id: UUID, ask: Ask, first: First = 50, after: After = None
) -> Page[OrderSummary]:
    """The orders of a customer that you may see, latest first."""
    return await ask(ListOrders(customer_id=customer_id, first=first, after=after))


@router.get("/customers/{customer_id}/export", response_model=CustomerExport)
async def export_customer(customer_id: UUID, ask: Ask) -> StreamingResponse:
    """Everything that is kept on a customer, as one JSON document: for whoever asks what you know of them.

    The audit log says who asked for it. `next` is always null here; all orders are in `items`.
    """
    first = await ask(ExportCustomer(customer_id=customer_id))
    return StreamingResponse(
        _exported(ask, first),
        media_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="customer-{customer_id}.json"',
            "Cache-Control": "no-store",
        },
    )


async def _exported(ask: Asker, page: CustomerExport) -> AsyncIterator[bytes]:
    """One document out of the pages: the orders are written as they come, the payments after them."""
    yield b'{"customer":' + page.customer.model_dump_json().encode() + b',"items":['
    payments = []
    separator = b""
    while True:
        for order in page.items:
            yield separator + order.model_dump_json().encode()
            separator = b","
        payments += page.payments
        if page.next is None:
            break
        page = await ask(ExportCustomer(customer_id=page.customer.id, after=page.next))
    yield b'],"payments":' + orjson.dumps(payments) + b',"next":null}'


@router.post("/customers/{customer_id}/erase")
async def erase_customer(
    customer_id: UUID, body: ErasureReason, ask: Ask, response: Response, expected: ExpectedVersion
) -> Customer:
    """Forget a person, for good: name, e-mail, phone and addresses are replaced here and in every order.

    Amounts, lines and the country stay, for the books; what payment gateways told is dropped within moments. While an
    order is not over it is refused (409 `customer_has_open_orders`). Asked again, nothing more happens.
    """
    message = EraseCustomer(customer_id=customer_id, reason=body.reason, expected_version=expected)
    return tagged(await ask(message), response)
