"""One run of a feed, as a job: it survives SIGKILL at any instant, waits while its connection is paused, and tells what
went wrong in one of three ways.

A platform that does not answer is asked again, ever later, and given up after some hours; one that refuses the
credentials stops the connection until it has new ones; whatever else ends a run is for a person.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.sync.errors import AnswerNotUnderstood, ConnectionHeld, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.models import FEEDS, FeedRule, orders_from
from services.sync.platforms.base import Session
from services.sync.platforms.http import Http
from services.sync.repository import changes, connections, feeds, issues
from services.sync.repository.issues import Trouble
from services.sync.use_cases import sessions
from shared.bus.answering import translated
from shared.contracts.platform.events import AlertCleared, AlertRaised
from shared.contracts.sync.shapes import ConnectionSettings, FeedKind, IssueClass
from shared.errors import CrossdockError, Unavailable
from shared.jobs import JobCancelled, JobLost, JobRests, RunningJob
from shared.unit_of_work import ConcurrentChange, UnitOfWork

# So often a platform that is away is asked again by one run; then a person is told.
MOST_RETRIES = 12
# Going on again wakes a run; this is for a waking that was lost.
_PAUSE_SECONDS = 60.0
_OF_PLATFORM = (PlatformAway, AnswerNotUnderstood, CredentialsRefused, PlatformRefused)
_FIRST_RETRY_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 900.0


@dataclass(frozen=True)
class Run:
    """What a run of a feed has in hand. `connection` is its row as it was when the run was taken up."""

    job: RunningJob
    kind: FeedKind
    connection: asyncpg.Record
    settings: ConnectionSettings
    is_full: bool
    rerun_of: UUID | None
    session: Session
    http: Http

    @property
    def rule(self) -> FeedRule:
        return FEEDS[self.kind]

    @property
    def connection_id(self) -> UUID:
        connection_id: UUID = self.connection["id"]
        return connection_id

    @property
    def only(self) -> UUID | None:
        """Where this run is for what has failed before: of changes, those alone that carry this id."""
        return None if self.rerun_of is None else self.job.id

    @property
    def orders_from(self) -> datetime:
        """Orders placed before that are left alone."""
        return orders_from(self.settings, self.connection["created_at"])

    async def go_on(self) -> None:
        """To be asked before each request: raises JobRests while the connection is paused."""
        if await self.is_paused():
            await rest_while_paused(self.job, self.connection_id)

    async def is_paused(self) -> bool:
        """Whether the connection is paused now: then nothing is asked of its platform."""
        uow = self.job.unit_of_work()
        try:
            row = await connections.get(uow, self.connection_id)
        finally:
            await uow.rollback()
        return bool(row["is_paused"])

    async def tell(self, uow: UnitOfWork, *troubles: Trouble) -> None:
        """Keep what went wrong, in the step's transaction."""
        await issues.note(uow, self.connection_id, self.job.id, troubles)


Work = Callable[[Run], Awaitable[None]]


async def rest_while_paused(job: RunningJob, connection_id: UUID) -> None:
    """The connection is held meanwhile: whoever lets it go on finds this run at rest, and wakes it. Raises JobRests."""
    uow = job.unit_of_work()
    try:
        row = await connections.get(uow, connection_id, lock=True)
        if row["is_paused"]:
            await job.rest(_PAUSE_SECONDS)
    finally:
        await uow.rollback()


async def rest_as_held(job: RunningJob, connection_id: UUID) -> None:
    """A request was not sent because the connection was paused: it may go on by now. Raises JobRests."""
    await rest_while_paused(job, connection_id)
    await job.rest(0.0)


async def carry_out(job: RunningJob, works: dict[FeedKind, Work]) -> None:
    """Do a feed's work over a session with its platform. Raises what is for a person, JobRests and what passes."""
    uow = job.unit_of_work()
    try:
        execution = await feeds.get_execution(uow, job.id)
        connection = await connections.get(uow, execution["connection_id"])
    finally:
        await uow.rollback()
    kind: FeedKind = execution["kind"]
    try:
        settings = ConnectionSettings.model_validate_json(connection["settings"])
        account = sessions.account_of(connection, uow.organization_id)
        residents, platform = job.surroundings.resident, connection["platform"]
        async with sessions.opened(residents, job.organization_id, connection["id"], platform, account) as (
            session,
            http,
        ):
            run = Run(job, kind, connection, settings, execution["is_full"], execution["rerun_of"], session, http)
            http.is_held = run.is_paused
            await run.go_on()
            await _take_up_failed(run)
            await works[kind](run)
    except (JobRests, JobCancelled, JobLost):
        raise
    except ConnectionHeld:
        await rest_as_held(job, connection["id"])
    except (PlatformAway, AnswerNotUnderstood) as error:
        await _wait(job, connection, kind, error)
    except CredentialsRefused as error:
        if await _has_other_credentials(job, connection):
            await job.rest(_FIRST_RETRY_SECONDS)
        await _stop(job, connection, kind, error)
        raise
    except Exception as error:
        await _fail(job, connection, kind, translated(error, f"feed {kind}", job.id.hex))
    await _clear(job, connection, kind)


