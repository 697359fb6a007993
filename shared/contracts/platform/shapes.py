"""Shapes that every service has: jobs, audit entries, alerts, parked work."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from shared.contracts.base import Shape

# Who can be asked. Asking a service that is not there would wait for an answer that never comes.
ServiceName = Literal["accounts", "catalog", "inventory", "orders", "payments", "search", "sync"]
JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Severity = Literal["info", "warning", "error"]


class Actor(Shape):
    """Who did it: a client, a person, a service or nobody known, and from which address."""

    kind: str
    id: UUID | None = None
    name: str = ""
    address: str | None = None


class JobProgress(Shape):
    """`total` is null while it is not known."""

    done: int
    total: int | None = None


class ResultFile(Shape):
    """A file a job made. `key` is its place in the blob store, within the organization."""

    name: str
    key: str
    media_type: str
    size: int


class Job(Shape):
    """Long work: where it stands, who asked for it, what came of it.

    `subject` is what it is about, where its kind says so: for search `shops`, and the first `skus`, `product_ids` or
    `category_ids` that were named.
    """

    id: UUID
    service: str
    kind: str
    state: JobState
    progress: JobProgress
    counters: dict[str, int]
    requested_by: Actor
    cancel_requested: bool = False
    error: dict[str, Any] | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result_files: list[ResultFile] = []
    log: list[str] = []
    subject: dict[str, Any] | None = None


class AuditEntry(Shape):
    """Who did what to what, with the values before and after."""

    id: UUID
    service: str
    occurred_at: datetime
    actor: Actor
    action: str
    subject_kind: str
    subject_id: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    reason: str | None = None
    request_id: str | None = None


class ParkedDelivery(Shape):
    """An event that a listener kept failing on. It stays until it is replayed."""

    service: str
    event_id: UUID
    event: str
    listener: str
    failures: int
    last_error: str | None
    parked_at: datetime
    payload: dict[str, Any]


class ParkedTask(Shape):
    """Work for later that kept failing. It stays until it is replayed."""

    service: str
    id: UUID
    kind: str
    failures: int
    last_error: str | None
    parked_at: datetime
    payload: dict[str, Any]
