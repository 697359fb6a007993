"""Messages answered in groups, over a direct call and over Redis: one transaction, and to each its own answer."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from shared.bus.answering import Surroundings
from shared.bus.ask import Bus
from shared.bus.envelope import Caller, Envelope, envelope_for
from shared.bus.local import LocalBus
from shared.bus.redis import RedisAnswering, RedisBus
from shared.contracts.base import Command, Shape
from shared.errors import Conflict, CrossdockError
from shared.identifiers import new_id
from shared.jobs import create
from shared.service import ALONE, Asked, Service, answers_group
from shared.unit_of_work import UnitOfWork
from tests.waiting import until

pytestmark = [pytest.mark.feature("GAT-7"), pytest.mark.feature("ORD-1")]


class Put(Shape):
    """`transaction` tells which messages shared one."""

    label: str
    transaction: int
    of: int


class PutDown(Command[Put]):
    """Write a label down. `refuse`: refused by name; `defect`: the whole group fails; `alone`: asks for that."""

    service = "catalog"
    label: str
    refuse: bool = False
    defect: bool = False
    alone: bool = False


class Gather(Command[Put]):
    """Asked by many, over and over."""

    service = "catalog"
    label: str


class Refused(Conflict):
    """Made to be refused."""


@dataclass
class Seen:
    """What the function below was given; `gate` holds it back."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    groups: list[list[str]] = field(default_factory=list)
    callers: list[UUID | None] = field(default_factory=list)


seen = Seen()


@answers_group(PutDown, scope="catalog:write", most=20)
async def put_down(asked: Sequence[Asked[PutDown]], uow: UnitOfWork) -> list[Any]:
    seen.groups.append([each.message.label for each in asked])
    seen.callers.append(uow.caller.id)
    await seen.gate.wait()
    transaction = await uow.fetchval("SELECT txid_current()")
    results: list[Any] = []
    for each in asked:
        if each.message.refuse:
            results.append(Refused(f"{each.message.label} is refused.", [{"label": each.message.label}]))
        elif each.message.alone and len(asked) > 1:
            results.append(ALONE)
        else:
            await create(uow, "put", {"label": each.message.label})
            results.append(Put(label=each.message.label, transaction=transaction, of=len(asked)))
    if any(each.message.defect for each in asked):
        raise RuntimeError("made to fail")
    return results


@answers_group(Gather, scope="catalog:write", most=20, gathers_seconds=0.5)
async def gather(asked: Sequence[Asked[Gather]], uow: UnitOfWork) -> list[Any]:
    seen.groups.append([each.message.label for each in asked])
    transaction = await uow.fetchval("SELECT txid_current()")
    return [Put(label=each.message.label, transaction=transaction, of=len(asked)) for each in asked]


@pytest.fixture(params=["direct call", "Redis"])
async def bus(request: pytest.FixtureRequest, process: topology.Surrounded) -> AsyncIterator[Bus]:
    seen.gate, seen.groups, seen.callers = asyncio.Event(), [], []
    service = Service("catalog", sys.modules[__name__])
    if request.param == "direct call":
        local = LocalBus({"catalog": service})
        surroundings = Surroundings(process.database, local.ask, process.relay)
        local.surrounded_by(surroundings)
        yield local
        seen.gate.set()
        await surroundings.close()
        return
    over_redis = RedisBus(process.address)
    surroundings = Surroundings(process.database, over_redis.ask, process.relay)
    answering = RedisAnswering(service, surroundings, process.address)
    serving = asyncio.create_task(answering.run())
    yield over_redis
    seen.gate.set()
    answering.stop()
    await serving
    await surroundings.close()
    await over_redis.close()


def _caller(organization_id: UUID | None = None, *scopes: str) -> Caller:
    held = frozenset(scopes or ("catalog:write",))
    return Caller(kind="client", organization_id=organization_id or new_id(), id=new_id(), scopes=held)


def _envelope(caller: Caller, **more: Any) -> Envelope:
    return envelope_for(caller, **more)


