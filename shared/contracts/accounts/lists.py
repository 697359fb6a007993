"""What happens in all services, in one place: jobs, the audit log, alerts. Asked of accounts."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.platform.imports import Import, ImportState
from shared.contracts.platform.shapes import Actor, AuditEntry, Job, JobState, Severity
from shared.pagination import First

AlertState = Literal["open", "cleared"]
_Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class Alert(Shape):
    """Something that needs a person: one per cause, with how often it was raised since it was last over."""

    id: UUID
    service: str
    cause: str
    state: AlertState
    severity: Severity
    title: str
    detail: str
    count: int
    shop_id: UUID | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    data: dict[str, Any] = {}
    first_raised_at: datetime
    last_raised_at: datetime
    cleared_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: Actor | None = None
    note: str | None = None


class ListJobs(Query[Page[Job]]):
    """Jobs of every service the caller may read, newest first. Who is limited to shops sees the own ones."""

    state: JobState | None = None
    kind: _Word | None = None
    service_name: _Word | None = None
    first: First = 50
    after: str | None = None


class GetJob(Query[Job]):
    """One job as it stands this moment, asked of the service that runs it."""

    job_id: UUID


class CancelJob(Command[Job]):
    """Ask a job to stop at its next step. What it has finished stays."""

    job_id: UUID


class ListImports(Query[Page[Import]]):
    """Imports of every service the caller may read, newest first. Who is limited to shops sees those of these.

    `shop` is a shop's code, `requested_by` the id of whoever started it.
    """

    group: _Word | None = None
    state: ImportState | None = None
    shop: _Word | None = None
    requested_by: UUID | None = None
    first: First = 50
    after: str | None = None


class ListAuditLog(Query[Page[AuditEntry]]):
    """Who did what, newest first. Who is limited to shops sees the own deeds.

    `action` may end in `.*` for everything that begins so; `actor` is an id; `since` is included and `until` is not.
    """

    actor: UUID | None = None
    action: _Word | None = None
    service_name: _Word | None = None
    subject_kind: _Word | None = None
    subject_id: _Word | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    first: First = 50
    after: str | None = None


class ListAlerts(Query[Page[Alert]]):
    """Alerts of every service the caller may read, the one raised last first.

    Who is limited to shops sees those of these shops and those that belong to no shop.
    """

    state: AlertState | None = None
    severity: Severity | None = None
    service_name: _Word | None = None
    shop_id: UUID | None = None
    first: First = 50
    after: str | None = None


class AcknowledgeAlert(Command[Alert]):
    """Say that somebody is seeing to it. When it is over and happens again it is a new matter."""

    alert_id: UUID
    note: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] | None = None
