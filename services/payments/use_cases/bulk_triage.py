"""The same done to many callbacks: counted beforehand, done by a job in steps that survive their worker."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.payments.repository import callback_records
from services.payments.repository.callback_records import Meant
from services.payments.use_cases import gateway_setup, triage
from shared import jobs
from shared.contracts.payments.shapes import CallbackFilter
from shared.contracts.payments.triage import CallbackTriage, TriageCallbacks
from shared.unit_of_work import UnitOfWork

JOB = "payments.triage"
_AT_ONCE = 50


async def meant_by(uow: UnitOfWork, told: CallbackFilter) -> Meant:
    """The callbacks a filter means. Raises ShopNotFound."""
    return Meant(
        shop_ids=uow.caller.shop_limit,
        status=told.status,
        gateway_id=told.gateway,
        shop_id=None if told.shop is None else await gateway_setup.get_shop_id(uow, told.shop),
        reason=told.reason,
        since=told.received_since,
        before=told.received_before,
    )


async def begin(uow: UnitOfWork, message: TriageCallbacks) -> CallbackTriage:
    """Count what is meant, and leave a job for it. Raises AcceptanceNotAllowed, ShopNotFound."""
    if message.action == "accept":
        triage.check_may_accept(uow.caller)
    meant = await meant_by(uow, message.filter)
    count, newest = await callback_records.count_unsettled(uow, meant)
    if message.dry_run or newest is None:
        return CallbackTriage(callbacks=count)
    parameters = {
        "action": message.action,
        "reason": message.reason,
        "newest": str(newest),
        "meant": _written(meant),
    }
    job = await jobs.create(uow, JOB, parameters, total=count)
    described = {"action": message.action, "callbacks": count, "filter": message.filter.model_dump(mode="json")}
    uow.audit("callbacks.triage", "job", job.id, after=described, reason=message.reason)
    return CallbackTriage(callbacks=count, job=job)


async def run(job: jobs.RunningJob) -> None:
    """Act on what was meant when the job was asked for: what came later is not."""
    told = job.parameters
    job.act_for_requester()
    meant, newest = _read(told["meant"]), UUID(told["newest"])
    while True:
        async with job.step() as uow:
            last = job.checkpoint.get("last")
            after = None if last is None else UUID(last)
            ids = await callback_records.list_unsettled(uow, meant, after, newest, _AT_ONCE)
            if not ids:
                return
            counts = await triage.act_on_many(uow, ids, told["action"], told["reason"])
            for status, count in counts.items():
                job.count(status, count)
            job.done += len(ids)
            job.checkpoint["last"] = str(ids[-1])


def _written(meant: Meant) -> dict[str, Any]:
    return {
        "shop_ids": None if meant.shop_ids is None else [str(shop_id) for shop_id in meant.shop_ids],
        "status": meant.status,
        "gateway_id": None if meant.gateway_id is None else str(meant.gateway_id),
        "shop_id": None if meant.shop_id is None else str(meant.shop_id),
        "reason": meant.reason,
        "since": None if meant.since is None else meant.since.isoformat(),
        "before": None if meant.before is None else meant.before.isoformat(),
    }


def _read(told: dict[str, Any]) -> Meant:
    def id_of(text: str | None) -> UUID | None:
        return None if text is None else UUID(text)

    def time_of(text: str | None) -> datetime | None:
        return None if text is None else datetime.fromisoformat(text)

    return Meant(
        shop_ids=None if told["shop_ids"] is None else [UUID(each) for each in told["shop_ids"]],
        status=told["status"],
        gateway_id=id_of(told["gateway_id"]),
        shop_id=id_of(told["shop_id"]),
        reason=told["reason"],
        since=time_of(told["since"]),
        before=time_of(told["before"]),
    )
