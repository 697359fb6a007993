"""What is asked of a system behind a firewall: laid on a desk, and waited for until its agent has answered.

Waiting holds a worker, so it is short where no agent is there: then the platform is away, and whoever asked comes again
later or is woken by the agent.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.sync.errors import PlatformAway
from services.sync.platforms.desk import Work
from services.sync.repository import desk
from shared.bells import Bells
from shared.bus.envelope import service_envelope
from shared.bus.surroundings import Surroundings
from shared.identifiers import new_id
from shared.redis_connection import RedisAddress
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

# What was asked is wanted for so long after whoever asked has last looked: a killed worker's work is not given away.
_WANTED = timedelta(seconds=30)
_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Patience:
    """How long is waited after the last answer: where no agent is there; where one is, and has other things to do;
    and where one has it in hand and says so.
    """

    absent_seconds: float = 5.0
    busy_seconds: float = 60.0
    held_seconds: float = 600.0


PATIENCE = Patience()
# A person waits for it, and so does his browser.
PATIENCE_OF_PEOPLE = Patience(5.0, 25.0, 25.0)


def answered_bell(asker_id: UUID) -> tuple[str, ...]:
    """Rung when something was answered that was asked together."""
    return "answered", str(asker_id)


def work_bell(connection_id: UUID) -> tuple[str, ...]:
    """Rung when there is work for a connection's agents."""
    return "work", str(connection_id)


class Desks:
    """The desks of connections, as one process sees them."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.bells = Bells(RedisAddress(settings().redis_url.get_secret_value(), settings().redis_prefix))

    async def close(self) -> None:
        await self.bells.aclose()

    def of(self, organization_id: UUID, connection_id: UUID, *, is_for_people: bool = False) -> "AgentDesk":
        return AgentDesk(self, organization_id, connection_id, PATIENCE_OF_PEOPLE if is_for_people else PATIENCE)


class AgentDesk:
    """One connection's desk; see `services.sync.platforms.desk.Desk`."""

    def __init__(self, desks: Desks, organization_id: UUID, connection_id: UUID, patience: Patience) -> None:
        self._desks, self._patience = desks, patience
        self._organization_id, self._connection_id = organization_id, connection_id

    async def ask(self, work: Sequence[Work]) -> Sequence[bytes | None]:
        asker_id = new_id()
        async with self._step() as uow:
            await desk.put(uow, self._connection_id, asker_id, [(each.kind, each.asked) for each in work], _WANTED)
        rows: list[asyncpg.Record] = []
        try:
            await self._desks.bells.ring(*work_bell(self._connection_id))
            await self._wait(asker_id, is_greeting=all(each.kind == "hello" for each in work))
        finally:
            async with self._step() as uow:
                rows = await desk.withdraw(uow, asker_id)
        if not any(row["state"] == "answered" or row["was_taken"] for row in rows):
            raise PlatformAway(await self._why())
        return [row["result"] for row in rows]

    async def _wait(self, asker_id: UUID, *, is_greeting: bool) -> None:
        """Until all is answered, or it has become pointless. Whoever is greeted may belong to what rests."""
        answered, since = 0, time.monotonic()
        while True:
            async with self._step() as uow:
                rows = await desk.look(uow, asker_id, _WANTED)
                agent = await desk.presence(uow, self._connection_id)
            count = sum(row["state"] == "answered" for row in rows)
            if count == len(rows) or agent is None:
                return
            if agent["is_paused"] and not is_greeting and not any(row["is_held"] for row in rows):
                return
            if count > answered:
                answered, since = count, time.monotonic()
            left = since + self._most(rows, agent) - time.monotonic()
            if left <= 0:
                return
            await self._desks.bells.wait(min(left, _LOOK_SECONDS), *answered_bell(asker_id))

    def _most(self, rows: Sequence[asyncpg.Record], agent: asyncpg.Record) -> float:
        if any(row["is_held"] for row in rows):
            return self._patience.held_seconds
        return self._patience.busy_seconds if agent["is_present"] else self._patience.absent_seconds

    async def _why(self) -> str:
        async with self._step() as uow:
            agent = await desk.presence(uow, self._connection_id)
        if agent is None or agent["seen_at"] is None:
            return "No agent has come for this connection yet: start it beside the system, with the connection's token."
        if agent["is_paused"]:
            return "The connection is paused."
        if agent["is_present"]:
            return "The connection's agent has other things to do."
        return f"The connection's agent was last here at {agent['seen_at']:%Y-%m-%d %H:%M:%S} UTC: is it running?"

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[UnitOfWork]:
        """A short transaction of its own: an agent has to see what was laid, and nobody waits inside one."""
        envelope = service_envelope("sync", self._organization_id)
        uow = self._desks.surroundings.unit_of_work("sync", envelope)
        try:
            yield uow
            await uow.commit()
        except BaseException:
            await uow.rollback()
            raise
