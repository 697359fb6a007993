"""Clock in: stored callbacks take effect, waits come to their end, and old forged bytes are dropped."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.exc import DBAPIError

from services.payments import measuring
from services.payments.arrivals import CHECK, PROCESS
from services.payments.errors import ProcessingGaveUp
from services.payments.gateways.apis.registry import LISTERS
from services.payments.models import Callback
from services.payments.repository import added_up, callback_records, difference_records, gateway_records
from services.payments.settings import payments_settings
from services.payments.use_cases import (
    alerting,
    bulk_triage,
    checking,
    processing,
    reconciling,
    refunding,
    repairing,
    sending,
    settling,
)
from shared import blobs, clock
from shared.jobs import RunningJob
from shared.metrics import Measure
from shared.service import every, measures, performs, runs
from shared.unit_of_work import UnitOfWork

_GIVE_UP = "payments.give_up"
_MATCH = "payments.match_differences"
# How long repeats and overflows are rows of their own, which the intake adds without waiting for anybody.
ROWS_KEPT = timedelta(hours=1)
# What another attempt may cure: a deadlock, a lock not given, a neighbour who was a moment faster.
_RETRYABLE = (
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.QueryCanceledError,
    asyncpg.IntegrityConstraintViolationError,
)


@performs(PROCESS, together=True)
async def process_callbacks(payloads: list[dict[str, Any]], uow: UnitOfWork) -> None:
    """Let stored callbacks take effect. Does nothing for one that somebody has let take effect already."""
    retries = {UUID(payload["callback_id"]): payload.get("retries", 0) for payload in payloads}
    callbacks = await callback_records.lock_callbacks(uow, list(retries))
    due = [callback for callback in callbacks if _is_to_be_processed(callback)]
    if len(due) == 1:
        await _try(uow, due[0], retries[due[0].id], _may_wait)
    elif due:
        # What the database refuses here undoes the group, and the worker comes back with each alone.
        await _process(uow, due, _may_wait)


@performs(CHECK)
async def check_callback(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Find out what the network has to tell about a callback, then let it take effect."""
    async with uow.beforehand() as earlier:
        unchecked = await checking.find(earlier, payload)
    if unchecked is not None:
        findings = await checking.look(unchecked)
        await checking.take_in(uow, unchecked, findings, payload.get("checks", 0))


