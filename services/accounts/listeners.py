"""What other services announce and accounts lists."""

from services.accounts.use_cases import alerts, audit, imports, jobs
from shared.contracts.platform.events import AlertCleared, AlertRaised, AuditRecorded, JobChanged
from shared.contracts.platform.imports import ImportChanged
from shared.service import listens
from shared.unit_of_work import UnitOfWork


@listens(JobChanged)
async def list_job_as_it_stands(event: JobChanged, uow: UnitOfWork) -> None:
    """Keep the newest version. Safe to repeat."""
    await jobs.note(uow, event)


@listens(ImportChanged)
async def list_import_as_it_stands(event: ImportChanged, uow: UnitOfWork) -> None:
    """Keep the newest version. Safe to repeat."""
    await imports.note(uow, event)


@listens(AuditRecorded)
async def add_to_audit_log(event: AuditRecorded, uow: UnitOfWork) -> None:
    """Append. Safe to repeat."""
    await audit.note(uow, event)


@listens(AlertRaised)
async def open_or_count_alert(event: AlertRaised, uow: UnitOfWork) -> None:
    """One alert per cause. The inbox sees to it that each raising counts once."""
    await alerts.note_raised(uow, event)


@listens(AlertCleared)
async def close_alert_when_cleared(event: AlertCleared, uow: UnitOfWork) -> None:
    """Close what was raised before. Safe to repeat."""
    await alerts.note_cleared(uow, event)
