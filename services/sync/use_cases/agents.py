"""Agents: each comes with the token of its connection, takes one piece of work at a time, and brings the answer.

Whatever is lost on the way is given again when its lease has ended; an answer that comes twice, late or for what nobody
waits for any more changes nothing.
"""

from uuid import UUID

import orjson

from services.sync.errors import AgentNotKnown, NoAgent, WorkNotFound
from services.sync.platforms.registry import REVERSE
from services.sync.repository import connections, desk, feeds
from services.sync.settings import sync_settings
from services.sync.use_cases.desks import Desks, answered_bell
from shared import jobs
from shared.bus.envelope import Caller
from shared.contracts.sync.agents import AgentReceipt, AgentToken, AgentWork, OfferedWork
from shared.security import SecretText, digest, new_secret
from shared.unit_of_work import UnitOfWork

# Left when an agent comes whose connection nobody has greeted yet.
GREET_AGENT = "sync.greet_agent"
_PREFIX = "cda_"


async def issue_token(uow: UnitOfWork, connection_id: UUID) -> AgentToken:
    """Another token, shown this once; the one before holds no longer. Raises ConnectionNotFound, NoAgent."""
    row = await connections.get(uow, connection_id, lock=True)
    if row["platform"] not in REVERSE:
        raise NoAgent("The platform is asked by us: its connection has no agent.")
    uow.audit("connection.issue_agent_token", "connection", connection_id)
    return AgentToken(connection_id=connection_id, token=await new_token(uow, connection_id))


async def new_token(uow: UnitOfWork, connection_id: UUID) -> SecretText:
    token = new_secret(_PREFIX)
    await desk.keep_token(uow, connection_id, digest(token))
    return SecretText(token)


async def take_work(uow: UnitOfWork, token: SecretText) -> OfferedWork:
    """The next piece of work, if there is any. Raises AgentNotKnown."""
    connection_id = await _recognize(uow, token)
    agent = await desk.lock_agent(uow, connection_id)
    if agent is None:
        raise AgentNotKnown("The token is not that of a connection, or not any more.")
    await desk.note_seen(uow, connection_id)
    if not agent["is_present"]:
        await jobs.wake(uow, await feeds.list_running(uow, connection_id))
    if agent["checked_at"] is None:
        uow.defer(GREET_AGENT, {"connection_id": str(connection_id)}, key=str(connection_id))
    row = await desk.take(uow, connection_id, is_paused=agent["is_paused"])
    work = None
    if row is not None:
        lease_seconds = int(sync_settings().agent_lease.total_seconds())
        work = AgentWork(id=row["id"], kind=row["kind"], asked=orjson.loads(row["asked"]), lease_seconds=lease_seconds)
    return OfferedWork(connection_id=connection_id, work=work)


async def prolong(uow: UnitOfWork, token: SecretText, work_id: UUID) -> AgentReceipt:
    """An agent is still at it. Raises AgentNotKnown, WorkNotFound."""
    connection_id = await _recognize(uow, token)
    state = await desk.prolong(uow, connection_id, work_id)
    if state is None:
        raise WorkNotFound("There is no such piece of work.")
    await desk.note_seen(uow, connection_id)
    return AgentReceipt(is_wanted=state == "taken")


async def answer(uow: UnitOfWork, token: SecretText, work_id: UUID, result: bytes) -> AgentReceipt:
    """Keep an answer as it came, and wake who waits for it. Raises AgentNotKnown, WorkNotFound."""
    connection_id = await _recognize(uow, token)
    row = await desk.answer(uow, connection_id, work_id, result)
    if row is None:
        raise WorkNotFound("There is no such piece of work.")
    await desk.note_seen(uow, connection_id)
    if row["is_wanted"]:
        bells, bell = uow.resident(Desks).bells, answered_bell(row["asker_id"])
        uow.when_committed(lambda: bells.ring_soon(*bell))
    return AgentReceipt(is_wanted=row["is_wanted"])


async def _recognize(uow: UnitOfWork, token: SecretText) -> UUID:
    """The connection of a token; from here on its organization acts. Raises AgentNotKnown."""
    async with uow.beforehand() as earlier:
        found = await desk.find_agent(earlier, digest(token.reveal()))
    if found is None:
        raise AgentNotKnown("The token is not that of a connection, or not any more.")
    uow.act_as(Caller(kind="service", organization_id=found["organization_id"], name="agent", scopes=frozenset()))
    connection_id: UUID = found["connection_id"]
    return connection_id
