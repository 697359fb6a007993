"""Reconciliation: what a provider knows, compared with what is known here, and brought in where it is missing."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.payments.messages import Reason
from shared.contracts.payments.shapes import CallbackStatus, Payment
from shared.contracts.platform.shapes import Job
from shared.money import Money
from shared.pagination import First

DifferenceKind = Literal[
    "paid_there",
    "paid_without_order",
    "paid_here",
    "amount_differs",
    "refund_missing",
    "refund_differs",
    "dispute_missing",
    "status_differs",
    "order_not_paid",
    "unreadable",
]
DifferenceState = Literal["open", "waiting", "repaired", "matched", "dismissed", "superseded"]


class Reconciliation(Shape):
    """One comparison of what a provider knows with what is known here, and its job.

    `state` is the job's: `queued`, `running`, `succeeded`, `failed` or `cancelled`; `error` says why it failed. `read`
    is how many payments, refunds and disputes the provider told of; `open` how many differences are still open, and
    `differences` how many were found, by kind.
    """

    id: UUID
    gateway_id: UUID
    provider: str
    source: Literal["api", "file"]
    since: datetime | None = None
    until: datetime | None = None
    scheduled: bool
    layout: str | None = None
    file_name: str | None = None
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    error: dict[str, Any] | None = None
    job_id: UUID
    asked_by: str
    read: int
    open: int
    differences: dict[str, int]
    created_at: datetime
    finished_at: datetime | None = None


class Difference(Shape):
    """Something that the provider and the ledger do not say alike.

    `paid_there`: paid at the provider, and pending or unknown here. `paid_without_order`: paid there, and its order is
    not here. `paid_here`: paid here, and unknown or not paid there. `amount_differs`: captured in both, not as much.
    `refund_missing`, `dispute_missing`: there and not here. `refund_differs`: it failed there and succeeded here.
    `status_differs`: authorised, failed or cancelled there alone. `order_not_paid`: an order waits for its payment, and
    neither we nor the provider know of one. `unreadable`: told, and not understood.

    `payment` and `reference` are the provider's own names. A difference is `open` until it is `repaired`, `matched` by
    what arrived by itself, `dismissed` by a person, or `superseded` by the same one in a later reconciliation;
    `waiting` when it was brought in and its order is not here yet.
    """

    id: UUID
    reconciliation_id: UUID
    gateway_id: UUID
    kind: DifferenceKind
    state: DifferenceState
    reference: str
    payment: str
    payment_id: UUID | None = None
    order_number: str | None = None
    amount_there: Money | None = None
    amount_here: Money | None = None
    detail: str
    repairable: bool
    callback_id: UUID | None = None
    reason: str | None = None
    told_at: datetime
    created_at: datetime
    changed_at: datetime


class ReconcileGateway(Command[Reconciliation]):
    """Ask a provider's API what was paid, refunded and disputed in a period, and compare it with what is known here.

    It is a job; each gateway with credentials is compared by itself every night, too. A period is of 92 days at most
    and has ended. Raises payment_gateway_not_found, no_api_credentials, reconciliation_not_offered, invalid_period,
    period_in_future, reconciliation_running.
    """

    gateway_id: UUID
    since: datetime
    until: datetime


SettlementLayout = Literal["stripe", "adyen", "paypal", "plain"]


class CompareSettlementFile(Command[Reconciliation]):
    """Compare a settlement file, which lies in the blob store under `key`, with what is known here.

    With `since` and `until` the file is said to hold all that was paid in that time: what it does not tell of is
    `paid_here` then. Raises payment_gateway_not_found, unknown_settlement_layout, invalid_settlement_file,
    invalid_period, period_in_future, reconciliation_running.
    """

    gateway_id: UUID
    layout: SettlementLayout
    key: str
    file_name: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class ListReconciliations(Query[Page[Reconciliation]]):
    """Reconciliations, newest first."""

    gateway: UUID | None = None
    first: First = 50
    after: str | None = None


class GetReconciliation(Query[Reconciliation]):
    """One reconciliation with what it found."""

    reconciliation_id: UUID


class ListDifferences(Query[Page[Difference]]):
    """Differences between providers and the ledger, newest first."""

    reconciliation: UUID | None = None
    gateway: UUID | None = None
    kind: DifferenceKind | None = None
    state: DifferenceState | None = None
    first: First = 50
    after: str | None = None


class GetDifference(Query[Difference]):
    """One difference."""

    difference_id: UUID


class Repair(Shape):
    """What a repair did, or would do: the difference and the payment as they are then.

    `status` is that of the callback which brings in what the provider knows: `processed`, `ignored` where it was known
    after all, or `waiting` for its order. An order that was cancelled instead is `processed`, too.
    """

    dry_run: bool
    status: CallbackStatus
    difference: Difference
    payment: Payment | None = None


class RepairDifference(Command[Repair]):
    """Bring in what the provider knows, the way its callback would have; that callback does nothing more then.

    An order that nobody has paid is cancelled, for which `orders:write` is needed, too. With `dry_run` only say what
    would become of it. Raises difference_not_found, difference_is_settled, difference_not_repairable,
    repair_not_possible, and what orders says to a cancellation.
    """

    difference_id: UUID
    dry_run: bool = False


class RepairBegun(Shape):
    """How many differences are meant, by kind, and the job that repairs them, unless that was all that was asked."""

    differences: int
    kinds: dict[str, int]
    job: Job | None = None


class RepairReconciliation(Command[RepairBegun]):
    """Repair all open differences of a reconciliation that can be, as a job; with `dry_run` only count them.

    What does not fit stays open; no order is cancelled. Raises reconciliation_not_found.
    """

    reconciliation_id: UUID
    kind: DifferenceKind | None = None
    dry_run: bool = False


class DismissDifference(Command[Difference]):
    """Settle a difference by hand, with a reason, because a person has dealt with it. Nothing else is changed."""

    difference_id: UUID
    reason: Reason