async def _take_up_failed(run: Run) -> None:
    """What failed in the run that this one repeats is tried again, where this run is for nothing else."""
    if run.rerun_of is not None and "taken_up" not in run.job.checkpoint:
        async with run.job.step() as uow:
            count = await changes.requeue_failed(uow, run.connection_id, run.rerun_of, run.job.id)
            run.job.checkpoint["taken_up"] = count


async def _fail(job: RunningJob, connection: asyncpg.Record, kind: FeedKind, error: CrossdockError) -> None:
    """What one of our own services or the database cannot do now the job waits for by itself, and a race is run again;
    everything else ends the run, and a person is told. Raises.
    """
    if isinstance(error, ConcurrentChange):
        await _wait(job, connection, kind, error)
    if error.status not in (503, 504):
        await _give_up(job, connection, kind, error)
    raise error


async def _wait(job: RunningJob, connection: asyncpg.Record, kind: FeedKind, error: CrossdockError) -> None:
    """Go on later from the last page that was kept; after so many times a person is told. Raises."""
    retries = job.checkpoint.get("retries", 0) + 1
    if retries > MOST_RETRIES:
        await _give_up(job, connection, kind, error)
        if isinstance(error, Unavailable):
            raise PlatformRefused(f"The platform was asked {MOST_RETRIES} times: {error.detail}") from error
        raise error
    async with job.step() as uow:
        job.checkpoint["retries"] = retries
        job.note(f"Waits, attempt {retries}: {error.detail[:200]}")
        await issues.note(uow, connection["id"], job.id, [_trouble(kind, "retry", error)])
    seconds = min(_FIRST_RETRY_SECONDS * 2 ** (retries - 1), _LONGEST_RETRY_SECONDS)
    await job.rest(max(seconds, error.retry_after_seconds or 0))


async def _has_other_credentials(job: RunningJob, connection: asyncpg.Record) -> bool:
    """Whether the connection was given new ones while this run had the old ones in hand."""
    uow = job.unit_of_work()
    try:
        now = await connections.get(uow, connection["id"])
    finally:
        await uow.rollback()
    return bool(now["credentials"] != connection["credentials"])


async def _stop(job: RunningJob, connection: asyncpg.Record, kind: FeedKind, error: CrossdockError) -> None:
    async with job.step() as uow:
        await connections.put(uow, connection["id"], {"needs_credentials": True})
        await _note_error(uow, job, connection, kind, error)


async def _give_up(job: RunningJob, connection: asyncpg.Record, kind: FeedKind, error: CrossdockError) -> None:
    async with job.step() as uow:
        await _note_error(uow, job, connection, kind, error)


async def _note_error(
    uow: UnitOfWork, job: RunningJob, connection: asyncpg.Record, kind: FeedKind, error: CrossdockError
) -> None:
    await issues.note(uow, connection["id"], job.id, [_trouble(kind, "error", error)])
    uow.record(
        AlertRaised(
            service=uow.service,
            cause=_cause(connection, kind),
            severity="error",
            title="A feed of a connection has stopped",
            detail=f"{connection['name']}, {kind}: {error.detail}",
            shop_id=connection["shop_id"],
            subject_kind="connection",
            subject_id=str(connection["id"]),
        )
    )


def _trouble(kind: FeedKind, issue_class: IssueClass, error: CrossdockError) -> Trouble:
    """A trouble of the feed as a whole: in the platform's own words where it has said any."""
    if isinstance(error, _OF_PLATFORM):
        return Trouble(kind, issue_class, error.code, error.title, kind, remote_message=error.detail)
    return Trouble(kind, issue_class, error.code, error.detail, kind)


async def _clear(job: RunningJob, connection: asyncpg.Record, kind: FeedKind) -> None:
    """The feed came to its end: what was open of it as a whole is over."""
    async with job.step() as uow:
        await issues.resolve_feed(uow, connection["id"], kind, job.id)
        uow.record(AlertCleared(service=uow.service, cause=_cause(connection, kind)))


def _cause(connection: asyncpg.Record, kind: FeedKind) -> str:
    return f"sync.{connection['id']}.{kind}"