@performs(processing.END_WAIT)
async def end_wait(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Look once more; what is still missing makes the callback a matter for a person."""
    callback = await callback_records.find_callback(uow, UUID(payload["callback_id"]))
    if callback is not None and callback.status == "waiting":
        await _try(uow, callback, 0, _may_not_wait)


@performs(_GIVE_UP)
async def give_up(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Hand a callback that keeps failing on our side to a person."""
    callback_id = await checking.find_callback_id(uow, payload)
    callback = None if callback_id is None else await callback_records.find_callback(uow, callback_id)
    if callback is None or callback.status not in ("received", "waiting", "retrying"):
        return
    gateway = await gateway_records.get_gateway(uow, callback.gateway_id)
    error = ProcessingGaveUp("Processing kept failing on our side; replay it once that is mended.")
    awaited = callback.awaited_order, callback.awaited_payment
    callback.settle("failed", error.code, f"{error.detail} ({callback.detail})" if callback.detail else error.detail)
    # What it waited for may still come.
    callback.awaited_order, callback.awaited_payment = awaited
    await processing.note(uow, [callback], "processing")
    await alerting.callback_failed(uow, callback, gateway)


@performs(alerting.CLEAR)
async def clear_alert(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Clear the alert of callbacks that failed for a reason once none is left that did."""
    await alerting.clear_callbacks(uow, UUID(payload["gateway_id"]), payload["reason"])


@runs(bulk_triage.JOB)
async def triage_callbacks(job: RunningJob) -> None:
    """Do to many callbacks what a person wants done to them."""
    await bulk_triage.run(job)


@performs(refunding.SEND)
async def begin_sending_refund(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Have a requested refund sent, where the gateway's provider can be asked."""
    await sending.begin(uow, UUID(payload["refund_id"]))


@performs(sending.MAKE)
async def send_refund(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Send a refund, and take in what came of it."""
    async with uow.beforehand() as earlier:
        found = await sending.find(earlier, payload)
    if found is not None:
        await sending.take_in(uow, found, await sending.send(found), payload)


@runs(reconciling.JOB)
async def reconcile(job: RunningJob) -> None:
    """Compare what a provider knows with what is known here."""
    await reconciling.run(job)


@runs(settling.JOB)
async def reconcile_file(job: RunningJob) -> None:
    """Compare what a settlement file tells with what is known here."""
    await settling.run(job)


@runs(repairing.JOB)
async def repair_differences(job: RunningJob) -> None:
    """Bring in what a reconciliation found missing."""
    await repairing.run(job)


@performs(reconciling.SCHEDULED)
async def reconcile_by_clock(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Reconcile a gateway for the last days, once for each night."""
    await reconciling.begin_scheduled(uow, UUID(payload["gateway_id"]), datetime.fromisoformat(payload["until"]))


@performs(_MATCH)
async def match_differences(payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Settle the differences of a gateway that are none any more."""
    await reconciling.match(uow, UUID(payload["gateway_id"]))


@every(1800)
async def leave_reconciliations(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Have every gateway reconciled that was not yet since the last night. Tenants do not all begin at once."""
    await uow.execute(
        "INSERT INTO tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT g.organization_id, gen_random_uuid(), $1, json_build_object('gateway_id', g.id, 'until', $2::text),"
        " now() + random() * interval '20 minutes', g.id::text FROM gateways g WHERE g.is_enabled"
        " AND g.provider = ANY($3) AND (g.provider = 'mollie' OR EXISTS (SELECT FROM gateway_credentials c"
        " WHERE (c.organization_id, c.gateway_id) = (g.organization_id, g.id)))"
        " AND NOT EXISTS (SELECT FROM reconciliations r WHERE (r.organization_id, r.gateway_id) ="
        " (g.organization_id, g.id) AND r.is_scheduled AND r.until >= $2::text::timestamptz) ON CONFLICT DO NOTHING",
        reconciling.SCHEDULED,
        reconciling.last_night(clock.now()).isoformat(),
        list(LISTERS),
    )


@every(300)
async def leave_matching(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Have every gateway with open differences looked at again."""
    await uow.execute(
        "INSERT INTO tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT organization_id, gen_random_uuid(), $1, json_build_object('gateway_id', gateway_id), now(),"
        " gateway_id::text FROM differences WHERE state IN ('open', 'waiting') GROUP BY organization_id, gateway_id"
        " ON CONFLICT DO NOTHING",
        _MATCH,
    )


@every(6 * 3600)
async def sweep_settlement_files(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Remove uploaded files that nobody compares any more."""
    await blobs.sweep(settling.FOLDER, timedelta(hours=6), partial(settling.needed_keys, uow))


@every(60)
async def hand_over_parked_callbacks(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """No callback stays `received` or `waiting` for good: one whose task was given up becomes `failed`."""
    await uow.execute(
        "WITH parked AS (DELETE FROM tasks WHERE kind = ANY($1) AND parked_at IS NOT NULL RETURNING *)"
        " INSERT INTO tasks (organization_id, id, kind, payload, due_at)"
        " SELECT organization_id, gen_random_uuid(), $2, payload, now() FROM parked",
        [PROCESS, CHECK, processing.END_WAIT],
        _GIVE_UP,
    )


@every(3600)
async def drop_old_bytes(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Drop the bytes of callbacks after their retention, those that were never genuine sooner.

    That they came, when and from where, what became of them and what makes a repeat of them stays.
    """
    settings, now = payments_settings(), clock.now()
    await callback_records.drop_bytes(uow, ["invalid"], now - settings.invalid_retention, now)
    await callback_records.drop_bytes(uow, ["processed", "ignored", "rejected"], now - settings.callback_retention, now)


@every(3600)
async def remove_superseded_differences(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Each night finds again what nobody has settled yet: of one difference not every finding is kept for good."""
    await difference_records.remove_superseded(uow, clock.now() - payments_settings().callback_retention)


@every(600)
async def add_up(_payload: dict[str, Any], uow: UnitOfWork) -> None:
    """Rows of repeats and of what was not kept become numbers, so that no flood of them stays for good."""
    now = clock.now()
    await added_up.add_up_repeats(uow, now - ROWS_KEPT)
    await added_up.add_up_overflows(uow, now - ROWS_KEPT, now - payments_settings().invalid_retention)


@measures
async def measure_callbacks(uow: UnitOfWork) -> Sequence[Measure]:
    """How many callbacks are not settled, and for how long, by gateway."""
    return await measuring.open_callbacks(uow)


@measures
async def measure_differences(uow: UnitOfWork) -> Sequence[Measure]:
    """How many differences are open, by gateway and kind."""
    return await measuring.open_differences(uow)


def _is_to_be_processed(callback: Callback) -> bool:
    """Received, waiting or retrying; or failed for want of something that has come since."""
    was_missing = callback.awaited_order is not None or callback.awaited_payment is not None
    return callback.status in ("received", "waiting", "retrying") or (callback.status == "failed" and was_missing)


def _may_wait(callback: Callback) -> bool:
    return not processing.has_waited_enough(callback)


def _may_not_wait(_callback: Callback) -> bool:
    return False


async def _process(uow: UnitOfWork, callbacks: Sequence[Callback], may_wait: Callable[[Callback], bool]) -> None:
    await uow.execute("SET LOCAL lock_timeout = '10s'")
    gateways = await gateway_records.get_gateways(uow, [callback.gateway_id for callback in callbacks])
    await processing.process(uow, callbacks, gateways, may_wait=may_wait)


async def _try(uow: UnitOfWork, callback: Callback, retries: int, may_wait: Callable[[Callback], bool]) -> None:
    """Process one callback; what the database refuses is written down, and tried again later."""
    failed_for = callback.reason if callback.status == "failed" else None
    try:
        async with uow.savepoint():
            await _process(uow, [callback], may_wait)
    except (*_RETRYABLE, DBAPIError) as error:
        refusal = _refusal(error)
        if not isinstance(refusal, _RETRYABLE):
            raise
        (await uow.session()).expunge_all()
        if failed_for is not None:
            alerting.callback_recovered(uow, callback, failed_for)
        await _try_later(uow, callback.id, retries, refusal)


def _refusal(error: BaseException) -> BaseException | None:
    """What PostgreSQL said, also from below SQLAlchemy."""
    return error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else error


async def _try_later(uow: UnitOfWork, callback_id: UUID, retries: int, refusal: BaseException) -> None:
    await callback_records.note_retry(uow, callback_id, clock.now(), type(refusal).__name__, str(refusal))
    payload = {"callback_id": str(callback_id), "retries": retries + 1}
    if retries >= processing.MOST_RETRIES:
        uow.defer(_GIVE_UP, payload)
        return
    uow.defer(PROCESS, payload, due_at=_later(retries), key=str(callback_id))


def _later(retries: int) -> datetime:
    return clock.now() + timedelta(seconds=checking.wait_seconds(retries, longest=300, first=1))
