"""Messages answered in groups: what waits at the same moment, for one organization, is done in one transaction.

While a group is being answered the next one gathers, so that a service that is idle answers at once and a busy one in
ever larger groups. Each message has its own deadline, scopes, idempotency key and answer. One that is refused touches
no other. When a group fails as a whole nothing of it has happened, and each of its messages is answered by itself.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from shared import background, clock
from shared.bus import idempotency
from shared.bus.envelope import Caller, Envelope, envelope_for
from shared.bus.idempotency import ClientKey
from shared.bus.surroundings import Surroundings
from shared.contracts.base import Message
from shared.errors import CrossdockError
from shared.service import ALONE, Answer, Asked
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.grouping")

_END_SECONDS = 10.0
# Many ask while groups of so many follow each other within that time.
_MANY = 4
_BUSY_SECONDS = 0.1


class _KeyTaken(Exception):
    """A twin elsewhere claimed a key of this group meanwhile."""


@dataclass(slots=True, eq=False)
class _Member:
    """A message that waits for its answer."""

    asked: Asked[Any]
    key: ClientKey | None
    answer: "asyncio.Future[Any]"

    @property
    def is_waited_for(self) -> bool:
        return not self.answer.done() and self.asked.envelope.remaining_seconds > 0

    def resolve(self, result: Any) -> None:
        if self.answer.done():
            return
        if isinstance(result, BaseException):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


@dataclass(slots=True)
class _Queue:
    """One message of one organization, and who waits for it."""

    service: str
    registered: Answer
    organization_id: UUID
    waiting: deque[_Member] = field(default_factory=deque)
    running: int = 0
    # How many asked in and beside the last group, and when it was answered, by the loop's clock.
    asking: int = 0
    answered_at: float = 0.0
    gathering: "asyncio.Future[None] | None" = None

    @property
    def is_idle(self) -> bool:
        return not self.running and not self.waiting

    def add(self, member: _Member) -> None:
        self.waiting.append(member)
        if self.gathering is not None and len(self.waiting) >= self.asking and not self.gathering.done():
            self.gathering.set_result(None)

    def note_answered(self, members: int) -> None:
        self.asking, self.answered_at = members + len(self.waiting), asyncio.get_running_loop().time()

    async def gather(self) -> None:
        """While many ask, wait a moment: whoever was just answered asks again, and a larger group costs each less."""
        loop = asyncio.get_running_loop()
        are_few = self.asking < _MANY or loop.time() - self.answered_at > _BUSY_SECONDS
        are_all_here = len(self.waiting) >= min(self.asking, self.registered.most_together)
        if are_few or are_all_here or self.gathering is not None:
            return
        self.gathering = loop.create_future()
        try:
            await asyncio.wait([self.gathering], timeout=self.registered.gathers_seconds)
        finally:
            self.gathering = None

    def take(self) -> list[_Member]:
        """Who waited longest, without those that have given up."""
        taken: list[_Member] = []
        while self.waiting and len(taken) < self.registered.most_together:
            member = self.waiting.popleft()
            if member.is_waited_for:
                taken.append(member)
        return taken


class Groups:
    """What waits in this process to be answered in groups."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._queues: dict[tuple[str, str, UUID], _Queue] = {}
        self._runners: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Let what has begun end; whoever still waits then is not answered here."""
        if self._runners:
            _, late = await asyncio.wait(self._runners, timeout=_END_SECONDS)
            for runner in late:
                runner.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def answer(self, service: str, registered: Answer, message: Message[Any], envelope: Envelope) -> Any:
        """Answer `message` together with what waits beside it.

        Raises InvalidIdempotencyKey, and whatever `message` itself is refused with.
        """
        organization_id = envelope.caller.organization_id
        asked = Asked(message, envelope)
        if organization_id is None:
            return await self._answer_alone(service, registered, asked)
        key = (service, message.wire_name, organization_id)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(service, registered, organization_id)
        member = _Member(asked, idempotency.client_key(message, envelope), asyncio.get_running_loop().create_future())
        queue.add(member)
        if queue.running < registered.groups_at_once:
            queue.running += 1
            runner = background.begin(self._run(key, queue))
            self._runners.add(runner)
            runner.add_done_callback(self._runners.discard)
        return await member.answer

    async def _run(self, key: tuple[str, str, UUID], queue: _Queue) -> None:
        """Answer group after group until nobody waits."""
        members: list[_Member] = []
        try:
            while queue.waiting:
                # What else is asked in this turn of the loop belongs to the same group.
                await asyncio.sleep(0)
                if queue.registered.gathers_seconds:
                    await queue.gather()
                members = queue.take()
                for member in await self._answer_together(queue, members):
                    if member.is_waited_for:
                        await self._answer_member(queue, member)
                queue.note_answered(len(members))
        except BaseException as error:
            for member in (*members, *queue.waiting):
                member.resolve(error)
            queue.waiting.clear()
            raise
        finally:
            queue.running -= 1
            if queue.is_idle:
                # For a while it is still known how many ask.
                asyncio.get_running_loop().call_later(_BUSY_SECONDS, self._forget, key, queue)

    def _forget(self, key: tuple[str, str, UUID], queue: _Queue) -> None:
        if queue.is_idle and self._queues.get(key) is queue:
            del self._queues[key]

    async def _answer_together(self, queue: _Queue, members: Sequence[_Member]) -> Sequence[_Member]:
        """Answer what can be in one transaction. Returns who is to be answered alone."""
        if len(members) < 2:
            return members
        envelope = _envelope_of(queue, members)
        uow = self._surroundings.unit_of_work(queue.service, envelope)
        try:
            async with asyncio.timeout(envelope.remaining_seconds):
                together, alone = await _told_apart(uow, members, knows_keys=queue.registered.knows_keys)
                if len(together) < 2:
                    return members
                alone += await self._commit_together(queue, together, uow)
        except Exception as error:
            await uow.rollback()
            if _concerns_all(error):
                for member in members:
                    member.resolve(error)
                return ()
            log.info("group_split", message=queue.registered.message.wire_name, size=len(members), error=repr(error))
            return members
        except BaseException:
            await uow.rollback()
            raise
        return alone

    async def _commit_together(self, queue: _Queue, members: Sequence[_Member], uow: UnitOfWork) -> list[_Member]:
        """Answer members, commit, and let them know. Returns those that the function left to be answered alone."""
        results = await queue.registered.function([member.asked for member in members], uow)
        answered = list(zip(members, results, strict=True))
        if uow.is_open:
            await _claim(uow, answered)
        await uow.commit()
        for member, result in answered:
            if result is not ALONE:
                member.resolve(result)
        return [member for member, result in answered if result is ALONE]

    async def _answer_member(self, queue: _Queue, member: _Member) -> None:
        try:
            async with asyncio.timeout(member.asked.envelope.remaining_seconds):
                result = await self._answer_alone(queue.service, queue.registered, member.asked)
        except Exception as error:
            result = error
        member.resolve(result)

    async def _answer_alone(self, service: str, registered: Answer, asked: Asked[Any]) -> Any:
        async def alone(_message: Message[Any], uow: UnitOfWork) -> Any:
            (result,) = await registered.function([asked], uow)
            if isinstance(result, CrossdockError):
                raise result
            if result is ALONE:
                raise RuntimeError(f"{registered.message.wire_name}: one message alone was left to be answered alone")
            return result

        uow = self._surroundings.unit_of_work(service, asked.envelope)
        return await idempotency.answer_once(alone, asked.message, uow)


def _envelope_of(queue: _Queue, members: Sequence[_Member]) -> Envelope:
    """The organization's, and nobody's within it: what a member may do its own envelope says."""
    caller = Caller(kind="service", organization_id=queue.organization_id, name=queue.service)
    latest = max(member.asked.envelope.deadline for member in members)
    return envelope_for(
        caller,
        timeout_seconds=latest - clock.now().timestamp(),
        request_id=members[0].asked.envelope.request_id,
        asking_service=queue.service,
    )


def _concerns_all(error: Exception) -> bool:
    """Whether nobody would fare better alone: something is away, or there is no time left."""
    return isinstance(error, TimeoutError) or (isinstance(error, CrossdockError) and error.status == 503)


async def _told_apart(
    uow: UnitOfWork, members: Sequence[_Member], *, knows_keys: bool
) -> tuple[list[_Member], list[_Member]]:
    """Who can be answered together; and whose key is known already, or was used by another of them."""
    by_key: dict[ClientKey, _Member] = {}
    for member in members:
        if (key := member.key) is not None:
            by_key.setdefault(key, member)
    known: set[ClientKey] = set()
    if by_key and not knows_keys:
        async with uow.beforehand() as earlier:
            known = await idempotency.find_known(earlier, list(by_key))
    together: list[_Member] = []
    alone: list[_Member] = []
    for member in members:
        key = member.key
        is_first = key is None or (key not in known and by_key[key] is member)
        (together if is_first else alone).append(member)
    return together, alone


async def _claim(uow: UnitOfWork, answered: Sequence[tuple[_Member, Any]]) -> None:
    """Raises _KeyTaken when somebody else was faster with any of them."""
    done = [
        (key, member.asked.message, result)
        for member, result in answered
        if (key := member.key) is not None and result is not ALONE and not isinstance(result, CrossdockError)
    ]
    if done and not await idempotency.claim_answered(uow, done):
        raise _KeyTaken


__all__ = ["Groups"]
