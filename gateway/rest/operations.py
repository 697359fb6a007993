"""What is parked: events that a listener kept failing on, and tasks that a service kept failing at."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from gateway.request import Ask
from shared.contracts.base import Page, Shape
from shared.contracts.platform.messages import (
    ListParkedDeliveries,
    ListParkedTasks,
    ReplayDeliveries,
    Replayed,
    ReplayTasks,
)
from shared.contracts.platform.shapes import ParkedDelivery, ParkedTask, ServiceName
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["operations"])

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class Replay(Shape):
    """Whose events, and which of them; all that are parked when none is named."""

    service: ServiceName
    event_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None


class TaskReplay(Shape):
    """Whose tasks, and which of them; all that are parked when none is named."""

    service: ServiceName
    task_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None


@router.get("/parked-deliveries")
async def list_parked_deliveries(
    service: ServiceName, ask: Ask, first: First = 50, after: Cursor = None
) -> Page[ParkedDelivery]:
    """Events of a service that a listener kept failing on, with the listener's last error and the event itself."""
    return await ask(ListParkedDeliveries(service_name=service, first=first, after=after))


@router.post("/parked-deliveries/replay")
async def replay_parked_deliveries(body: Replay, ask: Ask) -> Replayed:
    """Send parked events again: the named ones, or all of the service's."""
    return await ask(ReplayDeliveries(service_name=body.service, event_ids=body.event_ids))


@router.get("/parked-tasks")
async def list_parked_tasks(
    service: ServiceName, ask: Ask, first: First = 50, after: Cursor = None
) -> Page[ParkedTask]:
    """Work for later that a service kept failing at, with the last error and what was to be done."""
    return await ask(ListParkedTasks(service_name=service, first=first, after=after))


@router.post("/parked-tasks/replay")
async def replay_parked_tasks(body: TaskReplay, ask: Ask) -> Replayed:
    """Try parked tasks again: the named ones, or all of the service's."""
    return await ask(ReplayTasks(service_name=body.service, task_ids=body.task_ids))
