"""Facts that every service announces in the same words."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from shared import clock
from shared.contracts.base import Event
from shared.contracts.platform.shapes import AuditEntry, Job, Severity


class JobChanged(Event):
    """A job was created, moved on, or came to its end. `version` grows with every change of one job."""

    job: Job
    version: int


class AuditRecorded(Event):
    """Somebody did something worth remembering."""

    entry: AuditEntry


class AlertRaised(Event):
    """Something needs a person. One `cause` is one alert, however often it is raised."""

    service: str
    cause: str
    severity: Severity
    title: str
    detail: str
    shop_id: UUID | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    data: dict[str, Any] = {}
    # Which of a raising and a clearing came last; they may arrive in either order.
    occurred_at: datetime = Field(default_factory=clock.now)


class AlertCleared(Event):
    """What an alert was about is over."""

    service: str
    cause: str
    occurred_at: datetime = Field(default_factory=clock.now)
