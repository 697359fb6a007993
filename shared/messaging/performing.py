"""Doing tasks in one process: each within a time of its own, and never so many at once that events cannot be heard."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from shared.bus.answering import translated
from shared.contracts.platform.events import AlertRaised
from shared.errors import CrossdockError, DeadlineExceeded
from shared.identifiers import new_id
from shared.jobs import JobRunner
from shared.messaging import tasks
from shared.messaging.limits import within
from shared.messaging.relay import Relay
from shared.messaging.sweeping import Transaction
from shared.messaging.tasks import ClaimedTask, DueTask
from shared.service import Service
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.performing")

# Of the jobs that arq runs at once the rest is kept for events: a mail server that hangs must not stop the audit log.
PARTIES_AT_ONCE = 12
_FULL_DEFER_SECONDS = 0.25
# Both together stay below a task's lease: what is begun ends, or counts as failed, while it is still ours.
TASK_SECONDS = 45.0
PARTY_SECONDS = 12.0


class TaskLost(Exception):
    """The task's lease ended while it worked; somebody else has it."""


class TaskTookTooLong(DeadlineExceeded):
    """A task did not end within its time; what it did was undone."""


class _NobodyPerforms(CrossdockError):
    code = "nobody_performs"
    title = "No function performs this task"


class TaskRunner:
    """Claims and does the tasks of one service."""

    def __init__(
        self,
        service: Service,
        relay: Relay,
        jobs: JobRunner,
        transaction: Transaction,
        unit_of_work: Callable[[UUID | None], UnitOfWork],
    ) -> None:
        self._service = service
        self._relay = relay
        self._jobs = jobs
        self._transaction = transaction
        self._unit_of_work = unit_of_work
        self._parties = 0

    async def perform(self, due: list[list[str]]) -> None:
        """Do what is still due of these tasks, or leave them on the queue while enough are being done."""
        if self._parties >= PARTIES_AT_ONCE:
            await self._relay.send_party(self._service.name, due, defer_seconds=_FULL_DEFER_SECONDS)
            return
        by_organization: dict[UUID | None, list[UUID]] = {}
        for organization_id, task_id in due:
            by_organization.setdefault(UUID(organization_id) if organization_id else None, []).append(UUID(task_id))
        self._parties += 1
        try:
            ends_at = asyncio.get_running_loop().time() + PARTY_SECONDS
            for organization, task_ids in by_organization.items():
                await self._perform_of(organization, task_ids, ends_at)
        finally:
            self._parties -= 1

    async def _perform_of(self, organization: UUID | None, task_ids: list[UUID], ends_at: float) -> None:
        async with self._transaction(organization) as uow:
            claimed = await tasks.claim(uow, task_ids, new_id(), organization)
        groups = self._groups(claimed)
        while groups and asyncio.get_running_loop().time() < ends_at:
            groups += await self.perform_group(groups.pop(0))
        await self._release([task for group in groups for task in group])

    def _groups(self, claimed: Sequence[ClaimedTask]) -> list[list[ClaimedTask]]:
        """Tasks whose handler takes them together, by kind; every other alone, and so is what failed before."""
        groups: dict[object, list[ClaimedTask]] = {}
        for task in claimed:
            handler = self._service.tasks.get(task.kind)
            is_together = handler is not None and handler.together and not task.failures
            groups.setdefault(task.kind if is_together else task.id, []).append(task)
        return list(groups.values())

    async def perform_group(self, group: Sequence[ClaimedTask]) -> list[list[ClaimedTask]]:
        """Do tasks in one transaction. When that fails for several, returns them for being tried each in its own.

        Several that took too long have failed: there is no time left to try them here, and next time each is alone.
        """
        try:
            await self._take_effect(group)
        except Exception as error:
            if len(group) > 1 and not isinstance(error, TaskTookTooLong):
                log.info("tasks_split", service=self._service.name, kind=group[0].kind, error=repr(error))
                return [[task] for task in group]
            for task in [] if isinstance(error, TaskLost) else group:
                await self._give_back(task, translated(error, f"task {task.kind}", task.id.hex))
        return []

    async def _take_effect(self, group: Sequence[ClaimedTask]) -> None:
        """Do tasks of one kind and organization, and remove them, in one transaction.

        Raises TaskLost, TaskTookTooLong.
        """
        uow = self._unit_of_work(group[0].organization_id)

        async def take(uow: UnitOfWork) -> None:
            if not await tasks.finish(uow, group):
                raise TaskLost

        uow.when_opened(take)
        try:
            async with within(TASK_SECONDS, TaskTookTooLong):
                await self._handle(group, uow)
                await uow.connection()
                await uow.commit()
        except BaseException:
            await uow.rollback()
            raise

    async def _handle(self, group: Sequence[ClaimedTask], uow: UnitOfWork) -> None:
        first = group[0]
        if first.kind == "job.wake" and first.organization_id is not None:
            self._jobs.start(first.organization_id, UUID(first.payload["job_id"]))
        handler = self._service.tasks.get(first.kind)
        if handler is not None:
            await handler.function([task.payload for task in group] if handler.together else first.payload, uow)
        elif first.kind != "job.wake":
            raise _NobodyPerforms(f"The service '{self._service.name}' performs no '{first.kind}'.")

    async def _release(self, left: Sequence[ClaimedTask]) -> None:
        """Give tasks back untried, for whoever is free."""
        if not left:
            return
        async with self._transaction(left[0].organization_id) as uow:
            await tasks.release(uow, left)
        self._relay.wake(self._service.name, [DueTask(task.id, task.organization_id) for task in left])

    async def _give_back(self, task: ClaimedTask, error: CrossdockError) -> None:
        counts = error.status != 503
        async with self._transaction(task.organization_id) as uow:
            parked = await tasks.note_failure(uow, task, f"{error.code}: {error.detail}", counts=counts)
            if parked and task.organization_id is not None:
                uow.record(
                    AlertRaised(
                        service=self._service.name,
                        cause=f"{self._service.name}.task.{task.kind}",
                        severity="error",
                        title=f"The task '{task.kind}' keeps failing",
                        detail=f"{error.code}: {error.detail}",
                        subject_kind="task",
                        subject_id=str(task.id),
                    )
                )


__all__ = ["TaskLost", "TaskRunner", "TaskTookTooLong"]
