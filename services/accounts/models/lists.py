"""Alerts, as they stand after what was raised and cleared, in whatever order that was heard."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, DateTime, Text, Uuid
from sqlmodel import Field

from services.accounts.models.base import Base
from shared.bus.envelope import Caller
from shared.contracts.accounts.lists import Alert
from shared.contracts.platform.events import AlertRaised
from shared.contracts.platform.shapes import Actor, Severity

_TIME: Any = DateTime(timezone=True)
_JSON: Any = JSON(none_as_null=True)


class AlertRow(Base, table=True):
    """One cause. It is open while it was raised after it was last cleared; one that was only cleared is not listed."""

    __tablename__: ClassVar[str] = "alerts"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    service: str
    cause: str
    severity: Severity | None = Field(default=None, sa_type=Text)
    title: str = ""
    detail: str = ""
    shop_id: UUID | None = Field(default=None, sa_type=Uuid)
    subject_kind: str | None = None
    subject_id: str | None = None
    data: dict[str, Any] = Field(default_factory=dict, sa_type=_JSON)
    count: int = 0
    first_raised_at: datetime | None = Field(default=None, sa_type=_TIME)
    last_raised_at: datetime | None = Field(default=None, sa_type=_TIME)
    cleared_at: datetime | None = Field(default=None, sa_type=_TIME)
    acknowledged_at: datetime | None = Field(default=None, sa_type=_TIME)
    acknowledged_by: dict[str, Any] | None = Field(default=None, sa_type=_JSON)
    note: str | None = None
    mailed_at: datetime | None = Field(default=None, sa_type=_TIME)

    @property
    def is_open(self) -> bool:
        return self.last_raised_at is not None and (self.cleared_at is None or self.cleared_at < self.last_raised_at)

    @property
    def wants_mail(self) -> bool:
        """Whether nobody was mailed since it began."""
        is_mailed = self.mailed_at is not None and self.first_raised_at is not None
        return self.is_open and self.severity != "info" and not (is_mailed and self.mailed_at >= self.first_raised_at)  # type: ignore[operator]

    def was_raised(self, event: AlertRaised) -> bool:
        """Count a raising. False: it was cleared later than that. The first after a clearing is a new matter."""
        if self.cleared_at is not None and self.cleared_at >= event.occurred_at:
            return False
        if not self.is_open:
            self.count, self.first_raised_at, self.last_raised_at = 0, None, None
            self.acknowledged_at, self.acknowledged_by, self.note = None, None, None
        self.count += 1
        self.first_raised_at = min(self.first_raised_at or event.occurred_at, event.occurred_at)
        if self.last_raised_at is None or self.last_raised_at <= event.occurred_at:
            self._describe(event)
        return True

    def _describe(self, event: AlertRaised) -> None:
        self.last_raised_at = event.occurred_at
        self.severity, self.title, self.detail = event.severity, event.title, event.detail
        self.shop_id, self.data = event.shop_id, event.data
        self.subject_kind, self.subject_id = event.subject_kind, event.subject_id

    def was_cleared(self, at: datetime) -> None:
        self.cleared_at = max(self.cleared_at or at, at)

    def is_seen_by(self, caller: Caller, services: Sequence[str]) -> bool:
        """Whether it is listed for a caller who may read `services`."""
        is_in_reach = self.shop_id is None or caller.sees_shop(self.shop_id)
        return self.last_raised_at is not None and self.service in services and is_in_reach

    def shape(self) -> Alert:
        """Only of what was raised."""
        assert self.severity is not None
        assert self.first_raised_at is not None
        assert self.last_raised_at is not None
        return Alert(
            id=self.id,
            service=self.service,
            cause=self.cause,
            state="open" if self.is_open else "cleared",
            severity=self.severity,
            title=self.title,
            detail=self.detail,
            count=self.count,
            shop_id=self.shop_id,
            subject_kind=self.subject_kind,
            subject_id=self.subject_id,
            data=self.data,
            first_raised_at=self.first_raised_at,
            last_raised_at=self.last_raised_at,
            cleared_at=None if self.is_open else self.cleared_at,
            acknowledged_at=self.acknowledged_at,
            acknowledged_by=Actor(**self.acknowledged_by) if self.acknowledged_by else None,
            note=self.note,
        )
