"""Reconciliation of payments with what their providers know."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from gateway import files
from gateway.request import Ask, CurrentCaller
from gateway.rest.payments import Reasoned
from shared.bus.envelope import Caller
from shared.contracts.base import Page, Shape
from shared.contracts.payments.reconciliation import (
    CompareSettlementFile,
    Difference,
    DifferenceKind,
    DifferenceState,
    DismissDifference,
    GetDifference,
    GetReconciliation,
    ListDifferences,
    ListReconciliations,
    ReconcileGateway,
    Reconciliation,
    Repair,
    RepairBegun,
    RepairDifference,
    RepairReconciliation,
    SettlementLayout,
)
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["payments"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class ReconciledPeriod(Shape):
    """From `since` (included) to `until` (not), with their time zones: at most 92 days, all of them over."""

    since: datetime
    until: datetime


class WhichRepairs(Shape):
    """Which differences are to be repaired: all that can be, or those of one kind. `dry_run` only counts them."""

    kind: DifferenceKind | None = None
    dry_run: bool = False


class HowToRepair(Shape):
    """With `dry_run` the answer says what would become of it, and nothing is changed."""

    dry_run: bool = False


@router.post("/payment-gateways/{gateway_id}/reconcile", status_code=202)
async def reconcile_payment_gateway(
    gateway_id: UUID, period: ReconciledPeriod, ask: Ask, response: Response
) -> Reconciliation:
    """Compare what the provider's API lists for a period with what is known here, as a job.

    The gateway needs `credentials`. Every night the last seven days are compared by themselves. Follow `Location` for
    the job, and `GET /v1/reconciliations/{id}` for what was found.
    """
    begun = await ask(ReconcileGateway(gateway_id=gateway_id, since=period.since, until=period.until))
    response.headers["Location"] = f"/v1/jobs/{begun.job_id}"
    return begun


_CSV = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/settlement-files",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": _CSV,
                "application/octet-stream": _CSV,
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
                },
            },
        }
    },
)
async def compare_settlement_file(
    request: Request,
    ask: Ask,
    caller: CurrentCaller,
    response: Response,
    gateway: UUID,
    layout: SettlementLayout,
    since: datetime | None = None,
    until: datetime | None = None,
    file_name: Annotated[str | None, Query(max_length=200)] = None,
) -> Reconciliation:
    """Upload a provider's settlement file of up to 32 MB, as the body or as multipart, and compare it as a job.

    `layout` is `stripe` (payout reconciliation or balance change, itemized), `adyen` (settlement details), `paypal`
    (settlement report, STL) or `plain`: columns `kind, payment, amount, currency` and `id, order_number, occurred_at`,
    where `kind` is `captured`, `authorised`, `refunded`, `refund_failed`, `disputed`, `dispute_won` or `dispute_lost`.
    All are CSV in UTF-8. With `since` and `until` the file is said to hold all that was paid in that time: a payment
    that it does not tell of is told as `paid_here`. The file is dropped once it was compared.
    """
    caller.require("payments:write")
    folder = f"settlements/{files.upload_id(request, caller, 'settlement-file')}"
    key, _, name = await files.store_in(request, request.stream(), _organization(caller), folder)
    message = CompareSettlementFile(
        gateway_id=gateway, layout=layout, key=key, file_name=file_name or name, since=since, until=until
    )
    async with files.dropped_if_refused(_organization(caller), key):
        begun = await ask(message)
    response.headers["Location"] = f"/v1/jobs/{begun.job_id}"
    return begun


def _organization(caller: Caller) -> UUID:
    assert caller.organization_id is not None
    return caller.organization_id


@router.get("/reconciliations")
async def list_reconciliations(
    ask: Ask, gateway: UUID | None = None, first: First = 50, after: Cursor = None
) -> Page[Reconciliation]:
    """Reconciliations, newest first, with how many differences each has found."""
    return await ask(ListReconciliations(gateway=gateway, first=first, after=after))


@router.get("/reconciliations/{reconciliation_id}")
async def get_reconciliation(reconciliation_id: UUID, ask: Ask) -> Reconciliation:
    """One reconciliation: its state, and how many differences of which kind it found."""
    return await ask(GetReconciliation(reconciliation_id=reconciliation_id))


@router.post("/reconciliations/{reconciliation_id}/repair")
async def repair_reconciliation(
    reconciliation_id: UUID, which: WhichRepairs, ask: Ask, response: Response
) -> RepairBegun:
    """Repair all open differences that can be, as a job (202); with `dry_run` only count them.

    What the provider knows is brought in the way its callback would have, once: that callback does nothing more.
    """
    message = RepairReconciliation(reconciliation_id=reconciliation_id, kind=which.kind, dry_run=which.dry_run)
    begun = await ask(message)
    if begun.job is not None:
        response.status_code = 202
        response.headers["Location"] = f"/v1/jobs/{begun.job.id}"
    return begun


@router.get("/payment-differences")
async def list_payment_differences(
    ask: Ask,
    reconciliation: UUID | None = None,
    gateway: UUID | None = None,
    kind: DifferenceKind | None = None,
    state: DifferenceState | None = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Difference]:
    """What providers and the ledger do not say alike, newest first: paid there and pending here, and the reverse."""
    message = ListDifferences(
        reconciliation=reconciliation, gateway=gateway, kind=kind, state=state, first=first, after=after
    )
    return await ask(message)


@router.get("/payment-differences/{difference_id}")
async def get_payment_difference(difference_id: UUID, ask: Ask) -> Difference:
    """One difference, with the amounts there and here."""
    return await ask(GetDifference(difference_id=difference_id))


@router.post("/payment-differences/{difference_id}/repair")
async def repair_payment_difference(difference_id: UUID, how: HowToRepair, ask: Ask) -> Repair:
    """Bring in what the provider knows, the way its callback would have; with `dry_run` say what would become of it.

    An order that nobody has paid (`order_not_paid`) is cancelled, for which you need `orders:write`, too. Two at once
    have one effect, and a callback that comes later has none.
    """
    return await ask(RepairDifference(difference_id=difference_id, dry_run=how.dry_run))


@router.post("/payment-differences/{difference_id}/dismiss")
async def dismiss_payment_difference(difference_id: UUID, body: Reasoned, ask: Ask) -> Difference:
    """Settle a difference by hand. Who did it and why is kept."""
    return await ask(DismissDifference(difference_id=difference_id, reason=body.reason))
