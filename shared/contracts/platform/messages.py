"""Asked of any service: each names the service it means."""

from typing import Generic, TypeVar
from uuid import UUID

from shared.contracts.base import Command, Message, Page, Query, Shape
from shared.contracts.platform.shapes import Job, ParkedDelivery, ParkedTask, ServiceName
from shared.pagination import First

A = TypeVar("A")


class Replayed(Shape):
    """How many deliveries or tasks are on their way again."""

    count: int


class OpenDeliveries(Shape):
    """The ids of the question that are not closed yet."""

    event_ids: list[UUID]


class _AnyService(Message[A], Generic[A]):
    service_name: str

    def destination(self) -> str:
        return self.service_name


class _KnownService(_AnyService[A], Generic[A]):
    """Asked from outside: a service that is not there is refused before anything waits for its answer."""

    service_name: ServiceName


class GetJob(_AnyService[Job], Query[Job]):
    """One job, as it stands this moment."""

    job_id: UUID


class CancelJob(_AnyService[Job], Command[Job]):
    """Ask a job to stop at its next step. What it has finished stays, but of an import that takes all rows or none."""

    job_id: UUID


class ListParkedDeliveries(_KnownService[Page[ParkedDelivery]], Query[Page[ParkedDelivery]]):
    """Deliveries of this service's events that listeners kept failing on."""

    first: First = 50
    after: str | None = None


class ReplayDeliveries(_KnownService[Replayed], Command[Replayed]):
    """Send parked deliveries again: the named ones, or all of the organization's."""

    event_ids: list[UUID] | None = None


class ListParkedTasks(_KnownService[Page[ParkedTask]], Query[Page[ParkedTask]]):
    """Work for later that this service kept failing at."""

    first: First = 50
    after: str | None = None


class ReplayTasks(_KnownService[Replayed], Command[Replayed]):
    """Try parked tasks again: the named ones, or all of the organization's."""

    task_ids: list[UUID] | None = None


class StillOpen(_AnyService[OpenDeliveries], Query[OpenDeliveries]):
    """Which of these events the producer would still deliver to the asking service."""

    listener: str
    event_ids: list[UUID]
