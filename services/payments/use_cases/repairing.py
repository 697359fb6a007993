"""Repairs: what a provider knows and the ledger does not is brought in as a callback of its own, by the very same way.

The ledger knows a payment, a capture, a refund and a dispute by the provider's names for them. So the provider's own
callback, whenever it comes, says nothing new after a repair, and a repair nothing new after it.
"""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from services.payments.errors import DifferenceIsSettled, DifferenceNotRepairable, PaymentNotFound, RepairNotPossible
from services.payments.models import Callback, Payment
from services.payments.repository import (
    callback_records,
    difference_records,
    gateway_records,
    own_records,
    payment_records,
)
from services.payments.repository import reconciliation_records as records
from services.payments.repository.difference_records import OPEN
from services.payments.use_cases import processing, reconciling
from shared import jobs
from shared.contracts.payments.reconciliation import Repair, RepairBegun, RepairReconciliation
from shared.errors import CrossdockError
from shared.unit_of_work import UnitOfWork

JOB = "payments.repair"
_AT_ONCE = 50
_SETTLED_AS = {"processed": "repaired", "ignored": "matched", "waiting": "waiting"}


class _Undone(Exception):
    """Carries what a dry run came to out of the savepoint that undoes it."""

    def __init__(self, repair: Repair) -> None:
        super().__init__()
        self.repair = repair


async def repair(uow: UnitOfWork, difference_id: UUID, *, dry_run: bool = False) -> Repair:
    """Bring in what the provider knows; with `dry_run` all of it is undone again. Whoever asks tells of what is left.

    Raises DifferenceNotFound, DifferenceIsSettled, DifferenceNotRepairable, RepairNotPossible; then nothing is changed.
    """
    row = await difference_records.get_difference(uow, difference_id, for_update=True)
    _check_repairable(row)
    try:
        async with uow.savepoint():
            done = await _bring_in(uow, row, dry_run)
            if dry_run:
                raise _Undone(done)
    except _Undone as undone:
        (await uow.session()).expunge_all()
        return undone.repair
    except RepairNotPossible:
        (await uow.session()).expunge_all()
        raise
    return done


def _check_repairable(row: Any) -> None:
    if row["state"] not in OPEN:
        raise DifferenceIsSettled(f"The difference is {row['state']} already.")
    if not row["is_repairable"]:
        raise DifferenceNotRepairable(f"{row['detail']} A person has to decide; dismiss it once that is done.")


async def _bring_in(uow: UnitOfWork, row: Any, dry_run: bool) -> Repair:
    callback = await _callback(uow, row)
    if not callback.is_settled:
        gateways = await gateway_records.get_gateways(uow, [callback.gateway_id])
        await processing.process(uow, [callback], gateways, kind="repair")
    if callback.status not in _SETTLED_AS:
        raise RepairNotPossible(f"{callback.detail or 'It was set aside.'} ({callback.reason or callback.status})")
    settled = await difference_records.settle(uow, row["id"], _SETTLED_AS[callback.status], callback_id=callback.id)
    payment = None if callback.payment_id is None else await _payment(uow, callback.payment_id)
    uow.audit(
        "payment_difference.repair",
        "payment_difference",
        row["id"],
        before={"state": row["state"]},
        after={"state": settled["state"], "kind": row["kind"], "callback_id": str(callback.id)},
    )
    shape = None if payment is None else payment.shape()
    return Repair(
        dry_run=dry_run, status=callback.status, difference=difference_records.difference(settled), payment=shape
    )


async def _callback(uow: UnitOfWork, row: Any) -> Callback:
    """The callback that says what the provider told, locked; the same one for the same words."""
    said = difference_records.fact_of(row).said
    assert said is not None
    # Without the time it was told: the same told again later is the same.
    words = orjson.dumps([row["reference"], replace(said, occurred_at=None).written()], option=orjson.OPT_SORT_KEYS)
    identity = hashlib.sha256(b"reconciliation\n" + words).digest()
    body = orjson.dumps(replace(said, occurred_at=said.occurred_at or row["told_at"]).written())
    callback_id = await own_records.add_callback(uow, row["gateway_id"], identity, said.event, body)
    callback = await callback_records.find_callback(uow, callback_id)
    assert callback is not None
    return callback


