"""Jobs, the audit log and alerts of all services."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.request import Ask
from gateway.sparse import PARAMETER
from shared import clock
from shared.bus.ask import Asker
from shared.contracts.accounts.lists import (
    AcknowledgeAlert,
    Alert,
    AlertState,
    CancelJob,
    GetJob,
    ListAlerts,
    ListAuditLog,
    ListJobs,
)
from shared.contracts.base import Page, Shape
from shared.contracts.platform.shapes import AuditEntry, Job, JobState, Severity
from shared.errors import Invalid
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["operations"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
ServiceFilter = Annotated[str | None, Query(max_length=200, description="Of this service alone.")]
Word = Annotated[str | None, Query(max_length=200)]


class NoFieldsInCsv(Invalid):
    """Sparse fields are of JSON alone."""


# --- jobs


@router.get("/jobs")
async def list_jobs(
    ask: Ask,
    state: JobState | None = None,
    kind: Word = None,
    service: ServiceFilter = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Job]:
    """Long work of every service that you may read, newest first."""
    return await ask(ListJobs(state=state, kind=kind, service_name=service, first=first, after=after))


@router.get("/jobs/{job_id}")
async def get_job(job_id: UUID, ask: Ask) -> Job:
    """One job as it stands this moment: state, progress, counters, log and result files."""
    return await ask(GetJob(job_id=job_id))


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: UUID, ask: Ask) -> Job:
    """Ask a job to stop at its next step. What it has finished stays. A job that is over: 409 `job_is_over`."""
    return await ask(CancelJob(job_id=job_id))


# --- audit log

_FilterOfAction = Annotated[
    str | None, Query(max_length=200, description="`user.create`, or `user.*` for all that begins so.")
]
_FilterOfSubject = Annotated[
    str | None, Query(max_length=401, description="A kind (`user`), or a kind and an id (`user:01a2…`).")
]
_From = Annotated[AwareDatetime | None, Query(alias="from", description="From this moment on, with a time zone.")]
_To = Annotated[AwareDatetime | None, Query(alias="to", description="Until before this moment, with a time zone.")]
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
_COLUMNS = (
    "occurred_at", "service", "actor_kind", "actor_id", "actor_name", "address", "action", "subject_kind",
    "subject_id", "reason", "before", "after", "request_id", "id",
)  # fmt: skip
_ROWS_AT_ONCE = 200
# What a spreadsheet would take for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@router.get("/audit-log", responses=_CSV, response_model=Page[AuditEntry])
async def list_audit_log(
    request: Request,
    ask: Ask,
    actor: UUID | None = None,
    action: _FilterOfAction = None,
    service: ServiceFilter = None,
    subject: _FilterOfSubject = None,
    since: _From = None,
    until: _To = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[AuditEntry] | Response:
    """Who did what to what, when and from where, newest first. Nothing in it is ever changed or taken out.

    With `Accept: text/csv` all that matches comes as one CSV file, as it does at `/v1/audit-log.csv`.
    """
    message = _audit_question(actor, action, service, subject, since, until)
    if "text/csv" in request.headers.get("accept", ""):
        if PARAMETER in request.query_params:
            raise NoFieldsInCsv("The CSV file has all its columns: leave 'fields' out.")
        return await _as_csv(ask, message)
    return await ask(message.model_copy(update={"first": first, "after": after}))


@router.get("/audit-log.csv", responses=_CSV, response_class=StreamingResponse)
async def export_audit_log(
    ask: Ask,
    actor: UUID | None = None,
    action: _FilterOfAction = None,
    service: ServiceFilter = None,
    subject: _FilterOfSubject = None,
    since: _From = None,
    until: _To = None,
) -> Response:
    """The audit log as a CSV file. Cells that a spreadsheet would take for a formula begin with an apostrophe."""
    return await _as_csv(ask, _audit_question(actor, action, service, subject, since, until))


def _audit_question(
    actor: UUID | None,
    action: str | None,
    service: str | None,
    subject: str | None,
    since: AwareDatetime | None,
    until: AwareDatetime | None,
) -> ListAuditLog:
    kind, _, subject_id = (subject or "").partition(":")
    return ListAuditLog(
        actor=actor,
        action=action,
        service_name=service,
        subject_kind=kind or None,
        subject_id=subject_id or None,
        since=since,
        until=until,
    )


async def _as_csv(ask: Asker, message: ListAuditLog) -> Response:
    """Page by page, as it is asked for. What happens meanwhile is not in it; the first page is asked before the answer
    begins, so that a refusal is still an answer of its own."""
    question = message.model_copy(update={"first": _ROWS_AT_ONCE, "until": message.until or clock.now()})
    first_page = await ask(question)

    async def lines() -> AsyncIterator[str]:
        page = first_page
        yield _csv([_COLUMNS])
        while True:
            yield _csv([_cells(entry) for entry in page.items])
            if page.next is None:
                return
            page = await ask(question.model_copy(update={"after": page.next}))

    headers = {"Content-Disposition": 'attachment; filename="audit-log.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _cells(entry: AuditEntry) -> list[str]:
    actor = entry.actor
    before, after = (None if value is None else orjson.dumps(value).decode() for value in (entry.before, entry.after))
    cells = [
        entry.occurred_at.isoformat(), entry.service, actor.kind, actor.id, actor.name, actor.address, entry.action,
        entry.subject_kind, entry.subject_id, entry.reason, before, after, entry.request_id, entry.id,
    ]  # fmt: skip
    return [_harmless("" if cell is None else str(cell)) for cell in cells]


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _csv(rows: Sequence[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


# --- alerts


class Acknowledgement(Shape):
    """What is being done about it."""

    note: Annotated[str, Field(max_length=1000)] | None = None


@router.get("/alerts")
async def list_alerts(
    ask: Ask,
    state: AlertState | None = None,
    severity: Severity | None = None,
    service: ServiceFilter = None,
    shop_id: UUID | None = None,
    first: First = 50,
    after: Cursor = None,
) -> Page[Alert]:
    """What needs a person, the one raised last first: one alert per cause, with how often it was raised.

    A person who is limited to shops sees the alerts of these, and those that belong to no shop.
    """
    message = ListAlerts(
        state=state, severity=severity, service_name=service, shop_id=shop_id, first=first, after=after
    )
    return await ask(message)


@router.post("/alerts/{alert_id}/acknowledge")
async def acknowledge_alert(alert_id: UUID, ask: Ask, body: Acknowledgement | None = None) -> Alert:
    """Say that somebody is seeing to it. It stays until its cause is over."""
    return await ask(AcknowledgeAlert(alert_id=alert_id, note=body.note if body else None))
