"""What every message gets, over a direct call and over Redis alike: scope, deadline, idempotency, bound, errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from shared.bus.answering import Surroundings
from shared.bus.ask import Bus
from shared.bus.envelope import ANONYMOUS, Caller, Envelope, envelope_for, service_envelope
from shared.bus.local import LocalBus
from shared.bus.redis import RedisAnswering, RedisBus
from shared.contracts.base import Command, Query, Shape
from shared.errors import Conflict, CrossdockError, Overloaded
from shared.identifiers import new_id
from shared.jobs import create
from shared.security import SecretText
from shared.service import Service, answers
from shared.unit_of_work import UnitOfWork

pytestmark = pytest.mark.feature("GAT-7")


class Tally(Shape):
    count: int
    secret: SecretText | None = None


class Add(Command[Tally]):
    """Count one more; `hold` keeps it waiting until told."""

    service = "catalog"
    label: str = "x"
    hold: bool = False
    fail: bool = False
    secret: SecretText | None = None


class Ready(Query[bytes]):
    """Ready-made JSON."""

    service = "catalog"


class Hidden(Query[Tally]):
    service = "catalog"


class Relayed(Query[Tally]):
    """Asks Hidden, before or inside a transaction."""

    service = "catalog"
    inside: bool


class Refused(Conflict):
    """Made to be refused."""


@dataclass
class Held:
    gate: asyncio.Event
    started: int = 0
    executed: int = 0


held = Held(asyncio.Event())


@answers(Add, scope="catalog:write")
async def add(message: Add, uow: UnitOfWork) -> Tally:
    held.started += 1
    if message.hold:
        await held.gate.wait()
    held.executed += 1
    await create(uow, "counted", {"label": message.label})
    count = await uow.fetchval("SELECT count(*) FROM jobs WHERE parameters ->> 'label' = $1", message.label)
    if message.fail:
        raise Refused("Made to be refused.", [{"sku": "A"}])
    return Tally(count=count, secret=message.secret)


@answers(Ready, scope=("catalog:read", "storefront"))
async def ready(message: Ready, uow: UnitOfWork) -> bytes:
    return b'{"as":"it is"}'


@answers(Hidden, internal=True)
async def hidden(message: Hidden, uow: UnitOfWork) -> Tally:
    return Tally(count=7)


@answers(Relayed, scope="catalog:read")
async def relayed(message: Relayed, uow: UnitOfWork) -> Tally:
    if message.inside:
        await uow.connection()
    return await uow.ask(Hidden())


def _service() -> Service:
    import sys

    return Service("catalog", sys.modules[__name__])


@pytest.fixture(params=["direct call", "Redis"])
async def bus(request: pytest.FixtureRequest, process: topology.Surrounded) -> AsyncIterator[Bus]:
    """A bus in front of the service above, bounded at 8 waiting requests."""
    held.gate, held.started, held.executed = asyncio.Event(), 0, 0
    if request.param == "direct call":
        local = LocalBus({"catalog": _service()}, bound=8)
        local.surrounded_by(Surroundings(process.database, local.ask, process.relay))
        yield local
        return
    over_redis = RedisBus(process.address, bound=8)
    surroundings = Surroundings(process.database, over_redis.ask, process.relay)
    answering = RedisAnswering(_service(), surroundings, process.address, concurrency=4)
    serving = asyncio.create_task(answering.run())
    yield over_redis
    held.gate.set()
    answering.stop()
    await serving
    await over_redis.close()


def _caller(*scopes: str, organization_id: UUID | None = None) -> Caller:
    return Caller(kind="client", organization_id=organization_id or new_id(), id=new_id(), scopes=frozenset(scopes))


def _envelope(caller: Caller | None = None, **more: Any) -> Envelope:
    return envelope_for(caller or _caller("catalog:write"), **more)


async def test_an_answer_comes_back_typed(bus: Bus) -> None:
    assert await bus.ask(Add(), _envelope()) == Tally(count=1)


async def test_ready_made_json_passes_untouched(bus: Bus) -> None:
    assert await bus.ask(Ready(), _envelope(_caller("storefront"))) == b'{"as":"it is"}'


async def test_writing_includes_reading_and_admin_includes_all(bus: Bus) -> None:
    await bus.ask(Ready(), _envelope(_caller("catalog:write")))
    await bus.ask(Add(), _envelope(_caller("admin")))


@pytest.mark.parametrize(
    ("caller", "status", "code"),
    [(_caller("catalog:read"), 403, "missing_scope"), (ANONYMOUS, 401, "unauthenticated")],
)
async def test_without_the_scope_nothing_happens(bus: Bus, caller: Caller, status: int, code: str) -> None:
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(), _envelope(caller))
    assert (refused.value.status, refused.value.code) == (status, code)
    assert held.started == 0


async def test_internal_messages_are_unknown_to_the_outside(bus: Bus) -> None:
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Hidden(), _envelope(_caller("admin")))
    assert refused.value.code == "unknown_message"
    assert await bus.ask(Hidden(), service_envelope("orders", new_id())) == Tally(count=7)


async def test_a_service_may_ask_before_its_transaction_and_never_inside(bus: Bus) -> None:
    assert await bus.ask(Relayed(inside=False), _envelope()) == Tally(count=7)
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Relayed(inside=True), _envelope())
    assert refused.value.code == "internal_error"


async def test_a_named_error_keeps_status_code_and_details_and_undoes_everything(bus: Bus) -> None:
    caller = _caller("catalog:write")
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(fail=True), _envelope(caller))
    assert (refused.value.status, refused.value.code, refused.value.errors) == (409, "refused", [{"sku": "A"}])
    assert (await bus.ask(Add(), _envelope(caller))).count == 1


async def test_an_expired_request_is_not_executed(bus: Bus) -> None:
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(), _envelope(timeout_seconds=-1))
    assert refused.value.code == "deadline_exceeded"
    assert held.started == 0


async def test_a_request_that_runs_past_its_deadline_leaves_nothing(bus: Bus) -> None:
    caller = _caller("catalog:write")
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(hold=True), _envelope(caller, timeout_seconds=0.3))
    assert refused.value.code == "deadline_exceeded"
    held.gate.set()
    assert (await bus.ask(Add(), _envelope(caller))).count == 1


@pytest.mark.feature("GAT-6")
async def test_a_queue_over_its_bound_refuses_at_once(bus: Bus) -> None:
    caller = _caller("catalog:write")
    waiting = [asyncio.create_task(bus.ask(Add(hold=True), _envelope(caller))) for _ in range(40)]
    async with asyncio.timeout(60):
        while sum(task.done() for task in waiting) < 28:
            await asyncio.sleep(0.01)
    codes = {task.exception().code for task in waiting if task.done()}  # type: ignore[union-attr]
    assert codes == {"overloaded"}
    assert all(task.exception().retry_after_seconds for task in waiting if task.done())  # type: ignore[union-attr]
    held.gate.set()
    answered = [
        answer for answer in await asyncio.gather(*waiting, return_exceptions=True) if isinstance(answer, Tally)
    ]
    # What was accepted is answered: 8 by direct call; over Redis also what the service had already taken.
    assert 8 <= len(answered) <= 12


@pytest.mark.feature("GAT-6")
@pytest.mark.parametrize(("answered", "waited", "seconds"), [(10, 100, 30), (0, 5, 60)])
async def test_one_process_refuses_what_it_cannot_answer_in_time(
    process: topology.Surrounded, answered: int, waited: float, seconds: float
) -> None:
    held.gate, held.started, held.executed = asyncio.Event(), 0, 0
    bus = LocalBus({"catalog": _service()})
    bus.surrounded_by(Surroundings(process.database, bus.ask, process.relay))
    caller = _caller("catalog:write", "catalog:read")
    open_asks = [asyncio.create_task(bus.ask(Add(hold=True), _envelope(caller))) for _ in range(68)]
    async with asyncio.timeout(60):
        while held.started < len(open_asks):
            await asyncio.sleep(0.01)
    await bus.ask(Ready(), _envelope(caller, timeout_seconds=seconds))
    # As if so much had been answered in so long: by that pace those that wait take as long again, and longer.
    pace = bus._paces["catalog"]
    pace.answered, pace.since = answered, pace.since - waited
    with pytest.raises(Overloaded) as refused:
        await bus.ask(Ready(), _envelope(caller, timeout_seconds=seconds))
    assert refused.value.retry_after_seconds
    held.gate.set()
    await asyncio.gather(*open_asks)
    await bus.ask(Ready(), _envelope(caller, timeout_seconds=seconds))
    assert pace.waiting == 0


@pytest.mark.feature("GAT-1")
async def test_the_same_key_twenty_times_at_once_takes_effect_once(bus: Bus) -> None:
    caller = _caller("catalog:write")
    asked = [bus.ask(Add(), _envelope(caller, idempotency_key="k1")) for _ in range(7)]
    assert {answer.count for answer in await asyncio.gather(*asked)} == {1}
    assert (await bus.ask(Add(), _envelope(caller, idempotency_key="k1"))).count == 1
    assert (await bus.ask(Add(), _envelope(caller, idempotency_key="k2"))).count == 2


@pytest.mark.feature("GAT-1")
async def test_the_same_key_with_another_body_is_refused(bus: Bus) -> None:
    caller = _caller("catalog:write")
    await bus.ask(Add(), _envelope(caller, idempotency_key="k1"))
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(label="y"), _envelope(caller, idempotency_key="k1"))
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")


async def test_keys_of_two_clients_are_two_keys(bus: Bus) -> None:
    organization_id = new_id()
    for expected in (1, 2):
        caller = _caller("catalog:write", organization_id=organization_id)
        assert (await bus.ask(Add(), _envelope(caller, idempotency_key="k1"))).count == expected


async def test_a_failed_request_frees_its_key(bus: Bus) -> None:
    caller = _caller("catalog:write")
    with pytest.raises(CrossdockError):
        await bus.ask(Add(fail=True), _envelope(caller, idempotency_key="k1"))
    assert (await bus.ask(Add(), _envelope(caller, idempotency_key="k1"))).count == 1


async def test_secrets_are_sealed_in_the_remembered_answer(bus: Bus, process: topology.Surrounded) -> None:
    caller = _caller("catalog:write")
    message = Add(secret=SecretText("open sesame"))
    for _ in range(2):
        answer = await bus.ask(message, _envelope(caller, idempotency_key="k1"))
        assert answer.secret is not None
        assert answer.secret.reveal() == "open sesame"
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", caller.organization_id))
    stored = await uow.fetchval("SELECT answer FROM idempotency")
    await uow.rollback()
    assert b"secret" in stored
    assert b"sesame" not in stored


async def test_a_text_that_cannot_be_stored_is_named(bus: Bus) -> None:
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(label="nul\x00"), _envelope())
    assert refused.value.status == 422


async def test_redis_away_is_said_at_once(process: topology.Surrounded) -> None:
    from shared.redis_connection import RedisAddress

    bus = RedisBus(RedisAddress("redis://127.0.0.1:1/0"))
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(), _envelope(timeout_seconds=30))
    assert (refused.value.status, refused.value.code) == (503, "queue_unavailable")
    with contextlib.suppress(Exception):
        await bus.close()


async def test_a_request_whose_deadline_passed_in_the_queue_is_dropped(process: topology.Surrounded) -> None:
    bus = RedisBus(process.address)
    caller = _caller("catalog:write")
    held.gate, held.started, held.executed = asyncio.Event(), 0, 0
    with pytest.raises(CrossdockError) as refused:
        await bus.ask(Add(), _envelope(caller, timeout_seconds=0.05))
    assert refused.value.code == "deadline_exceeded"
    surroundings = Surroundings(process.database, bus.ask, process.relay)
    answering = RedisAnswering(_service(), surroundings, process.address)
    serving = asyncio.create_task(answering.run())
    assert (await bus.ask(Add(), _envelope(caller))).count == 1
    assert held.started == 1
    answering.stop()
    await serving
    await bus.close()