async def _asked_while_busy(bus: Bus, caller: Caller, asks: Callable[[], Sequence[Awaitable[Any]]]) -> list[Any]:
    """The answers (or errors) of what is asked while another message of the organization is being answered."""
    first = asyncio.create_task(bus.ask(PutDown(label="first"), _envelope(caller)))
    await until(_begun)
    waiting = asyncio.gather(*asks(), return_exceptions=True)
    # Over Redis they must have come in before the first one ends.
    await asyncio.wait([asyncio.ensure_future(waiting)], timeout=0.2)
    seen.gate.set()
    assert (await first).of == 1
    return list(await waiting)


async def _begun() -> bool:
    return bool(seen.groups)


async def _stored(process: topology.Surrounded, caller: Caller) -> list[str]:
    uow = process.surroundings.unit_of_work("catalog", _envelope(caller))
    rows = await uow.fetch("SELECT parameters ->> 'label' AS label FROM jobs ORDER BY 1")
    await uow.rollback()
    return [row["label"] for row in rows]


async def test_what_waits_meanwhile_is_one_group_with_an_answer_each(bus: Bus, process: topology.Surrounded) -> None:
    one = _caller()
    other = _caller(one.organization_id)
    asks = [(PutDown(label=f"n{number}"), one if number % 2 else other) for number in range(8)]
    answers = await _asked_while_busy(bus, one, lambda: [bus.ask(m, _envelope(c)) for m, c in asks])
    assert [answer.label for answer in answers] == [f"n{number}" for number in range(8)]
    assert {answer.of for answer in answers} == {8}
    assert len({answer.transaction for answer in answers}) == 1
    # Alone it is done in the name of who asks; together, in nobody's.
    assert seen.callers == [one.id, None]
    assert len(await _stored(process, one)) == 9


async def test_groups_are_bounded_and_never_of_two_organizations(bus: Bus) -> None:
    one, other = _caller(), _caller()
    callers = [one] * 30 + [other] * 3
    answers = await _asked_while_busy(
        bus, one, lambda: [bus.ask(PutDown(label=f"{c.id}"), _envelope(c)) for c in callers]
    )
    assert all(isinstance(answer, Put) for answer in answers)
    assert max(len(group) for group in seen.groups) == 20
    assert all(len(set(group) - {"first"}) <= 1 for group in seen.groups)


async def test_one_that_is_refused_touches_no_other(bus: Bus, process: topology.Surrounded) -> None:
    caller = _caller()
    messages = [PutDown(label=label, refuse=label == "b") for label in "abc"]
    answers = await _asked_while_busy(
        bus, caller, lambda: [bus.ask(m, _envelope(caller, idempotency_key=m.label)) for m in messages]
    )
    refused = answers[1]
    assert isinstance(refused, CrossdockError)
    assert (refused.status, refused.code, refused.errors) == (409, "refused", [{"label": "b"}])
    assert [answers[0].of, answers[2].of] == [3, 3]
    assert await _stored(process, caller) == ["a", "c", "first"]
    # Its key is free again.
    assert (await bus.ask(PutDown(label="b2"), _envelope(caller, idempotency_key="b"))).label == "b2"


async def test_a_group_that_fails_is_answered_one_by_one(bus: Bus, process: topology.Surrounded) -> None:
    caller = _caller()
    messages = [PutDown(label=label, defect=label == "b") for label in "abc"]
    answers = await _asked_while_busy(
        bus, caller, lambda: [bus.ask(m, _envelope(caller, idempotency_key=m.label)) for m in messages]
    )
    assert isinstance(answers[1], CrossdockError)
    assert answers[1].code == "internal_error"
    assert [answers[0].of, answers[2].of] == [1, 1]
    assert await _stored(process, caller) == ["a", "c", "first"]


async def test_one_that_needs_a_transaction_of_its_own_gets_it(bus: Bus) -> None:
    caller = _caller()
    messages = [PutDown(label=label, alone=label == "b") for label in "abc"]
    answers = await _asked_while_busy(bus, caller, lambda: [bus.ask(m, _envelope(caller)) for m in messages])
    assert [answer.of for answer in answers] == [3, 1, 3]


