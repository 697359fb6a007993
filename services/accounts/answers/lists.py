"""Messages about the lists over all services: jobs, the audit log, alerts."""

from services.accounts.permissions import ANY_READ
from services.accounts.use_cases import alerts, audit, imports, jobs
from shared.contracts.accounts.lists import (
    AcknowledgeAlert,
    Alert,
    CancelJob,
    GetJob,
    ListAlerts,
    ListAuditLog,
    ListImports,
    ListJobs,
)
from shared.contracts.base import Page
from shared.contracts.platform.imports import GROUPS, Import
from shared.contracts.platform.shapes import AuditEntry, Job
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(ListJobs, scope=ANY_READ)
async def list_jobs(message: ListJobs, uow: UnitOfWork) -> Page[Job]:
    return await jobs.list_jobs(uow, message)


@answers(GetJob, scope=ANY_READ)
async def get_job(message: GetJob, uow: UnitOfWork) -> Job:
    return await jobs.get_job(uow, message.job_id)


@answers(CancelJob, scope=ANY_READ)
async def cancel_job(message: CancelJob, uow: UnitOfWork) -> Job:
    """The scope is that of the service the job belongs to, which is known once the job is found."""
    return await jobs.cancel_job(uow, message.job_id)


@answers(ListImports, scope=tuple(f"{service}:read" for service in dict.fromkeys(GROUPS.values())))
async def list_imports(message: ListImports, uow: UnitOfWork) -> Page[Import]:
    return await imports.list_imports(uow, message)


@answers(ListAuditLog, scope="accounts:read")
async def list_audit_log(message: ListAuditLog, uow: UnitOfWork) -> Page[AuditEntry]:
    return await audit.list_entries(uow, message)


@answers(ListAlerts, scope=ANY_READ)
async def list_alerts(message: ListAlerts, uow: UnitOfWork) -> Page[Alert]:
    return await alerts.list_alerts(uow, message)


@answers(AcknowledgeAlert, scope=ANY_READ)
async def acknowledge_alert(message: AcknowledgeAlert, uow: UnitOfWork) -> Alert:
    """The scope is that of the service which raised it."""
    return await alerts.acknowledge(uow, message.alert_id, message.note)