async def _payment(uow: UnitOfWork, payment_id: UUID) -> Payment | None:
    (await uow.session()).expire_all()
    try:
        return await payment_records.get_payment(uow, payment_id)
    except PaymentNotFound:
        # Of a shop below the gateway's that the caller does not see.
        return None


# --- orders that nobody has paid


async def find_unpaid_order(uow: UnitOfWork, difference_id: UUID) -> UUID | None:
    """The order of a difference that says it is not paid; None for any other. Raises as `repair`."""
    row = await difference_records.get_difference(uow, difference_id)
    if row["kind"] != "order_not_paid":
        return None
    _check_repairable(row)
    order_id = await records.find_order_id(uow, row["order_number"])
    assert order_id is not None
    return order_id


async def close_unpaid(uow: UnitOfWork, difference_id: UUID, *, dry_run: bool) -> Repair:
    """Settle the difference of an order that was cancelled now, or would be. Raises as `repair`."""
    row = await difference_records.get_difference(uow, difference_id, for_update=True)
    _check_repairable(row)
    try:
        async with uow.savepoint():
            settled = await difference_records.settle(uow, difference_id, "repaired")
            done = Repair(dry_run=dry_run, status="processed", difference=difference_records.difference(settled))
            if dry_run:
                raise _Undone(done)
    except _Undone as undone:
        return undone.repair
    after = {"state": "repaired", "kind": row["kind"], "order": row["order_number"]}
    uow.audit("payment_difference.repair", "payment_difference", row["id"], before={"state": "open"}, after=after)
    return done


# --- many


async def begin(uow: UnitOfWork, message: RepairReconciliation) -> RepairBegun:
    """Count what can be repaired, and leave a job for it. Raises ReconciliationNotFound."""
    reconciliation = await records.get_reconciliation(uow, message.reconciliation_id)
    kinds = await difference_records.count_repairable(uow, reconciliation.id, message.kind)
    count = sum(kinds.values())
    if message.dry_run or not count:
        return RepairBegun(differences=count, kinds=kinds)
    meant = {"reconciliation_id": str(reconciliation.id), "gateway_id": str(reconciliation.gateway_id)}
    parameters = {**meant, "kind": message.kind}
    job = await jobs.create(uow, JOB, parameters, total=count)
    uow.audit("reconciliation.repair", "reconciliation", reconciliation.id, after={"kinds": kinds, "job": str(job.id)})
    return RepairBegun(differences=count, kinds=kinds, job=job)


async def run(job: jobs.RunningJob) -> None:
    """Repair one after the other, some in each step; what does not fit is left as it is and counted."""
    told = job.parameters
    job.act_for_requester()
    while True:
        async with job.step() as uow:
            after = None if "last" not in job.checkpoint else UUID(job.checkpoint["last"])
            ids = await difference_records.list_repairable(
                uow, UUID(told["reconciliation_id"]), told["kind"], after, _AT_ONCE
            )
            if not ids:
                return
            for difference_id in ids:
                job.count(await _try(uow, difference_id))
            job.done += len(ids)
            job.checkpoint["last"] = str(ids[-1])
            await reconciling.watch(uow, UUID(told["gateway_id"]))


async def _try(uow: UnitOfWork, difference_id: UUID) -> str:
    try:
        return (await repair(uow, difference_id)).difference.state
    except CrossdockError:
        return "left"


async def dismiss(uow: UnitOfWork, difference_id: UUID, reason: str) -> Any:
    """Settle by hand. Returns the row. Raises DifferenceNotFound, DifferenceIsSettled."""
    row = await difference_records.get_difference(uow, difference_id, for_update=True)
    if row["state"] not in OPEN:
        raise DifferenceIsSettled(f"The difference is {row['state']} already.")
    settled = await difference_records.settle(uow, difference_id, "dismissed", reason=reason)
    before = {"state": row["state"], "kind": row["kind"]}
    after = {"state": "dismissed"}
    uow.audit("payment_difference.dismiss", "payment_difference", row["id"], before=before, after=after, reason=reason)
    await reconciling.watch(uow, row["gateway_id"])
    return settled
