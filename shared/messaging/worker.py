"""A service's background work in one process: what arq wakes it for, receipts, and the sweeper that forgets nothing.

Any number of these may run for one service, on any number of hosts; they share the work through PostgreSQL's row locks.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
import structlog
from arq.connections import ArqRedis
from arq.worker import Worker as ArqWorker
from arq.worker import func

from shared import background, jobs
from shared.backlog import BacklogSettings
from shared.bus.answering import Surroundings
from shared.bus.envelope import service_envelope
from shared.contracts.platform.events import AlertRaised
from shared.database import POSTGRES_AWAY
from shared.errors import CrossdockError
from shared.messaging import inbox, receipts, sweeping, tasks
from shared.messaging.performing import TaskRunner
from shared.messaging.relay import Batch, Relay
from shared.redis_connection import REDIS_AWAY, RedisAddress
from shared.service import Service, TaskHandler
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.worker")

POLL_SECONDS = 0.05
SWEEP_SECONDS = 1.0
_RECEIPT_PAUSE_SECONDS = 0.02
# After so many deliveries were closed at once the next ones gather for longer.
_MANY_CLOSED = 50
_BUSY_RECEIPT_PAUSE_SECONDS = 0.2
_RESTART_SECONDS = 0.3
# What goes wrong in the weather around a loop, not in the loop: it is logged, and the loop goes on.
WEATHER = (*REDIS_AWAY, *POSTGRES_AWAY, CrossdockError)


class Worker:
    """Listens, performs tasks and runs jobs for one service."""

    def __init__(self, service: Service, surroundings: Surroundings, relay: Relay, address: RedisAddress) -> None:
        self.service = service
        self._surroundings = surroundings
        self._relay = relay
        self._address = address
        self._redis = address.connect()
        self._blocking = address.connect(blocking=True)
        self._jobs = jobs.JobRunner(service, surroundings)
        self._tasks = TaskRunner(service, relay, self._jobs, self._transaction, self._unit_of_work)
        self._sent = sweeping.Sent()
        self._housekeeping_at = 0.0
        self._late_seconds = BacklogSettings().delivery_seconds
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more; what was taken finishes or is given back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop()`."""
        loops = [
            asyncio.create_task(self._forever("queue", self._run_arq)),
            asyncio.create_task(self._forever("receipts", self._read_receipts)),
            asyncio.create_task(self._forever("sweeper", self._sweep)),
        ]
        await self._stopping.wait()
        await background.end(*loops)
        await self._jobs.stop()
        await self._redis.aclose()
        await self._blocking.aclose()

    async def _forever(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Keep a loop alive: arq dies when Redis restarts, and nothing may stay dead."""
        while not self._stopping.is_set():
            try:
                await loop()
            except asyncio.CancelledError:
                # arq hands on the cancellation of its own jobs when it dies; only one that is meant for us ends us.
                if (own := asyncio.current_task()) is None or own.cancelling():
                    raise
                log.warning("loop_restarts", service=self.service.name, loop=name, error="cancelled from within")
            except WEATHER as error:
                log.warning("loop_restarts", service=self.service.name, loop=name, error=str(error))
            except Exception as error:
                log.error("loop_failed", service=self.service.name, loop=name, exc_info=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _RESTART_SECONDS)

    # --- what arq wakes us for

    async def _run_arq(self) -> None:
        pool = ArqRedis(connection_pool=self._address.connect().connection_pool)
        worker = ArqWorker(
            functions=self._functions(),
            redis_pool=pool,
            queue_name=self._address.work(self.service.name),
            health_check_key=self._address.name("health", self.service.name),
            poll_delay=POLL_SECONDS,
            max_jobs=20,
            max_tries=1,
            keep_result=0,
            handle_signals=False,
            job_serializer=msgspec.msgpack.encode,
            job_deserializer=msgspec.msgpack.decode,
        )
        try:
            await worker.async_run()
        finally:
            with contextlib.suppress(*REDIS_AWAY):
                await worker.close()

    def _functions(self) -> list[Any]:
        named: dict[str, Any] = {"deliver": self._deliver, "perform": self._perform, "run_job": self._run_job}
        return [func(function, name=name, timeout=60) for name, function in named.items()]

    async def _deliver(self, _context: dict[str, Any], frame: bytes) -> None:
        batch = msgspec.msgpack.decode(frame, type=Batch)
        done, failed = await inbox.receive(self.service, self._surroundings, batch)
        answers = [receipts.Receipt(batch.organization_id, self.service.name, done)] if done else []
        answers += [
            receipts.Receipt(batch.organization_id, self.service.name, [event_id], reason)
            for event_id, reason in failed
        ]
        with contextlib.suppress(*REDIS_AWAY):
            for receipt in answers:
                await receipts.send(self._redis, self._address, batch.producer, receipt)

    async def _perform(self, _context: dict[str, Any], due: list[list[str]]) -> None:
        await self._tasks.perform(due)

    async def _run_job(self, _context: dict[str, Any], organization_id: str, job_id: str) -> None:
        self._jobs.start(UUID(organization_id), UUID(job_id))

    # --- receipts

    async def _read_receipts(self) -> None:
        name = self._address.receipts(self.service.name)
        pause = _RECEIPT_PAUSE_SECONDS
        while not self._stopping.is_set():
            popped = await self._blocking.blpop([name], timeout=1)
            if popped is None:
                continue
            received = [msgspec.msgpack.decode(popped[1], type=receipts.Receipt)]
            # A moment later there are more, and one transaction closes them all.
            await asyncio.sleep(pause)
            received += await receipts.receive(self._redis, self._address, self.service.name)
            await self._close(received)
            are_many = sum(len(receipt.event_ids) for receipt in received) > _MANY_CLOSED
            pause = _BUSY_RECEIPT_PAUSE_SECONDS if are_many else _RECEIPT_PAUSE_SECONDS

    async def _close(self, received: list[receipts.Receipt]) -> None:
        async with self._transaction(None) as uow:
            await receipts.close(uow, received)
        failed: dict[UUID, list[receipts.Receipt]] = {}
        for receipt in received:
            if receipt.error is not None:
                failed.setdefault(receipt.organization_id, []).append(receipt)
        for organization_id, receipts_of_one in failed.items():
            await self._note_failures(organization_id, receipts_of_one)

    async def _note_failures(self, organization_id: UUID, failed: list[receipts.Receipt]) -> None:
        """Count them; what is parked by that is told of in the same transaction."""
        async with self._transaction(organization_id) as uow:
            for row in await receipts.note_failures(uow, failed):
                uow.record(
                    AlertRaised(
                        service=self.service.name,
                        cause=f"{self.service.name}.delivery.{row['listener']}",
                        severity="error",
                        title=f"Events are not reaching '{row['listener']}'",
                        detail=row["last_error"] or "",
                        subject_kind="event",
                        subject_id=str(row["event_id"]),
                    )
                )

    # --- the sweeper

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            await self._sweep_once()
            if loop.time() >= self._housekeeping_at:
                # First of all, so that housekeeping that fails is not tried again with every turn.
                self._housekeeping_at = loop.time() + sweeping.HOUSEKEEPING_SECONDS
                await self._keep_house()
            await asyncio.sleep(SWEEP_SECONDS)

    async def _sweep_once(self) -> None:
        """Send again what is due, leave tasks for schedules that are due, wake tasks and abandoned jobs."""
        async with self._transaction(None) as uow:
            await sweeping.leave_scheduled(uow, self._schedules())
            due = await tasks.list_due(uow, [kind for kind, handler in self.service.tasks.items() if handler.together])
            abandoned = await jobs.list_abandoned(uow)
        await self._relay.send_tasks(self.service.name, self._sent.not_yet(due))
        for job in self._sent.not_yet(abandoned):
            await self._relay.run_job(self.service.name, job.organization_id, job.id)
        await sweeping.redeliver(self.service.name, self._transaction, self._relay)

    async def _keep_house(self) -> None:
        async with self._transaction(None) as uow:
            await sweeping.purge(uow)
            await sweeping.tell_of_parked(uow)
            await sweeping.tell_of_late(uow, self._late_seconds)
        await sweeping.forget_closed_arrivals(self.service.name, self._transaction, self._unit_of_work)

    def _schedules(self) -> list[TaskHandler]:
        return [handler for handler in self.service.tasks.values() if handler.every_seconds is not None]

    # --- transactions

    def _unit_of_work(self, organization_id: UUID | None) -> UnitOfWork:
        envelope = service_envelope(self.service.name, organization_id)
        return self._surroundings.unit_of_work(self.service.name, envelope, across_tenants=organization_id is None)

    @contextlib.asynccontextmanager
    async def _transaction(self, organization_id: UUID | None) -> Any:
        """A committed unit of work for one organization, or across them."""
        uow = self._unit_of_work(organization_id)
        try:
            yield uow
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise
