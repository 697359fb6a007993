"""Reconciliation by a settlement file: its lines are kept as what the provider told, then compared as a listing is."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.payments.gateways.apis.base import Period, Told
from services.payments.gateways.settlements.registry import get_layout, opened
from services.payments.models import Gateway
from services.payments.repository import gateway_records
from services.payments.repository import reconciliation_records as records
from services.payments.repository.reconciliation_records import Fact
from services.payments.use_cases import reconciling
from shared import blobs, clock
from shared.contracts.payments.reconciliation import CompareSettlementFile, Reconciliation
from shared.errors import CrossdockError
from shared.jobs import JobLost, JobRests, RunningJob
from shared.unit_of_work import UnitOfWork

JOB = "payments.reconcile_file"
# Below it lie the files until they are compared.
FOLDER = "settlements"
_LINES_AT_ONCE = 1000


async def begin(uow: UnitOfWork, message: CompareSettlementFile) -> Reconciliation:
    """Leave a job for an uploaded file. Raises PaymentGatewayNotFound, UnknownSettlementLayout,
    InvalidSettlementFile, InvalidPeriod, PeriodInFuture, ReconciliationRunning.
    """
    head = await _head(uow.organization_id, message.key)
    gateway = await gateway_records.get_gateway(uow, message.gateway_id)
    opened(get_layout(message.layout), head)
    period = _period(message.since, message.until)
    parameters = {"key": message.key, "layout": message.layout}
    file: dict[str, Any] = {"layout": message.layout, "file_name": message.file_name}
    return await reconciling.add(uow, gateway, "file", period, kind=JOB, parameters=parameters, **file)


def _period(since: datetime | None, until: datetime | None) -> Period | None:
    return None if since is None and until is None else reconciling.checked_period(since, until)


async def _head(organization_id: UUID, key: str) -> bytes:
    """The first whole lines of a file."""
    async for piece in blobs.get_stream(organization_id, key):
        whole, newline, _ = piece.rpartition(b"\n")
        return whole if newline else piece
    return b""


async def run(job: RunningJob) -> None:
    """As `reconciling.run`; the file goes with the job's end, as it may say who paid."""
    try:
        await reconciling.run(job, read_file)
    except (JobRests, JobLost):
        raise
    except CrossdockError as error:
        if error.status not in (503, 504):
            await blobs.delete(job.organization_id, job.parameters["key"])
        raise
    await blobs.delete(job.organization_id, job.parameters["key"])


async def read_file(job: RunningJob, reconciliation: Reconciliation) -> None:
    """Keep what the lines tell, some in each step. Raises InvalidSettlementFile."""
    if "is_read" not in job.checkpoint:
        uow = job.unit_of_work()
        try:
            gateway = await gateway_records.get_gateway(uow, reconciliation.gateway_id)
        finally:
            await uow.rollback()
        content = await blobs.get(job.organization_id, job.parameters["key"])
        told = await asyncio.to_thread(_told, job.parameters["layout"], content, gateway)
        await _keep(job, reconciliation, told)
    if reconciliation.since is not None:
        await _find_untold(job, reconciliation)


def _told(layout: str, content: bytes, gateway: Gateway) -> list[Told]:
    reader = get_layout(layout)
    return list(reader.read(opened(reader, content).lines, gateway.settings))


async def _keep(job: RunningJob, reconciliation: Reconciliation, told: Sequence[Told]) -> None:
    job.total = len(told)
    at = clock.now()
    while "is_read" not in job.checkpoint:
        start = job.checkpoint.get("line", 0)
        some = told[start : start + _LINES_AT_ONCE]
        async with job.step() as uow:
            await records.keep_facts(uow, reconciliation.id, [_fact(each, at) for each in some])
            job.count("read", len(some))
            job.done += len(some)
            job.checkpoint |= {"line": start + len(some)} if some else {"is_read": True}


def _fact(told: Told, at: datetime) -> Fact:
    if told.notice is None:
        return Fact(told.reference, told.reference, None, told.problem, at)
    return Fact(told.reference, told.notice.payment, told.notice, None, told.notice.occurred_at or at)


async def _find_untold(job: RunningJob, reconciliation: Reconciliation) -> None:
    """Where a period is named the file is said to have all of it: what it does not tell of is not known there."""
    while "is_asked" not in job.checkpoint:
        after = None if "asked" not in job.checkpoint else UUID(job.checkpoint["asked"])
        async with job.step() as uow:
            untold = await records.list_untold(uow, reconciliation, after, _LINES_AT_ONCE)
            facts = [Fact(f"payment {name}", name, None, None, clock.now()) for _, name in untold]
            await records.keep_facts(uow, reconciliation.id, facts)
            job.checkpoint |= {"asked": str(untold[-1][0])} if untold else {"is_asked": True}


async def needed_keys(uow: UnitOfWork, organization_id: UUID, _keys: Sequence[str]) -> Collection[str]:
    """The files that are still to be compared. Across tenants."""
    rows = await uow.fetch(
        "SELECT parameters->>'key' AS key FROM jobs WHERE organization_id = $1 AND kind = $2"
        " AND state IN ('queued', 'running')",
        organization_id,
        JOB,
    )
    return {row["key"] for row in rows}
