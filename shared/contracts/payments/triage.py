"""What people do with callbacks that did not take effect by themselves."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Command, Query, Shape
from shared.contracts.payments.messages import Reason
from shared.contracts.payments.shapes import CallbackDetail, CallbackFilter
from shared.contracts.platform.shapes import Job
from shared.money import Money

EffectKind = Literal["authorised", "captured", "failed", "cancelled", "refunded", "none"]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


class CallbackEffect(Shape):
    """What a callback is to do to a payment, as a person says where it cannot say so itself.

    `amount` is the total authorised, captured or refunded so far; with `refund`, the provider's own id of one refund,
    it is what that refund returned. `payment` is the provider's own id.
    """

    kind: EffectKind
    amount: Money | None = None
    order_number: Name | None = None
    payment: Name | None = None
    refund: Name | None = None


class AcceptCallback(Command[CallbackDetail]):
    """Let a callback take effect without verifying it. It stays marked as unverified for good.

    Needs the permission `callbacks:accept` (or the scope `admin`) and a reason. With `effect`, what it says is not
    read: it has that effect, or `none`. Changes nothing once processed. Raises acceptance_not_allowed,
    callback_is_settled, callback_body_gone, effect_not_possible.
    """

    callback_id: UUID
    reason: Reason
    effect: CallbackEffect | None = None


class CallbackTriage(Shape):
    """How many callbacks are meant and, unless that was all that was asked, the job that acts on them."""

    callbacks: int
    job: Job | None = None


class TriageCallbacks(Command[CallbackTriage]):
    """Replay, accept or reject many callbacks at once, as a job; with `dry_run` only say how many they are.

    What is processed or rejected already is left alone. The job goes on where it was when a worker dies.
    """

    action: Literal["replay", "accept", "reject"]
    filter: CallbackFilter
    reason: Reason
    dry_run: bool = False


class CallbackTable(Shape):
    """Callbacks as CSV, newest first; `next` where there are more."""

    csv: str
    rows: int
    next: str | None = None


class ExportCallbacks(Query[CallbackTable]):
    """Callbacks as CSV with what became of them, without their bytes."""

    filter: CallbackFilter = CallbackFilter()
    first: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    after: str | None = None