@pytest.mark.feature("GAT-1")
async def test_one_key_in_one_group_takes_effect_once(bus: Bus, process: topology.Surrounded) -> None:
    caller = _caller()
    twins = [PutDown(label="same")] * 5 + [PutDown(label="different")]
    answers = await _asked_while_busy(
        bus, caller, lambda: [bus.ask(m, _envelope(caller, idempotency_key="k")) for m in twins]
    )
    assert answers[:5] == [answers[0]] * 5
    assert answers[0].label == "same"
    assert isinstance(answers[5], CrossdockError)
    assert (answers[5].status, answers[5].code) == (422, "idempotency_key_reused")
    assert await _stored(process, caller) == ["first", "same"]


@pytest.mark.feature("GAT-1")
async def test_a_repeat_in_a_group_is_answered_as_before(bus: Bus, process: topology.Surrounded) -> None:
    caller = _caller()
    seen.gate.set()
    before = await bus.ask(PutDown(label="a"), _envelope(caller, idempotency_key="a"))
    seen.gate.clear()
    seen.groups.clear()
    answers = await _asked_while_busy(
        bus, caller, lambda: [bus.ask(PutDown(label=k), _envelope(caller, idempotency_key=k)) for k in "abc"]
    )
    assert answers[0] == before
    assert [answer.of for answer in answers[1:]] == [2, 2]
    assert await _stored(process, caller) == ["a", "b", "c", "first"]


@pytest.mark.feature("GAT-1")
async def test_the_same_key_in_two_processes_takes_effect_once(process: topology.Surrounded) -> None:
    """Two groups that hold a twin each: one of them is undone and answered one by one."""
    seen.gate, seen.groups, seen.callers = asyncio.Event(), [], []
    caller = _caller()
    buses = []
    for _ in range(2):
        bus = LocalBus({"catalog": Service("catalog", sys.modules[__name__])})
        bus.surrounded_by(Surroundings(process.database, bus.ask, process.relay))
        buses.append(bus)
    asks = [
        asyncio.create_task(bus.ask(PutDown(label=key), _envelope(caller, idempotency_key=key)))
        for bus in buses
        for key in ("x", "y", "z")
    ]
    # Both have looked for known keys and found none.
    await until(_both_begun)
    seen.gate.set()
    answers = await asyncio.gather(*asks)
    assert answers[:3] == answers[3:]
    assert await _stored(process, caller) == ["x", "y", "z"]


async def _both_begun() -> bool:
    return len(seen.groups) == 2


async def test_each_has_its_own_scope_and_deadline(bus: Bus, process: topology.Surrounded) -> None:
    caller = _caller()
    reader = _caller(caller.organization_id, "catalog:read")
    envelopes = [_envelope(caller), _envelope(reader), _envelope(caller, timeout_seconds=0.1), _envelope(caller)]
    answers = await _asked_while_busy(
        bus, caller, lambda: [bus.ask(PutDown(label=f"n{n}"), e) for n, e in enumerate(envelopes)]
    )
    assert [getattr(answer, "code", None) for answer in answers] == [None, "missing_scope", "deadline_exceeded", None]
    assert await _stored(process, caller) == ["first", "n0", "n3"]


async def test_who_gives_up_waiting_leaves_the_others_alone(bus: Bus, process: topology.Surrounded) -> None:
    caller = _caller()
    first = asyncio.create_task(bus.ask(PutDown(label="first"), _envelope(caller)))
    await until(_begun)
    asks = [asyncio.create_task(bus.ask(PutDown(label=label), _envelope(caller))) for label in "abc"]
    first.cancel()
    await asyncio.sleep(0)
    seen.gate.set()
    assert [answer.label for answer in await asyncio.gather(*asks)] == ["a", "b", "c"]
    assert {"a", "b", "c"} <= set(await _stored(process, caller))


async def test_while_many_ask_a_group_waits_for_whoever_was_just_answered(bus: Bus) -> None:
    """Soon all of them are in each group; when only one is left nobody is waited for long."""
    caller, everybody, is_over = _caller(), 6, asyncio.Event()

    async def ask_on(number: int) -> None:
        while not is_over.is_set():
            await bus.ask(Gather(label=f"n{number}"), _envelope(caller))

    running = [asyncio.create_task(ask_on(number)) for number in range(everybody)]

    async def keep_meeting() -> bool:
        return [len(group) for group in seen.groups[-3:]] == [everybody] * 3

    await until(keep_meeting)
    is_over.set()
    await asyncio.gather(*running)
    assert (await bus.ask(Gather(label="alone"), _envelope(caller))).of == 1
