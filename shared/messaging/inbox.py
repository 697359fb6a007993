"""Events arrive: each takes effect once, whatever is repeated, reordered or killed.

The inbox row and the effect share one transaction. A batch is one transaction too; when one of its events fails, each
is tried alone, so that a failing event holds up nobody but itself.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from shared.bus.answering import Surroundings, translated
from shared.bus.envelope import service_envelope
from shared.contracts.base import Event
from shared.errors import CrossdockError, Unavailable
from shared.messaging.limits import within
from shared.messaging.outbox import SentEvent
from shared.messaging.relay import JOB_LIFETIME, Batch
from shared.security import SEALED
from shared.service import Listener, Service
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.inbox")

# All below what arq gives a job: what takes longer must be seen as failing, not begin anew for ever.
TOGETHER_SECONDS = 25.0
ALONE_SECONDS = 20.0
BATCH_SECONDS = 35.0


class NobodyListens(CrossdockError):
    """An event came to a service that has no listener for it: two versions are running."""


class EventTookTooLong(CrossdockError):
    """An event did not take effect within its time; what it did was undone."""


class _AllKnown(Exception):
    """Every event of the batch took effect before."""


async def receive(
    service: Service, surroundings: Surroundings, batch: Batch
) -> tuple[list[UUID], list[tuple[UUID, str]]]:
    """Let a batch take effect. Returns the ids that are done (now or before), and those that failed, with the reason.

    A batch older than JOB_LIFETIME by the database's clock is refused: neither done nor failed, it is sent anew. So is
    what there was no time for after others had failed.
    """
    ends_at = asyncio.get_running_loop().time() + BATCH_SECONDS
    if await _is_too_old(surroundings, batch):
        log.info("stale_batch_refused", producer=batch.producer, events=len(batch.events))
        return [], []
    together = [event for event in batch.events if not _stands_alone(service, event)]
    alone = [event for event in batch.events if _stands_alone(service, event)]
    try:
        if together:
            async with within(TOGETHER_SECONDS, EventTookTooLong):
                await _take_effect(service, surroundings, batch, together)
        done = [event.id for event in together]
    except Exception as error:
        log.info("batch_split", service=service.name, events=len(together), error=repr(error))
        done, alone = [], list(batch.events)
    failed = []
    for event in alone:
        if asyncio.get_running_loop().time() >= ends_at:
            break
        reason = await _failure_of(service, surroundings, batch, event)
        if reason is None:
            done.append(event.id)
        elif reason:
            failed.append((event.id, reason))
    return done, failed


async def _failure_of(service: Service, surroundings: Surroundings, batch: Batch, event: SentEvent) -> str | None:
    """Let one event take effect. Returns None when it did, "" when nothing can be done now, else why it failed."""
    try:
        async with within(ALONE_SECONDS, EventTookTooLong):
            await _take_effect(service, surroundings, batch, [event])
    except Exception as error:
        named = translated(error, f"{service.name} on {event.name}", event.id.hex)
        return "" if isinstance(named, Unavailable) or named.status == 503 else f"{named.code}: {named.detail}"
    return None


def _stands_alone(service: Service, event: SentEvent) -> bool:
    listener = service.listeners.get(event.name)
    return listener is not None and listener.alone


async def _is_too_old(surroundings: Surroundings, batch: Batch) -> bool:
    async with surroundings.database.connection() as connection:
        age = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8 - $1", batch.sent_at)
    return bool(age > JOB_LIFETIME.total_seconds())


async def _take_effect(service: Service, surroundings: Surroundings, batch: Batch, events: Sequence[SentEvent]) -> None:
    uow = surroundings.unit_of_work(service.name, service_envelope(service.name, batch.organization_id))
    known: set[UUID] = set()

    async def note_arrival(uow: UnitOfWork) -> None:
        rows = await uow.fetch(
            "INSERT INTO inbox (organization_id, event_id, producer)"
            " SELECT $1, id, $3 FROM unnest($2::uuid[]) AS e (id)"
            " ON CONFLICT DO NOTHING RETURNING event_id",
            batch.organization_id,
            [event.id for event in events],
            batch.producer,
        )
        known.update({event.id for event in events} - {row["event_id"] for row in rows})
        if len(known) == len(events):
            raise _AllKnown

    uow.when_opened(note_arrival)
    try:
        if len(events) > 1:
            # Which of several are known must be seen before the first is handled; a single one may ask first.
            await uow.connection()
        for listener, heard in _by_listener(service, events):
            new = [event for event in heard if event.id not in known]
            if new:
                uow.written_at = datetime.fromtimestamp(min(event.occurred_at for event in new), UTC)
                await listener.hear([_read(listener, event) for event in new], uow)
        await uow.connection()
        await uow.commit()
    except _AllKnown:
        await uow.rollback()
    except BaseException:
        await uow.rollback()
        raise


def _read(listener: Listener, event: SentEvent) -> Event:
    read: Event = listener.event.model_validate_json(event.payload, context=SEALED)
    return read


def _by_listener(service: Service, events: Sequence[SentEvent]) -> list[tuple[Listener, list[SentEvent]]]:
    """Events as they came; those whose listener hears them together are with the first of their kind.

    Raises NobodyListens.
    """
    ordered: list[tuple[Listener, list[SentEvent]]] = []
    together: dict[str, list[SentEvent]] = {}
    for event in events:
        listener = service.listeners.get(event.name)
        if listener is None:
            raise NobodyListens(f"The service '{service.name}' has no listener for '{event.name}'.")
        if event.name in together:
            together[event.name].append(event)
            continue
        ordered.append((listener, [event]))
        if listener.together:
            together[event.name] = ordered[-1][1]
    return ordered
