"""Payment gateways, callbacks, payments and refunds."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page, Shape
from shared.contracts.payments.events import PaymentState
from shared.contracts.payments.messages import (
    ChangePaymentGateway,
    CloseRefund,
    CreatePaymentGateway,
    DisablePaymentGateway,
    EnablePaymentGateway,
    GetCallback,
    GetPayment,
    GetPaymentGateway,
    GetRefund,
    Keys,
    ListCallbacks,
    ListPaymentGateways,
    ListPayments,
    ListRefunds,
    Reason,
    RejectCallback,
    ReplayCallback,
)
from shared.contracts.payments.shapes import (
    Callback,
    CallbackDetail,
    CallbackFilter,
    CallbackStatus,
    Payment,
    PaymentGateway,
    Refund,
    RefundState,
)
from shared.contracts.payments.triage import (
    AcceptCallback,
    CallbackEffect,
    CallbackTriage,
    ExportCallbacks,
    TriageCallbacks,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["payments"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class GatewayChange(Shape):
    """What is to change; what is left out stays."""

    add_secret: Keys | None = None
    retire_secret: UUID | None = None
    credentials: Keys | None = None
    settings: dict[str, Any] | None = None
    allowed_networks: Annotated[list[str] | None, Field(max_length=100)] = None


class Reasoned(Shape):
    """Why somebody does this; it is kept with the record."""

    reason: Reason


class Acceptance(Reasoned):
    """Why it is accepted and, where its content cannot be understood, what it is to do."""

    effect: CallbackEffect | None = None


@router.post("/payment-gateways", status_code=201)
async def create_payment_gateway(message: CreatePaymentGateway, ask: Ask, response: Response) -> PaymentGateway:
    """Connect a shop to its account at a payment provider.

    Give the answer's `callback_url` to the provider as the address of its callbacks (webhooks), and in `secrets` the
    text it signs them with. Secrets are sealed and never shown again.
    """
    made = await ask(message)
    response.headers["Location"] = f"/v1/payment-gateways/{made.id}"
    return tagged(made, response)


@router.get("/payment-gateways")
async def list_payment_gateways(
    ask: Ask, shop: str | None = None, first: First = 50, after: Cursor = None
) -> Page[PaymentGateway]:
    """Payment gateways of the shops you may see, newest first."""
    return await ask(ListPaymentGateways(shop=shop, first=first, after=after))


@router.get("/payment-gateways/{gateway_id}")
async def get_payment_gateway(gateway_id: UUID, ask: Ask, response: Response) -> PaymentGateway:
    """One payment gateway. Of its secrets only id and age are shown. Its `ETag` goes into `If-Match` for a change."""
    return tagged(await ask(GetPaymentGateway(gateway_id=gateway_id)), response)


@router.patch("/payment-gateways/{gateway_id}")
async def change_payment_gateway(
    gateway_id: UUID, change: GatewayChange, ask: Ask, response: Response, expected: ExpectedVersion
) -> PaymentGateway:
    """Change a payment gateway.

    To change its secret without losing a callback: add the new one (two are live now), switch the provider over, then
    retire the old one.
    """
    given = {field: getattr(change, field) for field in change.model_fields_set}
    message = ChangePaymentGateway(gateway_id=gateway_id, expected_version=expected, **given)
    return tagged(await ask(message), response)


@router.post("/payment-gateways/{gateway_id}/disable")
async def disable_payment_gateway(
    gateway_id: UUID, ask: Ask, response: Response, expected: ExpectedVersion
) -> PaymentGateway:
    """Take no more callbacks at the gateway's address; they are answered 404."""
    return tagged(await ask(DisablePaymentGateway(gateway_id=gateway_id, expected_version=expected)), response)


@router.post("/payment-gateways/{gateway_id}/enable")
async def enable_payment_gateway(
    gateway_id: UUID, ask: Ask, response: Response, expected: ExpectedVersion
) -> PaymentGateway:
    """Take callbacks again."""
    return tagged(await ask(EnablePaymentGateway(gateway_id=gateway_id, expected_version=expected)), response)


@router.get("/payments")
async def list_payments(
    ask: Ask,
    order_id: UUID | None = None,
    gateway: UUID | None = None,
    state: PaymentState | None = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Payment]:
    """Payments, newest first. Amounts are totals so far, as the gateway has told them."""
    return await ask(ListPayments(order_id=order_id, gateway=gateway, state=state, first=first, after=after))


@router.get("/payments/{payment_id}")
async def get_payment(payment_id: UUID, ask: Ask) -> Payment:
    """One payment: what was authorised, captured, refunded and is disputed."""
    return await ask(GetPayment(payment_id=payment_id))


@router.get("/refunds")
async def list_refunds(
    ask: Ask, order_id: UUID | None = None, state: RefundState | None = None, first: First = 50, after: Cursor = None
) -> Page[Refund]:
    """Refunds, newest first. Those `requested` are still to be made at the gateway."""
    return await ask(ListRefunds(order_id=order_id, state=state, first=first, after=after))


@router.get("/refunds/{refund_id}")
async def get_refund(refund_id: UUID, ask: Ask) -> Refund:
    """One refund."""
    return await ask(GetRefund(refund_id=refund_id))


@router.post("/refunds/{refund_id}/close")
async def close_refund(refund_id: UUID, body: Reasoned, ask: Ask) -> Refund:
    """Close a requested refund by hand, for instance because the money went back another way.

    So much of the payment counts as returned: it is not requested again.
    """
    return await ask(CloseRefund(refund_id=refund_id, reason=body.reason))


@router.get("/callbacks")
async def list_callbacks(
    ask: Ask,
    status: CallbackStatus | None = None,
    gateway: UUID | None = None,
    shop: str | None = None,
    reason: str | None = None,
    received_since: datetime | None = None,
    received_before: datetime | None = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Callback]:
    """Callbacks that payment gateways have posted, newest first, with what became of each."""
    message = ListCallbacks(
        status=status,
        gateway=gateway,
        shop=shop,
        reason=reason,
        received_since=received_since,
        received_before=received_before,
        first=first,
        after=after,
    )
    return await ask(message)


@router.get("/callback-exports", response_class=StreamingResponse)
async def export_callbacks(
    ask: Ask,
    status: CallbackStatus | None = None,
    gateway: UUID | None = None,
    shop: str | None = None,
    reason: str | None = None,
    received_since: datetime | None = None,
    received_before: datetime | None = None,
    first: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    after: Cursor = None,
) -> StreamingResponse:
    """Callbacks as CSV with what became of them, newest first. Where there are more, `X-Next` is the next `after`."""
    meant = CallbackFilter(
        status=status,
        gateway=gateway,
        shop=shop,
        reason=reason,
        received_since=received_since,
        received_before=received_before,
    )
    table = await ask(ExportCallbacks(filter=meant, first=first, after=after))
    headers = {"Content-Disposition": 'attachment; filename="callbacks.csv"'}
    if table.next is not None:
        headers["X-Next"] = table.next
    return StreamingResponse(iter([table.csv]), media_type="text/csv", headers=headers)


@router.post("/callbacks/triage")
async def triage_callbacks(message: TriageCallbacks, ask: Ask, response: Response) -> CallbackTriage:
    """Replay, accept or reject all callbacks that a filter means, as a job (202); with `dry_run` only count them."""
    begun = await ask(message)
    if begun.job is not None:
        response.status_code = 202
        response.headers["Location"] = f"/v1/jobs/{begun.job.id}"
    return begun


@router.get("/callbacks/{callback_id}")
async def get_callback(callback_id: UUID, ask: Ask) -> CallbackDetail:
    """One callback with its bytes (as text, or in base64 where they are not UTF-8) and headers."""
    return await ask(GetCallback(callback_id=callback_id))


@router.post("/callbacks/{callback_id}/replay")
async def replay_callback(callback_id: UUID, ask: Ask) -> CallbackDetail:
    """Verify the stored bytes again, as of the time they arrived, and process them.

    Changes nothing where the callback is processed already. What fails verification again stays as it is.
    """
    return await ask(ReplayCallback(callback_id=callback_id))


@router.post("/callbacks/{callback_id}/accept")
async def accept_callback(callback_id: UUID, body: Acceptance, ask: Ask) -> CallbackDetail:
    """Let a callback take effect without verifying it: what it says, or the `effect` you name.

    It needs a reason and the permission `callbacks:accept`. Who did it and why is kept, and the callback stays marked
    as unverified for good. Changes nothing where it is processed already.
    """
    return await ask(AcceptCallback(callback_id=callback_id, reason=body.reason, effect=body.effect))


@router.post("/callbacks/{callback_id}/reject")
async def reject_callback(callback_id: UUID, body: Reasoned, ask: Ask) -> CallbackDetail:
    """Set a callback aside for good. Nothing is erased; who rejected it and why is kept."""
    return await ask(RejectCallback(callback_id=callback_id, reason=body.reason))
